# bats file_tags=user
# Placeholders in stackerfiles, on the command line (reference/stackerfile.md 1.2, the suite's
# config.bats, build-config and hiding-creds).

load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

config_env() { image_config "$1" | jq -r '.config.Env[]' | grep -v ^PATH=; }

@test "substitution: values, defaults and a file of them, the command line winning" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: ${{BASE:base}}}
		  environment:
		    A: "${{A}}"
		    B: "${{B:none}}"
		    C: "${{C:none}}"
	END
	printf 'A: from-file\nB: 3.10\n' >subs.yaml
	run stacker build --substitute A=x,y=z --substitute-file subs.yaml
	expect_success
	expect_equal "$(config_env app)" "$(printf 'A=x,y=z\nB=3.10\nC=none')"
}

@test "substitution: a dollar in a value stays one, and the shell's own variables are untouched" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    x=1
		    printf '%s' '${{A}}' $x ${x} >/out
	END
	run stacker build --substitute 'A=a$b$$c$1'
	expect_success
	expect_equal "$(image_file app out)" 'a$b$$c$111'
}

@test "substitution: what lacks a value is an error at its place" {
	printf 'app:\n  from: {type: scratch}\n  cmd: ${{A}} ${{B}}\n' >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:3:8: error: " "no value for substitution A" "missing is also B"
	run stacker build --substitute A
	expect_exit 2
	expect_output "'A' has no '='"
}

@test "substitution: the shell's form of a given key is a hint and an error" {
	printf 'app:\n  from: {type: scratch}\n  labels: {l: "$A ${A}"}\n' >stacker.yaml
	run stacker build --substitute A=1
	expect_exit 1
	expect_output "stacker.yaml:3:16: error: " "\${{A}}"
	stacker build
}

@test "substitution: errors after it point into the file as it was written" {
	printf 'app: # ${{A}}\n  from: {type: scratch}\n  labels: {l: "${{A}}"}\n  oops: 1\n' >stacker.yaml
	run stacker build --substitute A=very-much-longer-than-the-placeholder
	expect_exit 1
	expect_output "stacker.yaml:4:3: error: " "'oops'"
}

@test "substitution: the directories of a run, absolute" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  labels:
		    roots: ${{STACKER_ROOTFS_DIR}}
		    stacker: ${{STACKER_STACKER_DIR}}
		    oci: ${{STACKER_OCI_DIR}}
		    work: "[${{STACKER_WORK_DIR}}]"
	END
	run stacker --roots-dir ./x/r --oci-dir "$PWD/oci" build
	expect_success
	expect_equal "$(image_config app | jq -c .config.Labels)" \
		"{\"oci\":\"$PWD/oci\",\"roots\":\"$PWD/x/r\",\"stacker\":\"$PWD/.stacker\",\"work\":\"[]\"}"
	stacker --roots-dir x/r clean
	run stacker --work-dir w build
	expect_success
	cp -r w/oci oci
	expect_equal "$(image_config app | jq -r '.config.Labels | .work + " " + .oci')" "[w] $PWD/w/oci"
	stacker --work-dir w clean
}

@test "substitution: they hold for prerequisites, too, which may be named by them" {
	mkdir lib
	printf 'first:\n  from: {type: scratch}\n  labels: {l: "${{A}}"}\n' >lib/stacker.yaml
	printf 'config: {prerequisites: ["${{LIB}}/stacker.yaml"]}\nsecond:\n  from: {type: built, tag: first}\n' >stacker.yaml
	run stacker build --substitute A=1 --substitute "LIB=$PWD/lib"
	expect_success
	expect_equal "$(image_config second | jq -r .config.Labels.l)" 1
}

@test "substitution: verify needs the same values" {
	printf 'app:\n  from: {type: scratch}\n  labels: {l: "${{A:0}}"}\n' >stacker.yaml
	stacker build --substitute A=1
	run stacker verify --substitute A=1
	expect_success
	run stacker verify
	expect_exit 1
	expect_output "app: differs"
}

@test "substitution: values never reach the annotations, where the original puts its file" {
	printf 'app:\n  from: {type: scratch}\n  cmd: x # ${{TOKEN}}\n' >stacker.yaml
	stacker build --substitute TOKEN=c0ffee-token
	! grep -r c0ffee-token oci || false
}

@test "substitution: aliases share values, merge keys do not" {
	printf 'a:\n  from: &base {type: scratch}\n  labels: &l {k: v}\nb:\n  from: *base\n  labels: *l\n' >stacker.yaml
	run stacker build
	expect_success
	expect_equal "$(image_config b | jq -r .config.Labels.k)" v
	printf 'a: &a\n  from: {type: scratch}\nb:\n  <<: *a\n' >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:4:3: error: " "[yaml/merge-key]"
}

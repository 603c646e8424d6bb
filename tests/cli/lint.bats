# bats file_tags=user
# lint: all problems at once, with place, reason and what to paste; and its exit codes.

load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

@test "lint: lists every error and every habit, with lines to paste" {
	cat >stacker.yaml <<-'END'
		app:
		  from:
		    type: docker
		    url: docker://docker.io/library/alpine:3.19
		  enviroment: {A: b}
		  binds:
		    - /etc/hosts -> /mnt/hosts
		  build_env_passthrough: [TOKEN]
		  imports:
		    - https://example.org/x.tgz
		    - path: f
		      mode: 755
		  run: |
		    # git clone in a comment
		    git clone https://example.org/x
		    echo 'date' && date > /built
	END
	run stacker lint
	expect_exit 1
	expect_output "stacker.yaml:4:10: error: " "[recipe/unpinned]" \
		"stacker.yaml:5:3: error: unknown directive 'enviroment'" "did you mean 'environment'?" \
		"stacker.yaml:6:3: error: " "[recipe/not-hermetic]" "    imports:" "      - path: /etc/hosts" \
		"        dest: /mnt/hosts" "stacker.yaml:8:3: error: " "      TOKEN: VALUE" \
		"stacker.yaml:10:7: error: 'https://example.org/x.tgz' has no hash" "stacker lock" \
		"stacker.yaml:12:13: error: " "write 0755" \
		"stacker.yaml:15:5: warning: 'git clone' takes what the server has today" "[lint/git-clone]" \
		"stacker.yaml:16:20: warning: 'date' is another one at each build" "6 errors, 2 warnings"
	refute_output "stacker.yaml:14:"
	[ ! -e .stacker ]
}

@test "lint: what it accepts builds, and what it pastes is accepted" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  binds: [f]
	END
	echo content >f
	run stacker lint --json
	expect_exit 1
	json=${output%%$'\n'[0-9]*}
	jq -r '.[0].snippet' <<<"$json" | sed 's/^/  /' >snippet
	sed -i '/binds/d' stacker.yaml
	{
		cat snippet
		echo '  run: cat /stacker/imports/f > /result'
	} >>stacker.yaml
	run stacker lint
	expect_exit 0
	run stacker build
	expect_success
	expect_equal "$(image_file app result)" content
}

@test "lint: prints findings as JSON" {
	printf 'a: {from: {type: scratch}, x: 1}\n' >one.yaml
	printf 'a: {from: {type: scratch}, run: date}\n' >two.yaml
	stacker -q lint --json one.yaml two.yaml >findings || [ $? -eq 1 ]
	expect_equal "$(jq -c 'map([.file, .line, .column, .id, .severity])' findings)" \
		'[["one.yaml",1,28,"recipe/unknown-directive","error"],["two.yaml",1,33,"lint/date","warning"]]'
	expect_equal "$(jq -c 'map(keys) | unique' findings)" \
		'[["column","file","hint","id","line","message","severity","snippet"]]'
	printf 'a: {from: {type: scratch}}\n' >one.yaml
	expect_equal "$(stacker -q lint --json one.yaml)" '[]'
}

@test "lint: exit codes" {
	printf 'a: {from: {type: scratch}, run: date}\n' >stacker.yaml
	run stacker lint
	expect_exit 0
	run stacker lint --strict
	expect_exit 1
	run stacker lint --strickt
	expect_exit 2
	run stacker lint absent.yaml
	expect_exit 1
	expect_output "absent.yaml"
	printf 'a: {from: {type: scratch}, run: date} # lint:allow date\n' >stacker.yaml
	run stacker lint --strict
	expect_exit 1 # the comment is not the script's
	printf 'a:\n  from: {type: scratch}\n  run: |\n    date # lint:allow date\n' >stacker.yaml
	run stacker lint --strict
	expect_exit 0
}

@test "lint: substitutions and locks count" {
	# shellcheck disable=SC2016 # a placeholder
	printf 'a: {from: {type: "${{TYPE}}"}, labels: {x: "${{X}}"}}\n' >stacker.yaml
	run stacker lint
	expect_exit 1
	expect_output "stacker.yaml:1:19: error: " "stacker.yaml:1:45: error: " "TYPE" "[recipe/no-substitution]"
	run stacker lint --substitute TYPE=scratch --substitute X=y
	expect_exit 0
	printf 'TYPE: scratch\nX: y\n' >subs.yaml
	run stacker lint --substitute-file subs.yaml
	expect_exit 0
	run stacker lint --substitute TYPE=scratchy --substitute X=y
	expect_exit 1
	expect_output "stacker.yaml:1:18: error: unknown layer type 'scratchy'"
}

@test "lint: prerequisites are looked into once the file itself is sound" {
	printf 'base: {from: {type: scratch}}\n' >base.yaml
	printf 'config: {prerequisites: [base.yaml]}\na: {from: {type: built, tag: base}}\n' >stacker.yaml
	run stacker lint
	expect_exit 0
	printf 'config: {prerequisites: [base.yaml]}\na: {from: {type: built, tag: bass}}\n' >stacker.yaml
	run stacker lint
	expect_exit 1
	expect_output "stacker.yaml:2:1: error: " "[recipe/unresolved]"
	printf 'base: {from: {type: scratch}, x: 1}\n' >base.yaml
	run stacker lint
	expect_exit 1
	expect_output "base.yaml:1:31: error: unknown directive 'x'"
}

@test "lint: hostile files are shown harmlessly" {
	printf 'a: {from: {type: scratch}, "x\\e[31m": 1, run: "\\e[31mdate\\n"}\n' >stacker.yaml
	run stacker lint
	expect_exit 1
	refute_output $'\e'
	head -c 2000000 /dev/zero | tr '\0' 'x' >stacker.yaml
	run stacker lint
	expect_exit 1
	printf 'a: [\n' >stacker.yaml
	run stacker lint
	expect_exit 1
	expect_output "stacker.yaml:2:1: error: " "[yaml/syntax]"
}

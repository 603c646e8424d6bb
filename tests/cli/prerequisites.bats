# bats file_tags=user
# Several stackerfiles of one project (reference/stackerfile.md 1.3, the suite's prerequisites.bats).

load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

image() {
	printf '%s:\n  from: {type: scratch}\n  imports:\n    - {path: file, dest: /file}\n' "$1"
}

needs() {
	printf 'config:\n  prerequisites:\n'
	printf '    - %s\n' "$@"
}

# project DIR: three files, each in a directory of its own, where the last needs the first two.
project() {
	local dir=$1
	mkdir -p "$dir/one" "$dir/two" "$dir/three"
	echo one >"$dir/one/file"
	echo two >"$dir/two/file"
	{ image first; } >"$dir/one/stacker.yaml"
	{
		needs ../one/stacker.yaml
		printf 'second:\n  from: {type: built, tag: first}\n  imports:\n    - {path: file, dest: /second}\n'
	} >"$dir/two/stacker.yaml"
	{
		needs ../two/stacker.yaml
		printf 'third:\n  from: {type: built, tag: second}\n  imports:\n'
		printf '    - {path: stacker://first/file, dest: /third}\n'
	} >"$dir/three/stacker.yaml"
}

@test "prerequisites: their images are built first and can be used, over several files" {
	project p
	run stacker build -f p/three/stacker.yaml
	expect_success
	expect_equal "$(jq -r '[.manifests[].annotations["org.opencontainers.image.ref.name"]] | join(" ")' oci/index.json)" \
		"first second third"
	expect_equal "$(image_file third file)" one
	expect_equal "$(image_file third second)" two
	expect_equal "$(image_file third third)" one
}

@test "prerequisites: a change in one rebuilds what is made from it" {
	project p
	stacker build -f p/three/stacker.yaml >before
	stacker build -f p/three/stacker.yaml >again
	cmp before again
	echo changed >p/one/file
	run stacker build -f p/three/stacker.yaml
	expect_success
	refute_output "found cached layer"
	expect_equal "$(image_file third third)" changed
}

@test "prerequisites: build_only images of other files are stages too" {
	project p
	sed -i 's/^first:/&\n  build_only: true/' p/one/stacker.yaml
	run stacker build -f p/three/stacker.yaml
	expect_success
	refute_output "first sha256:"
	expect_equal "$(image_file third third)" one
}

@test "prerequisites: an absolute path, and only what is needed with -A" {
	project p
	image other >p/other.yaml
	echo other >p/file
	{
		needs "$PWD/p/other.yaml" one/stacker.yaml
		printf 'app:\n  from: {type: built, tag: first}\n'
	} >p/stacker.yaml
	run stacker build -f p/stacker.yaml -A app
	expect_success
	refute_output "preparing image other"
	expect_equal "$(image_file app file)" one
}

@test "prerequisites: a cycle is refused with its way, not followed" {
	{ needs b.yaml && image a; } >a.yaml
	{ needs a.yaml && image b; } >b.yaml
	run stacker build -f a.yaml
	expect_exit 1
	expect_output "a.yaml -> b.yaml -> a.yaml" "[recipe/prerequisite-cycle]"
	{ needs self.yaml && image self; } >self.yaml
	run stacker build -f self.yaml
	expect_exit 1
	expect_output "self.yaml:3:7: error: " "self.yaml -> self.yaml"
}

@test "prerequisites: same stacker.yaml tags are unique" {
	{ image a && image a; } >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:5:1: error: " "duplicate layer name" "'a'"
}

@test "prerequisites: different stacker.yaml tags are unique" {
	image a >other.yaml
	{ needs other.yaml && image a; } >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:4:1: error: " "duplicate layer name" "other.yaml" "[recipe/duplicate-name]"
}

@test "prerequisites: a file that is not there is named where it is asked for" {
	{ needs nowhere.yaml && image a; } >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:3:7: error: " "nowhere.yaml"
	[ ! -e oci/index.json ]
}

@test "prerequisites: verify follows them, too" {
	project p
	stacker build -f p/three/stacker.yaml
	run stacker verify -f p/three/stacker.yaml third
	expect_success
	expect_output "third: reproduced"
}

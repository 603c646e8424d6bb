# bats file_tags=user
# What upstream's suite shows of manifests and configurations: annotations, commands, platforms.

load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

one_image() {
	printf 'app:\n  from: {type: scratch}\n%s\n' "$1" >stacker.yaml
}

@test "annotations: ours are in io.stackeroci or the namespace that was given, none in the builder's name" {
	one_image '  annotations: {a.b.c: "x y"}'
	run stacker build
	expect_success
	expect_equal "$(image_manifest app | jq -c '.annotations | keys')" \
		'["a.b.c","io.stackeroci.stacker.format","io.stackeroci.stacker.recipe"]'
	expect_equal "$(image_manifest app | jq -r '.annotations["a.b.c"]')" "x y"
	local default
	default=$(image_digest app)
	run stacker build --annotations-namespace io.stackeroci
	expect_output "found cached layer app"
	expect_equal "$(image_digest app)" "$default"

	run stacker build --annotations-namespace org.example
	expect_success
	refute_output "found cached"
	expect_equal "$(image_manifest app | jq -c '.annotations | keys')" \
		'["a.b.c","org.example.stacker.format","org.example.stacker.recipe"]'
	run stacker verify --annotations-namespace org.example app
	expect_success
	run stacker verify app
	expect_exit 3
	expect_output "manifest.annotations"

	run stacker build --annotations-namespace 'a b'
	expect_exit 2
	expect_output "[build/bad-namespace]"
	one_image '  annotations: {org.example.stacker.recipe: x}'
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:1:1: error: " "[recipe/reserved-annotation]"
}

@test "annotations: what the base's builder said of its work is not said of another image" {
	one_image '  annotations: {kept: "yes", own: base}'
	stacker --oci-dir base build --annotations-namespace org.base
	printf 'app:\n  from: {type: oci, url: base:app}\n  annotations: {own: mine}\n' >stacker.yaml
	stacker build
	expect_equal "$(image_manifest app | jq -c '.annotations | del(.["io.stackeroci.stacker.recipe"])')" \
		'{"io.stackeroci.stacker.format":"1","kept":"yes","own":"mine"}'
}

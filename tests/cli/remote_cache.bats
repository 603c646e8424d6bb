# bats file_tags=user
# Finished images, and inputs, from registries by what they are made of.

load ../lib/helpers
load ../lib/registry

setup_file() { start_registry; }
teardown_file() { stop_registry; }

setup() {
	setup_work
	REPOSITORY=$REGISTRY/test$BATS_TEST_NUMBER
	mkdir www a
	echo input >www/input
	HASH=$(sha256sum <www/input | cut -d' ' -f1)
	start_fault_server www
	cat >conf.yaml <<-END
		cache: [{url: docker://$REPOSITORY/cache, write: true}]
		inputs: docker://$REPOSITORY/inputs
	END
	write_stackerfile <<-END
		one:
		  from: {type: built, tag: base}
		  imports:
		    - path: $URL/ok/input
		      hash: $HASH
		      dest: /input
		  run: |
		    #!/bin/busybox sh
		    echo one > /one
		two:
		  from: {type: built, tag: one}
		  run: |
		    #!/bin/busybox sh
		    echo two > /two
	END
}
teardown() {
	stop_fault_server
	teardown_work
}

# on MACHINE COMMAND...: with a store, trees and an output of its own.
on() {
	local machine=$1
	shift
	stacker --ca-file "$REGISTRY_CA" --config conf.yaml --work-dir "$machine" "$@"
}

@test "remote cache: what one machine built, another takes; an edit rebuilds what depends on it" {
	mkdir b c
	run on a build
	expect_success
	refute_output "took"
	run on b build --trust-cache --cache-only
	expect_success
	expect_output "took one from" "took two from"
	refute_output "preparing image"
	expect_equal "$(image_digest two b/oci)" "$(image_digest two a/oci)"
	expect_equal "$(image_digest one b/oci)" "$(image_digest one a/oci)"
	expect_sound_blobs b/oci
	# The inputs were not needed.
	expect_equal "$(grep -c ok/input requests)" 1
	run skopeo inspect --cert-dir "$REGISTRY_CERTS" "docker://$REPOSITORY/cache:recipe-$(image_annotation two)"
	expect_success
	sed -i 's/echo two/echo zwei/' stacker.yaml
	run on c build --trust-cache
	expect_success
	expect_output "took one from" "preparing image two"
	refute_output "preparing image one" "preparing image base"
}

@test "remote cache: nothing is taken unless that is asked for, and --cache-only builds nothing" {
	mkdir b
	run on a build
	expect_success
	run on b build
	expect_success
	expect_output "preparing image one" "preparing image two"
	refute_output "took"
	mkdir c
	run on c explain-miss two
	expect_success
	expect_output "'docker://$REPOSITORY/cache' has it"
	sed -i 's/echo two/echo zwei/' stacker.yaml
	run on c explain-miss two --json
	expect_success
	expect_equal "$(jq -c '.[0].remote' <<<"$output")" null
	run on c build --trust-cache --cache-only
	expect_exit 1
	expect_output "[build/not-cached]" "two" "--trust-cache takes what the registries"
	[ ! -e c/oci/index.json ]
}

@test "remote cache: an image tagged for another recipe is refused by what it says itself" {
	mkdir b
	run on a build
	expect_success
	local recipe_one recipe_two
	recipe_one=$(image_annotation one)
	recipe_two=$(image_annotation two)
	skopeo copy -q --src-cert-dir "$REGISTRY_CERTS" --dest-cert-dir "$REGISTRY_CERTS" \
		"docker://$REPOSITORY/cache:recipe-$recipe_one" "docker://$REPOSITORY/cache:recipe-$recipe_two"
	run on b build --trust-cache
	expect_success
	expect_output "is not used" "says that it is of"
	expect_output "preparing image two"
	expect_equal "$(image_digest two b/oci)" "$(image_digest two a/oci)"
}

image_annotation() {
	jq -er '.annotations["io.stackeroci.stacker.recipe"]' \
		"$(blob_path "$(image_digest "$1" a/oci)" a/oci)" | cut -d: -f2
}

@test "remote cache: without the registry it is built, and that is said" {
	echo "cache: docker://127.0.0.1:9/cache" >conf.yaml
	run on a build --trust-cache
	expect_success
	expect_output "is not used" "preparing image two"
}

@test "inputs: pushed once, they come from the registry when their URL is gone" {
	mkdir b
	run on a fetch --push
	expect_success
	expect_output "pushed 1 inputs; 0 were there"
	run on a fetch --push
	expect_success
	expect_output "pushed 0 inputs; 1 were there"
	stop_fault_server
	run on b build
	expect_success
	expect_equal "$(cat "$(unpack_to two b/oci)/input")" input
	touch empty.yaml
	run stacker --config empty.yaml fetch --push
	expect_exit 2
	expect_output "[cli/no-inputs]"
}

unpack_to() {
	umoci --log=error raw unpack --rootless --image "$2:$1" unpacked.tmp && echo unpacked.tmp
}

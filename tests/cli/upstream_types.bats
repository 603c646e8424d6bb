# bats file_tags=user
# What upstream's suite shows of images as squashfs and of several types at once.

# shellcheck disable=SC2016 # what is in single quotes is meant as it is
load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

BOTH=(--layer-type tar --layer-type squashfs)

tags_of() {
	jq -r '[.manifests[].annotations["org.opencontainers.image.ref.name"]] | join(" ")' "${1:-oci}/index.json"
}

layer_count() { image_manifest "$1" | jq '.layers | length'; }

# TAG INDEX DIR: one squashfs layer as files.
unpack_squashfs() {
	local blob
	blob=$(blob_path "$(image_manifest "$1" | jq -er ".layers[$2].digest")")
	unsquashfs -no-xattrs -no-progress -d "$3" "$blob" >/dev/null
}

@test "upstream types: chains and stages in both types, each found in the cache for itself" {
	write_stackerfile <<-'END'
		parent: {from: {type: built, tag: base}, run: touch /parent}
		stage: {build_only: true, from: {type: built, tag: parent}, run: touch /stage}
		child: {from: {type: built, tag: stage}, run: touch /child}
		same: {from: {type: built, tag: stage}, run: "true"}
	END
	run stacker build "${BOTH[@]}"
	expect_success
	expect_equal "$(tags_of)" "parent parent-squashfs child child-squashfs same same-squashfs"
	for tag in parent child same; do
		expect_equal "$(layer_count $tag)" "$(layer_count $tag-squashfs)"
	done
	expect_equal "$(layer_count child) $(layer_count same)" "4 3"
	run stacker build "${BOTH[@]}"
	expect_output "found cached layer child" "found cached layer child-squashfs"
	# Only the type that is new is made.
	rm -rf oci
	run stacker build --layer-type squashfs --layer-type tar
	expect_success
	expect_equal "$(tags_of)" "parent-squashfs parent child-squashfs child same-squashfs same"
	unpack_squashfs child-squashfs 3 last
	[ -e last/child ]
	[ ! -e last/stage ]
	unpack_squashfs child-squashfs 2 middle
	[ -e middle/stage ]
	[ ! -e middle/child ]
}

@test "upstream types: files of the base belong to 0, a step that changes nothing adds no layer" {
	make_busybox_base root
	tar -C root -cf root.tar --owner=0 --group=0 --numeric-owner .
	cat >stacker.yaml <<-'END'
		app: {from: {type: tar, url: root.tar}, run: "true"}
		again: {from: {type: built, tag: app}, run: ls / >/dev/null}
	END
	run stacker build --layer-type squashfs
	expect_success
	expect_equal "$(tags_of)" "app-squashfs again-squashfs"
	expect_equal "$(layer_count app-squashfs) $(layer_count again-squashfs)" "1 1"
	unsquashfs -lln "$(blob_path "$(image_manifest app-squashfs | jq -r '.layers[0].digest')")" | awk 'NF > 5 {print $2}' | sort -u >owners
	expect_equal "$(cat owners)" 0/0
}

@test "upstream types: a binary out of a stage, and writing through a linked directory" {
	write_stackerfile <<-'END'
		build: {build_only: true, from: {type: built, tag: base}, run: echo tool >/tool}
		app: {from: {type: scratch}, imports: [{path: stacker://build/tool, dest: /usr/bin/}]}
		links: {from: {type: built, tag: base}, run: mkdir -p /usr/lib && ln -s usr/lib /lib}
		through: {from: {type: built, tag: links}, run: touch /lib/new}
	END
	run stacker build --layer-type squashfs
	expect_success
	unpack_squashfs app-squashfs 0 app
	expect_equal "$(cat app/usr/bin/tool)" tool
	unpack_squashfs through-squashfs 2 through
	[ -e through/usr/lib/new ]
	[ ! -L through/lib ]
	[ ! -e through/lib ]
}

@test "upstream publish: several types, each under the tag of its own" {
	write_stackerfile <<-'END'
		app: {from: {type: built, tag: base}, run: touch /x}
	END
	stacker build "${BOTH[@]}"
	run stacker publish --url oci:out --tag v1 "${BOTH[@]}"
	expect_success
	expect_equal "$(tags_of out)" "app_v1 app_v1-squashfs"
	expect_equal "$(jq -r '.manifests[].digest' out/index.json)" "$(image_digest app)
$(image_digest app-squashfs)"
}

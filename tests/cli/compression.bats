# bats file_tags=user
# How layers are compressed: what the media type says, who can read them, and what stays the same.

bats_require_minimum_version 1.5.0
load ../lib/helpers

setup() {
	setup_work
}
teardown() {
	teardown_work
}

# An image for each compression, of the same tree.
write_images() {
	mkdir -p tree
	seq 1 200000 >tree/numbers
	head -c 3000000 /dev/zero >tree/zeros
	local name
	for name in gzip zstd none; do
		cat <<-END
			$name:
			  from: {type: scratch}
			  compression: $name
			  imports: [{path: tree/, dest: /}]
		END
	done >stacker.yaml
}

layer_field() {
	local manifest
	manifest=$(image_digest "$1")
	jq -r ".layers[0].$2" "oci/blobs/sha256/${manifest#sha256:}"
}

@test "compression: the media type says which, and tools read it" {
	write_images
	stacker build
	[ "$(layer_field gzip mediaType)" = application/vnd.oci.image.layer.v1.tar+gzip ]
	[ "$(layer_field zstd mediaType)" = application/vnd.oci.image.layer.v1.tar+zstd ]
	[ "$(layer_field none mediaType)" = application/vnd.oci.image.layer.v1.tar ]
	local name blob
	for name in gzip zstd none; do
		blob=$(layer_field "$name" digest)
		case $name in
		gzip) gzip -dc <"oci/blobs/sha256/${blob#sha256:}" ;;
		zstd) zstd -qdc <"oci/blobs/sha256/${blob#sha256:}" ;;
		none) cat "oci/blobs/sha256/${blob#sha256:}" ;;
		esac >"$name.tar"
		mkdir "$name.d"
		tar -C "$name.d" -xf "$name.tar"
		cmp "$name.d/numbers" tree/numbers
		cmp "$name.d/zeros" tree/zeros
	done
	cmp gzip.tar none.tar
	cmp gzip.tar zstd.tar
	skopeo copy -q oci:oci:gzip dir:copy
}

@test "compression: gzip has no name, no time and no system" {
	write_images
	stacker build
	local blob
	blob=$(layer_field gzip digest)
	[ "$(head -c 10 "oci/blobs/sha256/${blob#sha256:}" | od -An -tx1 | tr -d ' ')" = 1f8b08000000000000ff ]
}

@test "compression: one CPU gives the same bytes as all" {
	write_images
	local cpu name
	cpu=$(taskset -cp $$ | sed 's/.*[ ,-]//')
	stacker --stacker-dir all --oci-dir oci-all build
	timeout 120 taskset -c "$cpu" "$STACKER" --stacker-dir one --oci-dir oci-one build
	for name in gzip zstd none; do
		[ "$(image_digest $name oci-one)" = "$(image_digest $name oci-all)" ]
	done
}

@test "compression: images of each can be built on and verified" {
	write_images
	local name
	for name in gzip zstd none; do
		cat <<-END
			on-$name:
			  from: {type: built, tag: $name}
			  imports: [{path: stacker.yaml, dest: /}]
		END
	done >>stacker.yaml
	stacker build
	[ "$(layer_field on-zstd mediaType)" = application/vnd.oci.image.layer.v1.tar+zstd ]
	run -0 stacker verify
}

@test "compression: one that does not exist is named with its place" {
	printf 'a:\n  from: {type: scratch}\n  compression: lzma\n' >stacker.yaml
	run -1 stacker build
	[[ $output == *"stacker.yaml:3:16: error: unknown compression 'lzma' [recipe/bad-compression]"* ]]
}

# bats file_tags=user
# Images as squashfs and erofs: what is published, that it repeats, that the kernel and veritysetup
# agree with it.

load ../lib/helpers

setup() {
	setup_work
	. "$REPO_LIB/user.sh"
	EXTRA=
}
teardown() {
	if [ -n "${MOUNTED:-}" ]; then umount -R "$MOUNTED"; fi
	[ -z "$EXTRA" ] || rm -rf "$EXTRA" 2>/dev/null ||
		unshare --map-root-user --map-auto rm -rf "$EXTRA"
	teardown_work
}

# All that a layer can hold: modes, owners, links of both kinds, a fifo, attributes, a name that is not
# UTF-8, an empty, a large and a sparse file; and in the second image all that it can take away.
write_project() {
	mkdir -p extra
	(
		cd extra || exit 1
		echo attributes >attributes
		chmod 0755 attributes
		tar --format=pax --owner=0 --group=0 --mtime=@1000 --numeric-owner \
			--pax-option=SCHILY.xattr.user.b:=two,SCHILY.xattr.user.a:=one \
			-cf ../extra.tar attributes
	)
	write_stackerfile <<-'END'
		attributes:
		  build_only: true
		  from: {type: tar, url: extra.tar}
		lower:
		  from: {type: built, tag: base}
		  imports:
		    - {path: extra.tar, dest: /x, unpack: true}
		  run: |
		    mkdir -p /d/sub /opaque/deep /gone /mode
		    echo one > /d/one; echo two > /d/two; ln /d/one /d/hard; ln -s ../d/one /d/soft
		    echo x > /opaque/deep/old; echo x > /gone/file; : > /d/empty
		    seq 60000 > /big; dd if=/dev/zero of=/sparse bs=1 seek=300000 count=1
		    chown 5:6 /d/one; chmod 4711 /d/one; chmod 1777 /d; chmod 0 /mode; chown 7:8 /mode
		    echo odd > "$(printf '/d/\377odd')"
		    touch -d '1970-01-02 00:00:00' /d/two
		app:
		  from: {type: built, tag: lower}
		  environment: {A: a}
		  run: |
		    rm /d/two; rm -r /opaque /gone; mkdir /opaque; echo new > /opaque/new; echo more >> /d/empty
	END
}

ALL_TYPES=(--layer-type tar --layer-type squashfs --layer-type erofs)

tags_of() {
	jq -r '[.manifests[].annotations["org.opencontainers.image.ref.name"]] | join(" ")' "$1/index.json"
}

digests_of() {
	jq -r '.manifests[] | .digest + " " + .annotations["org.opencontainers.image.ref.name"]' \
		"$1/index.json"
}

@test "layer types: tags in the order of the option, media types, history, configs" {
	write_project
	run stacker build --layer-type squashfs --layer-type tar --layer-type erofs
	expect_success
	expect_output "filesystem app-squashfs built successfully" "filesystem app-erofs built successfully"
	expect_equal "$(tags_of oci)" \
		"lower-squashfs lower lower-erofs app-squashfs app app-erofs"
	local type
	for type in squashfs+zstd erofs+lz4hc; do
		local tag=app-${type%+*}
		expect_equal "$(image_manifest "$tag" | jq -r '[.layers[].mediaType] | unique[]')" \
			"application/vnd.stacker.image.layer.$type"
		# diff_id = digest; everything else of the config is the tar's.
		expect_equal "$(image_config "$tag" | jq -c .rootfs.diff_ids)" \
			"$(image_manifest "$tag" | jq -c '[.layers[].digest]')"
		expect_equal "$(image_config "$tag" | jq -S 'del(.rootfs.diff_ids)')" \
			"$(image_config app | jq -S 'del(.rootfs.diff_ids)')"
	done
	# A recipe of its own for each, which names what made it.
	run jq -rs '[.[].annotations["io.stackeroci.stacker.recipe"]] | unique | length' \
		<(image_manifest app) <(image_manifest app-squashfs) <(image_manifest app-erofs)
	expect_equal "$output" 3
	expect_sound_blobs oci
}

@test "layer types: U19: all three repeat, in other places, cached or not; steps run once" {
	write_project
	stacker build "${ALL_TYPES[@]}" >first 2>log
	# The step of an image that three types are made of.
	expect_equal "$(grep -c '^app: + rm /d/two' log)" 1
	cp -r oci oci.first
	run stacker build "${ALL_TYPES[@]}"
	expect_success
	expect_output "found cached layer app" "found cached layer app-squashfs" "found cached layer app-erofs"
	refute_output "making"
	run stacker build --no-cache "${ALL_TYPES[@]}"
	expect_success
	mkdir other
	cp -r base stacker.yaml extra.tar other
	(cd other && umask 077 && TZ=Asia/Tokyo SOURCE_DATE_EPOCH=1 taskset -c 0 \
		"$STACKER" build "${ALL_TYPES[@]}") 2>/dev/null
	expect_equal "$(digests_of oci)" "$(digests_of oci.first)"
	expect_equal "$(digests_of other/oci)" "$(digests_of oci.first)"
}

@test "layer types: U19: root, an ordinary user, and another file system" {
	[ "$(id -u)" -eq 0 ] || skip_justified "only root can be two users"
	ensure_test_user
	write_project
	stacker build "${ALL_TYPES[@]}" >/dev/null 2>&1
	EXTRA=$(mktemp -d /dev/shm/stacker-user.XXXXXX)
	cp -r base stacker.yaml extra.tar "$EXTRA"
	cp "$STACKER" "$EXTRA/stacker"
	chown -R "$TEST_USER:" "$EXTRA"
	as_test_user sh -c 'cd "$1" && shift && ./stacker --quiet build "$@"' sh "$EXTRA" "${ALL_TYPES[@]}"
	expect_equal "$(digests_of "$EXTRA/oci")" "$(digests_of oci)"
}

@test "layer types: veritysetup accepts every layer under the root hash of its annotation" {
	write_project
	stacker build --layer-type squashfs --layer-type erofs >/dev/null 2>&1
	local tag blob root size offset count=0
	for tag in app-squashfs app-erofs; do
		while read -r blob root; do
			blob=$(blob_path "$blob")
			size=$(stat -c %s "$blob")
			# Readers find the tree from the superblock: that is where the image ends.
			if [ "$tag" = app-squashfs ]; then
				offset=$((($(od -An -t u8 -j 40 -N 8 "$blob") + 4095) / 4096 * 4096))
			else
				offset=$(($(od -An -t u4 -j 1060 -N 4 "$blob") * 4096))
			fi
			[ "$offset" -lt "$size" ]
			/usr/sbin/veritysetup verify "$blob" "$blob" "$root" --hash-offset="$offset"
			count=$((count + 1))
			# And not another.
			run /usr/sbin/veritysetup verify "$blob" "$blob" "${root//[0-7]/8}" --hash-offset="$offset"
			[ "$status" -ne 0 ]
		done < <(image_manifest "$tag" | jq -r '.layers[] | .digest + " " +
			.annotations["io.stackeroci.stacker.atomfs_verity_root_hash"]')
	done
	expect_equal "$count" 8
}

@test "layer types: --no-verity leaves the tree and the annotation out" {
	write_project
	stacker build --layer-type squashfs --layer-type erofs >/dev/null 2>&1
	cp -r oci oci.verity
	stacker build --no-verity --layer-type squashfs --layer-type erofs >/dev/null 2>&1
	local tag
	for tag in app-squashfs app-erofs; do
		expect_equal "$(image_manifest "$tag" | jq '[.layers[].annotations] | unique[]')" null
		local with without
		with=$(blob_path "$(jq -r '.layers[0].digest' \
			"$(blob_path "$(image_digest "$tag" oci.verity)" oci.verity)")" oci.verity)
		without=$(blob_path "$(image_manifest "$tag" | jq -r '.layers[0].digest')")
		[ "$(stat -c %s "$without")" -lt "$(stat -c %s "$with")" ]
		cmp -n "$(stat -c %s "$without")" "$with" "$without"
	done
	run stacker verify app
	expect_success
	expect_output "app-squashfs: reproduced" "app-erofs: reproduced"
}

# Everything that a tree shows, a line a file.
describe_tree() {
	python3 - "$1" <<-'END'
		import hashlib, os, stat, sys
		top = os.fsencode(sys.argv[1])
		inodes = {}
		def attributes(path):
		    try:
		        return sorted((k, os.getxattr(path, k)) for k in os.listxattr(path))
		    except OSError: # images without any
		        return []
		for directory, names, files in sorted(os.walk(top)):
		    for name in sorted(names + files):
		        path = os.path.join(directory, name)
		        st = os.lstat(path)
		        row = [path[len(top):], oct(st.st_mode), st.st_uid, st.st_gid, int(st.st_mtime)]
		        if stat.S_ISLNK(st.st_mode):
		            row.append(os.readlink(path))
		        else:
		            row.append(attributes(path))
		        if stat.S_ISREG(st.st_mode):
		            row += [st.st_nlink, hashlib.sha256(open(path, 'rb').read()).hexdigest()]
		            if st.st_nlink > 1:
		                row.append(inodes.setdefault(st.st_ino, path[len(top):]))
		        print(row)
	END
}

@test "layer types: U20: mounted and stacked by the kernel, they are the tar's tree" {
	[ "$(id -u)" -eq 0 ] || skip_justified "only root can mount file system images"
	write_project
	stacker build "${ALL_TYPES[@]}" >/dev/null 2>&1
	unpack_image app tar
	describe_tree "$PWD/tar" >tar.tree
	grep -q "user.a" tar.tree
	grep -q "0o104711" tar.tree
	local type digest lowers i
	for type in squashfs erofs; do
		MOUNTED=$PWD/$type
		mkdir "$type"
		mount -t tmpfs none "$type"
		lowers="" i=0
		while read -r digest; do
			mkdir "$type/$i"
			mount -t "$type" -o loop,ro "$(blob_path "$digest")" "$type/$i"
			lowers=$type/$i${lowers:+:$lowers}
			i=$((i + 1))
		done < <(image_manifest "app-$type" | jq -r '.layers[].digest')
		mkdir "$type/all"
		mount -t overlay -o "ro,userxattr,lowerdir=$lowers" overlay "$type/all"
		describe_tree "$PWD/$type/all" >"$type.tree"
		umount -R "$MOUNTED"
		MOUNTED=
		diff tar.tree "$type.tree"
	done
}

@test "layer types: a missing tool is named with its package, an unknown type with those there are" {
	write_project
	run stacker build --layer-type ext4
	expect_exit 2
	expect_output "there is no layer type 'ext4' [build/layer-type]" "tar, squashfs and erofs"
	[ "$(id -u)" -eq 0 ] || return 0
	# A /usr without the tools.
	mkdir -p usr/bin
	run unshare --mount sh -c 'mount --bind "$1" /usr/bin/tar2sqfs && exec "$2" build --layer-type squashfs' \
		sh /dev/null "$STACKER"
	expect_exit 1
	expect_output "'tar2sqfs' is not installed [sandbox/tool-missing]" "install the package squashfs-tools-ng"
	[ ! -e oci ]
}

@test "layer types: verify rebuilds each published type and names the layer that differs" {
	write_project
	stacker build --layer-type squashfs --layer-type erofs >/dev/null 2>&1
	run stacker verify app
	expect_success
	expect_output "app-squashfs: reproduced" "app-erofs: reproduced"
	refute_output "app: reproduced"
	local blob
	blob=$(blob_path "$(image_manifest app-erofs | jq -r '.layers[1].digest')")
	chmod u+w "$blob"
	printf x | dd of="$blob" bs=1 seek=3000 conv=notrunc status=none
	run stacker verify app
	expect_exit 1
	expect_output "app-squashfs: reproduced" "app-erofs: differs" "layer 1"
}

# A layout BASE with one image "app" whose only layer is FILE, of media type TYPE; as others make it.
write_fs_layout() {
	local file=$1 type=$2 layout=$3 digest config manifest root=${4:-}
	mkdir -p "$layout/blobs/sha256"
	put_blob() {
		digest=$(sha256sum <"$1")
		digest=${digest%% *}
		cp "$1" "$layout/blobs/sha256/$digest"
	}
	echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
	put_blob "$file"
	local layer=$digest
	jq -nc --arg d "sha256:$layer" '{architecture: "amd64", os: "linux", config: {Env: ["A=a"]},
		rootfs: {type: "layers", diff_ids: [$d]}, history: [{created_by: "other"}]}' >"$layout/c"
	put_blob "$layout/c"
	config=$digest
	jq -nc --arg c "sha256:$config" --arg d "sha256:$layer" --arg t "$type" --arg r "$root" \
		--argjson cs "$(stat -c %s "$layout/c")" --argjson ds "$(stat -c %s "$file")" \
		'{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
		config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $c, size: $cs},
		layers: [{mediaType: $t, digest: $d, size: $ds} + if $r == "" then {} else
			{annotations: {"io.stackeroci.stacker.squashfs_verity_root_hash": $r}} end]}' >"$layout/m"
	put_blob "$layout/m"
	manifest=$digest
	jq -nc --arg m "sha256:$manifest" --argjson s "$(stat -c %s "$layout/m")" '{schemaVersion: 2,
		manifests: [{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $m, size: $s,
		annotations: {"org.opencontainers.image.ref.name": "app"}}]}' >"$layout/index.json"
	rm "$layout/c" "$layout/m"
}

write_child() {
	printf 'child:\n  from: {type: oci, url: "%s:app"}\n' "$1" >"${2:-child.yaml}"
}

@test "layer types: U36: bases of squashfs and erofs give the tar layers that they were made of" {
	write_project
	stacker build "${ALL_TYPES[@]}" >/dev/null 2>&1
	mv oci up
	local type
	for type in squashfs erofs; do
		cat >"$type.yaml" <<-END
			from-$type:
			  from: {type: oci, url: "up:app-$type"}
			stage-$type:
			  build_only: true
			  from: {type: built, tag: from-$type}
			  run: "rm /big; [ ! -e /d/two ]; [ ! -e /opaque/deep ]; cat /opaque/new > /seen"
			child-$type:
			  from: {type: built, tag: stage-$type}
			  run: "[ ! -e /big ]; echo y > /y"
		END
		run stacker build -f "$type.yaml" "${ALL_TYPES[@]}"
		expect_success
		expect_equal "$(image_config "from-$type" | jq -c .rootfs.diff_ids)" \
			"$(jq -c .rootfs.diff_ids "$(blob_path "$(jq -r .config.digest \
				"$(blob_path "$(image_digest app up)" up)")" up)")"
		# Of the base's own type, the very layers are handed on, and those of children lie on them.
		jq -c '.layers[]' "$(blob_path "$(image_digest "app-$type" up)" up)" >base.layers
		image_manifest "from-$type-$type" | jq -c '.layers[]' | diff base.layers -
		image_manifest "child-$type-$type" | jq -c '.layers[]' >child.layers
		diff base.layers <(head -n "$(wc -l <base.layers)" child.layers)
		expect_equal "$(wc -l <child.layers)" "$(($(wc -l <base.layers) + 2))"
		expect_equal "$(image_file "child-$type" seen)" new
		run stacker verify -f "$type.yaml"
		expect_success
		expect_output "from-$type: reproduced" "child-$type-squashfs: reproduced"
	done
	expect_equal "$(image_manifest from-squashfs | jq -c .layers)" \
		"$(image_manifest from-erofs | jq -c .layers)"
}

@test "layer types: U36: images of upstream's making, with and without suffix and verity" {
	write_project
	tar -xf extra.tar -C extra
	mkdir tree
	cp -r extra base tree
	seq 5000 >tree/numbers
	: >tree/empty
	head -c 8192 /bin/busybox >tree/blocks
	ln tree/numbers tree/again
	tar --owner=3 --group=4 --numeric-owner -cf tree.tar -C tree .
	tar2sqfs -q -f -c gzip gzip.img <tree.tar
	mkfs.erofs plain.img tree >/dev/null
	cp gzip.img verity.img
	local root offset
	offset=$(stat -c %s verity.img)
	root=$(/usr/sbin/veritysetup format verity.img verity.img --hash-offset="$offset" \
		--data-blocks=$((offset / 4096)) | awk '/Root hash/ { print $3 }')
	local image type layout
	while read -r image type; do
		layout=${image%.img}-${type##*.}
		write_fs_layout "$image" "$type" "$layout" "$([ "$image" != verity.img ] || echo "$root")"
		write_child "$layout"
		run stacker build -f child.yaml --layer-type tar --layer-type squashfs --layer-type erofs
		expect_success
		rm -rf unpacked
		unpack_image child unpacked
		diff -r tree unpacked
		expect_equal "$(stat -c %h unpacked/again)" 2
	done <<-'END'
		gzip.img application/vnd.stacker.image.layer.squashfs
		gzip.img application/vnd.stacker.image.layer.squashfs+gzip
		verity.img application/vnd.stacker.image.layer.squashfs+gzip
		plain.img application/vnd.stacker.image.layer.erofs
		plain.img application/vnd.stacker.image.layer.erofs+lz4hc
	END
	# The annotation has its newer name when it is handed on.
	write_child verity-squashfs+gzip
	stacker build -f child.yaml --layer-type squashfs >/dev/null 2>&1
	expect_equal "$(image_manifest child-squashfs | jq -r '.layers[0].annotations[]')" "$root"
}

# Fails with one of our errors about the base, leaving no image and no work behind.
expect_refused() {
	run stacker build -f child.yaml
	expect_exit 1
	[[ $output =~ \[(image|unpack|layer|layout)/[a-z-]+\] ]] || {
		printf 'no clean error:\n%s\n' "$output"
		return 1
	}
	[ ! -e oci ]
}

@test "layer types: hostile images are refused cleanly, and their readers see nothing" {
	mkdir -p tree/dir
	echo content >tree/dir/aa
	seq 30000 >tree/numbers
	tar -cf tree.tar -C tree .
	tar2sqfs -q -f -c zstd good.squashfs <tree.tar
	mkfs.erofs -zlz4hc good.erofs tree >/dev/null
	local type offset i
	for type in squashfs erofs; do
		local media=application/vnd.stacker.image.layer.$type
		# Not an image, an empty one, a truncated one.
		head -c 100000 /dev/urandom >bad
		write_fs_layout bad "$media" bad.oci && write_child bad.oci && expect_refused
		: >bad
		write_fs_layout bad "$media" bad.oci && write_child bad.oci && expect_refused
		head -c 4096 "good.$type" >bad
		write_fs_layout bad "$media" bad.oci && write_child bad.oci && expect_refused
		# Of the wrong type.
		if [ "$type" = erofs ]; then cp good.squashfs bad; else cp good.erofs bad; fi
		write_fs_layout bad "$media" bad.oci && write_child bad.oci && expect_refused
		# Bytes overwritten all over the metadata: an error of ours, or an image; never a crash.
		offset=1024
		for i in $(seq 6); do
			cp "good.$type" bad
			printf '\377\377\377\377\377\377' | dd of=bad bs=1 seek="$offset" conv=notrunc status=none
			offset=$((offset + 113))
			write_fs_layout bad "$media" bad.oci
			write_child bad.oci
			run stacker build -f child.yaml
			[ "$status" -eq 0 ] || [[ $output =~ \[(image|unpack|layer)/[a-z-]+\] ]] || {
				printf 'offset %s: %s\n' "$offset" "$output"
				return 1
			}
			rm -rf oci
		done
		[ -z "$(find roots/.work -mindepth 1 -name '*.tmp' 2>/dev/null)" ]
	done
	# A name that climbs: "aa" of a directory becomes "..".
	python3 - <<-'END'
		data = open('good.erofs', 'rb').read()
		at = data.rindex(b'...aa')
		open('bad', 'wb').write(data[:at] + b'.../a' + data[at + 5:])
	END
	write_fs_layout bad application/vnd.stacker.image.layer.erofs bad.oci
	write_child bad.oci
	expect_refused
}

@test "layer types: what no layer may hold is refused in images, too" {
	local record
	mkdir in
	# A device, an overlay attribute that redirects, a whiteout's file name, a privileged attribute.
	python3 - <<-'END'
		import tarfile
		def make(name, change, **pax):
		    with tarfile.open(name, 'w', format=tarfile.PAX_FORMAT) as tar:
		        info = tarfile.TarInfo('x')
		        info.pax_headers = pax
		        change(info)
		        tar.addfile(info)
		def device(i):
		    i.type, i.devmajor, i.devminor = tarfile.CHRTYPE, 1, 3
		def directory(i):
		    i.type = tarfile.DIRTYPE
		def hidden(i):
		    i.name = '.wh.y'
		make('device.tar', device)
		make('redirect.tar', directory, **{'SCHILY.xattr.user.overlay.redirect': '/etc'})
		make('metacopy.tar', lambda i: None, **{'SCHILY.xattr.user.overlay.metacopy': 'x'})
		make('name.tar', hidden)
		make('trusted.tar', directory, **{'SCHILY.xattr.trusted.overlay.opaque': 'y'})
	END
	for record in device redirect metacopy name trusted; do
		tar2sqfs -q -f -c zstd "$record.img" <"$record.tar"
		write_fs_layout "$record.img" application/vnd.stacker.image.layer.squashfs+zstd "$record"
		write_child "$record"
		expect_refused
		refute_output "image/fs-layer"
	done
}

@test "layer types: a damaged layer of a base, and a diff_id that is another's" {
	mkdir tree
	seq 100 >tree/numbers
	tar -cf tree.tar -C tree .
	tar2sqfs -q -f -c zstd good.img <tree.tar
	write_fs_layout good.img application/vnd.stacker.image.layer.squashfs base.oci
	write_child base.oci
	local config
	config=$(blob_path "$(jq -r .config.digest "$(blob_path "$(image_digest app base.oci)" base.oci)")" base.oci)
	printf x | dd of="$(blob_path "$(jq -r '.rootfs.diff_ids[0]' "$config")" base.oci)" bs=1 seek=2000 \
		conv=notrunc status=none
	run stacker build -f child.yaml
	expect_exit 1
	expect_output "[store/wrong-hash]"
	[ ! -e oci ]
}

@test "layer types: several types, chained and of build_only parents, have the upstream's index" {
	write_stackerfile <<-'END'
		parent:
		  from: {type: built, tag: base}
		  run: touch /root
		child:
		  from: {type: built, tag: parent}
		  run: touch /child
		hidden:
		  build_only: true
		  from: {type: built, tag: child}
		  run: touch /hidden
		leaf:
		  from: {type: built, tag: hidden}
		  run: "[ -e /hidden ]; touch /leaf"
		same:
		  from: {type: built, tag: parent}
	END
	run stacker build --layer-type tar --layer-type squashfs
	expect_success
	expect_equal "$(tags_of oci)" \
		"parent parent-squashfs child child-squashfs leaf leaf-squashfs same same-squashfs"
	local type
	for type in "" -squashfs; do
		expect_equal "$(image_manifest "parent$type" | jq '.layers | length')" 2
		expect_equal "$(image_manifest "child$type" | jq '.layers | length')" 3
		expect_equal "$(image_manifest "leaf$type" | jq '.layers | length')" 5
		# A parent's layers are the child's, in every type.
		expect_equal "$(image_manifest "leaf$type" | jq -c '.layers[:3]')" \
			"$(image_manifest "child$type" | jq -c .layers)"
		expect_equal "$(image_manifest "same$type" | jq -c .layers)" \
			"$(image_manifest "parent$type" | jq -c .layers)"
	done
	run stacker build --layer-type squashfs --layer-type tar
	expect_success
	expect_output "found cached layer leaf-squashfs" "found cached layer leaf"
}

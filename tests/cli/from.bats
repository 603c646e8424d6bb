# bats file_tags=user
# What an image may start from: layouts and archives as other tools make them.

load ../lib/helpers

setup() {
	setup_work
	PATH=$REPO_LIB:$PATH
}
teardown() { teardown_work; }

layout() { python3 "$REPO_LIB/oci_layout.py" "$@"; }

# base.tar with a shell, more.tar with a file and the removal of another.
make_layers() {
	make_busybox_base root
	mkdir root/etc
	echo old >root/etc/gone
	tar --numeric-owner --owner=0 --group=0 -C root -cf base.tar .
	mkdir -p more/etc
	echo new >more/etc/new
	: >more/etc/.wh.gone
	tar --numeric-owner --owner=0 --group=0 -C more -cf more.tar .
}

from_oci() {
	cat >stacker.yaml <<-END
		app:
		  from: {type: oci, url: "$1"}
		  run: |
		    #!/bin/sh -e
		    [ "\$(cat /etc/new)" = new ]
		    [ ! -e /etc/gone ]
		    echo made >/made
	END
}

@test "from oci: layers plain, in gzip and in zstd give the same files" {
	make_layers
	local kind
	for kind in '' :gzip :zstd; do
		layout "l$kind" t --layer "base.tar$kind" --layer "more.tar$kind"
		mv "l$kind" "l${kind#:}" 2>/dev/null || true
		from_oci "l${kind#:}:t"
		run stacker build
		expect_success
		image_config app | jq -c .rootfs.diff_ids >>ids
	done
	expect_equal "$(sort -u ids | wc -l)" 1
}

@test "from oci: Docker's media types, as documents and in the layers" {
	make_layers
	layout docker t --docker --nest 1 --layer base.tar:gzip --layer more.tar \
		--config '{"config": {"Env": ["A=b"], "Entrypoint": null, "Labels": null, "OnBuild": ["RUN x"]}, "container": "x", "docker_version": "20"}'
	from_oci docker:t
	run stacker build
	expect_success
	expect_equal "$(image_manifest app | jq -r '[.mediaType, .config.mediaType, .layers[0, 1].mediaType] | .[]')" \
		"application/vnd.oci.image.manifest.v1+json
application/vnd.oci.image.config.v1+json
application/vnd.oci.image.layer.v1.tar+gzip
application/vnd.oci.image.layer.v1.tar"
	expect_equal "$(image_config app | jq -c 'keys')" \
		'["architecture","author","config","created","history","os","rootfs"]'
	expect_equal "$(image_config app | jq -c '.config.Env[0], .config.OnBuild')" $'"A=b"\nnull'
	skopeo inspect oci:oci:app >/dev/null
}

@test "from oci: an index in an index; three deep is refused" {
	make_layers
	layout nested t --nest 2 --layer base.tar --layer more.tar:gzip
	from_oci nested:t
	run stacker build
	expect_success
	layout deep t --nest 3 --layer base.tar
	from_oci deep:t
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:2:26: error: " "[layout/index-too-deep]"
}

@test "from oci: os, arch and variant choose, and the variant is kept (U33)" {
	local arch variant
	for arch in amd64 arm64:v8 arm:v6 arm:v7; do
		variant=${arch#*:}
		[ "$variant" != "$arch" ] || variant=
		echo "${arch/:/}" >file
		tar -cf "${arch/:/}.tar" file
		layout many "${arch/:/}" --layer "${arch/:/}.tar" --arch "${arch%:*}" ${variant:+--variant "$variant"}
	done
	# All of them under one tag as well.
	jq '.manifests |= map(del(.annotations))' many/index.json >all
	jq '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests}' all >index
	cp index "many/blobs/sha256/$(sha256sum <index | cut -d' ' -f1)"
	jq --arg d "sha256:$(sha256sum <index | cut -d' ' -f1)" --argjson s "$(wc -c <index)" \
		'.manifests += [{mediaType: "application/vnd.oci.image.index.v1+json", digest: $d, size: $s,
		annotations: {"org.opencontainers.image.ref.name": "all"}}]' many/index.json >new
	mv new many/index.json
	cat >stacker.yaml <<-END
		eight:
		  from: {type: oci, url: many:all}
		  arch: arm64
		  cmd: x
		six:
		  from: {type: oci, url: "many@$(jq -r '.manifests[2].digest' many/index.json)"}
		  arch: arm
	END
	run stacker build
	expect_success
	expect_equal "$(image_config eight | jq -r '[.architecture, .variant] | join(" ")')" "arm64 v8"
	expect_equal "$(image_file eight file)" arm64v8
	expect_equal "$(image_config six | jq -r '[.architecture, .variant] | join(" ")')" "arm v6"

	printf 'app:\n  from: {type: oci, url: "many:all"}\n  arch: arm\n' >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "[layout/ambiguous-platform]" "by its digest"
	printf 'app:\n  from: {type: oci, url: "many:all"}\n  arch: s390x\n' >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "[layout/no-such-platform]" "linux/arm64"
}

@test "from oci: no layers, empty layers and filler entries of the history" {
	layout zero t
	cat >stacker.yaml <<-'END'
		app:
		  from: {type: oci, url: zero:t}
		  cmd: x
	END
	run stacker build
	expect_success
	expect_equal "$(image_manifest app | jq '.layers | length')" 0
	expect_equal "$(image_config app | jq -c '[.config.Cmd, .rootfs.diff_ids]')" '[["x"],[]]'

	make_layers
	tar -cf empty.tar -T /dev/null
	layout filler t --filler --layer empty.tar:gzip --layer base.tar --layer empty.tar --layer more.tar:zstd
	from_oci filler:t
	run stacker build
	expect_success
	expect_equal "$(image_manifest app | jq '.layers | length')" 5
	expect_equal "$(image_config app | jq -c '[.history[] | select(.empty_layer | not)] | length')" 5
	expect_equal "$(image_config app | jq -r '.history[0].created_by')" ENV

	layout bare t --no-history --layer base.tar --layer more.tar
	from_oci bare:t
	run stacker build
	expect_success
	expect_equal "$(image_config app | jq -c '[.history[].comment]')" \
		'["no history recorded","no history recorded",null,null]'
}

@test "from oci: what is there is inherited, only what is set changes" {
	layout full t --config '{"created": "2020-01-01T00:00:00Z", "author": "me", "os.version": "1", "os.features": ["f"],
		"config": {"User": "u", "ExposedPorts": {"80/tcp": {}}, "Env": ["A=1", "PATH=/x"], "Entrypoint": ["e"],
		"Cmd": ["c"], "Volumes": {"/v": {}}, "WorkingDir": "/w", "Labels": {"l": "1", "m": "1"}, "StopSignal": "SIGINT"}}'
	cat >stacker.yaml <<-'END'
		same:
		  from: {type: oci, url: full:t}
		  working_dir: ""
		  runtime_user: ""
		more:
		  from: {type: oci, url: full:t}
		  environment: {Z: "1", A: "2", B: "3"}
		  labels: {m: "2", n: "3"}
		  volumes: [/x, /v]
		  full_command: ""
	END
	run stacker build
	expect_success
	expect_equal "$(image_config same | jq -cS '.config')" \
		'{"Cmd":["c"],"Entrypoint":["e"],"Env":["A=1","PATH=/x"],"ExposedPorts":{"80/tcp":{}},"Labels":{"l":"1","m":"1"},"StopSignal":"SIGINT","User":"u","Volumes":{"/v":{}},"WorkingDir":"/w"}'
	expect_equal "$(image_config same | jq -c '[.created, .author, .["os.version"], .["os.features"]]')" \
		'["1980-01-01T00:00:00Z","stacker","1",["f"]]'
	expect_equal "$(image_config more | jq -cS '.config | [.Env, .Labels, .Volumes, .Cmd, .Entrypoint]')" \
		'[["A=1","PATH=/x","A=2","B=3","Z=1"],{"l":"1","m":"2","n":"3"},{"/v":{},"/x":{}},null,null]'
}

@test "from tar: plain and gzip, by path and out of another image; directory links stay" {
	make_busybox_base root
	mkdir -p root/usr/lib
	ln -s usr/lib root/lib
	echo libc >root/usr/lib/libc
	# A later entry for the directory `lib`, as a second archive would bring it.
	mkdir -p over/lib
	echo more >over/lib/more
	: >over/.wh.none
	tar --numeric-owner --owner=0 --group=0 -C root -cf base.tar .
	tar --numeric-owner --owner=0 --group=0 -C over -rf base.tar ./lib ./.wh.none
	gzip -nk base.tar
	cat >stacker.yaml <<-'END'
		plain:
		  from: {type: tar, url: base.tar}
		gzip:
		  from: {type: tar, url: ./base.tar.gz}
		holder:
		  build_only: true
		  from: {type: scratch}
		  imports: [{path: base.tar.gz, dest: /in/}]
		inner:
		  from: {type: tar, url: "stacker://holder/in/base.tar.gz"}
		  run: |
		    #!/bin/sh -e
		    [ "$(cat /lib/libc /usr/lib/more)" = "libc
		    more" ]
		    [ ! -e /.wh.none ]
	END
	run stacker build
	expect_success
	for image in plain gzip inner; do
		unpack_image $image $image
		expect_equal "$(readlink $image/lib)" usr/lib
		expect_equal "$(cat $image/lib/more)" more
	done
	diff -r plain gzip
	diff -r plain inner
}

@test "from docker: an image of a local layout, as upstream's tests name it" {
	make_layers
	layout local alpine:edge --layer base.tar:gzip --layer more.tar
	from_oci local:alpine:edge
	sed -i 's/type: oci, url: "/type: docker, url: "oci:/' stacker.yaml
	run stacker build
	expect_success
	expect_equal "$(image_file app made)" made
}

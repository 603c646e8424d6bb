# bats file_tags=user
# What `stacker build` makes, as other tools see it.

load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

@test "build: a stackerfile becomes an OCI layout that skopeo reads" {
	write_stackerfile <<-'END'
		app:
		  from:
		    type: built
		    tag: base
		  run: |
		    #!/bin/busybox sh
		    echo hello > /greeting
		  environment:
		    B: two words
		    A: "1.10"
		  cmd: [/bin/busybox, cat, /greeting]
		  entrypoint: /bin/env "a b" c
		  working_dir: /srv
		  runtime_user: "1000:1000"
		  volumes: [/data]
		  labels:
		    com.example.label: text
		  annotations:
		    com.example.note: also text
	END
	run stacker build --hermetic
	expect_success
	expect_output "filesystem app built successfully"

	run skopeo inspect oci:oci:app
	expect_success
	expect_equal "$(image_config app | jq -c '[.config.Env[] | select(startswith("PATH=") | not)]')" \
		'["A=1.10","B=two words"]'
	expect_equal "$(image_config app | jq -c .config.Cmd)" '["/bin/busybox","cat","/greeting"]'
	expect_equal "$(image_config app | jq -c .config.Entrypoint)" '["/bin/env","a b","c"]'
	expect_equal "$(image_config app | jq -r .config.WorkingDir)" /srv
	expect_equal "$(image_config app | jq -r .config.User)" 1000:1000
	expect_equal "$(image_config app | jq -c .config.Volumes)" '{"/data":{}}'
	expect_equal "$(image_config app | jq -r '.config.Labels["com.example.label"]')" text
	expect_equal "$(image_config app | jq -r .author)" stacker
	expect_equal "$(image_config app | jq -r .created)" 1980-01-01T00:00:00Z
	expect_equal "$(image_manifest app | jq -r '.annotations["com.example.note"]')" "also text"
	expect_equal "$(image_file app greeting)" hello
}

@test "build: a build_only image gets no tag" {
	write_stackerfile <<-'END'
		app:
		  from:
		    type: built
		    tag: base
		  cmd: /bin/sh
	END
	run stacker build
	expect_success
	run image_digest base
	[ "$status" -ne 0 ]
	image_digest app
}

@test "build: the second build is a cache hit and changes no byte" {
	write_stackerfile <<-'END'
		app:
		  from:
		    type: built
		    tag: base
		  run: |
		    #!/bin/busybox sh
		    echo ran
		    echo x > /x
	END
	run stacker build
	expect_success
	expect_output ran
	cp -a oci oci.first
	run stacker build
	expect_success
	expect_output "found cached layer app"
	refute_output ran
	diff -r -x .lock oci oci.first
}

@test "build: --no-cache runs the step again and gives the same digest" {
	write_stackerfile <<-'END'
		app:
		  from:
		    type: built
		    tag: base
		  run: |
		    #!/bin/busybox sh
		    echo ran
		    echo x > /x
	END
	stacker build
	local first
	first=$(image_digest app)
	run stacker build --no-cache
	expect_success
	expect_output ran
	expect_equal "$(image_digest app)" "$first"
}

@test "build: editing an imported file rebuilds, touching it does not" {
	write_stackerfile <<-'END'
		app:
		  from:
		    type: built
		    tag: base
		  imports:
		    - note
		  run: |
		    #!/bin/busybox sh
		    cp /stacker/imports/note /note
	END
	echo one >note
	stacker build
	local first
	first=$(image_digest app)
	touch -d 2001-01-01 note
	run stacker build
	expect_success
	expect_output "found cached layer app"
	echo two >note
	run stacker build
	expect_success
	refute_output "found cached layer app"
	expect_equal "$(image_file app note)" two
	[ "$(image_digest app)" != "$first" ]
}

@test "build: imports without dest are read-only and never part of the image" {
	write_stackerfile <<-'END'
		app:
		  from:
		    type: built
		    tag: base
		  imports:
		    - secret
		  run: |
		    #!/bin/busybox sh
		    cat /stacker/imports/secret
		    if touch /stacker/imports/x; then exit 9; fi
		    echo done > /done
	END
	echo "xyzzy-secret" >secret
	run stacker build
	expect_success
	unpack_image app tree
	[ ! -e tree/stacker ]
	[ ! -e tree/secret ]
}

@test "build: -A builds the named image and what it needs, no other" {
	write_stackerfile <<-'END'
		one:
		  from:
		    type: built
		    tag: base
		  cmd: one
		two:
		  from:
		    type: built
		    tag: base
		  cmd: two
	END
	run stacker build -A two
	expect_success
	image_digest two
	run image_digest one
	[ "$status" -ne 0 ]
}

@test "build: tags that the stackerfile does not name are kept" {
	write_stackerfile <<-'END'
		app:
		  from:
		    type: built
		    tag: base
		  cmd: one
	END
	stacker build
	local app
	app=$(image_digest app)
	write_stackerfile other.yaml <<-'END'
		other:
		  from:
		    type: built
		    tag: base
		  cmd: two
	END
	stacker build -f other.yaml
	expect_equal "$(image_digest app)" "$app"
	image_digest other
}

@test "build: files removed by a child are gone from the image, and only they" {
	write_stackerfile <<-'END'
		parent:
		  from:
		    type: built
		    tag: base
		  run: |
		    #!/bin/busybox sh
		    mkdir -p /d/sub /e
		    touch /d/a /d/sub/b /e/c /keep
		child:
		  from:
		    type: built
		    tag: parent
		  run: |
		    #!/bin/busybox sh
		    rm -r /d
		    rm /e/c
		    mkdir /d
		    touch /d/new
	END
	stacker build
	# Unpacked as an image, so that whiteouts are applied.
	mkdir tree
	if [ "$(id -u)" -eq 0 ]; then
		umoci --log=error unpack --image oci:child bundle
	else
		umoci --log=error unpack --rootless --image oci:child bundle
	fi
	expect_equal "$(cd bundle/rootfs && find d e keep | LC_ALL=C sort | tr '\n' ' ')" "d d/new e keep "
}

@test "build: umoci unpacks exactly the tree that the step left" {
	write_stackerfile <<-'END'
		app:
		  from:
		    type: built
		    tag: base
		  run: |
		    #!/bin/busybox sh
		    mkdir -p /t/empty "/t/with space" /t/sticky
		    chmod 1777 /t/sticky
		    echo data > /t/file
		    chmod 4755 /t/file
		    ln /t/file /t/hard
		    ln -s file /t/link
		    ln -s /nowhere /t/broken
		    head -c 100000 /dev/zero > /t/zeros
		    touch "/t/with space/é"
		    chmod 0 /t/zeros
		    cd /t
		    for f in $(ls -A); do stat -c '%n %a %F %s %h' "$f"; done > /listing
	END
	stacker build
	unpack_image app tree
	run bash -c 'cd tree/t && for f in $(LC_ALL=C ls -A); do stat -c "%n %a %F %s %h" "$f"; done'
	# Directory sizes and link counts are the file system's own.
	expect_equal "$(grep -v directory <<<"$output")" "$(grep -v directory tree/listing)"
	expect_equal "$(stat -c %a tree/t/sticky)" 1777
	expect_equal "$(stat -c %i tree/t/file)" "$(stat -c %i tree/t/hard)"
	expect_equal "$(readlink tree/t/broken)" /nowhere
	[ -e "tree/t/with space/é" ]
}

@test "build: no file in the image is newer than source_date_epoch" {
	write_stackerfile <<-'END'
		config:
		  source_date_epoch: 1000000000
		app:
		  from:
		    type: built
		    tag: base
		  run: |
		    #!/bin/busybox sh
		    touch /new
		    touch -d '1999-01-01 00:00:00' /old
	END
	stacker build
	unpack_image app tree
	expect_equal "$(stat -c %Y tree/new)" 1000000000
	[ "$(stat -c %Y tree/old)" -lt 1000000000 ]
	expect_equal "$(image_config app | jq -r .created)" 2001-09-09T01:46:40Z
}

@test "build: stacker:// takes files and directories out of another image" {
	write_stackerfile <<-'END'
		producer:
		  build_only: true
		  from:
		    type: built
		    tag: base
		  run: |
		    #!/bin/busybox sh
		    mkdir -p /out/sub
		    echo a > /out/a
		    echo b > /out/sub/b
		    chmod 0750 /out/a
		app:
		  from:
		    type: scratch
		  imports:
		    - path: stacker://producer/out/a
		      dest: /bin/renamed
		    - path: stacker://producer/out/
		      dest: /tree
		    - path: stacker://producer/out
		      dest: /under/
	END
	stacker build
	unpack_image app tree
	expect_equal "$(cat tree/bin/renamed tree/tree/sub/b tree/under/out/a)" $'a\nb\na'
	expect_equal "$(stat -c %a tree/bin/renamed)" 750
	[ ! -e tree/bin/busybox ]
}

@test "build: destination and mode of imports" {
	mkdir -p d/sub
	echo f >f
	echo s >d/sub/s
	write_stackerfile <<-'END'
		app:
		  from:
		    type: scratch
		  imports:
		    - path: f
		      dest: /a/
		    - path: f
		      dest: /b/renamed
		      mode: 0600
		    - path: d
		      dest: /c/
		    - path: d/
		      dest: /e
		    - path: f
		      dest: /
	END
	stacker build
	unpack_image app tree
	expect_equal "$(cd tree && find . -type f | LC_ALL=C sort | tr '\n' ' ')" \
		"./a/f ./b/renamed ./c/d/sub/s ./e/sub/s ./f "
	expect_equal "$(stat -c %a tree/b/renamed)" 600
}

@test "build: unpack expands tar, compressed tar, zip and deb" {
	mkdir -p in/dir
	echo content >in/dir/file
	chmod 0640 in/dir/file
	ln -s file in/dir/link
	tar -C in -cf a.tar dir
	tar -C in -czf b.tar.gz dir
	tar -C in -cJf c.tar.xz dir
	(cd in && python3 -m zipfile -c ../d.zip dir/)
	mkdir -p deb/DEBIAN deb/usr/share/x
	echo deb >deb/usr/share/x/y
	printf 'Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n' \
		>deb/DEBIAN/control
	dpkg-deb --root-owner-group -b deb e.deb >/dev/null
	write_stackerfile <<-'END'
		app:
		  from:
		    type: scratch
		  imports:
		    - {path: a.tar, dest: /a, unpack: true}
		    - {path: b.tar.gz, dest: /b/, unpack: true}
		    - {path: c.tar.xz, dest: /c, unpack: true}
		    - {path: d.zip, dest: /d, unpack: true}
		    - {path: e.deb, dest: /, unpack: true}
	END
	run stacker build
	expect_success
	unpack_image app tree
	expect_equal "$(cat tree/{a,b,c,d}/dir/file | sort -u)" content
	expect_equal "$(stat -c %a tree/a/dir/file)" 640
	expect_equal "$(readlink tree/b/dir/link)" file
	expect_equal "$(cat tree/usr/share/x/y)" deb
	[ ! -e tree/DEBIAN ]
}

@test "build: a tar base and an OCI base" {
	make_busybox_base base
	tar -C base -czf rootfs.tar.gz .
	cat >stacker.yaml <<-'END'
		fromtar:
		  from:
		    type: tar
		    url: rootfs.tar.gz
		  run: |
		    #!/bin/busybox sh
		    echo tar > /from
		  environment: {FROM: tar}
	END
	stacker build
	cat >child.yaml <<-'END'
		fromoci:
		  from:
		    type: oci
		    url: oci:fromtar
		  run: |
		    #!/bin/busybox sh
		    cat /from
		    echo oci > /from
		  environment: {ALSO: oci}
	END
	run stacker --oci-dir out build -f child.yaml
	expect_success
	expect_equal "$(jq -c '[.manifests[].annotations["org.opencontainers.image.ref.name"]]' out/index.json)" \
		'["fromoci"]'
	skopeo copy -q oci:out:fromoci oci:oci:fromoci
	expect_equal "$(image_file fromoci from)" oci
	expect_equal "$(image_config fromoci | jq -c '.config.Env | map(select(startswith("PATH=") | not))')" \
		'["FROM=tar","ALSO=oci"]'
}

@test "build: a step that fails fails the build, names the image, and tags nothing" {
	write_stackerfile <<-'END'
		app:
		  from:
		    type: built
		    tag: base
		  run: |
		    #!/bin/busybox sh
		    echo before-the-end
		    exit 7
	END
	run stacker build
	expect_exit 1
	expect_output "before-the-end" "app" "7"
	run image_digest app
	[ "$status" -ne 0 ]
	run stacker build
	expect_exit 1
}

@test "build: what the step leaves running is stopped with it" {
	write_stackerfile <<-'END'
		app:
		  from:
		    type: built
		    tag: base
		  run: |
		    #!/bin/busybox sh
		    (trap '' TERM HUP; sleep 61.7357) &
		    echo x > /x
	END
	run stacker build
	expect_success
	run pgrep -f 'sleep 61.7357'
	expect_equal "$output" ""
}

@test "build: images build upon one another in any order in the file" {
	make_busybox_base base
	cat >stacker.yaml <<-'END'
		last:
		  from: {type: built, tag: middle}
		  run: |
		    #!/bin/busybox sh
		    cat /middle > /last
		middle:
		  from: {type: built, tag: first}
		  run: |
		    #!/bin/busybox sh
		    echo m > /middle
		first:
		  build_only: true
		  from: {type: scratch}
		  imports:
		    - {path: base/, dest: /}
	END
	run stacker build
	expect_success
	expect_equal "$(image_file last last)" m
}

@test "build: an unchanged tree adds no layer" {
	write_stackerfile <<-'END'
		one:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    echo x > /x
		two:
		  from: {type: built, tag: one}
		  run: |
		    #!/bin/busybox sh
		    touch /x
		    rm /x
		    echo x > /x
	END
	stacker build
	expect_equal "$(image_manifest two | jq '.layers | length')" "$(image_manifest one | jq '.layers | length')"
}

@test "build: the three directories go where they are told" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  cmd: x
	END
	mkdir elsewhere
	stacker --stacker-dir s --oci-dir o --roots-dir r build
	[ -d s/store ]
	[ -e o/index.json ]
	[ -d r ]
	stacker --work-dir elsewhere build
	[ -d elsewhere/.stacker/store ]
	[ -e elsewhere/oci/index.json ]
	[ -d elsewhere/roots ]
	[ ! -e .stacker ]
	[ ! -e oci ]
	[ ! -e roots ]
}

@test "build: the state directory is closed to others" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  cmd: x
	END
	umask 000
	stacker build
	expect_equal "$(stat -c %a .stacker)" 700
	expect_equal "$(stat -c %a roots)" 700
	run find oci -perm /022
	expect_equal "$output" ""
}

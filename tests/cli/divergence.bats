# bats file_tags=user
# The places where upstream surprises, leaks or is wrong, by their numbers in the register at the end
# of docs/stackerfile.md: one test each of what happens here instead. U19 and U20 are in layer_types.bats.

# shellcheck disable=SC2016 # what is in single quotes is meant as it is
load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

# The files and directories of a layer, counted from the base.
layer_names() {
	local blob
	blob=$(blob_path "$(image_manifest "$1" | jq -er ".layers[$2].digest")")
	tar -tf "$blob" | sort
}

layer_count() { image_manifest "$1" | jq '.layers | length'; }

@test "U1: cmd and entrypoint that are not set are the base's" {
	cat >stacker.yaml <<-'END'
		base: {from: {type: scratch}, entrypoint: /e x, cmd: /c}
		plain: {from: {type: built, tag: base}}
		cmd: {from: {type: built, tag: base}, cmd: /d}
		none: {from: {type: built, tag: base}, cmd: []}
		full: {from: {type: built, tag: base}, full_command: /f}
	END
	stacker build
	for image in plain cmd none full; do
		image_config $image | jq -c '.config | [.Entrypoint, .Cmd]'
	done >got
	expect_equal "$(cat got)" '[["/e","x"],["/c"]]
[["/e","x"],["/d"]]
[["/e","x"],null]
[["/f"],null]'
}

@test "U2: variables are appended in the order of their names, PATH last" {
	cat >stacker.yaml <<-'END'
		base: {from: {type: scratch}, environment: {Z: "1", M: "2", A: "3"}}
		child: {from: {type: built, tag: base}, environment: {N: "4", A: "5", B: "6"}}
	END
	stacker build
	expect_equal "$(image_config base | jq -c '.config.Env[:3]')" '["A=3","M=2","Z=1"]'
	[[ $(image_config base | jq -r '.config.Env[3]') == PATH=* ]]
	expect_equal "$(image_config child | jq -c '.config.Env[:3] + .config.Env[4:]')" \
		'["A=3","M=2","Z=1","A=5","B=6","N=4"]'
}

@test "U3: of a build_only ancestor the files reach descendants, not the configuration" {
	cat >stacker.yaml <<-'END'
		first: {from: {type: scratch}, cmd: /c, labels: {l: first}, annotations: {a: first}}
		stage:
		  build_only: true
		  from: {type: built, tag: first}
		  overlay_dirs: [{source: d}]
		  cmd: /no
		  labels: {l: stage}
		  annotations: {a: stage}
		last: {from: {type: built, tag: stage}}
	END
	mkdir d
	echo x >d/file
	stacker build
	expect_equal "$(image_file last file)" x
	expect_equal "$(image_config last | jq -c '.config | [.Cmd, .Labels]')" '[["/c"],{"l":"first"}]'
	expect_equal "$(image_manifest last | jq -r .annotations.a)" first
}

@test "U4: what imports with dest hold is part of the recipe, through stages too" {
	write_stackerfile <<-'END'
		stage:
		  build_only: true
		  from: {type: built, tag: base}
		  imports: [in]
		  run: cp /stacker/imports/in /out
		direct:
		  from: {type: scratch}
		  imports: [{path: in, dest: /}]
		through:
		  from: {type: scratch}
		  imports: [{path: stacker://stage/out, dest: /}]
	END
	for text in one two; do
		echo $text >in
		stacker build
		expect_equal "$(image_file direct in) $(image_file through out)" "$text $text"
	done
}

@test "U5: uid and gid hold for imports with dest" {
	mkdir d
	echo x >d/f
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  imports:
		    - {path: d, dest: /to/, uid: 7, gid: 8}
		    - {path: d/f, dest: /file, uid: 65535}
		    - {path: stacker://base/bin/busybox, dest: /box, gid: 9}
		  run: "[ \"$(stat -c %u:%g /to/d/f /file /box)\" = \"7:8\n65535:0\n0:9\" ]"
	END
	run stacker build
	expect_success
}

@test "U6: a file out of another image gets the name that dest says" {
	mkdir d
	echo x >d/file
	cat >stacker.yaml <<-'END'
		from: {build_only: true, from: {type: scratch}, imports: [{path: d, dest: /in/}]}
		app:
		  from: {type: scratch}
		  imports:
		    - {path: stacker://from/in/d/file, dest: /x/newname}
		    - {path: stacker://from/in/d, dest: /y}
		    - {path: stacker://from/in/d, dest: /z/}
	END
	stacker build
	unpack_image app app
	expect_equal "$(cd app && find . -type f | sort)" "./x/newname
./y/file
./z/d/file"
}

@test "U7: a hash is checked, in either case of its digits, or refused where it could not be" {
	mkdir srv
	echo x >srv/file
	local hash upper
	hash=$(sha256sum <srv/file | cut -d' ' -f1)
	upper=${hash^^}
	start_fault_server srv
	cat >stacker.yaml <<-END
		app:
		  from: {type: scratch}
		  imports:
		    - {path: srv/file, hash: $upper, dest: /local}
		    - {path: $URL/ok/file, hash: $upper, dest: /url}
	END
	run stacker build
	expect_success
	# The store has the file; another hash is not met by it.
	sed -i "s/ok\/file, hash: ../ok\/file, hash: 00/" stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "hash"
	stop_fault_server
	refuse import/wrong-hash "is different than the actual hash" <<-END
		app: {from: {type: scratch}, imports: [{path: srv/file, hash: ${hash//[0-9]/0}, dest: /}]}
	END
	refuse recipe/no-effect "a directory" <<-END
		app: {from: {type: scratch}, imports: [{path: srv/, hash: $hash, dest: /}]}
	END
	refuse import/hash-without-file <<-END
		app: {from: {type: scratch}, imports: [{path: srv, hash: $hash, dest: /}]}
	END
	refuse recipe/no-effect "stacker://" <<-END
		b: {from: {type: scratch}}
		app: {from: {type: scratch}, imports: [{path: stacker://b/x, hash: $hash, dest: /}]}
	END
}

@test "U8: whatever comes from elsewhere needs a hash, with --require-hash or without" {
	local flag
	for flag in --hermetic --require-hash; do
		for body in 'from: {type: scratch}, import: ["http://127.0.0.1:1/x"]' \
			'from: {type: scratch}, imports: "http://127.0.0.1:1/x"' \
			'from: {type: tar, url: "http://127.0.0.1:1/x.tar"}'; do
			printf 'app: {%s}\n' "$body" >stacker.yaml
			run stacker build $flag
			expect_exit 1
			expect_output "stacker.yaml:1:" "[recipe/unpinned]"
		done
	done
	echo x >file
	printf 'app: {from: {type: scratch}, imports: [file]}\n' >stacker.yaml
	run stacker build --require-hash
	expect_success
}

@test "U9: directories that are there keep their modes when something is put into them" {
	mkdir -p o/root
	echo x >o/root/overlaid
	echo x >file
	write_stackerfile <<-'END'
		dirs:
		  build_only: true
		  from: {type: built, tag: base}
		  run: mkdir -m 1777 /scratch && mkdir -m 700 /root && chown 3:4 /root
		app:
		  from: {type: built, tag: dirs}
		  overlay_dirs: [{source: o}]
		  imports:
		    - {path: file, dest: /scratch/x}
		    - {path: file, dest: /root/}
		    - {path: file, dest: /new/dir/}
		  run: "[ \"$(stat -c %a:%u:%g /scratch /root /new /new/dir)\" = \"1777:0:0\n700:3:4\n755:0:0\n755:0:0\" ]"
	END
	run stacker build
	expect_success
	unpack_image app app
	expect_equal "$(stat -c %a app/scratch app/root app/new | tr '\n' ' ')" "1777 700 755 "
}

@test "U10: links of the image are followed in dest, from any layer, inside the image" {
	echo x >file
	mkdir -p o/lib
	echo y >o/lib/two
	write_stackerfile <<-'END'
		links:
		  build_only: true
		  from: {type: built, tag: base}
		  run: mkdir -p /usr/lib /var/real && ln -s usr/lib /lib && ln -s /var/real /etc-link && ln -s ../../../../var /up
		between:
		  build_only: true
		  from: {type: built, tag: links}
		  run: touch /more
		app:
		  from: {type: built, tag: between}
		  overlay_dirs: [{source: o}]
		  imports:
		    - {path: file, dest: /lib/one}
		    - {path: file, dest: /etc-link/}
		    - {path: file, dest: /up/three}
	END
	run stacker build
	expect_success
	unpack_image app app
	expect_equal "$(readlink app/lib app/etc-link | tr '\n' ' ')" "usr/lib /var/real "
	expect_equal "$(cat app/usr/lib/{one,two} app/var/real/file app/var/three | tr '\n' ' ')" "x y x x "
	[ ! -e /var/real ]
	[ ! -e /var/three ]
}

@test "U11: bases of one name in different places are different bases" {
	mkdir a b
	echo one >one
	echo two >two
	tar -cf a/base.tar one
	tar -cf b/base.tar two
	cat >stacker.yaml <<-'END'
		first: {from: {type: tar, url: a/base.tar}}
		second: {from: {type: tar, url: b/base.tar}}
	END
	stacker build
	expect_equal "$(image_file first one) $(image_file second two)" "one two"
	mkdir x y
	python3 "$REPO_LIB/oci_layout.py" x/alpine 3 --layer a/base.tar
	python3 "$REPO_LIB/oci_layout.py" y/alpine 3 --layer b/base.tar
	cat >stacker.yaml <<-'END'
		first: {from: {type: oci, url: "x/alpine:3"}}
		second: {from: {type: oci, url: "y/alpine:3"}}
	END
	stacker build
	expect_equal "$(image_file first one) $(image_file second two)" "one two"
}

# What the step sees goes into the layer that it makes.
@test "U12: an image's own files are above its stages', for the step and in the image" {
	mkdir o
	echo own >o/conf
	write_stackerfile <<-'END'
		stage:
		  build_only: true
		  from: {type: built, tag: base}
		  run: echo stage >/conf; echo stage >/other
		app:
		  from: {type: built, tag: stage}
		  overlay_dirs: [{source: o}]
		  imports: [{path: o/conf, dest: /other}]
		  run: cat /conf /other >/seen
	END
	stacker build
	unpack_image app app
	expect_equal "$(cat app/seen)" $'own\nown'
	expect_equal "$(cat app/conf app/other)" $'own\nown'
}

@test "U13: a stage's overlay_dirs stay when its child has its own" {
	mkdir p c
	echo parent >p/parent
	echo child >c/child
	write_stackerfile <<-'END'
		stage: {build_only: true, from: {type: built, tag: base}, overlay_dirs: [{source: p}]}
		app:
		  from: {type: built, tag: stage}
		  overlay_dirs: [{source: c}]
		  imports: [{path: c/child, dest: /imported}]
		  run: cat /parent /child /imported >/seen
	END
	stacker build
	unpack_image app app
	expect_equal "$(cat app/parent app/child app/seen | tr '\n' ' ')" "parent child parent child child "
}

@test "U14: a build that finds its stages in the cache gives what a clean one gives" {
	write_stackerfile <<-'END'
		one: {build_only: true, from: {type: built, tag: base}, run: echo 1 >/one}
		two: {build_only: true, from: {type: built, tag: one}, run: echo 2 >/two}
		same: {from: {type: built, tag: two}, run: "true"}
		leaf: {from: {type: built, tag: two}, imports: [in], run: cp /stacker/imports/in /leaf}
	END
	echo a >in
	stacker build
	expect_equal "$(layer_count same) $(layer_count leaf)" "3 4"
	echo b >in
	stacker build
	expect_equal "$(layer_count same) $(layer_count leaf)" "3 4"
	local incremental
	incremental="$(image_digest same) $(image_digest leaf)"
	stacker clean
	stacker build
	expect_equal "$(image_digest same) $(image_digest leaf)" "$incremental"
}

@test "U15: overlay_dirs of one name are layers with their own files only" {
	mkdir -p a/same b/same
	echo 1 >a/same/one
	echo 2 >b/same/two
	cat >stacker.yaml <<-'END'
		app:
		  from: {type: scratch}
		  overlay_dirs: [{source: a/same}, {source: b/same}]
	END
	stacker build
	expect_equal "$(layer_names app 0 | grep -v '/$')" one
	expect_equal "$(layer_names app 1 | grep -v '/$')" two
}

@test "U16: the older import leaves nothing of stacker in the image" {
	echo x >file
	write_stackerfile <<-'END'
		app: {from: {type: built, tag: base}, import: [file], run: cp /stacker/file /copy}
	END
	stacker build
	expect_equal "$(layer_names app 1 | grep -v '/$')" copy
	unpack_image app app
	[ -z "$(find app -iname '*stacker*')" ]
}

@test "U17: nothing that the sandbox mounts is left in the image" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  imports: [stacker.yaml]
		  run: |
		    ls /proc /sys /dev /run /etc /stacker/imports
		    echo x >/tmp/x; echo x >/run/x; echo x >/dev/shm/x
		    echo x >/file
	END
	stacker build
	expect_equal "$(layer_names app 1)" file
	unpack_image app app
	expect_equal "$(cd app && find . -maxdepth 1 | sort | tr '\n' ' ')" ". ./bin ./file "
}

@test "U18: a socket that a step leaves is dropped, with a note" {
	cat >sock.c <<-'END'
		#include <sys/socket.h>
		#include <sys/un.h>
		int main(void) {
			struct sockaddr_un a = {AF_UNIX, "/left.sock"};
			int fd = socket(AF_UNIX, SOCK_STREAM, 0);
			return fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a));
		}
	END
	cc -static -o sock sock.c
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  imports: [sock]
		  run: /stacker/imports/sock; [ -S /left.sock ]; echo x >/file
	END
	run stacker build
	expect_success
	expect_output "note: 1 socket(s) left out of image 'app'"
	expect_equal "$(layer_names app 1 | grep -v '/$')" file
}

@test "U21: --order-only prints the order, and builds nothing" {
	printf 'a: {from: {type: scratch}}\n' >one.yaml
	printf 'config: {prerequisites: [one.yaml]}\nb: {from: {type: built, tag: a}}\n' >stacker.yaml
	run stacker build --order-only
	expect_success
	expect_output "0 build " "one.yaml: requires: []" "1 build " "stacker.yaml: requires: ["
	[ ! -e oci ]
}

@test "U22: scalars keep the text that was written" {
	cat >stacker.yaml <<-'END'
		app:
		  from: {type: scratch}
		  environment: {VERSION: 3.10, MODE: 010, ON: yes, Y: 1e3, N: 0x10, DATE: 2001-01-01, NONE: .inf}
		  labels: {v: 1.20}
		  cmd: [3.10, no, "010"]
	END
	stacker build
	expect_equal "$(image_config app | jq -c '[.config.Env[:-1], .config.Labels, .config.Cmd]')" \
		'[["DATE=2001-01-01","MODE=010","N=0x10","NONE=.inf","ON=yes","VERSION=3.10","Y=1e3"],{"v":"1.20"},["3.10","no","010"]]'
}

@test "U23: merge keys are refused, aliases are what they stand for" {
	refuse yaml/merge-key <<-'END'
		app:
		  from: &f {type: scratch}
		  build_env: {<<: *f}
	END
	cat >stacker.yaml <<-'END'
		a: {from: &f {type: scratch}, environment: &e {A: "1"}}
		b: {from: *f, environment: *e}
	END
	stacker build
	expect_equal "$(image_config b | jq -r '.config.Env[0]')" A=1
}

@test "U24: a dollar in a value that is substituted is a dollar" {
	printf 'app: {from: {type: scratch}, environment: {A: "${{V}}"}}\n' >stacker.yaml
	stacker build --substitute 'V=a$b$$c${1}'
	expect_equal "$(image_config app | jq -r '.config.Env[0]')" 'A=a$b$$c${1}'
}

@test "U25: bases are looked up from the working directory, imports beside the stackerfile" {
	mkdir -p sub/deep
	echo x >one
	tar -cf base.tar one
	echo beside >sub/file
	mkdir sub/dir
	echo o >sub/dir/over
	python3 "$REPO_LIB/oci_layout.py" layout t --layer base.tar
	cat >sub/stacker.yaml <<-'END'
		tar: {from: {type: tar, url: base.tar}, imports: [{path: file, dest: /}]}
		oci: {from: {type: oci, url: "layout:t"}, overlay_dirs: [{source: dir}]}
	END
	run stacker build -f sub/stacker.yaml
	expect_success
	expect_equal "$(image_file tar one) $(image_file tar file) $(image_file oci over)" "x beside o"
	cd sub
	run stacker build
	expect_exit 1
	expect_output "'base.tar' does not exist"
}

@test "U26: the contents of a directory can be imported without dest" {
	mkdir -p d/sub
	echo x >d/sub/file
	write_stackerfile <<-'END'
		app: {from: {type: built, tag: base}, imports: [d/], run: cp /stacker/imports/sub/file /copy}
	END
	stacker build
	expect_equal "$(image_file app copy)" x
}

@test "U27: a directory and a dest with a slash make that directory once" {
	mkdir d
	echo x >d/file
	printf 'app: {from: {type: scratch}, imports: [{path: d, dest: /x/}]}\n' >stacker.yaml
	stacker build
	expect_equal "$(layer_names app 0)" "x/
x/d/
x/d/file"
}

@test "U28: a file is not put in the place of a directory" {
	echo x >file
	write_stackerfile <<-'END'
		app: {from: {type: built, tag: base}, imports: [{path: file, dest: /bin}]}
	END
	run stacker build
	expect_exit 1
	expect_output "'/bin' is a directory" "write '/bin/'" "[import/dest-is-directory]"
	write_stackerfile <<-'END'
		app: {from: {type: built, tag: base}, imports: [{path: stacker://base/bin/busybox, dest: /bin}]}
	END
	run stacker build
	expect_exit 1
	expect_output "[import/dest-is-directory]"
}

@test "U29: prerequisites that need each other are an error with the way round" {
	printf 'config: {prerequisites: [two.yaml]}\na: {from: {type: scratch}}\n' >stacker.yaml
	printf 'config: {prerequisites: [stacker.yaml]}\nb: {from: {type: scratch}}\n' >two.yaml
	run stacker build
	expect_exit 1
	expect_output "two.yaml" "stacker.yaml" "[recipe/prerequisite-cycle]"
}

@test "U30: wrong types are errors, never a crash" {
	local text
	for text in 'a' '[a]' 'a: x' 'a: [x]' 'a:' 'a: {from: x}' 'a: {from: [x]}' 'a: {from: {type: {}}}' \
		'a: {from: {type: scratch}, run: {x: y}}' 'a: {from: {type: scratch}, imports: [[x]]}' \
		'a: {from: {type: scratch}, environment: [x]}' 'config: x' '? {a: b}' '1: {from: {type: scratch}, labels: {l: {m: n}}}'; do
		printf '%s\n' "$text" >stacker.yaml
		run stacker build
		expect_exit 1
		expect_output "stacker.yaml:1:" "error: "
	done
}

@test "U31: neither the stackerfile nor what was substituted is in the image" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/sh
		    # ${{COMMENT}}
		    [ "${{SECRET}}" = xyzzy-secret ]
		    echo done >/done
	END
	run stacker build --substitute SECRET=xyzzy-secret --substitute COMMENT=abcd-comment
	expect_success
	for blob in oci/blobs/sha256/*; do
		if { gzip -cdq "$blob" 2>/dev/null || cat "$blob"; } | grep -aE 'xyzzy|abcd-comment|stacker.yaml'; then
			return 1
		fi
	done
}

@test "U32: no network, names, sysfs, proxies or terminal of the host reach a step" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/sh
		    env | sort
		    [ ! -e /etc/resolv.conf ] || exit 1
		    [ -z "$(ls /sys)" ] || exit 2
		    [ "$(cat /proc/net/route 2>/dev/null | wc -l)" -le 1 ] || exit 3
		    echo made >/made
	END
	http_proxy=http://p TERM=vt100 HOME=/h SOURCE_DATE_EPOCH=1 run stacker build
	expect_success
	refute_output http_proxy
	refute_output TERM=
	refute_output HOME=
	expect_output "app: SOURCE_DATE_EPOCH=315532800" "app: STACKER_LAYER_NAME=app" "app: container=stacker"
}

@test "U33: the variant of the base's platform is kept" {
	echo x >file
	tar -cf l.tar file
	python3 "$REPO_LIB/oci_layout.py" l t --layer l.tar --arch arm64 --variant v8
	printf 'app: {from: {type: oci, url: "l:t"}, arch: arm64, cmd: x}\nnext: {from: {type: built, tag: app}, arch: arm64}\n' >stacker.yaml
	stacker build
	expect_equal "$(image_config app | jq -r .variant) $(image_config next | jq -r .variant)" "v8 v8"
}

@test "U34: generate_labels runs once" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  generate_labels: |
		    #!/bin/sh
		    echo ran-once
		    echo x >/stacker/oci-labels/l
	END
	run stacker build --layer-type tar --layer-type squashfs
	expect_success
	expect_equal "$(grep -c 'app: ran-once' <<<"$output")" 1
	expect_equal "$(image_config app | jq -r .config.Labels.l) $(image_config app-squashfs | jq -r .config.Labels.l)" "x x"
}

@test "U35: imports keep setuid bits and directories' modes; stacker:// attributes and links too" {
	mkdir -m 700 d
	echo x >d/suid
	chmod 4755 d/suid
	mkdir -m 2770 d/group
	write_stackerfile <<-'END'
		from:
		  build_only: true
		  from: {type: built, tag: base}
		  imports: [{path: d/suid, dest: /, mode: 0640}, {path: d/, dest: /kept}]
		  run: |
		    #!/bin/sh -e
		    [ "$(stat -c %a /suid)" = 640 ]
		    mkdir /l && echo l >/l/a && ln /l/a /l/b && touch -d '1970-01-02 00:00:00' /l/a
		app:
		  from: {type: built, tag: base}
		  imports:
		    - {path: stacker://from/kept, dest: /kept}
		    - {path: stacker://from/kept/suid, dest: /other, mode: 06711}
		    - {path: stacker://from/l, dest: /l}
		  run: |
		    #!/bin/sh -e
		    [ "$(stat -c %a /kept/suid /kept /kept/group /other)" = "4755
		    700
		    2770
		    6711" ]
		    [ "$(stat -c %i /l/a)" = "$(stat -c %i /l/b)" ]
		    [ "$(stat -c %Y /l/a)" = 86400 ]
	END
	run stacker build
	expect_success
	unpack_image app app
	expect_equal "$(stat -c %a app/kept/suid app/kept/group app/other | tr '\n' ' ')" "4755 2770 6711 "
}

@test "U35: extended attributes come with stacker://" {
	echo x >file
	tar --format=pax --owner=0 --group=0 --pax-option=SCHILY.xattr.user.a:=one -cf base.tar file
	cat >stacker.yaml <<-'END'
		from: {build_only: true, from: {type: tar, url: base.tar}}
		app: {from: {type: scratch}, imports: [{path: stacker://from/file, dest: /in/}]}
	END
	stacker build
	gzip -dc "$(blob_path "$(image_manifest app | jq -r '.layers[0].digest')")" >layer.tar
	expect_equal "$(python3 -c 'import tarfile; print(tarfile.open("layer.tar").getmember("in/file").pax_headers)')" \
		"{'SCHILY.xattr.user.a': 'one'}"
}

@test "U36: plain, gzip and zstd layers can be built upon, ours among them" {
	make_busybox_base base
	tar --numeric-owner --owner=0 --group=0 -C base -cf base.tar .
	python3 "$REPO_LIB/oci_layout.py" z t --layer base.tar:zstd
	mkdir o
	echo x >o/file
	printf 'app: {from: {type: oci, url: "z:t"}, overlay_dirs: [{source: o}]}\n' >stacker.yaml
	stacker --oci-dir mine build
	printf 'app: {from: {type: oci, url: "mine:app"}, run: cat /file >/copy}\n' >stacker.yaml
	run stacker build
	expect_success
	expect_equal "$(image_manifest app | jq -r '.layers[0].mediaType')" application/vnd.oci.image.layer.v1.tar+zstd
	expect_equal "$(image_manifest app | jq '.layers | length')" 3
}

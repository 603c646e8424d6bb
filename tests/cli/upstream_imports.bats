# bats file_tags=user
# What upstream's suite shows of imports, overlay_dirs, hashes and secrets.

# shellcheck disable=SC2016 # what is in single quotes is meant as it is
load ../lib/helpers

setup() { setup_work; }
teardown() {
	[ -z "${SERVER:-}" ] || stop_fault_server
	teardown_work
}

sha() { sha256sum <"$1" | cut -d' ' -f1; }

@test "upstream import: whole trees, with siblings and deep, also out of another image" {
	mkdir -p recursive/{a/b/c,d} recursive/empty
	echo 1 >recursive/child
	echo 2 >recursive/a/b/c/deep
	echo 3 >recursive/d/sibling
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  imports: [recursive]
		  run: cp -r /stacker/imports/recursive /recursive
		other:
		  from: {type: built, tag: base}
		  imports: [stacker://app/recursive]
		  run: cp -r /stacker/imports/recursive /again
	END
	stacker build
	unpack_image app app
	unpack_image other other
	diff -r recursive app/recursive
	diff -r recursive other/again
}

@test "upstream import: local files, directories and stacker:// in every combination of slashes" {
	mkdir -p folder1/subfolder2
	echo 1 >folder1/file1
	echo 2 >folder1/subfolder2/file2
	write_stackerfile <<-'END'
		first:
		  from: {type: built, tag: base}
		  imports:
		    - {path: folder1/, dest: /folder1/}
		    - {path: folder1, dest: /into/}
		    - {path: folder1, dest: /renamed}
		    - {path: folder1/subfolder2, dest: /folder3/}
		    - {path: folder1/subfolder2/, dest: /folder4}
		    - {path: folder1/file1, dest: /f/}
		    - {path: folder1/file1, dest: /g/new}
		    - {path: folder1/file1, dest: /}
		second:
		  from: {type: built, tag: base}
		  imports:
		    - {path: stacker://first/folder1/, dest: /folder1/}
		    - {path: stacker://first/folder1, dest: /into/}
		    - {path: stacker://first/folder1, dest: /renamed}
		    - {path: stacker://first/folder1/subfolder2, dest: /folder3/}
		    - {path: stacker://first/folder1/subfolder2/, dest: /folder4}
		    - {path: stacker://first/folder1/file1, dest: /f/}
		    - {path: stacker://first/folder1/file1, dest: /g/new}
		    - {path: stacker://first/folder1/file1, dest: /}
	END
	stacker build
	for image in first second; do
		unpack_image $image $image
		expect_equal "$(cd $image && find . -type f -not -path './bin/*' | sort)" "./f/file1
./file1
./folder1/file1
./folder1/subfolder2/file2
./folder3/subfolder2/file2
./folder4/file2
./g/new
./into/folder1/file1
./into/folder1/subfolder2/file2
./renamed/file1
./renamed/subfolder2/file2"
	done
}

@test "upstream import: mode, uid, gid and dest on an image from scratch" {
	mkdir d
	echo 1 >d/one
	echo 2 >two
	chmod 600 d/one
	cat >stacker.yaml <<-'END'
		stage: {build_only: true, from: {type: scratch}, imports: [{path: d/, dest: /}, {path: two, dest: /}]}
		app:
		  from: {type: scratch}
		  imports:
		    - {path: two, mode: 0777, dest: /usr/bin/}
		    - {path: two, mode: 04755, uid: 10, gid: 20, dest: /two.1}
		    - {path: d, mode: 0640, uid: 30, dest: /dir/}
		    - {path: stacker://stage/one, dest: /kept}
		    - {path: stacker://stage/two, mode: 0400, gid: 40, dest: /from/}
	END
	stacker build
	local layers
	layers=$(image_manifest app | jq -r '.layers[].digest')
	for layer in $layers; do
		tar --numeric-owner -tvf "$(blob_path "$layer")" | awk '{print $1, $2, $6}'
	done | sort >got
	expect_equal "$(cat got)" "$(sort <<-'END'
		-r-------- 0/40 from/two
		-rw------- 0/0 kept
		-rw-r----- 30/0 dir/d/one
		-rwsr-xr-x 10/20 two.1
		-rwxrwxrwx 0/0 usr/bin/two
		drwxr-xr-x 0/0 dir/
		drwxr-xr-x 30/0 dir/d/
		drwxr-xr-x 0/0 from/
		drwxr-xr-x 0/0 usr/
		drwxr-xr-x 0/0 usr/bin/
	END
	)"
	# What upstream ignores is refused here.
	printf 'app: {from: {type: scratch}, imports: [{path: two, perms: 0777, dest: /}]}\n' >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "unknown import directive 'perms'"
}

@test "upstream import: hashes of local files, right, wrong, malformed and in capitals" {
	echo x >file
	local good
	good=$(sha file)
	for hash in "$good" "${good^^}" "sha256:$good"; do
		printf 'app: {from: {type: scratch}, imports: [{path: file, hash: "%s", dest: /}]}\n' "$hash" >stacker.yaml
		run stacker build
		expect_success
	done
	printf 'app: {from: {type: scratch}, imports: [{path: file, hash: "%s", dest: /}]}\n' "${good//[0-9]/1}" >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "is different than the actual hash"
	printf 'app: {from: {type: scratch}, imports: [{path: file, hash: 1234abcdef, dest: /}]}\n' >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "is not valid"
}

@test "upstream import: pinned files of the network, and none without a pin" {
	mkdir srv
	echo data >srv/file
	start_fault_server srv
	import_url() { printf 'app: {from: {type: scratch}, imports: [{path: "%s", %s dest: /}]}\n' "$URL/ok/file" "$1" >stacker.yaml; }
	import_url "hash: $(sha srv/file),"
	run stacker build --require-hash
	expect_success
	expect_equal "$(image_file app file)" data
	import_url "hash: $(sha stacker.yaml),"
	run stacker build
	expect_exit 1
	expect_output "hash"
	import_url ""
	run stacker build --require-hash
	expect_exit 1
	expect_output "[recipe/unpinned]"
	echo x >file
	printf 'app: {from: {type: scratch}, imports: [{path: file, dest: /}]}\n' >stacker.yaml
	run stacker build --require-hash
	expect_success
}

@test "upstream import: a mixture of kinds; URLs of one base name are told apart" {
	mkdir srv
	echo 1 >srv/file
	echo l >local
	start_fault_server srv
	write_stackerfile <<-END
		stage: {build_only: true, from: {type: built, tag: base}, run: echo s >/staged}
		app:
		  from: {type: built, tag: base}
		  imports:
		    - local
		    - path: local
		      hash: $(sha local)
		    - path: $URL/ok/file
		      hash: $(sha srv/file)
		    - {path: stacker://stage/staged}
		  run: cat /stacker/imports/local /stacker/imports/file /stacker/imports/staged >/all
	END
	stacker build
	expect_equal "$(image_file app all | tr '\n' ' ')" "l 1 s "
	local before
	before=$(sha srv/file)
	echo 2 >srv/file
	sed -i "s|ok/file|chunked/file|; s/$before/$(sha srv/file)/" stacker.yaml
	stacker build
	expect_equal "$(image_file app all | tr '\n' ' ')" "l 2 s "
}

@test "upstream import-http: what is here already is used when nobody answers; dest renames it" {
	mkdir srv
	echo data >srv/file
	start_fault_server srv
	write_stackerfile <<-END
		app:
		  from: {type: built, tag: base}
		  imports:
		    - {path: $URL/ok/file, hash: $(sha srv/file), dest: /a/renamed}
		    - {path: $URL/ok/file, hash: $(sha srv/file), dest: /b/, mode: 0600}
		  run: "[ ! -e /stacker/imports/file ] && touch /x"
	END
	stacker build
	stop_fault_server
	SERVER=
	rm -rf oci .stacker/cache roots
	run stacker build
	expect_success
	unpack_image app app
	expect_equal "$(cat app/a/renamed app/b/file)" $'data\ndata'
	expect_equal "$(stat -c %a app/a/renamed app/b/file | tr '\n' ' ')" "644 600 "
}

@test "upstream import: lists in lists and other shapes are refused" {
	local value
	for value in '[[a]]' '{path: a}' '[{dest: /x}]' '[~]'; do
		printf 'app: {from: {type: scratch}, imports: %s}\n' "$value" >stacker.yaml
		run stacker build
		expect_exit 1
		expect_output "stacker.yaml:1:" "error: "
	done
	for value in stacker://nope/x 'stacker://' 'ftp://x/y'; do
		printf 'app: {from: {type: scratch}, imports: ["%s"]}\n' "$value" >stacker.yaml
		run stacker build
		expect_exit 1
	done
}

@test "upstream import: legacy and new paths" {
	echo x >a
	write_stackerfile <<-'END'
		old: {from: {type: built, tag: base}, import: [a], run: "[ -f /stacker/a ] && touch /done"}
		new: {from: {type: built, tag: base}, imports: [a], run: "[ -f /stacker/imports/a ] && [ ! -e /stacker/a ] && touch /done"}
	END
	run stacker build
	expect_success
}

@test "upstream env: /stacker is read-only, and what was imported once is not there again" {
	touch one
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  imports: [one]
		  run: |
		    ls /stacker/imports
		    if echo x >/stacker/imports/foo; then exit 1; fi
		    if echo x >/stacker/foo; then exit 1; fi
	END
	run stacker build
	expect_success
	expect_output "app: one"
	mv one two
	sed -i 's/\[one\]/[two]/' stacker.yaml
	run stacker build
	expect_success
	expect_output "app: two"
	refute_output "app: one"
}

@test "upstream hiding-creds: imported secrets are in the image only if the step puts them there" {
	echo xyzzy-secret >creds
	write_stackerfile <<-'END'
		clean: {from: {type: built, tag: base}, imports: [creds], run: "[ \"$(cat /stacker/imports/creds)\" = xyzzy-secret ]"}
	END
	run stacker build
	expect_success
	for blob in oci/blobs/sha256/*; do
		if { gzip -cdq "$blob" 2>/dev/null || cat "$blob"; } | grep -aq xyzzy-secret; then return 1; fi
	done
	write_stackerfile <<-'END'
		leaks: {from: {type: built, tag: base}, imports: [creds], run: cp /stacker/imports/creds /file}
	END
	stacker build
	expect_equal "$(image_file leaks file)" xyzzy-secret
}

@test "upstream invalid: directives, stacker:// and bases that are not there" {
	local body
	for body in 'from: {type: scratch}, invalid: x' 'from: {type: scratch, invalid: x}' 'from: {type: built}' \
		'from: {type: built, tag: ""}' 'from: {type: nope}' 'from: {tag: x}' 'run: x'; do
		printf 'app: {%s}\n' "$body" >stacker.yaml
		run stacker build
		expect_exit 1
		expect_output "stacker.yaml:1:"
	done
	printf 'app: {from: {type: scratch}, invalid: x}\n' >stacker.yaml
	run stacker build
	expect_output "unknown directive"
	printf 'app: {from: {type: scratch, bad: x}}\n' >stacker.yaml
	run stacker build
	expect_output "unknown image source directive"
}

@test "upstream overlay_dirs: default and given dest, owner, modes, and stacker:// of what they bring" {
	mkdir -p dir_to_overlay/usr
	echo '#!/bin/sh' >dir_to_overlay/executable
	chmod 711 dir_to_overlay/executable
	echo f >dir_to_overlay/usr/file
	[ "$(id -u)" -ne 0 ] || chown 1234:1234 dir_to_overlay/usr/file
	write_stackerfile <<-'END'
		first:
		  from: {type: built, tag: base}
		  overlay_dirs: [{source: dir_to_overlay}]
		  run: "[ -x /executable ] && [ \"$(stat -c %u:%g /usr/file)\" = 0:0 ]"
		second:
		  from: {type: built, tag: first}
		  imports: [stacker://first/executable]
		  overlay_dirs: [{source: dir_to_overlay, dest: /usr/local}]
		  run: "[ -x /stacker/imports/executable ] && [ -f /usr/local/usr/file ]"
	END
	run stacker build
	expect_success
	unpack_image second second
	[ -x second/executable ]
	[ -x second/usr/local/executable ]
	expect_equal "$(stat -c %a second/executable)" 711
}

@test "upstream overlay_dirs: what was built, put onto a base without a shell" {
	tar -cf bare.tar -T /dev/null
	python3 "$REPO_LIB/oci_layout.py" distroless t --layer bare.tar
	write_stackerfile <<-'END'
		build: {build_only: true, from: {type: built, tag: base}, run: mkdir /out && echo binary >/out/tool && chmod 755 /out/tool}
		app:
		  from: {type: oci, url: "distroless:t"}
		  imports: [{path: stacker://build/out/, dest: /usr/bin}]
		  entrypoint: /usr/bin/tool
	END
	run stacker build
	expect_success
	unpack_image app app
	[ -x app/usr/bin/tool ]
	[ ! -e app/bin ]
}

@test "upstream log: progress of downloads with --progress, none without a terminal or with --no-progress" {
	mkdir srv
	head -c 200000 /dev/urandom >srv/file
	start_fault_server srv
	printf 'app: {from: {type: scratch}, imports: [{path: "%s", hash: %s, dest: /}]}\n' "$URL/slow/file" "$(sha srv/file)" >stacker.yaml
	run stacker --progress build
	expect_success
	expect_output "fetching inputs: 0 of 1, "
	for flags in "" --no-progress; do
		rm -rf .stacker
		# shellcheck disable=SC2086 # none is no argument
		run stacker $flags build
		expect_success
		refute_output "fetching inputs"
		expect_equal "$(grep -c "fetched 1 inputs" <<<"$output")" 1
	done
}

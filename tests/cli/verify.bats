# bats file_tags=user
# `stacker verify`: the same, or which file and why.

load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

build_plain() {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    echo x > /x
		    hostname > /host
		    umask > /mask
	END
	stacker build
}

# Writes one byte in the middle of a file, keeping size and times.
flip_byte() {
	local file=$1 at
	at=$(($(stat -c %s "$file") / 2))
	chmod u+w "$file"
	python3 - "$file" "$at" <<-'END'
		import sys
		with open(sys.argv[1], "r+b") as f:
		    f.seek(int(sys.argv[2]))
		    byte = f.read(1)
		    f.seek(int(sys.argv[2]))
		    f.write(bytes([byte[0] ^ 1]))
	END
}

top_layer() {
	blob_path "$(image_manifest "$1" | jq -er '.layers[-1].digest')"
}

@test "verify: an honest image is reproduced" {
	build_plain
	run stacker verify app
	expect_exit 0
	expect_output reproduced
}

@test "verify: without names it verifies every image of the file" {
	write_stackerfile <<-'END'
		one:
		  from: {type: built, tag: base}
		  cmd: one
		two:
		  from: {type: built, tag: base}
		  cmd: two
	END
	stacker build
	run stacker verify
	expect_exit 0
	expect_output one two
}

@test "verify: the report as JSON" {
	build_plain
	run bash -c '"$STACKER" verify --json app 2>/dev/null | jq -e .'
	expect_success
	expect_output reproduced "$(image_digest app)"
}

@test "verify: a step that is different every time is unstable, and the file is named" {
	builds_differ
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    echo same > /same
		    head -c 16 /dev/urandom | od > /different
	END
	stacker build
	run stacker verify app
	expect_exit 1
	expect_output unstable different
	refute_output "/same"
}

@test "verify: the clock is found" {
	builds_differ
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    date > /f
	END
	stacker build
	run stacker verify app
	expect_exit 1
	expect_output unstable 'content f (layer 1, stacker build of app)' timestamp
}

@test "verify: an image of another recipe is a mismatch, and the file is named" {
	build_plain
	sed -i 's/echo x >/echo y >/' stacker.yaml
	run stacker verify app
	expect_exit 1
	expect_output mismatch x
	refute_output unstable
}

@test "verify: changed configuration is a mismatch" {
	build_plain
	printf '  cmd: other\n' >>stacker.yaml
	run stacker verify app
	expect_exit 1
	refute_output unstable
}

@test "verify: a flipped byte in a stored layer is found" {
	build_plain
	local layer
	layer=$(top_layer app)
	flip_byte "$layer"
	run stacker verify app
	echo "$output"
	[ "$status" -eq 1 ] || [ "$status" -eq 6 ]
	expect_output "$(basename "$layer" | cut -c1-12)"
}

@test "verify: a flipped byte in manifest or configuration is found" {
	build_plain
	cp -a oci oci.good
	for blob in "$(blob_path "$(image_digest app)")" \
		"$(blob_path "$(image_manifest app | jq -er .config.digest)")"; do
		flip_byte "$blob"
		run stacker verify app
		echo "$output"
		[ "$status" -eq 1 ] || [ "$status" -eq 6 ]
		cp -a --remove-destination "oci.good/${blob#oci/}" "$blob"
	done
	run stacker verify app
	expect_exit 0
}

@test "verify: a flipped byte in an unpacked tree is found and the file named" {
	write_stackerfile <<-'END'
		parent:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    echo original > /original
		app:
		  from: {type: built, tag: parent}
		  run: |
		    #!/bin/busybox sh
		    cat /original > /copy
	END
	stacker build
	local file
	file=$(find roots -path '*/original' -type f | head -n 1)
	[ -n "$file" ]
	flip_byte "$file"
	run stacker verify app
	echo "$output"
	[ "$status" -eq 6 ]
	[[ "$output" == *"tampered-input"* && "$output" == */original* ]]
}

@test "verify: an image that is not there" {
	build_plain
	rm -rf oci
	run stacker verify app
	echo "$output"
	[ "$status" -ne 0 ]
	expect_output "'oci'"
}

@test "verify: a step that fails now cannot be rebuilt" {
	build_plain
	sed -i 's/echo x > \/x/exit 3/' stacker.yaml
	run stacker verify app
	expect_exit 4
	expect_output cannot-rebuild
}

@test "verify: does not use what build left in the cache" {
	build_plain
	rm -rf .stacker/cache
	run stacker verify app
	expect_exit 0
	run stacker --stacker-dir fresh --roots-dir fresh-roots verify app
	expect_exit 0
}

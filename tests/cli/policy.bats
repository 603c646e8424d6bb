# bats file_tags=user
# The policy as a reader sees it: complete, with reasons, under the digest that recipes carry.

load ../lib/helpers

setup() {
	setup_work
}
teardown() {
	teardown_work
}

# Standard output alone, since warnings are no part of it.
policy_text() {
	stacker policy show 2>/dev/null
}
policy_json() {
	stacker policy show --json 2>/dev/null
}

@test "policy: shown whole, byte for byte, under its digest" {
	policy_text >text
	policy_json >json
	run sed -n 's/^# digest: //p' text
	expect_equal "$output" "$(jq -r .digest json)"
	# The digest is what the head says it is.
	: >all
	for file in capabilities limits proc seccomp volatile; do
		sed -n "/^--- # policy\/$file.yaml\$/,/^--- /p" text | sed '/^--- /d' >file
		[ -s file ]
		printf 'policy/%s.yaml %s\n' "$file" "$(stat -c %s file)" | cat - file >>all
	done
	expect_equal "sha256:$(sha256sum <all | cut -d' ' -f1)" "$output"
}

@test "policy: each role is there, each entry has its reason" {
	policy_json >json
	run jq -r '.seccomp | keys | join(" ")' json
	expect_equal "$output" "fetcher init lister packer remover step tool unpacker"
	run jq -e '[.seccomp[][], .capabilities[][], .proc[][], .limits[][], .volatile[][]] | length > 100 and
		all(.reason | type == "string" and length > 5)' json
	expect_success
	run jq -c '[.capabilities.packer[].name, .otherwise]' json
	expect_equal "$output" '["CAP_DAC_READ_SEARCH",{"other_abi":"kill","unlisted":"ENOSYS"}]'
	# Calls with errno and argument checks.
	run jq -c '[.seccomp.fetcher[] | select(.names == ["socket"]) | .errno // .args[0].equals]' json
	expect_equal "$output" '["0x2","0xa","0x10","EAFNOSUPPORT"]'
}

@test "policy: only a step and a tool may execute, only the fetcher reaches a network" {
	policy_json >json
	run jq -r '[.seccomp | to_entries[] | select(any(.value[]; (.names // []) | index("execve"))) | .key] | join(" ")' json
	expect_equal "$output" "step tool"
	run jq -r '[.seccomp | to_entries[] | select(any(.value[]; (.names // []) | index("connect"))) | .key] | join(" ")' json
	expect_equal "$output" "fetcher step"
	run jq -r '[.seccomp | to_entries[] | select(any(.value[]; .errno == null and ((.names // []) | index("mount")))) | .key] | join(" ")' json
	expect_equal "$output" ""
}

@test "policy: needs no directory, and makes none" {
	mkdir empty
	cd empty
	policy_text >/dev/null
	expect_equal "$(ls -A)" ""
}

@test "policy: what cannot be written is not shown" {
	run bash -c '"$STACKER" policy show >/dev/full'
	expect_exit 1
	run bash -c '"$STACKER" policy show --json >/dev/full'
	expect_exit 1
}

@test "policy: usage" {
	run stacker policy --help
	expect_success
	expect_output "usage: stacker policy [--json] show"
	for args in "" hide "show all" "show --all"; do
		# shellcheck disable=SC2086 # words
		run stacker policy $args
		expect_exit 2
		expect_output "[cli/usage]"
	done
}

# Files as an installation leaves them, each with the time, or with something random.
write_volatile_image() {
	write_stackerfile <<-END
		app:
		  from: {type: built, tag: base}
		  normalize: $1
		  run: |
		    #!/bin/busybox sh
		    mkdir -p /etc/ssh /var/log/apt /var/cache/ldconfig /var/cache/apt /var/lib/dpkg /usr/lib/__pycache__ /other
		    stamp() { date +%s%N > "\$1"; }
		    stamp /var/log/dpkg.log
		    stamp /var/log/apt/term.log
		    stamp /var/cache/ldconfig/aux-cache
		    stamp /var/cache/apt/pkgcache.bin
		    stamp /var/lib/dpkg/status-old
		    stamp /etc/ssh/ssh_host_rsa_key
		    head -c 16 /dev/urandom > /etc/machine-id
		    echo "root:*:20000:0:99999:7:::" > /etc/shadow
		    cat /stacker/run > /other/machine-id
	END
}

@test "volatile files: normalised in the layer, told in the evidence, the same at any time" {
	write_volatile_image policy
	stacker build
	first=$(image_digest app)
	unpack_image app tree
	expect_equal "$(cat tree/etc/machine-id)" uninitialized
	expect_equal "$(cat tree/etc/shadow)" "root:*:3652:0:99999:7:::"
	[ -e tree/var/log/dpkg.log ]
	[ ! -s tree/var/log/dpkg.log ]
	[ -e tree/var/log/apt/term.log ]
	[ ! -s tree/var/log/apt/term.log ]
	[ ! -e tree/var/cache/ldconfig/aux-cache ]
	[ ! -e tree/etc/ssh/ssh_host_rsa_key ]
	[ ! -e tree/var/lib/dpkg/status-old ]
	[ -s tree/other/machine-id ]
	jq -e '[.normalised[] | "\(.rule) \(.path)"] | index("remove var/cache/ldconfig/aux-cache") and
		index("truncate var/log/apt/term.log") and index("set etc/machine-id") and length == 8' \
		.stacker/cache/*.evidence.json
	stacker build --no-cache
	expect_equal "$(image_digest app)" "$first"
	run stacker verify app
	expect_success
}

@test "volatile files: 'normalize: none' keeps them, and is another recipe" {
	builds_differ
	write_volatile_image none
	stacker build
	unpack_image app tree
	[ -s tree/var/log/dpkg.log ]
	[ -s tree/var/cache/ldconfig/aux-cache ]
	grep -q :20000: tree/etc/shadow
	! jq -e .normalised .stacker/cache/*.evidence.json
	run stacker verify app
	expect_exit 1
	write_volatile_image sometimes
	run stacker build
	expect_exit 1
	expect_output recipe/bad-normalize "'sometimes'"
}

@test "volatile files: what lies beneath or is imported stays" {
	mkdir -p imported/var/log
	echo kept >imported/var/log/old.log
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  imports:
		    - {path: imported/, dest: /}
		  run: |
		    #!/bin/busybox sh
		    date > /var/log/new.log
		later:
		  from: {type: built, tag: app}
		  run: |
		    #!/bin/busybox sh
		    date >> /var/log/new.log
		    chmod 0600 /var/log/old.log
		    touch /x
	END
	stacker build
	unpack_image later tree
	# Changed by the step, if only in its mode: the whole file is the layer's.
	[ ! -s tree/var/log/old.log ]
	unpack_image app before
	expect_equal "$(cat before/var/log/old.log)" kept
	# An empty log that is empty again is no change.
	run tar -tf "$(blob_path "$(image_manifest later | jq -r '.layers[-1].digest')")"
	refute_output new.log
}

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
	for file in capabilities limits proc seccomp; do
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
	run jq -e '[.seccomp[][], .capabilities[][], .proc[][], .limits[][]] | length > 100 and
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

# bats file_tags=user
# Downloads from servers that lie, cut, stall and redirect: the right bytes or a clear error, and
# never anything in the store that was not asked for.

load ../lib/helpers

setup() {
	setup_work
	mkdir srv
	head -c 100000 /dev/urandom >srv/data
	HASH=$(sha256sum <srv/data | cut -d' ' -f1)
	start_fault_server srv
}
teardown() {
	stop_fault_server
	teardown_work
}

# write_import URL [LINE]...: a stackerfile with one pinned import.
write_import() {
	{
		printf 'app:\n  from: {type: scratch}\n  imports:\n    - path: %s\n      dest: /data\n' "$1"
		shift
		[ $# -gt 0 ] || set -- "hash: $HASH"
		printf '      %s\n' "$@"
	} >stacker.yaml
}

expect_fetched() {
	run stacker build
	expect_success
	rm -rf tree
	unpack_image app tree
	cmp srv/data tree/data
	expect_sound_blobs .stacker/store
}

# refuse_fetch ID TEXT...: fails with that error, positioned at the import, and keeps nothing.
refuse_fetch() {
	local id=$1
	shift
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:4:" "[$id]" "$@"
	expect_equal "$(blob_count)" 0
	run image_digest app
	[ "$status" -ne 0 ]
}

@test "fetch: a pinned file, by sha256, sha512, SRI and with its size" {
	local sri
	sri=sha256-$(openssl dgst -sha256 -binary srv/data | base64 -w0)
	for pin in "hash: $HASH" "hash: sha256:$HASH" "hash: sha512:$(sha512sum <srv/data | cut -d' ' -f1)" \
		"hash: $sri"; do
		rm -rf .stacker roots oci
		write_import "$URL/ok/data" "$pin" "size: 100000"
		expect_fetched
	done
}

@test "fetch: what is there is not fetched again, and not asked for" {
	write_import "$URL/ok/data"
	expect_fetched
	: >requests
	rm -rf oci roots .stacker/cache
	expect_fetched
	expect_equal "$(cat requests)" ""
}

@test "fetch: editing a pin fetches again" {
	write_import "$URL/ok/data"
	expect_fetched
	head -c 5000 /dev/urandom >srv/data
	write_import "$URL/ok/data" "hash: $(sha256sum <srv/data | cut -d' ' -f1)"
	expect_fetched
}

@test "fetch: everything is fetched before the first step runs" {
	make_busybox_base base
	cat >stacker.yaml <<-END
		base:
		  build_only: true
		  from: {type: scratch}
		  imports: [{path: base/, dest: /}]
		  run: |
		    #!/bin/busybox sh
		    echo STEP RAN
		app:
		  from: {type: built, tag: base}
		  imports:
		    - path: $URL/wrong/data
		      hash: $HASH
	END
	run stacker build
	expect_exit 1
	expect_output fetch/wrong-hash
	refute_output "STEP RAN"
}

@test "fetch: wrong bytes" {
	write_import "$URL/wrong/data"
	refuse_fetch fetch/wrong-hash "$URL/wrong/data"
}

@test "fetch: a login page instead of the file" {
	write_import "$URL/html/data"
	refuse_fetch fetch/wrong-hash
}

@test "fetch: a wrong size" {
	write_import "$URL/ok/data" "hash: $HASH" "size: 99999"
	refuse_fetch fetch/wrong-size
}

@test "fetch: more bytes than the pin says, without end" {
	write_import "$URL/endless/data" "hash: $HASH" "size: 100000"
	refuse_fetch fetch/wrong-size
}

@test "fetch: cut in the middle, then continued" {
	write_import "$URL/flaky/data"
	expect_fetched
	expect_equal "$(grep -c bytes= requests)" 1
}

@test "fetch: always cut in the middle" {
	write_import "$URL/truncated/data"
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:4:" "[fetch/"
	expect_equal "$(blob_count)" 0
}

@test "fetch: stalled once, then served" {
	write_import "$URL/stall-once/data"
	expect_fetched
}

@test "fetch: 500 twice, then served" {
	write_import "$URL/fail/2/data"
	expect_fetched
}

@test "fetch: 500 for ever, and 404 at once" {
	write_import "$URL/status/500/data"
	refuse_fetch fetch/http-status 500
	: >requests
	write_import "$URL/status/404/data"
	refuse_fetch fetch/http-status 404
	expect_equal "$(wc -l <requests)" 1
}

@test "fetch: redirects are followed, but not for ever" {
	write_import "$URL/redirect/3/data"
	expect_fetched
	rm -rf .stacker oci
	write_import "$URL/loop/data"
	refuse_fetch fetch/redirect
}

@test "fetch: a redirect to a file of this machine is refused" {
	write_import "$URL/to/data?file:///etc/passwd"
	refuse_fetch fetch/redirect
	write_import "$URL/to/data?ftp://127.0.0.1/x"
	refuse_fetch fetch/redirect
}

@test "fetch: with several URLs the wrong one is named and the next one used" {
	write_import "$URL/wrong/data" "hash: $HASH" "urls: [\"$URL/status/404/data\", \"$URL/ok/data\"]"
	run stacker build
	expect_success
	expect_output "$URL/wrong/data"
	unpack_image app tree
	cmp srv/data tree/data
}

@test "fetch: names and digests that a server suggests are ignored" {
	write_import "$URL/names/data"
	expect_fetched
	run find . -name 'evil*'
	expect_equal "$output" ""
}

@test "fetch: nobody there" {
	write_import "http://127.0.0.1:1/data"
	refuse_fetch fetch/network
}

@test "fetch: a damaged blob in the store is noticed and fetched again" {
	write_import "$URL/ok/data"
	expect_fetched
	local blob
	blob=$(find .stacker/store -name "$HASH")
	chmod u+w "$blob"
	printf X | dd of="$blob" conv=notrunc bs=1 seek=5000 status=none
	rm -rf oci roots .stacker/cache
	expect_fetched
}

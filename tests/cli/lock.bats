# bats file_tags=user
# stacker.lock: made, kept, updated, checked, compared, written into the stackerfile.

load ../lib/helpers

setup() {
	setup_work
	mkdir www
	echo one >www/one
	echo two >www/two
	start_fault_server www
	cat >stacker.yaml <<-END
		# What the lock is for.
		a:
		  from: {type: scratch}
		  imports:
		    - path: $URL/ok/one   # the first
		      dest: /one
		b:
		  from: {type: built, tag: a}
		  imports:
		    - path: $URL/ok/two
		      dest: /two
	END
}
teardown() {
	stop_fault_server
	teardown_work
}

sha256_of() {
	sha256sum <"$1" | cut -d' ' -f1
}

@test "lock: without it, an URL without a hash is refused, and nothing is fetched" {
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:5:" "[recipe/unpinned]" "stacker lock"
	expect_equal "$(cat requests)" ""
}

@test "lock: pins every URL, and the build takes what it says" {
	run stacker lock
	expect_success
	expect_output "+ $URL/ok/one sha256:$(sha256_of www/one) (4 B)"
	expect_equal "$(grep -c 'url:' stacker.lock)" 2
	expect_output "wrote 'stacker.lock'"
	run stacker build
	expect_success
	expect_equal "$(image_file b two)" two
	# The date of the lock is the image's.
	local epoch created
	epoch=$(sed -n 's/^source_date_epoch: //p' stacker.lock)
	created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)
	expect_equal "$(image_config b | jq -r .created)" "$created"

	cp stacker.lock before
	run stacker lock
	expect_success
	expect_output "up to date"
	cmp before stacker.lock
}

@test "lock: what moves upstream is named by --check, built as before, and taken by --update" {
	run stacker lock
	expect_success
	run stacker build
	expect_success
	local digest
	digest=$(image_digest b)
	run stacker lock --check
	expect_success
	refute_output sha256

	echo three >www/two
	cp stacker.lock before
	run stacker lock --check
	expect_exit 1
	expect_output "~ $URL/ok/two sha256:"
	refute_output "/ok/one"
	cmp before stacker.lock
	rm -rf oci
	run stacker build --no-cache
	expect_success
	expect_equal "$(image_digest b)" "$digest"

	run stacker lock
	expect_success
	cmp before stacker.lock
	run stacker lock --update a
	expect_success
	cmp before stacker.lock
	run stacker lock --update "$URL/ok/two"
	expect_success
	expect_output "~ $URL/ok/two" "-> sha256:$(sha256_of www/two)"
	run stacker lock diff before stacker.lock
	expect_success
	expect_output "~ $URL/ok/two"
	run stacker lock diff --json before stacker.lock
	expect_success
	expect_equal "$(jq -r '.changes[].change' <<<"$output")" changed
	run stacker build
	expect_success
	expect_equal "$(image_file b two)" three
	run stacker lock --update nobody
	expect_exit 2
	expect_output "[lock/no-such-name]"
}

@test "lock: pins that are no longer used go, and leave the date alone" {
	run stacker lock
	expect_success
	sed -i 's/^source_date_epoch: .*/source_date_epoch: 1700000000/' stacker.lock
	sed -i '/^b:/,$d' stacker.yaml
	run stacker lock
	expect_success
	expect_output "- $URL/ok/two"
	grep -q '^source_date_epoch: 1700000000$' stacker.lock
	expect_equal "$(grep -c 'url:' stacker.lock)" 1
}

@test "lock: a URL that changed alone, or a hash that did, is an error that says which" {
	local one
	one=$(sha256_of www/one)
	cat >stacker.yaml <<-END
		a:
		  from: {type: scratch}
		  imports:
		    - path: $URL/ok/one
		      hash: $one
		      dest: /one
	END
	run stacker lock
	expect_success
	sed -i 's#/ok/one#/ok/two#' stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:4:" "[lock/url-changed]"
	run stacker lock
	expect_exit 1
	expect_output "[lock/url-changed]"
	sed -i "s#/ok/two#/ok/one#; s#$one#$(sha256_of www/two)#" stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:4:" "[lock/hash-changed]"
	# On purpose; but the server does not have it, so that nothing is pinned.
	run stacker lock --update
	expect_exit 1
	expect_output "[fetch/wrong-hash]"
	cp www/two www/one
	run stacker lock --update
	expect_success
	run stacker build
	expect_success
}

@test "lock: --write puts the hashes into the stackerfile and keeps the rest" {
	chmod 640 stacker.yaml
	cp stacker.yaml before
	run stacker lock --write
	expect_success
	expect_output "wrote 2 pins"
	diff before stacker.yaml >difference || true
	expect_equal "$(grep -c '^[<>]' difference)" 2
	grep -qx ">       hash: sha256:$(sha256_of www/one)" difference
	grep -q 'ok/one   # the first$' stacker.yaml
	expect_equal "$(stat -c %a stacker.yaml)" 640
	rm stacker.lock
	run stacker build
	expect_success
}

@test "lock: a prerequisite's own lock comes before that of the file that needs it" {
	mkdir lib
	cat >lib/stacker.yaml <<-END
		base:
		  from: {type: scratch}
		  imports: [{path: $URL/ok/one, dest: /one}]
	END
	cat >stacker.yaml <<-END
		config: {prerequisites: [lib/stacker.yaml]}
		app:
		  from: {type: built, tag: base}
		  imports: [{path: $URL/ok/two, dest: /two}]
	END
	run stacker lock
	expect_success
	expect_equal "$(grep -c 'url:' stacker.lock)" 2
	run stacker build
	expect_success
	run stacker lock -f lib/stacker.yaml
	expect_success
	run stacker lock
	expect_success
	expect_output "- $URL/ok/one"
	expect_equal "$(grep -c 'url:' stacker.lock)" 1
	run stacker build
	expect_success
}

@test "lock: a damaged lock, or a server that fails, leaves everything as it was" {
	run stacker lock
	expect_success
	cp stacker.lock before
	printf '<<<<<<< ours\n' >>stacker.lock
	run stacker build
	expect_exit 1
	expect_output "stacker.lock:" "[yaml/syntax]"
	cp before stacker.lock
	rm www/two
	run stacker lock --update
	expect_exit 1
	expect_output "stacker.yaml:10:" "[fetch/network]"
	cmp before stacker.lock
}

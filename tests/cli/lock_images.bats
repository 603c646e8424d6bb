# bats file_tags=user
# A lock of image tags and URLs: what moves upstream is named, and moves nothing here.

load ../lib/helpers
load ../lib/registry

setup_file() { start_registry; }
teardown_file() { stop_registry; }

setup() {
	setup_work
	mkdir www
	start_fault_server www
}
teardown() {
	stop_fault_server
	teardown_work
}

# push_base TAG CONTENT
push_base() {
	mkdir -p bases
	cat >bases/stacker.yaml <<-END
		$1:
		  from: {type: scratch}
		  imports: [{path: file, dest: /from-base}]
	END
	echo "$2" >bases/file
	stacker --work-dir bases build -f bases/stacker.yaml
	skopeo copy -q --dest-cert-dir "$REGISTRY_CERTS" "oci:bases/oci:$1" "docker://$REGISTRY/bases:$1"
}

@test "lock: of three tags and ten URLs, the tag that moves is named, and the build stays" {
	local i
	for i in one two three; do
		push_base "$i" "$i"
	done
	for i in $(seq 10); do
		echo "content $i" >"www/file$i"
	done
	{
		for i in one two three; do
			printf '%s:\n  from: {type: docker, url: "docker://%s/bases:%s"}\n  imports:\n' "$i" "$REGISTRY" "$i"
			printf '    - {path: %s/ok/file%s, dest: /}\n' \
				"$URL" 1 "$URL" 2 "$URL" 3 "$URL" 4 "$URL" 5 "$URL" 6 "$URL" 7 "$URL" 8 "$URL" 9 "$URL" 10
		done
	} >stacker.yaml
	run stacker --ca-file "$REGISTRY_CA" build
	expect_exit 1
	expect_output "[recipe/unpinned]" "stacker lock"
	run stacker --ca-file "$REGISTRY_CA" lock
	expect_success
	expect_equal "$(grep -c 'url: docker://' stacker.lock)" 3
	expect_equal "$(grep -c 'url: http://' stacker.lock)" 10
	run stacker --ca-file "$REGISTRY_CA" build
	expect_success
	local digest
	digest=$(image_digest two)

	push_base two "another two"
	run stacker --ca-file "$REGISTRY_CA" lock --check
	expect_exit 1
	expect_equal "$(grep -c '^~ ' <<<"$output")" 1
	expect_output "~ docker://$REGISTRY/bases:two"
	rm -rf .stacker roots oci
	run stacker --ca-file "$REGISTRY_CA" build
	expect_success
	expect_equal "$(image_digest two)" "$digest"
	expect_equal "$(image_file two from-base)" two

	run stacker --ca-file "$REGISTRY_CA" lock --update --write two
	expect_success
	expect_output "~ docker://$REGISTRY/bases:two" "wrote 33 pins"
	grep -q "bases:two@sha256:" stacker.yaml
	run stacker --ca-file "$REGISTRY_CA" build
	expect_success
	expect_equal "$(image_file two from-base)" "another two"
	# The digest alone was changed, or the tag alone: both are noticed.
	sed -i "s#bases:two@#bases:new@#" stacker.yaml
	run stacker --ca-file "$REGISTRY_CA" build
	expect_exit 1
	expect_output "[lock/url-changed]"
}

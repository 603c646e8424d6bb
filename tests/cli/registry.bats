# bats file_tags=user
# Registries: Debian's docker-registry over TLS with a login, and a fake one with faults. What the
# client does with each fault is in tests/unit/test_inputs_registry.c; here it is the commands.

load ../lib/helpers
load ../lib/registry

setup_file() { start_registry; }
teardown_file() { stop_registry; }
setup() {
	setup_work
	export HOME=$PWD
}
teardown() {
	stop_fake_registry
	teardown_work
}

# Three images in the layout "oci", of which app and other share a layer.
make_images() {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    echo app > /app
		other:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    echo other > /other
	END
	stacker -q build >/dev/null
}

# DIR TAG: a manifest that refers to the image of TAG, as the tag "note" of layout DIR.
add_referrer() {
	local dir=$1 subject size config=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
	subject=$(image_digest "$2" "$dir")
	size=$(stat -c %s "$(blob_path "$subject" "$dir")")
	printf '{}' >"$dir/blobs/sha256/$config"
	jq -cn --arg subject "$subject" --argjson size "$size" --arg empty "sha256:$config" '{
		schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
		artifactType: "application/x.note", annotations: {note: "seen"},
		config: {mediaType: "application/vnd.oci.empty.v1+json", digest: $empty, size: 2},
		layers: [{mediaType: "application/vnd.oci.empty.v1+json", digest: $empty, size: 2}],
		subject: {mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $subject, size: $size}
	}' | tr -d '\n' >note.json
	NOTE=$(sha256sum <note.json)
	NOTE=${NOTE%% *}
	size=$(stat -c %s note.json)
	mv note.json "$dir/blobs/sha256/$NOTE"
	jq --arg d "sha256:$NOTE" --argjson size "$size" '.manifests += [{
		mediaType: "application/vnd.oci.image.manifest.v1+json", artifactType: "application/x.note",
		digest: $d, size: $size}]' "$dir/index.json" >index.new
	mv index.new "$dir/index.json"
}

@test "registry: push and pull, byte for byte; skopeo reads it" {
	make_images
	run rstacker copy oci:oci:app "docker://$REGISTRY/push/app:v1"
	expect_success
	expect_output "$(image_digest app)"
	run skopeo inspect --cert-dir "$REGISTRY_CERTS" "docker://$REGISTRY/push/app:v1"
	expect_success
	expect_equal "$(jq -r .Digest <<<"$output")" "$(image_digest app)"
	skopeo copy -q --src-cert-dir "$REGISTRY_CERTS" "docker://$REGISTRY/push/app:v1" oci:by-skopeo:v1
	run rstacker copy "docker://$REGISTRY/push/app:v1" oci:back:app
	expect_success
	expect_equal "$(image_digest app back)" "$(image_digest app)"
	expect_sound_blobs back
	run rstacker copy "docker://$REGISTRY/push/app@$(image_digest app)" oci:back:other
	expect_success
	expect_equal "$(image_digest other back)" "$(image_digest app)"
	# What is there is not sent again, and another repository's layers are taken over.
	run rstacker copy oci:oci:app "docker://$REGISTRY/push/app:v2"
	expect_output "0 blobs sent, "
	run rstacker copy "docker://$REGISTRY/push/app:v2" "docker://$REGISTRY/push/again:v2"
	expect_output "0 blobs sent, "
}

@test "registry: a copy gets no tag in a layout that is a digest, or that no tag can be" {
	make_images
	for tag in "@$(image_digest app)" ":$(image_digest app)" "@sha256:12" ":a b" ":../x" ":-a" ":a-" ":a..b" ":"; do
		run stacker copy oci:oci:app "oci:out$tag"
		expect_exit 2
		expect_output "'oci:out$tag'" "[copy/place]"
		[ ! -e out ]
	done
	run stacker copy oci:oci:absent oci:out:a
	expect_exit 1
	[ ! -e out ]
	for tag in a a.b a--b a_1 a/b+c:d@e; do
		run stacker copy oci:oci:app "oci:out:$tag"
		expect_success
		expect_equal "$(image_digest "$tag" out)" "$(image_digest app)"
	done
}

@test "registry: without login, certificate, name or image it says what to do" {
	make_images
	REGISTRY_AUTH_FILE='' run rstacker copy oci:oci:app "docker://$REGISTRY/no/app:v1"
	expect_exit 1
	expect_output "wants a login [registry/denied]" "skopeo login"
	printf '{"auths": {"%s": {"auth": "%s"}}}' "$REGISTRY" "$(printf user:wrong | base64)" >wrong.json
	REGISTRY_AUTH_FILE=$PWD/wrong.json run rstacker copy oci:oci:app "docker://$REGISTRY/no/app:v1"
	expect_exit 1
	expect_output "does not accept the credentials" "[registry/denied]"
	refute_output "$(printf user:wrong | base64)"
	run stacker copy oci:oci:app "docker://$REGISTRY/no/app:v1"
	expect_exit 1
	expect_output "[registry/tls]" "--ca-file"
	run rstacker copy "docker://$REGISTRY/no/app:v1" oci:out:x
	expect_exit 1
	expect_output "has no image 'v1' [registry/absent]"
	run stacker copy docker://debian:12 oci:out:x
	expect_exit 1
	expect_output "[registry/no-host]" "docker://docker.io/library/debian:12"
	run stacker copy oci:oci:app somewhere
	expect_exit 2
	expect_output "[copy/place]"
	run stacker copy oci:oci:app
	expect_exit 2
}

@test "registry: credentials come from a helper that runs outside the fetcher" {
	make_images
	mkdir -p bin .docker
	cat >bin/docker-credential-test <<-'END'
		#!/bin/sh
		read -r server
		echo "$1 $server" >>"$HOME/asked"
		printf '{"ServerURL":"%s","Username":"user","Secret":"secret"}\n' "$server"
	END
	chmod +x bin/docker-credential-test
	printf '{"auths": {"%s": {}}, "credsStore": "test"}' "$REGISTRY" >.docker/config.json
	export PATH=$PWD/bin:$PATH
	unset REGISTRY_AUTH_FILE XDG_RUNTIME_DIR
	run rstacker copy oci:oci:app "docker://$REGISTRY/helper/app:v1"
	expect_success
	expect_equal "$(cat asked)" "get $REGISTRY"
	printf '{"credHelpers": {"%s": "absent"}}' "$REGISTRY" >.docker/config.json
	run rstacker copy oci:oci:app "docker://$REGISTRY/helper/app:v1"
	expect_exit 1
	expect_output "'docker-credential-absent' is in no directory of PATH [registry/auth-helper]"
}

@test "registry: copies with what refers to the image, through a layout and back" {
	make_images
	add_referrer oci app
	run rstacker copy --referrers oci:oci:app "docker://$REGISTRY/notes/app:v1"
	expect_success
	expect_output "1 referrers"
	# This registry has no referrers API: the list is under the tag that the specification names.
	fallback=$(curl_registry "/v2/notes/app/manifests/$(image_digest app | tr : -)")
	expect_equal "$(jq -r '.manifests[0] | .digest, .artifactType, .annotations.note' <<<"$fallback")" \
		"$(printf 'sha256:%s\napplication/x.note\nseen' "$NOTE")"
	run rstacker copy --referrers "docker://$REGISTRY/notes/app:v1" "docker://$REGISTRY/notes/there:v1"
	expect_success
	expect_output "1 referrers"
	run rstacker copy --referrers "docker://$REGISTRY/notes/there:v1" oci:noted:v1
	expect_success
	[ -f "noted/blobs/sha256/$NOTE" ]
	expect_sound_blobs noted
	run rstacker copy "docker://$REGISTRY/notes/app:v1" oci:plain:v1
	expect_success
	[ ! -e "plain/blobs/sha256/$NOTE" ]
}

@test "registry: an image is built on a base by digest, and again without the registry" {
	make_images
	rstacker copy oci:oci:app "docker://$REGISTRY/base/app:v1"
	local digest
	digest=$(image_digest app)
	mkdir b && cd b
	cat >stacker.yaml <<-END
		child:
		  from: {type: docker, url: "docker://$REGISTRY/base/app@$digest"}
		  run: |
		    #!/bin/busybox sh
		    test -f /app && echo child > /child
	END
	run rstacker build
	expect_success
	expect_equal "$(image_file child child)" child
	local first
	first=$(image_digest child)
	# The base is in the store now: no login, no certificate, no registry.
	REGISTRY_AUTH_FILE='' run stacker build --no-cache
	expect_success
	expect_equal "$(image_digest child)" "$first"
	REGISTRY_AUTH_FILE='' run stacker verify child
	expect_success
	# A blob of it that is damaged is noticed and brought anew.
	layer=$(image_manifest child | jq -r '.layers[0].digest | ltrimstr("sha256:")')
	chmod u+w ".stacker/store/blobs/sha256/$layer"
	printf damage >".stacker/store/blobs/sha256/$layer"
	run rstacker build --no-cache
	expect_success
	expect_equal "$(image_digest child)" "$first"
}

@test "registry: a tag alone needs a lock, which pins it" {
	make_images
	rstacker copy oci:oci:app "docker://$REGISTRY/tag/app:v1"
	mkdir b && cd b
	cat >stacker.yaml <<-END
		child:
		  from: {type: docker, url: "docker://$REGISTRY/tag/app:v1"}
	END
	run rstacker build
	expect_exit 1
	expect_output "[recipe/unpinned]" "stacker lock" "@sha256:HEX"
	run rstacker lock
	expect_success
	expect_equal "$(grep -c "hash: $(image_digest app ../oci)" stacker.lock)" 1
	run rstacker build
	expect_success
	first=$(image_digest child)
	# The tag moves; the lock stays, and says so when it is asked.
	rstacker copy oci:../oci:other "docker://$REGISTRY/tag/app:v1"
	run rstacker build --no-cache
	expect_success
	expect_equal "$(image_digest child)" "$first"
	run rstacker lock --check
	expect_exit 1
	expect_output "docker://$REGISTRY/tag/app:v1"
}

@test "registry: wrong URLs of a base are errors at their line" {
	while IFS='|' read -r url id; do
		printf 'a:\n  from:\n    type: docker\n    url: "%s"\n' "$url" >stacker.yaml
		run stacker build
		expect_exit 1
		expect_output "stacker.yaml:4:" "[$id]"
	done <<-'END'
		docker://debian@sha256:0000000000000000000000000000000000000000000000000000000000000000|registry/no-host
		docker://r.example/a|recipe/bad-url
		docker://r.example/a@sha256:00|recipe/bad-hash
		docker://r.example/A@sha256:0000000000000000000000000000000000000000000000000000000000000000|registry/reference
		http://r.example/a:x|recipe/bad-url
	END
	printf 'a:\n  from: {type: docker, url: "docker://r.example/a:x", tag: y}\n' >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "[recipe/no-effect]"
}

@test "registry: Docker's schema and zstd layers, pushed by skopeo, are bases, too" {
	make_images
	local to="docker://$REGISTRY/kinds/app" digest
	skopeo copy -q --dest-cert-dir "$REGISTRY_CERTS" --format v2s2 oci:oci:app "$to:docker"
	skopeo copy -q --dest-cert-dir "$REGISTRY_CERTS" --dest-compress-format zstd oci:oci:app "$to:zstd"
	mkdir b && cd b
	for tag in docker zstd; do
		digest=$(skopeo inspect --cert-dir "$REGISTRY_CERTS" "$to:$tag" | jq -r .Digest)
		printf '%s:\n  from: {type: docker, url: "%s@%s"}\n' "$tag" "$to" "$digest" >stacker.yaml
		run rstacker build
		expect_success
		expect_equal "$(image_file "$tag" app)" app
		expect_equal "$(image_manifest "$tag" | jq -r '.mediaType + .config.mediaType' | grep -c docker)" 0
		run rstacker copy "$to@$digest" "docker://$REGISTRY/kinds/copy:$tag"
		expect_success
		expect_equal "$(skopeo inspect --cert-dir "$REGISTRY_CERTS" \
			"docker://$REGISTRY/kinds/copy:$tag" | jq -r .Digest)" "$digest"
	done
}

@test "registry: inspect lists the tags of a repository" {
	make_images
	for tag in one two; do
		stacker --ca-file "$REGISTRY_CA" -q copy oci:oci:app "docker://$REGISTRY/tags/x:$tag"
	done
	run stacker --ca-file "$REGISTRY_CA" inspect "docker://$REGISTRY/tags/x"
	expect_success
	expect_equal "$output" "$(printf 'one\ntwo')"
	run stacker --ca-file "$REGISTRY_CA" inspect --json "docker://$REGISTRY/tags/x"
	expect_success
	expect_equal "$(jq -c '.[0].tags' <<<"$output")" '["one","two"]'
	run stacker --ca-file "$REGISTRY_CA" inspect "docker://$REGISTRY/tags/x:one"
	expect_exit 2
	expect_output "names one image"
}

@test "registry: an image that no index speaks for is copied for its own platform only" {
	make_images
	run stacker copy --platform linux/s390x oci:oci:app oci:out:app
	expect_exit 1
	expect_output "[image/platform]" "not for linux/s390x"
	run stacker copy --platform "linux/$(image_config app | jq -r .architecture)" oci:oci:app oci:out:app
	expect_success
	expect_equal "$(image_digest app out)" "$(image_digest app)"
}

@test "registry: of an index the image for the platform is taken, and no other is brought" {
	start_fake_registry
	run stacker copy --insecure --platform linux/arm64/v8 "docker://$FAKE/a/b:x" oci:out:arm
	expect_success
	expect_equal "$(jq -r .architecture "$(blob_path "$(jq -r .config.digest \
		"$(blob_path "$(image_digest arm out)" out)")" out)")" arm64
	expect_equal "$(blob_count out)" 5
	run stacker copy --insecure --platform linux/arm64/v7 "docker://$FAKE/a/b:x" oci:out:none
	expect_exit 1
	expect_output "[layout/no-such-platform]" "linux/amd64"
	run stacker copy --insecure "docker://$FAKE/a/b:x" "docker://$FAKE/c/d:all"
	expect_success
	expect_equal "$(skopeo inspect --raw --tls-verify=false "docker://$FAKE/c/d:all" | jq '.manifests | length')" 2
	run stacker copy --insecure --platform linux "docker://$FAKE/a/b:x" oci:out:none
	expect_exit 2
}

@test "registry: one that speaks plain http is named so at once, with what takes it" {
	start_fake_registry
	run stacker copy "docker://$FAKE/a/b:x" oci:out:x
	expect_exit 1
	expect_output "speaks plain http, not TLS [registry/tls]" "--insecure"
	refute_output "trying again"
}

@test "registry: what was brought before a fault is not brought again" {
	start_fake_registry
	run stacker copy --insecure "docker://$FAKE/a/b:amd64" oci:out:one
	expect_output ": 4 blobs sent, 0 were there"
	expect_equal "$(grep -c '"GET", "path": "/v2/a/b/blobs/' fake.log)" 4
	lost=$(find out/blobs/sha256 -type f -size +30k | sort | head -1)
	rm -f "$lost"
	run stacker copy --insecure "docker://$FAKE/a/b:amd64" oci:out:one
	expect_output ": 1 blobs sent, 3 were there"
	[ -f "$lost" ]
	expect_equal "$(grep -c '"GET", "path": "/v2/a/b/blobs/' fake.log)" 5
	expect_sound_blobs out
}

@test "registry: no credential reaches a second origin, nor a message" {
	start_fake_registry --auth bearer redirect cut
	printf '{"auths": {"%s": {"auth": "%s"}}}' "$FAKE" "$(printf user:secret | base64)" >auth.json
	REGISTRY_AUTH_FILE=$PWD/auth.json run stacker --debug copy --insecure "docker://$FAKE/a/b:x" oci:out:x
	expect_success
	[[ $(grep -c '"origin": "other"' fake.log) -gt 5 ]]
	run grep -E '"origin": "other".*(Authorization|Bearer|secret)' fake.log
	expect_exit 1
	run grep -r -E 'dXNlcjpzZWNyZXQ|token-[0-9]' out .stacker
	expect_exit 1
}

@test "registry: two publishers of one image at once both end well" {
	make_images
	rstacker copy oci:oci:app "docker://$REGISTRY/race/app:v1" >one 2>&1 &
	local first=$!
	rstacker --stacker-dir other.state copy oci:oci:app "docker://$REGISTRY/race/app:v1" >two 2>&1
	wait "$first"
	run skopeo inspect --cert-dir "$REGISTRY_CERTS" "docker://$REGISTRY/race/app:v1"
	expect_success
	expect_equal "$(jq -r .Digest <<<"$output")" "$(image_digest app)"
}

@test "registry: publish sends images to it" {
	make_images
	run rstacker publish --url "docker://$REGISTRY/published" --tag v1
	expect_success
	for image in app other; do
		run skopeo inspect --cert-dir "$REGISTRY_CERTS" "docker://$REGISTRY/published/$image:v1"
		expect_success
		expect_equal "$(jq -r .Digest <<<"$output")" "$(image_digest "$image")"
	done
}

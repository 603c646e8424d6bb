# bats file_tags=user
# publish: from the output layout to where others find the images.

load ../lib/helpers

setup() {
	setup_work
	export HOME=$PWD
	mkdir -p project/sub
	make_busybox_base project/base
	cp -r project/base project/sub/base
	(cd project && write_stackerfile) <<-'END'
		app:
		  from: {type: built, tag: base}
		  cmd: /bin/sh
		other:
		  from: {type: built, tag: base}
		  cmd: /bin/cat
	END
	(cd project/sub && write_stackerfile) <<-'END'
		child:
		  from: {type: built, tag: app}
		  run: |
		    #!/bin/busybox sh
		    echo child > /child
	END
	sed -i 's/^base:/subbase:/; 1i config:\n  prerequisites:\n    - ../stacker.yaml' project/sub/stacker.yaml
}
teardown() { teardown_work; }

@test "publish: to a layout, under name and tag, byte for byte" {
	stacker build -f project/stacker.yaml
	run stacker publish -f project/stacker.yaml --url oci:out --tag v1 --tag v2
	expect_success
	expect_output "will not publish: project/stacker.yaml build_only base" \
		"publishing project/stacker.yaml app to oci:out:app_v1" \
		"oci:out:app_v1 $(image_digest app)" "oci:out:other_v2 $(image_digest other)"
	for tag in v1 v2; do
		expect_equal "$(image_digest "app_$tag" out)" "$(image_digest app)"
		expect_equal "$(image_digest "other_$tag" out)" "$(image_digest other)"
	done
	run image_digest base_v1 out
	[ "$status" -ne 0 ]
	expect_sound_blobs out
	run skopeo inspect oci:out:app_v1
	expect_success
	# Once more changes nothing.
	cp out/index.json before
	stacker publish -f project/stacker.yaml --url oci:out --tag v1
	expect_equal "$(jq -S -c '[.manifests[]|.digest]|sort' out/index.json)" \
		"$(jq -S -c '[.manifests[]|.digest]|sort' before)"
}

@test "publish: only the images asked for, only of the files named" {
	stacker build -f project/sub/stacker.yaml
	run stacker publish -f project/sub/stacker.yaml --url oci:out --tag v1
	expect_success
	expect_output "build_only subbase"
	refute_output "app to oci"
	expect_equal "$(jq -c '[.manifests[].annotations[]]' out/index.json)" '["child_v1"]'
	run stacker publish -f project/stacker.yaml --url oci:some --tag v1 --image other
	expect_success
	expect_equal "$(jq -c '[.manifests[].annotations[]]' some/index.json)" '["other_v1"]'
	run stacker publish -f project/stacker.yaml --url oci:some --tag v1 --image nope
	expect_exit 2
	expect_output "[build/no-such-image]"
	run stacker publish -d project --url oci:all --tag t
	expect_success
	expect_equal "$(jq -c '[.manifests[].annotations[]] | sort' all/index.json)" \
		'["app_t","child_t","other_t"]'
}

@test "publish: --show-only says what it would do and does nothing, built or not" {
	run stacker publish -f project/stacker.yaml --url docker://docker-reg --tag test1 --show-only
	expect_success
	expect_output "would publish: project/stacker.yaml app to docker://docker-reg/app:test1" \
		"will not publish: project/stacker.yaml build_only base"
	run stacker publish -d project --url oci:out --tag t --show-only --layer-type tar --layer-type squashfs
	expect_success
	expect_output "project/sub/stacker.yaml child to oci:out:child_t" \
		"project/sub/stacker.yaml child to oci:out:child_t-squashfs"
	[ ! -e out ]
}

@test "publish: what is not what the stackerfile says is refused, all of it, unless forced" {
	run stacker publish -f project/stacker.yaml --url oci:out --tag v1
	expect_exit 1
	stacker build -f project/stacker.yaml
	sed -i 's|cmd: /bin/cat|cmd: /bin/ls|' project/stacker.yaml
	run stacker publish -f project/stacker.yaml --url oci:out --tag v1
	expect_exit 1
	expect_output "project/stacker.yaml:" "'other'" "[publish/stale]" "--force"
	[ ! -e out ]
	run stacker publish -f project/stacker.yaml --url oci:out --tag v1 --force
	expect_success
	expect_equal "$(image_digest other_v1 out)" "$(image_digest other)"
	rm -rf out
	cat >>project/stacker.yaml <<-'END'
		new:
		  from: {type: built, tag: base}
	END
	run stacker publish -f project/stacker.yaml --url oci:out --tag v1 --force
	expect_exit 1
	expect_output "[publish/not-built]"
	[ ! -e out ]
}

@test "publish: wrong usage" {
	stacker build -f project/stacker.yaml
	local base="publish -f project/stacker.yaml"
	for args in "" "--url oci:out" "--tag v1" "--url oci:out --tag v1 --username me" \
		"--url oci:out --tag v1 --password me" "--url oci: --tag v1" "--url out --tag v1" \
		"--url https://x/y --tag v1" "--url oci:a:b --tag v1" "--url oci:out --tag -x" \
		"--url oci:out --tag a/b" "--url oci:out --tag v1 --layer-type zip" \
		"--url oci:out --tag v1 extra"; do
		# shellcheck disable=SC2086 # several words
		run stacker $base $args
		expect_exit 2
	done
	[ ! -e out ]
}

@test "publish: to a registry without TLS, under several tags" {
	start_registry
	stacker build -f project/stacker.yaml
	run stacker publish -f project/stacker.yaml --url "docker://$registry/space" --tag v1 --tag v2 --skip-tls
	expect_success
	expect_output "docker://$registry/space/app:v1 $(image_digest app)"
	stacker build -f project/sub/stacker.yaml
	run stacker publish -d project --url "docker://$registry/all" --tag r --skip-tls
	kill "$registry_pid"
	expect_success
	expect_equal "$(ls registry/docker/registry/v2/repositories/all | tr '\n' ' ')" "app child other "
	expect_equal "$(cat registry/docker/registry/v2/repositories/space/app/_manifests/tags/v2/current/link)" \
		"$(image_digest app)"
}

@test "publish: with a user name and a password" {
	command -v htpasswd >/dev/null || skip_justified "htpasswd is not installed"
	htpasswd -Bbc htpasswd me secret
	start_registry "auth: {htpasswd: {realm: test, path: $PWD/htpasswd}}"
	stacker build -f project/stacker.yaml
	local url="docker://$registry/space"
	run stacker publish -f project/stacker.yaml --url "$url" --tag v1 --image app --skip-tls
	[ "$status" -eq 1 ] || kill "$registry_pid"
	expect_exit 1
	run stacker publish -f project/stacker.yaml --url "$url" --tag v1 --image app --skip-tls \
		--username me --password secret
	kill "$registry_pid"
	expect_success
	refute_output secret
}

@test "publish: other layer types go under tags of their own" {
	stacker build -f project/stacker.yaml --layer-type squashfs --layer-type tar
	run stacker publish -f project/stacker.yaml --url oci:out --tag v1 --image app \
		--layer-type squashfs --layer-type tar
	expect_success
	expect_equal "$(image_digest app_v1-squashfs out)" "$(image_digest app-squashfs)"
	expect_equal "$(image_digest app_v1 out)" "$(image_digest app)"
	run stacker publish -f project/stacker.yaml --url oci:out --tag v2 --image app --layer-type erofs
	expect_exit 1
	expect_output "[publish/not-built]"
	sed -i 's|cmd: /bin/sh|cmd: /bin/ls|' project/stacker.yaml
	run stacker publish -f project/stacker.yaml --url oci:out --tag v2 --image app --layer-type squashfs
	expect_exit 1
	expect_output "[publish/stale]"
}

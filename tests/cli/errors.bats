# bats file_tags=user
# What is wrong is said with position, reason and a stable id; and nothing is left behind.

load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

# refuse_whole ID TEXT...: the stackerfile on stdin is refused before anything runs.
refuse_whole() {
	refuse "$@"
	[ ! -e oci/index.json ] || expect_equal "$(jq '.manifests | length' oci/index.json)" 0
	expect_equal "$(blob_count)" 0
}

@test "errors: an unknown directive is named with its position and a suggestion" {
	refuse_whole recipe/unknown-directive "stacker.yaml:4:3: error: " "'enviroment'" "'environment'" <<-'END'
		app:
		  from:
		    type: scratch
		  enviroment:
		    A: b
	END
}

@test "errors: keys that the original ignores silently are refused too" {
	echo x >f
	refuse_whole recipe/unknown-directive "'perms'" <<-'END'
		app:
		  from: {type: scratch}
		  imports:
		    - path: f
		      dest: /f
		      perms: 0644
	END
}

@test "errors: hidden inputs are refused with the hermetic way to do it" {
	for directive in 'binds: ["/etc"]' 'build_env_passthrough: [".*"]'; do
		printf 'app:\n  from: {type: scratch}\n  %s\n' "$directive" >stacker.yaml
		run stacker build
		expect_exit 1
		expect_output "'${directive%%:*}'" "hint: "
	done
}

@test "errors: the hermetic way is shown as lines to paste, which then build" {
	mkdir src
	echo x >src/file
	cat >stacker.yaml <<-'END'
		app:
		  from: {type: scratch}
		  binds:
		    - src -> /opt/src
	END
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:3:3: error: directive 'binds' would let in files of this machine" \
		$'\n    imports:\n      - path: src\n        dest: /opt/src'
	sed -i '3,$d' stacker.yaml
	sed -n '/^    imports:/,$p' <<<"$output" | sed 's/^  //' >>stacker.yaml
	run stacker build
	expect_success
	expect_equal "$(image_file app opt/src/file)" x
	printf 'app:\n  from: {type: scratch}\n  build_env_passthrough: [A]\n' >stacker.yaml
	run stacker --log-format json build
	expect_equal "$(tail -n 1 <<<"$output" | jq -r .snippet)" $'build_env:\n  A: VALUE'
}

@test "errors: YAML that means two things is refused" {
	for text in 'a: {from: {type: scratch}}
a: {from: {type: scratch}}' 'a: &x {from: {type: scratch}}
b: {<<: *x}' 'a: {from: {type: scratch}}
---
b: {from: {type: scratch}}' 'a: !!map {from: {type: scratch}}'; do
		printf '%s\n' "$text" >stacker.yaml
		run stacker build
		expect_exit 1
		expect_output "stacker.yaml:" "[yaml/"
	done
}

@test "errors: a URL without a hash is refused before anything is downloaded" {
	cat >stacker.yaml <<-'END'
		app:
		  from: {type: scratch}
		  imports:
		    - path: http://127.0.0.1:9/never
		      dest: /never
	END
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:" "hash" "hint: "
	expect_equal "$(blob_count)" 0
}

@test "errors: a malformed hash is refused" {
	for hash in abc sha256:abc md5:d41d8cd98f00b204e9800998ecf8427e sha256-AAAA; do
		printf 'app:\n  from: {type: scratch}\n  imports:\n    - path: http://127.0.0.1:9/x\n      hash: %s\n' \
			"$hash" >stacker.yaml
		run stacker build
		expect_exit 1
		expect_output "stacker.yaml:5:" "'$hash'"
	done
}

@test "errors: a local file that is not what its hash says" {
	echo x >f
	cat >stacker.yaml <<-'END'
		app:
		  from: {type: scratch}
		  imports:
		    - path: f
		      hash: 0000000000000000000000000000000000000000000000000000000000000000
		      dest: /f
	END
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:4:" "'f'" "import/wrong-hash"
}

@test "errors: a missing import, base or stackerfile is named" {
	run stacker build -f nothing.yaml
	expect_exit 1
	expect_output "'nothing.yaml'"
	printf 'app:\n  from: {type: scratch}\n  imports: [missing]\n' >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:3:" "'missing'"
	printf 'app:\n  from: {type: built, tag: absent}\n' >stacker.yaml
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:" "absent"
}

@test "errors: images that need one another are named" {
	cat >stacker.yaml <<-'END'
		a:
		  from: {type: built, tag: b}
		b:
		  from: {type: built, tag: a}
	END
	run stacker build
	expect_exit 1
	expect_output "a" "b" "[recipe/"
}

@test "errors: an image that the stackerfile does not have" {
	printf 'app:\n  from: {type: scratch}\n  cmd: x\n' >stacker.yaml
	run stacker build -A nosuch
	[ "$status" -ne 0 ]
	expect_output "'nosuch'"
	stacker build
	run stacker verify nosuch
	expect_exit 2
	expect_output "'nosuch'"
}

@test "errors: wrong usage exits with 2 and says how it is right" {
	run stacker
	expect_output "build" "verify" "check"
	for arguments in "nosuch" "build --nosuch" "build -f" "--nosuch build" "--log-format xml check" \
		"--debug --quiet build" "verify --no-cache"; do
		# shellcheck disable=SC2086
		run stacker $arguments
		expect_exit 2
		expect_output "error: "
	done
}

@test "errors: an archive that climbs out of its destination writes nothing there" {
	mkdir in
	echo evil >in/f
	tar -C in -cf up.tar --transform='s,^f,../../../../escaped,' -P f
	ln -s / in/root
	tar -C in -cf link.tar root
	tar -C in -rf link.tar --transform='s,^f,root/escaped-by-link,' f
	for archive in up.tar link.tar; do
		cat >stacker.yaml <<-END
			app:
			  from: {type: scratch}
			  imports:
			    - {path: $archive, dest: /d, unpack: true}
		END
		run stacker build
		[ ! -e /escaped ]
		[ ! -e /escaped-by-link ]
		run bash -c "find . -name 'escaped*' 2>/dev/null"
		expect_equal "$output" ""
	done
}

@test "errors: a second stacker on the same directories waits or says who holds them" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    sleep 2
		    echo x > /x
	END
	stacker build &
	local first=$!
	sleep 0.7
	run stacker build
	wait "$first"
	[ "$status" -eq 0 ] || expect_output "lock"
	image_digest app
}

@test "errors: messages as JSON are one object a line" {
	printf 'app:\n  nonsense: 1\n' >stacker.yaml
	run bash -c '"$STACKER" --log-format json build 2>&1 >/dev/null | jq -c .'
	expect_success
	expect_output error stacker.yaml
}

@test "errors: results go to stdout, messages to stderr" {
	run bash -c '"$STACKER" --version 2>/dev/null'
	expect_success
	expect_output 0.
	run bash -c '"$STACKER" build -f nosuch.yaml 2>/dev/null'
	expect_exit 1
	expect_equal "$output" ""
}

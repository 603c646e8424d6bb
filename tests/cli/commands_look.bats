# bats file_tags=user
# Looking into built images: inspect, grab, exec, chroot, and what a failed step left.

# shellcheck disable=SC2016,SC2012,SC2143 # scripts for other shells; names of our own
load ../lib/helpers

setup() {
	setup_work
	export HOME=$PWD
}
teardown() { teardown_work; }

# base (build_only), tools (build_only, from base), app.
write_images() {
	write_stackerfile <<-'END'
		tools:
		  build_only: true
		  from:
		    type: built
		    tag: base
		  run: |
		    #!/bin/busybox sh
		    mkdir -p /tree/sub /tree/closed
		    echo one > /tree/one
		    chmod 4751 /tree/one
		    ln /tree/one /tree/a-hard-link
		    echo two > /tree/sub/two
		    ln -s ../one /tree/sub/link
		    ln -s /etc/passwd /tree/out
		    mkfifo /tree/pipe
		    echo secret > /tree/closed/file
		    chmod 0 /tree/closed/file
		    chmod 0500 /tree/closed
		    ln -s /tree/one /by-link
		app:
		  from:
		    type: built
		    tag: tools
		  run: |
		    #!/bin/busybox sh
		    echo app > /name
		  cmd: [/bin/cat, /name]
		  annotations:
		    com.example.note: hello
	END
}

@test "inspect: shows layers, annotations and configuration" {
	write_images
	stacker build
	run stacker inspect
	expect_success
	local layer
	layer=$(image_manifest app | jq -r '.layers[0].digest')
	expect_output "app" "layer 0: ${layer:7:12}... (" "application/vnd.oci.image.layer.v1.tar" \
		"com.example.note: hello" '"architecture"'
	[ -z "$(grep -x tools <<<"$output")" ]
	run stacker inspect app
	expect_success
	run stacker inspect nope
	expect_exit 1
	expect_output "[layout/no-such-tag]" "app"
	stacker inspect --json app >json
	expect_equal "$(jq -r '.[0].name' json)" app
	expect_equal "$(jq -r '.[0].digest' json)" "$(image_digest app)"
	expect_equal "$(jq -c '[.[0].layers[].digest]' json)" "$(image_manifest app | jq -c '[.layers[].digest]')"
	expect_equal "$(jq -c '.[0].config.config.Cmd' json)" '["/bin/cat","/name"]'
}

@test "inspect: a damaged blob is not shown" {
	write_images
	stacker build
	local config
	config=$(blob_path "$(image_manifest app | jq -r .config.digest)")
	chmod u+w "$config"
	sed -i 's/linux/xinux/' "$config"
	run stacker inspect
	expect_exit 1
	expect_output "[layout/damaged]"
	run stacker --oci-dir absent inspect
	expect_exit 1
	expect_output "'absent'"
}

@test "grab: a file, from any built image, under its own name, and nothing else" {
	write_images
	stacker build
	mkdir here
	cd here
	run stacker --work-dir .. grab -f ../stacker.yaml tools:/tree/sub/two
	expect_success
	expect_equal "$(ls -A)" two
	expect_equal "$(cat two)" two
	run stacker --work-dir .. grab base:/bin/sh # no such stackerfile here, but only one 'base'
	expect_success
	cmp sh /bin/busybox
	run stacker --work-dir .. grab tools:/by-link
	expect_success
	expect_equal "$(cat by-link)" one
	expect_equal "$(stat -c %a:%u by-link)" "751:$(id -u)"
	echo changed >two
	run stacker --work-dir .. grab tools:/tree/sub/two
	expect_success
	expect_equal "$(cat two)" two
	expect_equal "$(ls -A | tr '\n' ' ')" "by-link sh two "
}

@test "grab: a directory with what is in it, and without what could harm" {
	write_images
	stacker build
	run stacker grab tools:/tree
	expect_success
	expect_output "'pipe' is no file"
	expect_equal "$(cd tree && find . | sort | tr '\n' ' ')" \
		". ./a-hard-link ./closed ./closed/file ./one ./out ./sub ./sub/link ./sub/two "
	expect_equal "$(stat -c %a tree/one)" 751
	expect_equal "$(stat -c %i tree/one)" "$(stat -c %i tree/a-hard-link)"
	expect_equal "$(stat -c %a tree/closed)" 500
	expect_equal "$(stat -c %a tree/closed/file)" 0
	expect_equal "$(readlink tree/out)" /etc/passwd
	expect_equal "$(cat tree/sub/link)" one
	run stacker grab tools:/tree
	expect_exit 1
	expect_output "[grab/exists]"
	[ -z "$(find . -maxdepth 1 -name '.tree*')" ]
}

@test "grab: what cannot be copied is named" {
	write_images
	stacker build
	run stacker grab app:/absent
	expect_exit 1
	expect_output "the image has no '/absent'" "[grab/not-there]"
	run stacker grab nope:/name
	expect_exit 2
	expect_output "[build/not-built]" "tools"
	run stacker grab app:/tree/pipe
	expect_exit 1
	expect_output "[grab/not-a-file]"
	run stacker grab app:/
	expect_exit 1
	expect_output "[grab/bad-path]"
	for arg in app app: :/name; do
		run stacker grab "$arg"
		expect_exit 2
	done
	expect_equal "$(find . -maxdepth 1 -newer stacker.yaml -type f | wc -l)" 0
}

@test "grab: a link in the image cannot lead out of it" {
	write_images
	stacker build
	run stacker grab app:/tree/out
	expect_exit 1
	expect_output "[grab/not-there]"
	[ ! -e out ]
	[ ! -e passwd ]
}

@test "exec: commands, arguments, exit status, standard input" {
	write_images
	stacker build
	run stacker exec app cat /name
	expect_success
	expect_equal "$output" app
	run stacker exec app /bin/sh -c 'echo "$0 $1"; exit 7' a 'b c'
	expect_exit 7
	expect_output "a b c"
	run stacker chroot tools <<<'cat /tree/sub/two; exit 3'
	expect_exit 3
	expect_equal "$output" two
	# Large input arrives whole.
	head -c 3000000 /dev/zero | tr '\0' x >big
	expect_equal "$(stacker exec app wc -c <big)" 3000000
	# The first image of the file is what is meant without a name; its shell is run.
	run stacker exec <<<'echo $STACKER_LAYER_NAME'
	expect_success
	expect_equal "$output" base
}

@test "exec: nothing that it changes stays, and it has no network" {
	write_images
	stacker build
	local before
	before=$(find oci -type f | sort | xargs sha256sum)
	run stacker exec app sh -c 'echo x > /name; rm -rf /tree; cat /name'
	expect_success
	expect_equal "$output" x
	run stacker exec app cat /name
	expect_equal "$output" app
	expect_equal "$(find oci -type f | sort | xargs sha256sum)" "$before"
	run stacker exec app ls /sys/class/net
	refute_output eth0
	run stacker exec app env
	refute_output "USER="
}

@test "exec: what is not there is named" {
	write_images
	stacker build
	run stacker exec app frobnicate
	expect_exit 1
	expect_output "'frobnicate'" "[sandbox/exec]"
	run stacker exec nope
	expect_exit 2
	expect_output "[build/not-built]"
	run stacker --stacker-dir empty --roots-dir none exec
	expect_exit 2
	expect_output "[build/not-built]" "stacker build"
	run stacker exec --nope
	expect_exit 2
}

@test "exec: a terminal of its own, which does what a terminal does" {
	write_images
	stacker build
	# script(1) is the terminal; what is typed reaches the shell, which says whether it has one.
	run script -qec "$STACKER exec app /bin/sh" /dev/null <<<'test -t 0 && test -t 1 && echo it is a "terminal"; exit 5'
	expect_exit 5
	expect_output "it is a terminal"
}

write_failing() {
	write_stackerfile <<-'END'
		app:
		  from:
		    type: built
		    tag: base
		  imports:
		    - note
		  build_env:
		    WORD: value
		  run: |
		    #!/bin/busybox sh
		    echo half > /half
		    rm /bin/true
		    false
	END
	echo noted >note
}

@test "on-run-failure: looks at what the step left, and the build fails all the same" {
	write_failing
	run stacker build --on-run-failure 'sh -c "cat /half /stacker/imports/note; test -e /bin/true || echo gone; echo $WORD"'
	expect_exit 1
	expect_output half noted gone value "[step/failed]"
	[ ! -e oci/index.json ] || expect_equal "$(jq '.manifests | length' oci/index.json)" 0
	run stacker build --shell-fail <<<'echo from the shell; exit 0'
	expect_exit 1
	expect_output "from the shell" "[step/failed]"
	run stacker build --on-run-failure frobnicate
	expect_exit 1
	expect_output "[sandbox/exec]" "[step/failed]"
}

@test "on-run-failure: wrong usage, and nothing is run where nothing fails" {
	write_images
	run stacker build --on-run-failure x --shell-fail
	expect_exit 2
	run stacker build --on-run-failure ''
	expect_exit 2
	run stacker build --on-run-failure '"open'
	expect_exit 2
	run stacker build --require-hash --on-run-failure 'echo shell'
	expect_success
	refute_output shell
}

# bats file_tags=user
# A build that is killed at any moment leaves a usable store, and nothing running.

load ../lib/helpers

setup() {
	setup_work
	MARK=stacker-kill-$$-$RANDOM
	# A name of its own, by which a process is known as ours.
	cp "$STACKER" "./$MARK"
	STACKER=$PWD/$MARK
}
teardown() { teardown_work; }

write_project() {
	mkdir -p tree
	for i in $(seq 20); do head -c 20000 /dev/urandom >"tree/$i"; done
	tar -cf data.tar tree
	write_stackerfile <<-END
		stage:
		  build_only: true
		  from: {type: built, tag: base}
		  imports:
		    - {path: data.tar, dest: /data, unpack: true}
		  build_env: {MARK: $MARK}
		  run: |
		    #!/bin/busybox sh
		    cat /data/tree/* > /all
		    sleep 0.1
		app:
		  from: {type: built, tag: stage}
		  build_env: {MARK: $MARK}
		  run: |
		    #!/bin/busybox sh
		    sleep 0.05
		    wc -c /all > /count
	END
}

# Processes of ours: by program, or by the variable that every step of this test has.
leftover_processes() {
	local proc
	for proc in /proc/[0-9]*; do
		if [[ $(readlink "$proc/exe") == *"$MARK"* ]] || grep -qa "^[^ ]*$MARK" "$proc/cmdline" ||
			tr '\0' '\n' <"$proc/environ" | grep -qx "MARK=$MARK"; then
			echo "${proc##*/} $(tr '\0' ' ' <"$proc/cmdline")"
		fi
	done 2>/dev/null
}

expect_nothing_left() {
	local left
	for _ in $(seq 40); do
		left=$(leftover_processes)
		[ -n "$left" ] || break
		sleep 0.05
	done
	expect_equal "$left" ""
	expect_equal "$(grep -c "$BATS_TEST_TMPDIR" /proc/self/mountinfo)" 0
}

# Layers of an ordinary user hold directories of mapped ids.
clear_state() {
	rm -rf .stacker roots oci 2>/dev/null || unshare --map-root-user --map-auto rm -rf .stacker roots oci
}

state_files() {
	find .stacker roots oci -mindepth 1 2>/dev/null | LC_ALL=C sort
}

# 50 as root, fewer as an ordinary user, whose way into a sandbox is another.
@test "kill: random moments, then a build: right digest, nothing left over" {
	write_project
	local start length_ms want files delay i moments=50
	[ "$(id -u)" -eq 0 ] || moments=20
	start=$(date +%s%N)
	"$STACKER" --quiet build
	length_ms=$((($(date +%s%N) - start) / 1000000))
	want=$(image_digest app)
	files=$(state_files)

	RANDOM=4711
	for i in $(seq $moments); do
		clear_state
		delay=$((RANDOM * (length_ms + 20) / 32768))
		"$STACKER" --quiet build >log 2>&1 3>&- &
		sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
		kill -9 $! 2>/dev/null || true
		wait $! 2>/dev/null || true
		expect_nothing_left || { echo "after kill $i at $delay ms"; return 1; }
		run "$STACKER" --quiet build
		expect_success || { echo "after kill $i at $delay ms"; return 1; }
		expect_equal "$(image_digest app)" "$want"
		expect_sound_blobs .
		expect_equal "$(state_files)" "$files" || { echo "after kill $i at $delay ms"; return 1; }
	done
}

@test "kill: Ctrl-C ends the build and its step, and the next one works" {
	write_stackerfile <<-END
		app:
		  from: {type: built, tag: base}
		  build_env: {MARK: $MARK}
		  run: |
		    #!/bin/busybox sh
		    sleep 30
	END
	for signal in INT TERM; do
		# A shell without job control lets its background jobs ignore SIGINT; this one does not.
		python3 -c 'import signal, os, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$STACKER" build >log 2>&1 3>&- &
		sleep 1.5
		[ -n "$(leftover_processes)" ]
		kill -"$signal" $!
		local rc=0
		wait $! || rc=$?
		[ "$rc" -ne 0 ]
		expect_nothing_left
		run image_digest app
		[ "$status" -ne 0 ]
	done
	sed -i 's/sleep 30/true/' stacker.yaml
	run stacker build
	expect_success
}

# bats file_tags=user
# Every limit of a step stops it with an error of its own, and evidence names it. As root memory and
# processes are limited by a control group, as an ordinary user by what the supervisor counts.

# shellcheck disable=SC2016 # what the step expands is written in single quotes
load ../lib/helpers

setup() { setup_work; }
teardown() { teardown_work; }

# limited LIMITS SCRIPT: an image `app` whose step is SCRIPT, under `limits: {LIMITS}`.
limited() {
	write_stackerfile <<-END
		config:
		  limits: {$1}
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    $2
	END
}

# expect_limit ID NAME TEXT: the build fails by exactly this error, and the evidence says the same.
expect_limit() {
	run stacker build
	expect_exit 1
	expect_output "[$1]" "$3" "raise with 'limits: {$2: ...}' under 'config')" "policy allows up to" \
		"its output is kept in"
	expect_equal "$(grep -c ': error: ' <<<"$output")" 1
	expect_equal "$(jq -c .limits_reached .stacker/cache/*.evidence.json)" "[\"$2\"]"
	expect_equal "$(find oci -name index.json -exec jq '[.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == "app")] | length' {} +)" ""
}

@test "limits: memory of a process" {
	limited "memory: 64MiB" "dd if=/dev/zero of=/dev/null bs=400M count=1; sleep 2; echo went on"
	expect_limit sandbox/memory-limit memory "the step of 'app' ran out of memory (limit 64 MiB"
	refute_output "went on"
}

@test "limits: the least memory is enough for a small step" {
	! grep -qa __asan_init "$STACKER" || skip_justified "a sanitizer takes more than that for itself"
	limited "memory: 16MiB" "echo x > /x"
	run stacker build
	expect_success
}

@test "limits: memory of many processes together" {
	limited "memory: 64MiB" \
		"for i in 1 2 3 4 5 6 7 8; do dd if=/dev/zero bs=20M count=1000000 of=/dev/null & done; wait"
	expect_limit sandbox/memory-limit memory "limit 64 MiB"
}

@test "limits: memory in files of /tmp, also if the step ends well" {
	limited "memory: 64MiB" "dd if=/dev/zero of=/tmp/x bs=1M count=200; true"
	expect_limit sandbox/memory-limit memory "limit 64 MiB"
}

@test "limits: memory in files that no process maps" {
	make_busybox_base base
	cp "$STACKER_PROBES/evidence" base/bin/evidence
	limited "memory: 64MiB" "evidence memfd 100"
	expect_limit sandbox/memory-limit memory "limit 64 MiB"
	limited "memory: 64MiB" "evidence memfd 20"
	run stacker build
	expect_success
}

@test "limits: processes, of a fork bomb that ends well" {
	limited "processes: 50" 'i=0; while [ $i -lt 120 ]; do i=$((i+1)); sleep 3 & done; sleep 1; true'
	expect_limit sandbox/process-limit processes "the step of 'app' ran out of processes (limit 50"
}

@test "limits: processes at their edge" {
	limited "processes: 1" "echo x > /x; sleep 1 & wait"
	expect_limit sandbox/process-limit processes "limit 1"
	limited "processes: 1" "echo x > /x; read -t 1 y < /dev/zero || true"
	run stacker build
	expect_success
	limited "processes: 2" "echo x > /x; sleep 1 & wait"
	run stacker build
	expect_success
}

@test "limits: a real fork bomb" {
	limited "processes: 100" 'f() { f | f & }; f; sleep 20'
	STACKER_TIMEOUT=60 expect_limit sandbox/process-limit processes "limit 100"
}

@test "limits: disk, while the step runs" {
	limited "disk: 16MiB" "dd if=/dev/zero of=/x bs=1M count=24; sync; sleep 30; echo went on"
	STACKER_TIMEOUT=25 expect_limit sandbox/disk-limit disk "ran out of disk space (limit 16 MiB"
	refute_output "went on"
}

@test "limits: disk, counted once more before packing" {
	limited "disk: 1MiB" "dd if=/dev/zero of=/x bs=1M count=2"
	expect_limit sandbox/disk-limit disk "limit 1 MiB"
}

@test "limits: disk at its edge" {
	limited "disk: 2MiB" "dd if=/dev/zero of=/x bs=1M count=1"
	run stacker build
	expect_success
}

@test "limits: files, and their edge" {
	# The layer's root directory is none of them; /d and what is in it are.
	limited "files: 101" 'mkdir /d; cd /d; touch $(seq 100)'
	run stacker build
	expect_success
	limited "files: 100" 'mkdir /d; cd /d; touch $(seq 100); true'
	rm -rf .stacker/cache/*.evidence.json oci
	expect_limit sandbox/file-limit files "made too many files (limit 100"
}

@test "limits: time" {
	limited "time: 1s" "sleep 100"
	STACKER_TIMEOUT=20 expect_limit sandbox/time-limit time "ran out of time (limit 1 s"
}

@test "limits: output" {
	limited "log: 64KiB" "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done"
	expect_limit sandbox/log-limit log "wrote too much output (limit 64 KiB"
	[ "$(stat -c %s .stacker/cache/*.log)" -eq 65536 ]
}

@test "limits: they change neither recipe nor image" {
	limited "memory: 1GiB, processes: 100, disk: 1GiB, files: 500, time: 1m, log: 1MiB" \
		"ulimit -a > /limits; df -k /tmp > /df; echo x > /x"
	stacker build
	local first
	first=$(image_digest app)
	limited "time: 2m" "ulimit -a > /limits; df -k /tmp > /df; echo x > /x"
	run stacker build
	expect_success
	expect_output "found cached layer app"
	stacker build --no-cache
	expect_equal "$(image_digest app)" "$first"
}

@test "limits: over the policy's maximum" {
	limited "memory: 2TiB" "true"
	run stacker build
	expect_exit 1
	expect_output "stacker.yaml:" "limit 'memory' is over the maximum of the policy, 1 TiB" \
		"[recipe/limit-over-policy]"
	limited "processes: 8193" "true"
	run stacker build
	expect_output "over the maximum of the policy, 8192" "[recipe/limit-over-policy]"
	limited "processes: 8192, memory: 1TiB, time: 168h, log: 1GiB, disk: 256GiB, files: 2000000" "true"
	run stacker build
	expect_success
}

@test "limits: values that are none" {
	local value
	for value in "memory: 2" "memory: 2GB" "memory: 2 GiB" "memory: 0KiB" "memory: 01KiB" "memory: -1KiB" \
		"memory: 1.5GiB" "memory: 99999999999999999999KiB" "memory: 18014398509481984KiB" "time: 30" \
		"time: 30min" "time: 0s" "processes: 0" "log: GiB"; do
		limited "$value" "true"
		run stacker build
		expect_exit 1
		expect_output "[recipe/bad-limit]"
	done
	limited "processes: many" "true"
	run stacker build
	expect_output "[recipe/not-an-integer]"
	limited "memroy: 1GiB" "true"
	run stacker build
	expect_output "unknown limit 'memroy'" "did you mean 'memory'?"
}

@test "limits: no control group is left behind, also by a killed run" {
	[ "$(id -u)" -eq 0 ] || skip_justified "an ordinary user has no control group here"
	grep -q ' cgroup' /proc/self/mounts || skip_justified "no control groups are mounted"
	limited "time: 1m" "echo started; sleep 30"
	"$STACKER" --quiet build >out 2>&1 &
	local pid=$!
	for _ in $(seq 100); do
		grep -q started .stacker/cache/*.log 2>/dev/null || grep -q started out && break
		find /sys/fs/cgroup -name "stacker-step-$pid-*" 2>/dev/null | grep -q . && break
		sleep 0.1
	done
	find /sys/fs/cgroup -name "stacker-step-$pid-*" | grep -q .
	kill -9 $pid
	wait $pid || true
	sleep 0.5
	limited "time: 1m" "true"
	run stacker build
	expect_success
	run find /sys/fs/cgroup -name "stacker-step-$pid-*"
	expect_equal "$output" ""
}

@test "limits: fewer ids than a sandbox has, with the command that gets them" {
	[ "$(id -u)" -eq 0 ] || skip_justified "root starts an ordinary user with another /etc/subuid"
	printf 'stackertest:200000:1000\nother:300000:65536\n' >few
	: >none
	write_stackerfile </dev/null
	cp "$STACKER" program
	chmod -R a+rwX .
	# $1 is the inner shell's.
	local run_with='mount --bind "$1" /etc/subuid && exec runuser -u stackertest -- ./program build'
	run unshare --mount sh -c "$run_with" sh few
	expect_exit 1
	expect_output "'/etc/subuid' gives user 'stackertest' no range of 65535 subordinate ids" \
		"[sandbox/no-subids]" \
		"usermod --add-subuids 365536-431071 --add-subgids 365536-431071 stackertest"
	run unshare --mount sh -c "$run_with" sh none
	expect_output "[sandbox/no-subids]" "usermod --add-subuids 100000-165535"
}

# bats file_tags=user
# What a step can see and reach: no network of any kind, and of the host only what is stated.

load ../lib/helpers

setup() {
	setup_work
	HOST_PID=
}
teardown() {
	[ -z "$HOST_PID" ] || kill "$HOST_PID" || true
	teardown_work
}

# A TCP port and an abstract UNIX socket on the host that answer, so that refusal means something.
start_host_listener() {
	cat >listen.py <<-'END'
		import signal, socket, sys
		signal.alarm(120)
		tcp = socket.create_server(("127.0.0.1", 0))
		unix = socket.socket(socket.AF_UNIX)
		unix.bind("\0" + sys.argv[1])
		unix.listen()
		print(tcp.getsockname()[1], flush=True)
		signal.pause()
	END
	python3 listen.py "$1" >port 3>&- &
	HOST_PID=$!
	for _ in $(seq 50); do
		[ -s port ] && return 0
		sleep 0.1
	done
	return 1
}

@test "isolation: a step has no network of any kind" {
	[ -x "$STACKER_PROBES/network" ] || skip "the probes are not built"
	start_host_listener "stacker-test-$$"
	make_busybox_base base
	cp "$STACKER_PROBES/network" base/bin/network
	# The probe tells reachable from unreachable: here, outside, both are answered.
	run base/bin/network "$(cat port)" "stacker-test-$$"
	expect_output "tcp-host-loopback ok" "unix-abstract ok"
	write_stackerfile <<-END
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    network $(cat port) stacker-test-$$ > /report
	END
	run stacker build
	expect_success
	expect_equal "$(image_file app report)" "tcp-host-loopback ECONNREFUSED
tcp-outside ENETUNREACH
tcp6-outside ENETUNREACH
udp-outside ENETUNREACH
dns ENETUNREACH
link-local ENETUNREACH
unix-abstract ECONNREFUSED
raw EPERM
packet EAFNOSUPPORT
vsock EAFNOSUPPORT
alg EAFNOSUPPORT
bluetooth EAFNOSUPPORT
netlink-generic EAFNOSUPPORT
own-loopback ok"
}

@test "isolation: user, host name, environment and working directory are always the same" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  build_env:
		    MINE: "value"
		  run: |
		    #!/bin/busybox sh
		    { id -u; id -g; hostname; pwd; umask; tty; } > /who 2>&1
		    env | sort > /env
		    tail -c 1 < /dev/stdin | wc -c >> /who
	END
	HOSTVAR=leak SECRET_TOKEN=leak TERM=leak stacker build
	expect_equal "$(image_file app who | head -n 5)" "0
0
stacker
/
0022"
	local env
	env=$(image_file app env)
	[[ $env != *leak* ]]
	[[ $env == *"MINE=value"* ]]
	[[ $env == *"SOURCE_DATE_EPOCH=315532800"* ]]
	[[ $env == *"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"* ]]
}

@test "isolation: the map of ids is the same whoever runs the step, also in the rebuilds of verify" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    cat /proc/self/uid_map /proc/self/gid_map | tr -s ' ' > /maps
	END
	run stacker build
	expect_success
	expect_equal "$(image_file app maps)" " 0 1879113728 1
 1 1879113729 65535
 0 1879113728 1
 1 1879113729 65535"
	run stacker verify app
	expect_exit 0
}

@test "isolation: /proc shows the step's own processes and nothing of the host" {
	builds_differ # mountinfo names the caller's id
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    cd /proc
		    ls -d [0-9]* | wc -l > /pids
		    for f in kcore kallsyms keys cmdline timer_list kmsg sysrq-trigger; do
		      echo "$f $(head -c 64 $f 2>/dev/null | wc -c)"
		    done > /masked
		    if echo 1 > sys/kernel/core_pattern; then echo writable; fi > /sysctl 2>/dev/null
		    cat self/mountinfo > /mounts
		    ls /sys | wc -l > /sys-entries
		    ls /dev | sort > /devices
		    cat cpuinfo > /cpuinfo 2>/dev/null || true # may be hidden whole
	END
	run stacker build
	expect_success
	unpack_image app tree
	[ "$(cat tree/pids)" -le 5 ]
	run grep -v ' 0$' tree/masked
	expect_equal "$output" ""
	expect_equal "$(cat tree/sysctl)" ""
	run grep -F "$BATS_TEST_TMPDIR" tree/mounts
	expect_equal "$output" ""
	expect_equal "$(cat tree/sys-entries)" 0
	for device in null zero full random urandom tty; do
		grep -qx "$device" tree/devices
	done
	run grep -E '^(sd|vd|nvme|mem|kmsg|kvm|fuse|loop)' tree/devices
	expect_equal "$output" ""
	model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
	[ -z "$model" ] || run grep -F "$model" tree/cpuinfo
	expect_equal "$output" ""
}

@test "isolation: what the step leaves in /tmp, /run, /dev and /proc is not in the image" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    echo x > /tmp/x
		    echo x > /run/x
		    echo x > /dev/shm/x
		    echo x > /x
	END
	stacker build
	unpack_image app tree
	expect_equal "$(cd tree && find . -newer /dev/null -o -name x | LC_ALL=C sort | grep -c '/x$')" 1
	[ -z "$(ls -A tree/tmp tree/run tree/dev tree/proc 2>/dev/null | grep -v :)" ]
}

@test "isolation: privileged things fail inside" {
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
		  run: |
		    #!/bin/busybox sh
		    try() { if "$@" >/dev/null 2>&1; then echo "$1 $2 done"; fi; }
		    {
		      try busybox mount -t tmpfs none /tmp
		      try busybox umount /proc
		      try busybox mknod /device b 8 0
		      try busybox unshare -U true
		      try busybox chroot /nowhere true
		      try busybox hostname other
		      try busybox swapon /x
		      try busybox ifconfig lo 127.0.0.2
		      busybox date -s 2001-01-01 >/dev/null 2>&1 || true
		      case $(date) in *2001*) echo "clock set" ;; esac
		      kill -9 1 -1 2>/dev/null || true # init shrugs it off; -1 spares the caller
		    } > /report
		    chown 1234:1234 /report
	END
	run stacker build
	expect_success
	expect_equal "$(image_file app report)" ""
}

@test "isolation: stacker check reports what the sandbox needs, and all of it is there" {
	run stacker check
	expect_success
	expect_output userns overlay seccomp
}

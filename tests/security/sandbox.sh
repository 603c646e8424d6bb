#!/usr/bin/env bash
# Rows SB01 to SB58 of the catalogue, and what `make security` checks beside it: the ablations
# against golden/, a foreign probe, and how fast a step's processes are gone. Called by run.sh.
#
# Most attempts are made by one program in a step of the real stacker, sec_escape, which runs four
# times: in the whole sandbox, and without the seccomp list, the dropping of capabilities and the
# shield of pid 1, one after the other. A row whose check says `twice` fails if its attempts need
# the seccomp list to fail.
#
# shellcheck disable=SC2016,SC2094 # commands for inner shells; a function and a file of one name
set -u -o pipefail
: "${STACKER:?}" "${STACKER_ABLATE:?}" "${SECBIN:?}" "${WORK:?}" "${WHO:?}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/security/sandbox_lib.sh
. "$here/sandbox_lib.sh"

background=()
end_background() {
	local pid
	for pid in "${background[@]}"; do
		kill "$pid" 2>/dev/null
	done
}
trap end_background EXIT

# Something on the host that answers, so that refusal means something.
start_listeners() {
	abstract=stacker-security-$$
	"$SECBIN/sec_tool_static" listen "@$abstract" 900 >"$WORK/abstract.log" &
	background+=($!)
	"$SECBIN/sec_tool_static" listen "$WORK/host.sock" 900 >"$WORK/path.log" &
	background+=($!)
	python3 -c 'import signal, socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
signal.alarm(900)
signal.pause()' >"$WORK/port" &
	background+=($!)
	local i
	for ((i = 0; i < 50; i++)); do
		[ ! -s "$WORK/port" ] || [ ! -s "$WORK/path.log" ] || [ ! -s "$WORK/abstract.log" ] || break
		sleep 0.1
	done
	port=$(cat "$WORK/port")
}

# ---- rows ----

sb01() {
	has "$WORK/found-full" "abstract-unix ECONNREFUSED"
	has "$WORK/found-no-seccomp-caps-dumpable" "abstract-unix ECONNREFUSED"
	expect_equal "$("$SECBIN/sec_tool_static" connect "@$abstract")" ok # from here it works
	mkdir other
	(
		cd other
		recipe <<<"sec_tool listen @between-$$ 4"
		build || true
	) >listener.log 2>&1 &
	for ((i = 0; i < 40; i++)); do
		grep -q listening listener.log && break
		sleep 0.05
	done
	grep -q listening listener.log
	recipe <<<"sec_tool connect @between-$$"
	build_ok
	expect_equal "$(said)" ECONNREFUSED
	refute grep -q "somebody connected" listener.log
	wait
}

sb02() {
	mkdir in
	"$SECBIN/sec_tool_static" listen in/socket 20 &
	sleep 0.2
	printf 'app:\n  from: {type: scratch}\n  imports:\n    - {path: in/, dest: /}\n' >stacker.yaml
	rejects 'import/special-file'
	kill $!
	recipe <<<"sec_tool connect $WORK/host.sock; sec_tool connect /proc/self/root$WORK/host.sock"
	build_ok
	expect_equal "$(said | sort -u)" ENOENT
	expect_equal "$("$SECBIN/sec_tool_static" connect "$WORK/host.sock")" ok
}

sb03() {
	make_victim
	recipe <<-END
		for name in out out.tmp upper work tree roots lower merged view dir blobs staging .empty .l \
			.lock .work skel hosts root index.json oci-layout; do
			ln -s $victim /\$name || ln -s $victim/file /\$name.x
		done
		ln -s $victim/file /result
		rm -rf /tmp/../run/../bin/true && ln -s $victim/dir /bin/true
	END
	build_ok
	expect_victim
	image_list >list
	for name in out upper tree lower merged .l .empty index.json result; do
		grep -Eq "^l.* (\./)?$name -> $victim" list || fail "no link '$name' in the image"
	done
}

sb04() {
	echo public >"$WORK/$id/public"
	chmod 0755 "$WORK/$id"
	recipe <<-'END'
		cp /bin/busybox /raised && chmod 4755 /raised
		echo ready
		sleep 2
	END
	umask 000 # the worst that a caller can have
	build >log 2>&1 &
	for ((i = 0; i < 60; i++)); do
		grep -q ready log && break
		sleep 0.05
	done
	grep -q ready log
	expect_equal "$(as_other cat "$WORK/$id/public")" public # it can come as far as that
	refute as_other ls roots
	refute as_other ls .stacker
	refute as_other stat roots/.work
	refute as_other find roots .stacker -perm -4000
	expect_equal "$(stat -c %a roots .stacker | sort -u)" 700
	wait $!
	refute as_other ls roots
}

sb05() {
	make_victim
	timeout 20 "$SECBIN/sec_host" remove-race "$victim" 4 open
	expect_victim
	# And what a step leaves is removed in the sandbox of a worker.
	recipe <<<"mkdir -p /d/e; ln -s $victim /d/e/link; ln -s / /d/e/root; mkdir -m 0 /d/closed"
	build_ok
	expect_victim
	timeout 20 "$STACKER" clean >/dev/null
	expect_victim
}

sb06() {
	make_victim
	timeout 20 "$SECBIN/sec_host" remove-race "$victim" 3 closed
	expect_victim
	# The directory that is given to the sandbox's ids: never through a link.
	recipe <<<true
	for dir in roots .stacker; do
		remove roots
		remove .stacker
		rm -rf oci
		ln -s "$victim/dir" "$dir"
		build >log 2>&1 || true
		expect_victim
		rm -f "$dir"
	done
	mkdir real
	ln -s "$victim/dir" link
	"$SECBIN/sec_host" swap real link &
	local swapper=$!
	for ((i = 0; i < 25; i++)); do
		timeout 10 "$STACKER" --roots-dir real check >/dev/null 2>&1 || true
	done
	kill "$swapper"
	[ -L link ] || mv -T link real2
	expect_equal "$(stat -c '%u %a' "$victim/dir")" "$(id -u) 755"
	expect_equal "$(cat "$victim/dir/file")" precious
}

sb07() {
	local start length_ms delay want
	recipe <<<'echo x > /x'
	build_ok
	want=$(jq -r '.manifests[0].digest' oci/index.json)
	start=$(date +%s%N)
	build_ok --no-cache
	length_ms=$((($(date +%s%N) - start) / 1000000 + 5))
	RANDOM=4711
	for ((i = 0; i < 200; i++)); do
		delay=$((RANDOM * length_ms / 32768))
		[ $((i % 10)) -ne 0 ] || remove .stacker
		"$STACKER" --quiet build --no-cache >log 2>&1 &
		sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
		kill -9 $! 2>/dev/null || true
		wait $! 2>/dev/null || true
		for dir in .stacker roots; do
			[ ! -d "$dir" ] || expect_equal "$(stat -c %a "$dir")" 700
		done
		if [ -e oci/index.json ]; then # an old image or a new one, and no half
			expect_equal "$(jq -r '.manifests[0].digest' oci/index.json)" "$want"
		fi
	done
	build_ok
	expect_equal "$(jq -r '.manifests[0].digest' oci/index.json)" "$want"
	while IFS= read -r file; do
		expect_equal "$(sha256sum <"$file" | cut -d' ' -f1)" "${file##*/}"
	done < <(find oci .stacker -path '*/blobs/sha256/*' -type f)
	refute test -e roots/.work/0
}

sb08() {
	make_victim
	for name in dev proc sys tmp run etc/hosts; do
		remove .stacker; remove roots; rm -rf oci
		recipe <<<'echo ran'
		rm -rf base/etc
		mkdir -p "base/$(dirname "$name")"
		ln -s "../../../../../..$victim" "base/$name"
		rejects 'sandbox/mountpoint'
		refute grep -q '^app: ran' log
		expect_victim
		rm -rf base
	done
	# Nothing is mounted on this one, and nothing of the host's is reached through it.
	remove .stacker; remove roots
	recipe <<<'echo x > /etc/resolv.conf || echo contained'
	mkdir base/etc
	ln -s "../../../../../..$victim/file" base/etc/resolv.conf
	build_ok
	expect_equal "$(said | tail -n 1)" contained
	expect_victim
}

sb09() {
	make_victim
	recipe <<<'echo ran'
	ln -s "/../../../..$victim" base/dev
	rejects "'/dev' of the image is not a plain directory"
	expect_victim
	rm base/dev && mkdir base/elsewhere && ln -s elsewhere base/dev # inside is no better
	rejects 'sandbox/mountpoint'
}

sb10() {
	local before
	before=$(cat /proc/sys/kernel/core_pattern)
	recipe <<-'END'
		echo '|/evil' > /dev/null
		stat -c '%F %t:%T' /dev/null
		echo x > /proc/sys/kernel/core_pattern && echo written
		stat -f -c %t /dev
	END
	mkdir base/dev
	ln -s /proc/sys/kernel/core_pattern base/dev/null
	build_ok
	said >said
	has said "character special file 1:3" 1021994
	refute grep -q written said
	expect_equal "$(cat /proc/sys/kernel/core_pattern)" "$before"
}

sb11() {
	recipe <<-'END'
		ls /dev/pts; ls -d /dev/console; stat -c %t:%T /dev/ptmx /dev/pts/ptmx
		cat /dev/tty
		for fd in 0 1 2; do tty <&$fd; done
	END
	mkdir -p base/dev
	ln -s /dev/pts/0 base/dev/console
	ln -s / base/dev/pts
	script -qec "timeout 60 $STACKER build" /dev/null >log 2>&1 </dev/null || { cat log; return 1; }
	tr -d '\r' <log | sed -n 's/^app: //p' >said || true
	grep -q '^ptmx$' said
	refute grep -Eq '^[0-9]+$|^/dev/(console|pts)' said
	once dev-console dev-tty0 controlling-tty
}

sb12() {
	recipe <<-'END'
		stat -f -c %t /proc
		cat /proc/fake /proc/self/fake
		(echo 0 0 4294967295 > /proc/self/uid_map) 2>/dev/null && echo mapped
		(echo allow > /proc/self/setgroups) 2>/dev/null && echo groups
	END
	mkdir -p base/proc/self
	echo fake >base/proc/fake
	echo fake >base/proc/self/fake
	build_ok
	said >said
	has said 9fa0
	refute grep -Eq '^(fake|mapped|groups)$' said
	rm -rf base/proc
	ln -s bin base/proc
	rejects 'sandbox/mountpoint'
}

sb13() {
	local before
	before=$(sha256sum <"$STACKER")
	recipe <<-'END'
		sec_tool exe-writer 2 &
		for i in 1 2 3 4 5 6; do sleep 0.3; echo $i; done >/dev/null
		wait
	END
	build_ok
	has <(said) "opened 0"
	expect_equal "$(sha256sum <"$STACKER")" "$before"
	twice init-exe init-exe-write init-root init-mem
	# Only with both gone can it be seen at all, and it can still not be written.
	refute grep -q "^init-exe-write ok" "$WORK/found-no-seccomp-caps-dumpable"
}

sb14() {
	recipe 'working_dir: /proc/self/fd/7' <<-'END'
		sec_tool as 0 /bin/busybox ls /proc/self/fd
		for fd in 3 4 5 6 7 8 9 20 50; do
			ls /proc/self/fd/$fd/etc 2>/dev/null && echo "leaked $fd"
		done
		pwd
	END
	(
		for fd in $(seq 3 50); do
			eval "exec $fd</"
		done
		build_ok
	)
	said >said
	expect_equal "$(head -n 4 said | tr '\n' ' ')" "0 1 2 3 " # 3 is of ls itself
	expect_equal "$(tail -n +5 said)" /
	has "$WORK/found-full" "fds 0 1 2"
	has "$WORK/found-no-seccomp-caps-dumpable" "fds 0 1 2"
}

sb15() {
	make_victim
	recipe 'working_dir: /a/b' <<<'pwd'
	ln -s "/../../../..$victim" base/a
	build_ok
	expect_equal "$(said)" /
	expect_victim
	refute test -e "$victim/b"
}

sb16() {
	make_victim
	ln -s "$victim" link
	mkdir base
	printf 'app:\n  from: {type: scratch}\n  imports:\n    - {path: link/, dest: /}\n' >stacker.yaml
	rejects 'import/'
	mkdir dir
	ln -s "$victim" dir/sub # a link within is a link
	sed -i 's,link/,dir/,' stacker.yaml
	build_ok
	image_list >list
	grep -Eq "^l.*sub -> $victim" list
	refute grep -q 'dir/file' list
}

sb17() {
	for directive in 'binds: ["/var/cache -> /cache"]' 'cache: [/cache]' 'mounts: [{type: cache, target: /c}]' \
		'volumes_from: [x]' 'build_env_passthrough: ["HOME"]'; do
		recipe "$directive" <<<'echo ran'
		rejects '\[recipe/'
		refute grep -q '^app: ran' log
	done
}

sb18() {
	for directive in 'security: 99' 'privileged: true' 'privileged: maybe' 'network: host' 'insecure: true' \
		'sandbox: none' 'run_options: [--privileged]'; do
		recipe "$directive" <<<'echo ran'
		rejects '\[recipe/'
		refute grep -q '^app: ran' log
	done
	recipe <<<'echo ran'
	for option in --privileged --insecure --no-sandbox --no-seccomp --network=host; do
		rejects 'option' "$option"
	done
}

sb19() {
	once tiocsti tiocsti-high-bits tioclinux tioclinux-high-bits controlling-tty
	twice controlling-tty # without one there is nothing to inject into
	has "$WORK/found-full" "session 1" "tiocsti-high-bits EPERM"
}

# An i386 program of 84 + 12 bytes: exit(0) through int 0x80.
write_elf32() {
	{
		printf '\177ELF\1\1\1\0\0\0\0\0\0\0\0\0\2\0\3\0\1\0\0\0\124\200\4\10\64\0\0\0'
		printf '\0\0\0\0\0\0\0\0\64\0\40\0\1\0\0\0\0\0\0\0'
		printf '\1\0\0\0\0\0\0\0\0\200\4\10\0\200\4\10\140\0\0\0\140\0\0\0\5\0\0\0\0\20\0\0'
		printf '\270\1\0\0\0\61\333\315\200\220\220\220'
	} >"$1"
	chmod 0755 "$1"
}

sb20() {
	has "$WORK/found-full" "i386 killed 31" "x32 killed 31"
	recipe <<<'/elf32; echo "exit $?"'
	write_elf32 base/elf32
	./base/elf32 # the kernel of the host runs it
	build_ok
	has <(said) "exit 159"
}

sb21() {
	has "$WORK/found-full" "clone3 ENOSYS" "fsopen ENOSYS" "open-tree ENOSYS" "move-mount ENOSYS" \
		"mount-setattr ENOSYS" "open-tree-attr ENOSYS" "fspick ENOSYS" "fsmount ENOSYS"
	twice clone3 fsopen open-tree move-mount mount-setattr open-tree-attr fspick fsmount
}

sb22() {
	for number in $(seq 463 475); do
		has "$WORK/found-full" "new-$number ENOSYS"
	done
	has "$WORK/found-full" "unknown-500 ENOSYS" "unknown-511 ENOSYS" "unknown-4096 ENOSYS" \
		"statmount ENOSYS" "listmount ENOSYS"
	twice statmount listmount unknown-4096
}

sb23() {
	has "$WORK/found-full" "io-uring ENOSYS" "io-uring-enter ENOSYS" "io-uring-register ENOSYS"
}

sb24() {
	twice host-key session-key-search request-key
	has "$WORK/found-full" "keyctl EPERM" "add-key EPERM" "hidden-keys ENOENT"
	refute grep -q "^host-key ok" "$WORK/found-no-seccomp-caps-dumpable"
}

sb25() {
	twice ptrace-init vm-read-init vm-write-init init-pidfd-getfd init-mem init-maps init-environ \
		init-fd kcmp
	has "$WORK/found-full" "other-processes 0" "parent 1"
	# What pid 1's shield is for: with it gone, the same attempts succeed.
	has "$WORK/found-no-seccomp-caps-dumpable" "ptrace-init ok" "init-mem ok"
}

sb26() {
	twice unshare-user clone-user clone-user-high-bits unshare-mount clone-net setns setns-init
	has "$WORK/found-no-seccomp-caps" "unshare-user ENOSPC" "clone-user ENOSPC"
}

sb27() {
	has "$WORK/found-full" "bpf EPERM" "perf ENOSYS" "userfaultfd ENOSYS" "memfd-secret ENOSYS" \
		"fanotify ENOSYS" "kcmp ENOSYS" "move-pages ENOSYS" "mbind ENOSYS" "vmsplice ENOSYS" \
		"name-to-handle ENOSYS" "open-by-handle ENOSYS" "lookup-dcookie ENOSYS"
	twice bpf perf fanotify kcmp open-by-handle name-to-handle syslog
}

sb28() {
	has "$WORK/found-full" "family-40 EAFNOSUPPORT" "vsock-high-bits EAFNOSUPPORT"
}

sb29() {
	has "$WORK/found-full" "family-38 EAFNOSUPPORT" "family-33 EAFNOSUPPORT" "netlink-6 EAFNOSUPPORT" \
		"family-15 EAFNOSUPPORT" "family-17 EAFNOSUPPORT" "family-44 EAFNOSUPPORT"
	for family in $(seq 0 46); do
		case $family in
		1 | 2 | 10 | 16) ;;
		*) has "$WORK/found-full" "family-$family EAFNOSUPPORT" ;;
		esac
	done
}

sb30() {
	for protocol in $(seq 1 22); do
		has "$WORK/found-full" "netlink-$protocol EAFNOSUPPORT"
	done
}

sb31() {
	twice tcp-host-loopback tcp-outside udp-outside metadata-service raw raw6
	has "$WORK/found-no-seccomp-caps-dumpable" "tcp-outside ENETUNREACH" \
		"tcp-host-loopback ECONNREFUSED" "metadata-service ENETUNREACH"
	has "$WORK/found-full" "own-loopback ok"
	timeout 5 bash -c ": </dev/tcp/127.0.0.1/$port" # from here it works
	recipe <<-END
		cat /proc/net/route /proc/net/if_inet6 2>/dev/null | grep -v lo
		ifconfig -a 2>/dev/null | grep -c 'Link encap'
		ping -c 1 -W 1 127.0.0.1 && echo ping
		nslookup localhost 1.1.1.1 && echo dns
		nc -w 1 ::1 $port && echo six
		nc -w 1 fe80::1 $port && echo link-local
	END
	build_ok
	refute grep -Eq '^(ping|dns|six|link-local)$' <(said)
}

sb32() {
	twice mount-cgroup mount-cgroup2 release-agent
	recipe <<-'END'
		for f in /sys/fs/cgroup/*/release_agent /proc/*/cgroup_release_agent; do
			echo /evil > "$f" && echo written
		done
		mkdir -p /c && mount -t cgroup -o memory none /c && echo mounted
		find / -xdev -name release_agent -o -name cgroup.procs
	END
	build_ok
	expect_equal "$(said | grep -Ec 'written|mounted|cgroup.procs$|release_agent$')" 0
}

sb33() {
	twice mount remount-rw remount-dev remount-nosuid umount umount-hosts mount-bind mount-overlay \
		propagate pivot-root
	recipe <<-'END'
		umount /proc; umount -l /proc/sys; mount -o remount,rw /dev; mount -o remount,exec,suid /tmp
		touch /dev/x /stacker/x && echo written
		grep -c . /proc/self/mountinfo
		grep ' /tmp ' /proc/self/mountinfo
	END
	build_ok
	said >said
	refute grep -q '^written$' said
	grep -q ' /tmp .*nosuid' said
}

sb34() {
	twice hidden-kmsg hidden-kallsyms hidden-keys hidden-key-users hidden-timer_list hidden-cmdline \
		hidden-config.gz hidden-cpuinfo hidden-meminfo hidden-interrupts hidden-modules \
		hidden-slabinfo hidden-diskstats hidden-iomem hidden-version proc-kcore proc-cmdline \
		"hidden-sys/kernel/random/boot_id" hidden-sysrq-trigger
	recipe <<-'END'
		ls /proc | grep -Ev '^([0-9]+|self|thread-self)$'
		cat /proc/sys/kernel/random/boot_id /proc/1/mountinfo /proc/1/cmdline
	END
	build_ok
	said >said
	refute grep -v "can't\|No such" said
}

sb35() {
	recipe <<<'cat /proc/self/mountinfo /proc/self/mounts /proc/self/mountstats'
	build_ok
	said >said
	grep -q overlay said
	refute grep -F "$WORK" said
	refute grep -Ei 'stacker-security|/roots|\.work|sha256_' said
	refute grep -F "$(stat -c %n "$WORK")" said
}

sb36() {
	recipe <<<'ls -A /sys | wc -l; mount -t sysfs none /sys && ls /sys; touch /sys/x || echo read-only'
	build_ok
	expect_equal "$(said | grep -v denied | head -n 1)" 0
	has <(said) read-only
	twice sys-write
}

sb37() {
	recipe <<-'END'
		grep -h ^Cap /proc/self/status | tr -d '\t'
		sec_tool as 33 /bin/busybox grep -h ^Cap /proc/self/status | tr -d '\t'
	END
	build_ok
	expect_equal "$(said | tr '\n' ' ')" "CapInh:0000000000000000 CapPrm:00000000800401fb \
CapEff:00000000800401fb CapBnd:00000000800401fb CapAmb:0000000000000000 CapInh:0000000000000000 \
CapPrm:0000000000000000 CapEff:0000000000000000 CapBnd:00000000800401fb CapAmb:0000000000000000 "
	# A program with the file capability of SYS_ADMIN gains nothing.
	has "$WORK/found-full" "file-caps ok" "raised-caps 00000000"
	has "$WORK/found-no-seccomp" "raised-caps 00000000"
}

sb38() {
	has "$WORK/found-full" "set-user-id ok" "raised-ids 33 33" "no-new-privs 1"
	has "$WORK/found-no-seccomp-caps-dumpable" "raised-ids 33 33" "no-new-privs 1"
	recipe <<-'END'
		cp /bin/busybox /id && chmod 6755 /id
		sec_tool as 33 /id -u
		grep ' / ' /proc/self/mountinfo
	END
	build_ok
	has <(said) 33
	grep -q ' / .*nosuid' <(said)
}

sb39() {
	local pattern
	pattern=$(cat /proc/sys/kernel/core_pattern)
	recipe <<-'END'
		mkdir /crash && cd /crash
		ulimit -c unlimited
		ulimit -c
		sec_tool crash
		echo "exit $?"
		ls -A /crash
	END
	build_ok
	said >said
	has said "exit 139"
	refute grep -Eq '^core' said
	refute grep -Eq 'crash/core' <(image_list)
	has "$WORK/found-full" "core 1 1"
	[[ $pattern != [@]* ]] || fail "core dumps of this machine go to a socket: $pattern"
}

sb40() {
	recipe <<-'END'
		trap '' TERM HUP INT
		kill -9 1; kill -9 $PPID; kill -TERM -1; kill -STOP 1; kill -9 -1
		kill -0 1 && echo "1 lives"
		echo alive > /alive
	END
	build_ok
	has <(said) "1 lives"
	image_list >list
	grep -q alive list
	has "$WORK/found-full" "kill-all ESRCH"
	recipe <<<'kill -9 $$'
	rejects 'exit code 137'
}

# Also what `make security` must show: 300 that ignore TERM are gone within 100 ms.
sb41() {
	local end gone mark=lingerer-$$-$RANDOM
	recipe <<-END
		ln -s sec_tool /bin/$mark
		$mark daemons 300
		sleep 0.5
		sec_tool clock
	END
	timeout 60 "$SECBIN/sec_host" watch "$mark" 300 >gone &
	local watcher=$!
	build_ok
	expect_equal "$("$SECBIN/sec_host" count "$mark")" 0
	wait "$watcher"
	end=$(said | tail -n 1)
	gone=$(cat gone)
	echo "gone $(((gone - end) / 1000)) ms after the last command of the step"
	echo "$(((gone - end) / 1000))" >"$WORK/teardown-ms"
	[ "$((gone - end))" -le 100000 ] || fail "$((gone - end)) us until 300 were gone"
}

sb42() {
	local mark=killed-$$-$RANDOM pid delay left
	recipe <<-END
		ln -s sec_tool /bin/$mark
		$mark daemons 20
		echo started
		sleep 0.15
		head -c 3000000 /dev/urandom > /data
	END
	cp "$STACKER" "./$mark"
	RANDOM=815
	for ((i = 0; i < 24; i++)); do
		delay=$((i * 20 + RANDOM % 20))
		[ $((i % 4)) -ne 0 ] || { remove .stacker; remove roots; }
		timeout 60 "./$mark" build --no-cache >log 2>&1 &
		pid=$!
		sleep "$(printf '0.%03d' "$delay")"
		# timeout is the parent of the one that is killed
		pkill -9 -P "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		for ((k = 0; k < 20; k++)); do
			left=$("$SECBIN/sec_host" count "$mark")
			[ "$left" -ne 0 ] || break
			sleep 0.05
		done
		expect_equal "$left" 0
	done
	refute grep -F "$WORK" /proc/self/mountinfo
}

# limited LIMITS: puts them into the recipe.
limited() {
	printf 'config:\n  limits: {%s}\n' "$1" >>stacker.yaml
}

# The fixed limits of policy/limits.yaml, made smaller in the test build.
with_limits() {
	local limits=$1
	shift
	STACKER_TEST_LIMITS=$limits STACKER_UNDER_TEST=$STACKER_ABLATE "$@"
}

sb43() {
	local mark=bomb-$$-$RANDOM
	recipe <<-END
		ln -s sec_tool /bin/$mark
		$mark daemons 50
		b() { b | b & }; b
		sleep 20
	END
	limited "processes: 200"
	rejects 'sandbox/process-limit'
	expect_equal "$("$SECBIN/sec_host" count "$mark")" 0
	recipe <<<'sec_tool forks 1 2 3 4 5 6; sleep 2' # one limit for all users of the sandbox
	limited "processes: 200"
	rejects 'sandbox/process-limit'
	# The second mechanism: RLIMIT_NPROC, set before the user namespace.
	recipe <<<'sec_tool forks 1 2 3 4 5 6'
	with_limits nproc=600 build >log 2>&1 || grep -q 'sandbox/process-limit' log
	said | sed -n 's/ EAGAIN$//p' >forks
	[ "$(cat forks)" -le 600 ]
}

sb44() {
	for fill in 'sec_tool memory 256' 'sec_tool fill /tmp/x 256' 'sec_tool fill /run/x 256' \
		'sec_tool fill /dev/shm/x 256' 'sec_tool fill memfd 256'; do
		recipe <<<"$fill"
		limited "memory: 64MiB"
		rejects 'sandbox/memory-limit' --no-cache || fail "$fill"
	done
	# The second mechanism: address space and sized file systems.
	recipe <<<'sec_tool memory 256; sec_tool fill /tmp/x 64; sec_tool fill /dev/shm/x 64'
	with_limits as_bytes=134217728,tmp_bytes=16777216,shm_bytes=16777216 build_ok
	said >said
	expect_equal "$(cut -d' ' -f2 said | tr '\n' ' ')" "ENOMEM ENOSPC ENOSPC "
}

sb45() {
	recipe <<<'sec_tool fill /x 200; sleep 5'
	limited "disk: 64MiB"
	rejects 'sandbox/disk-limit'
	[ "$(du -sm roots 2>/dev/null | cut -f1)" -lt 100 ]
	recipe <<<'mkdir /d; sec_tool files /d 100000; sleep 5'
	limited "files: 20000"
	rejects 'sandbox/file-limit'
	# The second mechanism.
	recipe <<<'sec_tool fill /x 64; sec_tool fill memfd 64'
	with_limits fsize_bytes=16777216 build_ok
	expect_equal "$(said | tr '\n' ' ')" "16 EFBIG 16 EFBIG "
}

sb46() {
	local mark=endless-$$-$RANDOM
	recipe <<<'sleep 60'
	limited "time: 1s"
	rejects 'sandbox/time-limit'
	recipe <<<"ln -s sec_tool /bin/$mark; $mark daemons 3; exec >/dev/null 2>&1; while :; do :; done"
	limited "time: 1s"
	rejects 'sandbox/time-limit'
	recipe <<<'yes 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'
	limited "log: 4MiB"
	rejects 'sandbox/log-limit'
	[ "$(du -sm .stacker | cut -f1)" -lt 40 ]
	expect_equal "$("$SECBIN/sec_host" count "$mark")" 0
}

sb47() {
	recipe <<-'END'
		echo ready
		sleep 0.5
	END
	export STACKER
	# Shared mounts above: whatever a sandbox mounted would show here.
	# shellcheck disable=SC2016 # for the inner shell
	with_own_mounts bash -c '
		mount --make-rshared / || exit 1
		cat /proc/self/mountinfo | sort >before
		"$STACKER" build >log 2>&1 &
		for ((i = 0; i < 60; i++)); do grep -q ready log && break; sleep 0.05; done
		cat /proc/self/mountinfo | sort >during
		wait $! || exit 1
		cat /proc/self/mountinfo | sort >after
		grep -q shared before'
	grep -q ready log
	expect_equal "$(cat during)" "$(cat before)"
	expect_equal "$(cat after)" "$(cat before)"
}

sb48() {
	has "$WORK/found-full" "mknod-whiteout EPERM" "mknod-null EPERM" "mknod-disk EPERM"
	twice mknod-whiteout mknod-null mknod-disk
	for name in .wh.x .wh..wh..opq .wh..wh.plnk .wh. bin/.wh.sh; do
		recipe <<<"touch /$name"
		rejects '\.wh\.'
	done
}

sb49() {
	recipe <<-'END'
		mkdir /bin2 && touch /f
		for name in opaque whiteout redirect metacopy origin; do
			sec_tool setxattr /f user.overlay.$name y
			sec_tool setxattr /bin user.overlay.$name y
		done
		sec_tool setxattr /f user.fine y
		sec_tool setxattr /f trusted.overlay.opaque y
	END
	if build >log 2>&1; then
		refute grep -aEq '(user|trusted)\.overlay' "$(image_blobs | tail -n 1)"
		grep -aq 'user\.fine' "$(image_blobs | tail -n 1)"
	else
		grep -q 'overlay' log
	fi
}

sb50() {
	recipe <<<'id -u; id -g; grep Groups: /proc/self/status | tr -d " \t"'
	if [ "$WHO" = root ]; then
		setpriv --groups 4,20,24 timeout 60 "$STACKER" build >log 2>&1
	else
		echo "groups of this user: $(id -G)"
		build_ok
	fi
	expect_equal "$(said | tr '\n' ' ')" "0 0 Groups: "
	has "$WORK/found-full" "ids 0 0 0"
}

sb51() {
	local config
	for user in 4294967296 4294967295 -1 0x0 '1:' ':1' 'root:' '1:4294967296' '00' '+1' ' 1' '1e3' \
		'65536:99999999999'; do
		recipe "runtime_user: \"$user\"" <<<'id -u'
		if build >log 2>&1; then
			config=$(jq -r '.manifests[0].digest' oci/index.json)
			config=$(jq -r '.config.digest' "oci/blobs/${config/://}")
			expect_equal "$(jq -r '.config.User' "oci/blobs/${config/://}")" "$user"
			has <(said) 0 # of the step itself, which no name decides
		else
			grep -q 'recipe/' log || fail "'$user': $(cat log)"
		fi
		rm -rf oci
	done
}

sb52() {
	recipe <<<'sed -n "s/^Uid:.//p" /proc/self/status | cut -f1'
	mkdir base/etc
	ln -s /dev/zero base/etc/passwd
	truncate -s 64M base/etc/group
	ln -s /dev/stdin base/etc/nsswitch.conf
	build_ok
	has <(said) 0
	cat >>stacker.yaml <<-'END'
		next:
		  from: {type: built, tag: app}
		  run: |
		    #!/bin/busybox sh
		    PATH=/bin; busybox rm -f /etc/passwd /etc/group
		    busybox mkfifo /etc/passwd /etc/group /etc/shadow; echo made
		last:
		  from: {type: built, tag: next}
		  run: |
		    #!/bin/busybox sh
		    busybox stat -c %F /etc/passwd
	END
	local start=$SECONDS
	build_ok
	grep -q '^last: fifo' log
	[ $((SECONDS - start)) -le 10 ]
}

# edit_config JQ: changes the config of the one image in oci/, and the digests above it.
edit_config() {
	local index=oci/index.json manifest config sum size
	put() {
		local sum
		sum=$(sha256sum "$1" | cut -d' ' -f1)
		mv "$1" "oci/blobs/sha256/$sum"
		echo "$sum $(stat -c %s "oci/blobs/sha256/$sum")"
	}
	manifest=$(jq -r '.manifests[0].digest' "$index")
	config=$(jq -r '.config.digest' "oci/blobs/${manifest/://}")
	jq -c "$1" "oci/blobs/${config/://}" >new
	read -r sum size <<<"$(put new)"
	jq -c --arg d "sha256:$sum" --argjson s "$size" '.config.digest = $d | .config.size = $s' \
		"oci/blobs/${manifest/://}" >new
	read -r sum size <<<"$(put new)"
	jq -c --arg d "sha256:$sum" --argjson s "$size" \
		'.manifests[0].digest = $d | .manifests[0].size = $s' "$index" >new
	mv new "$index"
}

write_child() {
	cat >child.yaml <<-END
		child:
		  from: {type: oci, url: "base-oci:app"}
		  run: |
		    #!/bin/busybox sh
		    busybox env
	END
}

sb53() {
	recipe <<<true
	build_ok
	write_child
	cp -R oci plain
	for env in '["AWS_SECRET"]' '["=x"]' '["A=1","AWS_SECRET"]' '[""]'; do
		rm -rf oci base-oci
		cp -R plain oci
		edit_config ".config.Env = $env"
		mv oci base-oci
		if AWS_SECRET=leaked HOME=leaked build -f child.yaml >log 2>&1; then
			fail "a config with Env $env was accepted"
		fi
		refute grep -q 'leaked' log
		grep -q '\[image/' log || { cat log; return 1; }
	done
	# And nothing of the caller's environment is there in a good one.
	rm -rf base-oci
	mv plain base-oci
	AWS_SECRET=leaked LD_PRELOAD='' BASH_ENV=leaked build -f child.yaml >log 2>&1
	grep -q '^child: PATH=' log
	refute grep -q leaked log
}

sb54() {
	recipe <<<true
	build_ok
	write_child
	cp -R oci keep
	mv oci base-oci
	build -f child.yaml >log 2>&1
	sed -n 's/^child: //p' log | sort >env.plain
	rm -rf base-oci oci
	cp -R keep oci
	edit_config '.config.Labels = {"invalid.stacker-hermetic.recipe": "sha256:0", "privileged": "true",
		"io.stacker.binds": "/:/host", "invalid.stacker-hermetic.format": "99", "security": "none",
		"containerd.io/restart": "x", "build_env": "A=evil", "run": "touch /evil"}
		| .config.User = "../../root" | .config.WorkingDir = "/../../.." | .config.StopSignal = "x"'
	mv oci base-oci
	if build -f child.yaml >log 2>&1; then
		sed -n 's/^child: //p' log | sort >env.labels
		expect_equal "$(cat env.labels)" "$(cat env.plain)"
		refute grep -q evil <(image_list)
	else
		grep -q '\[image/' log || { cat log; return 1; } # refused is as good
	fi
	refute test -e /evil
}

sb55() {
	mkdir evil
	for name in newuidmap newgidmap id sh mount unshare; do
		printf '#!/bin/sh\ntouch %s\n' "$PWD/evil-ran" >"evil/$name"
		chmod 0755 "evil/$name"
	done
	recipe <<<'echo ran'
	(
		export PATH=$PWD/evil:$PATH IFS=/ BASH_ENV=$PWD/evil/sh ENV=$PWD/evil/sh
		export NEWUIDMAP=$PWD/evil/newuidmap SHELL=$PWD/evil/sh
		/usr/bin/timeout 60 "$STACKER" build >log 2>&1
	)
	has <(said) ran
	refute test -e evil-ran
	expect_equal "$(LEAKED=leaked LC_ALL=leaked LD_LIBRARY_PATH=/leaked "$SECBIN/sec_host" helper-env |
		grep -c leaked)" 0
}

# refuses_in PATTERN COMMAND...: a command that runs a build under lack of something.
refuses_in() {
	local pattern=$1 rc=0
	shift
	remove oci
	remove roots
	remove .stacker
	"$@" >log 2>&1 || rc=$?
	[ "$rc" -ne 0 ] || fail "built without it: $*"
	[ "$rc" -lt 124 ] || { cat log; fail "exit $rc"; }
	grep -Eq -e "$pattern" log || { cat log; fail "no '$pattern': $*"; }
	refute grep -q '^app: ran' log
	refute test -e oci/index.json
}

sb56() {
	export STACKER
	recipe <<<'echo ran'
	for place in with_own_mounts with_own_users; do # there, all is well
		$place timeout 60 "$STACKER" build --no-cache >log 2>&1 || { cat log; return 1; }
		grep -q '^app: ran' log
	done
	# No more user namespaces.
	refuses_in 'max_user_namespaces' with_own_users bash -c \
		'echo 0 >/proc/sys/user/max_user_namespaces && exec "$STACKER" build --no-cache'
	# A /proc of which parts are covered, as in a container.
	refuses_in 'sandbox/proc' with_own_mounts bash -c \
		'mount -t tmpfs none /proc/fs && exec "$STACKER" build --no-cache'
	# Ids that cannot be mapped; no newuidmap; one that is not root's.
	refuses_in 'sandbox/idmap' unshare --map-root-user "$STACKER" build --no-cache
	if [ "$WHO" = user ]; then
		refuses_in 'newuidmap' with_own_mounts bash -c 'mount --bind /dev/null /usr/bin/newuidmap &&
			exec setpriv --inh-caps=-all --ambient-caps=-all "$STACKER" build --no-cache'
		refuses_in 'subuid|subordinate' with_own_mounts bash -c 'mount --bind /dev/null /etc/subuid &&
			exec "$STACKER" build --no-cache'
	fi
	# A kernel that lacks a call which a protection needs.
	for call in seccomp clone3 pivot_root mount_setattr fsopen move_mount open_tree setgroups \
		sethostname close_range openat2 capset prlimit64 setsid; do
		refuses_in 'error: ' with_own_mounts "$SECBIN/sec_host" without "$call" -- \
			"$STACKER" build --no-cache
	done
	refuses_in 'seccomp' with_own_mounts "$SECBIN/sec_host" without seccomp -- \
		"$STACKER" build --no-cache
	# An overlay on what cannot hold one.
	refuses_in 'error: ' timeout 60 "$STACKER" --roots-dir /proc/self build --no-cache
}

sb57() {
	local deep="" i
	recipe "build_env: {BIG: \"$(head -c 200000 /dev/zero | tr '\0' x)\"}" <<<'echo ran'
	rejects 'error: '
	recipe <<<"true $(head -c 1500000 /dev/zero | tr '\0' x)"
	rejects 'error: '
	recipe <<<'env | wc -c; pwd'
	BAD=$'\xff\xfe' timeout 60 env "$(printf 'X\377Y=\377')" "$STACKER" build >log 2>&1
	grep -q '^app: /$' log
	printf 'app\xff:\n  from: {type: scratch}\n' >bad.yaml
	rejects 'error: ' -f bad.yaml
	for ((i = 0; i < 30; i++)); do deep+=/dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd; done
	mkdir -p ".$deep"
	cp -R base stacker.yaml ".$deep/"
	(
		cd ".$deep"
		build_ok
	)
	recipe <<-'END'
		i=0; while [ $i -lt 1200 ]; do mkdir dddd && cd dddd || break; i=$((i + 1)); done
		echo $i > f; echo "made $i"
	END
	if ! build >log 2>&1; then grep -q 'error: ' log; fi
	grep -q '^app: made' log
	recipe <<<'echo again'
	build_ok # what the deep tree left is gone
}

sb58() {
	twice mount-binfmt "hidden-sys/fs/binfmt_misc"
	recipe <<<'mount -t binfmt_misc none /tmp && echo mounted; echo :x:M::AA::/bin/sh: > /proc/sys/fs/binfmt_misc/register && echo registered'
	build_ok
	refute grep -Eq '^(mounted|registered)$' <(said)
}

# ---- beside the catalogue ----

# NAME: the probe's lines are exactly those of golden/, which is written by `GOLDEN=DIR`.
golden() {
	[ -z "${GOLDEN:-}" ] || cp "$WORK/found-$1" "$GOLDEN/escape-$1.txt"
	[ "$(wc -l <"$WORK/found-$1")" -ge 100 ]
	diff "$here/golden/escape-$1.txt" "$WORK/found-$1"
}
golden_full() { golden full; }
golden_no_seccomp() { golden no-seccomp; }
golden_no_caps() { golden no-seccomp-caps; }
golden_dumpable() { golden no-seccomp-caps-dumpable; }

# A program of somebody else's, given by FOREIGN_PROBE: whatever it prints that is no line of
# FOREIGN_GOLDEN (none, without one), and any exit code but 0, is a finding.
foreign() {
	recipe <<<'/foreign; echo "exit $?"'
	cp "$FOREIGN_PROBE" base/foreign
	chmod 0755 base/foreign
	build_ok
	said >said
	grep -Fvx -e 'exit 0' said | grep -Fvxf "${FOREIGN_GOLDEN:-/dev/null}" >found || true
	cat found
	refute test -s found
	has said 'exit 0'
}

main() {
	local id=main
	cd "$WORK" || exit 1
	make_base "$WORK/base"
	echo canary >"$WORK/canary"
	chmod 0644 "$WORK/canary"
	start_listeners
	mkdir "$WORK/probe"
	cd "$WORK/probe" || exit 1
	probe "$WORK/found-full" full
	probe "$WORK/found-no-seccomp" seccomp
	probe "$WORK/found-no-seccomp-caps" seccomp,caps
	probe "$WORK/found-no-seccomp-caps-dumpable" seccomp,caps,dumpable
	remove "$WORK/probe"
	while IFS='|' read -r id fn tried stopped; do
		row "$id" "$tried" "$stopped" "$fn"
	done <"$here/sandbox_rows.txt"
	[ -z "${FOREIGN_PROBE:-}" ] ||
		row escape-foreign "$FOREIGN_PROBE in a step" "the whole sandbox" foreign
	end_background
	cat "$WORK/times" >&2
}
main

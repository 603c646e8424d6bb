# shellcheck shell=bash
# SB19 to SB38: what a step can have the kernel do or tell.
# shellcheck disable=SC2016,SC2094,SC2154 # commands for inner shells; a function and a file of one
# name; variables of sandbox.sh

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
	has "$WORK/found-no-seccomp" "i386 killed 31" "x32 killed 31"
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
	for number in $(seq 463 475); do
		has "$WORK/found-no-seccomp" "new-$number ENOSYS"
	done
	twice statmount listmount unknown-4096
}

sb23() {
	has "$WORK/found-full" "io-uring ENOSYS" "io-uring-enter ENOSYS" "io-uring-register ENOSYS"
	guarded io-uring io-uring-new io-uring-enter io-uring-register
}

sb24() {
	twice host-key session-key-search request-key
	has "$WORK/found-full" "keyctl EPERM" "add-key EPERM" "hidden-keys ENOENT"
	refute grep -q "^host-key ok" "$WORK/found-no-filters-caps-dumpable"
}

sb25() {
	twice ptrace-init vm-read-init vm-write-init init-pidfd-getfd init-mem init-maps init-environ \
		init-fd kcmp
	has "$WORK/found-full" "other-processes 0" "parent 1"
	# What pid 1's shield is for: with it gone, the same attempts succeed.
	has "$WORK/found-no-filters-caps-dumpable" "ptrace-init ok" "init-mem ok"
}

sb26() {
	twice unshare-user clone-user clone-user-high-bits unshare-mount clone-net setns setns-init
	twice unshare-net unshare-pid unshare-uts unshare-ipc unshare-cgroup unshare-time
	# With the capability the limits hold.
	has "$WORK/found-no-filters-caps" "unshare-user ENOSPC" "clone-user ENOSPC" \
		"unshare-net ENOSPC" "unshare-pid ENOSPC" "unshare-uts ENOSPC" \
		"unshare-ipc ENOSPC" "unshare-cgroup ENOSPC" "unshare-time ENOSPC"
}

sb27() {
	has "$WORK/found-full" "bpf EPERM" "perf ENOSYS" "userfaultfd ENOSYS" "memfd-secret ENOSYS" \
		"fanotify ENOSYS" "kcmp ENOSYS" "move-pages ENOSYS" "mbind ENOSYS" "vmsplice ENOSYS" \
		"name-to-handle ENOSYS" "open-by-handle ENOSYS" "lookup-dcookie ENOSYS"
	guarded bpf-new-map perf-own-cycles userfaultfd memfd-secret fanotify-user move-pages
	twice bpf bpf-new-map perf fanotify fanotify-user kcmp open-by-handle name-to-handle syslog
}

sb28() {
	has "$WORK/found-full" "family-40 EAFNOSUPPORT" "vsock-high-bits EAFNOSUPPORT"
	guarded family-40 vsock-high-bits
}

sb29() {
	has "$WORK/found-full" "family-38 EAFNOSUPPORT" "family-33 EAFNOSUPPORT" "netlink-6 EAFNOSUPPORT" \
		"family-15 EAFNOSUPPORT" "family-17 EAFNOSUPPORT" "family-44 EAFNOSUPPORT"
	for family in $(seq 0 46); do
		case $family in
		1 | 2 | 10 | 16) ;;
		*)
			has "$WORK/found-full" "family-$family EAFNOSUPPORT"
			guarded "family-$family"
			;;
		esac
	done
	twice xfrm-new-state xfrm-new-policy
}

sb30() {
	for protocol in $(seq 1 22); do
		has "$WORK/found-full" "netlink-$protocol EAFNOSUPPORT"
		guarded "netlink-$protocol"
	done
	# Where the socket is to be had, what it asks for is not.
	twice route-new-link route-new-address audit-status audit-message netfilter-new-table \
		netfilter-new-set
}

sb31() {
	twice tcp-host-loopback tcp-outside udp-outside metadata-service raw raw6
	has "$WORK/found-no-filters-caps-dumpable" "tcp-outside ENETUNREACH" \
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
	has "$WORK/found-no-filters-caps-dumpable" "raised-ids 33 33" "no-new-privs 1"
	recipe <<-'END'
		cp /bin/busybox /id && chmod 6755 /id
		sec_tool as 33 /id -u
		grep ' / ' /proc/self/mountinfo
	END
	build_ok
	has <(said) 33
	grep -q ' / .*nosuid' <(said)
}

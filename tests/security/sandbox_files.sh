# shellcheck shell=bash
# SB01 to SB18: files, links and descriptors, of the host and of other builds.
# shellcheck disable=SC2016,SC2094,SC2154 # commands for inner shells; a function and a file of one
# name; variables of sandbox.sh

sb01() {
	has "$WORK/found-full" "abstract-unix ECONNREFUSED"
	has "$WORK/found-no-filters-caps-dumpable" "abstract-unix ECONNREFUSED"
	expect_equal "$("$SECBIN/sec_tool_static" connect "@$abstract")" ok # from here it works
	mkdir other
	(
		cd other || exit 1
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
	tr -d '\r' <log | sed -n '/^app: cache miss because /d; s/^app: //p' >said || true
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
	refute grep -q "^init-exe-write ok" "$WORK/found-no-filters-caps-dumpable"
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
	has "$WORK/found-no-filters-caps-dumpable" "fds 0 1 2"
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

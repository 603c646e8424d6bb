# shellcheck shell=bash
# SB39 to SB58: processes and limits, what a step leaves, and what stacker starts from.
# shellcheck disable=SC2016,SC2094,SC2154 # commands for inner shells; a function and a file of one
# name; variables of sandbox.sh

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
	echo "300 processes gone $(((gone - end) / 1000)) ms after the last command" | tee -a "$WORK/times"
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
		gzip -dc "$(image_blobs | tail -n 1)" >layer.tar
		refute grep -aEq '(user|trusted)\.overlay' layer.tar
		grep -aq 'user\.fine' layer.tar
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
	sed -n '/^child: cache miss because /d; s/^child: //p' log | sort >env.plain
	rm -rf base-oci oci
	cp -R keep oci
	edit_config '.config.Labels = {"io.stackeroci.stacker.recipe": "sha256:0", "privileged": "true",
		"io.stacker.binds": "/:/host", "io.stackeroci.stacker.format": "99", "security": "none",
		"containerd.io/restart": "x", "build_env": "A=evil", "run": "touch /evil"}
		| .config.User = "../../root" | .config.WorkingDir = "/../../.." | .config.StopSignal = "x"'
	mv oci base-oci
	if build -f child.yaml >log 2>&1; then
		sed -n '/^child: cache miss because /d; s/^child: //p' log | sort >env.labels
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
		# The namespace with the ids cannot be entered.
		refuses_in 'setns' with_own_mounts "$SECBIN/sec_host" without setns -- \
			"$STACKER" build --no-cache
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
		cd ".$deep" || exit 1
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

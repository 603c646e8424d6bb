# shellcheck shell=bash
# What the rows of the sandbox share: projects, builds, assertions. Sourced by sandbox.sh, which
# sets `port` and `abstract`.
# shellcheck disable=SC2154,SC2001

fail() {
	echo "$*" >&2
	return 1
}

# row ID TRIED STOPPED FUNCTION: runs it in a directory of its own and prints the row's line.
row() {
	local id=$1 tried=$2 stopped=$3 fn=$4 rc started=$SECONDS
	[[ -z ${ROWS:-} || " $ROWS " == *" $id "* ]] || return 0
	mkdir -p "$WORK/$id"
	cd "$WORK/$id" || exit 1
	(
		set -eE
		trap 'echo "$id: line $LINENO of ${FUNCNAME[0]:-}: $BASH_COMMAND" >&2' ERR
		"$fn"
	) >"$WORK/$id.log" 2>&1
	rc=$?
	cd "$WORK" || exit 1
	if [ "$rc" -eq 0 ]; then
		printf '%s|ok|%s|%s\n' "$id" "$tried" "$stopped"
	else
		printf '%s|FAIL|%s|%s\n' "$id" "$tried" "$stopped"
		{ echo "== $id ($WHO)"; tail -n 25 "$WORK/$id.log"; } >&2
	fi
	echo "$id: $((SECONDS - started)) s" >>"$WORK/times"
	remove "$WORK/$id"
}

# Trees may hold directories of mapped ids.
remove() {
	chmod -R u+rwX "$1" 2>/dev/null || true
	rm -rf "${1:?}" 2>/dev/null || unshare --map-root-user --map-auto rm -rf "$1"
}

# One static shell, the two programs that look around, and nothing else.
make_base() {
	mkdir -p "$1/bin"
	cp /bin/busybox "$1/bin/busybox"
	ln -sf busybox "$1/bin/sh"
	cp "$SECBIN/sec_escape_static" "$1/bin/sec_escape"
	cp "$SECBIN/sec_tool_static" "$1/bin/sec_tool"
	ln -sf busybox "$1/bin/true"
}

# recipe [YAML]: an image 'app' on the base in ./base whose script comes from stdin; YAML is more
# directives of it.
recipe() {
	[ -d base ] || cp -R "$WORK/base" base
	{
		cat <<-'END'
			app:
			  from: {type: scratch}
			  imports:
			    - path: base/
			      dest: /
		END
		[ -z "${1:-}" ] || sed 's/^/  /' <<<"$1"
		printf '  run: |\n    #!/bin/busybox sh\n    PATH=/bin; busybox --install -s /bin 2>/dev/null\n'
		sed 's/^/    /'
		echo '    exit 0'
	} >stacker.yaml
}

build() {
	timeout --kill-after=5 60 "${STACKER_UNDER_TEST:-$STACKER}" build "$@"
}

# What the step of 'app' printed.
said() {
	sed -n '/^app: cache miss because /d; s/^app: //p' log
}

build_ok() {
	build "$@" >log 2>&1 || { cat log; fail "the build failed"; }
}

# rejects PATTERN [ARG...]: the build fails, says so, and leaves no image and no result.
rejects() {
	local pattern=$1 rc=0
	shift
	rm -rf oci
	build "$@" >log 2>&1 || rc=$?
	if [ "$rc" -eq 0 ] || [ "$rc" -ge 124 ]; then
		cat log
		fail "exit $rc, expected a refusal"
	fi
	grep -Eq -e "$pattern" log || { cat log; fail "no '$pattern' in what it said"; }
	[ ! -e oci/index.json ] || [ "$(jq '.manifests | length' oci/index.json)" -eq 0 ] ||
		fail "there is an image"
}

expect_equal() {
	[ "$1" = "$2" ] || { printf 'expected: %s\ngot:      %s\n' "$2" "$1"; return 1; }
}

# has FILE LINE...: whole lines.
has() {
	local file=$1 line
	shift
	for line in "$@"; do
		grep -Fxq -e "$line" "$file" ||
			fail "expected '$line', got '$(grep -e "^${line%% *} " "$file" | head -n 1)'"
	done
}

refute() {
	if "$@"; then fail "should have failed: $*"; fi
}

# A directory outside, which nothing may touch, beside its state before.
make_victim() {
	victim=$WORK/victim-${id:-x}
	mkdir -p "$victim/dir"
	echo precious >"$victim/file"
	echo precious >"$victim/dir/file"
	victim_state=$(state_of "$victim")
}

state_of() {
	(cd "$1" && find . -printf '%p %y %m %U %G %s %T@ %l\n' | sort && find . -type f -exec sha256sum {} + |
		sort)
}

expect_victim() {
	expect_equal "$(state_of "$victim")" "$victim_state"
}

image_blobs() {
	local index=oci/index.json manifest
	manifest=$(jq -er '.manifests[0].digest' "$index") || return 1
	jq -er '.layers[].digest' "oci/blobs/${manifest/://}" | sed 's,^\(.*\):\(.*\)$,oci/blobs/\1/\2,'
}

# The names and types of all layers' entries, as tar lists them.
image_list() {
	local blob
	while read -r blob; do
		tar -tvf "$blob"
	done < <(image_blobs)
}

# Runs a command with mounts of its own, in which it may mount, as the same user: root in a mount
# namespace, others in a user namespace that maps their ids to themselves.
with_own_mounts() {
	local uid gid sub_uid sub_gid
	if [ "$WHO" = root ]; then
		unshare --mount "$@"
		return
	fi
	uid=$(id -u)
	gid=$(id -g)
	sub_uid=$(awk -F: -v u="$(id -un)" '$1 == u { print $2; exit }' /etc/subuid)
	sub_gid=$(awk -F: -v u="$(id -un)" '$1 == u { print $2; exit }' /etc/subgid)
	unshare --user --mount --map-user="$uid" --map-group="$gid" \
		--map-users="$sub_uid,$sub_uid,65536" --map-groups="$sub_gid,$sub_gid,65536" \
		--keep-caps "$@"
}

# The same in a user namespace of its own for root, too, which holds the ids of root's sandboxes.
with_own_users() {
	if [ "$WHO" = root ]; then
		"$SECBIN/sec_host" own-users 1879113728 "$@"
	else
		with_own_mounts "$@"
	fi
}

# As somebody else, who is not root either.
as_other() {
	if [ "$WHO" = root ]; then
		setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
	else
		unshare --map-root-user --map-auto setpriv --reuid=4321 --regid=4321 --clear-groups "$@"
	fi
}

# The probe's lines on a sandbox of which parts are taken away: probe FILE WORDS.
probe() {
	local file=$1 words=$2 program=$STACKER
	[ "$words" = full ] || program=$STACKER_ABLATE
	recipe "build_env: {PORT: \"$port\", ABSTRACT: \"$abstract\", CANARY: \"$WORK/canary\", KEY: \"KEYNUMBER\"}" \
		<<<'exec /bin/sec_escape'
	# shellcheck disable=SC2016 # for the inner shell
	STACKER_TEST_ABLATE=$words timeout 60 "$SECBIN/sec_host" with-key /bin/sh -c '
		sed -i "s/KEYNUMBER/$KEY/" stacker.yaml && exec "$@"' sh "$program" build >log 2>&1 ||
		{ cat log; return 1; }
	said >"$file"
}

# once NAME...: attempts that fail in the whole sandbox.
once() {
	local name
	for name in "$@"; do
		grep -q "^$name " "$WORK/found-full" || fail "'$name' was not tried"
		refute grep -Eq "^$name (ok|exit 0)$" "$WORK/found-full"
	done
}

# guarded NAME...: attempts that fail without the seccomp list, too.
guarded() {
	local name
	once "$@"
	for name in "$@"; do
		refute grep -Eq "^$name (ok|exit 0)$" "$WORK/found-no-seccomp"
	done
}

# twice NAME...: attempts that fail without any filter, too.
twice() {
	local name
	guarded "$@"
	for name in "$@"; do
		refute grep -Eq "^$name (ok|exit 0)$" "$WORK/found-no-filters"
	done
}

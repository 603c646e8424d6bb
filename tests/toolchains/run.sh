#!/usr/bin/env bash
# `make toolchains`: Debian's packages installed by dpkg, and one project of each toolchain, built and
# tested inside steps; by an ordinary user when root asks, and the userland by root too, whose digest
# must be the same. One line each: name, ok or FAIL, seconds, what it was.
#
#   run.sh BUILD [NAME...]      NAME: base userland c python go rust node java (default: all)
#
# The calls that the policy refused, by the record that stacker keeps of each step, are compared with
# tests/security/golden/denied-NAME.txt, in both directions.
#
# RECORD=1 builds under the recorder (tests/security/sec_recorder.c) instead, which takes root and up
# to four times as long, and writes these lists anew, and made-NAME.txt beside them: all calls that
# were made.
#
# Pins, downloads and logs stay in BUILD/toolchains: a second run needs no network as long as the
# template stays the same.
set -euo pipefail
export LC_ALL=C

build=$(realpath -m "${1:?usage: run.sh BUILD [NAME...]}")
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
stacker=$(realpath "${STACKER:?STACKER names the program to test}")
golden=$repo/tests/security/golden
kept=$build/toolchains
record=${RECORD:-}
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(base userland c python go rust node java)

# shellcheck source=tests/lib/user.sh
. "$repo/tests/lib/user.sh"

# Some GB in the end; not below the clone, which an ordinary user may not be able to read.
work=$(mktemp -d "${TMPDIR:-/tmp}/stacker-toolchains.XXXXXX")
# shellcheck disable=SC2317 # called by the trap
clean() {
	# Directories of subordinate ids can be emptied by root, or in a user namespace that has them.
	chmod -R u+rwX "$work" 2>/dev/null || true
	rm -rf "$work" 2>/dev/null || unshare --map-root-user --map-auto rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

shell=$(command -v sh) # by its path, for the recorder

what() {
	case $1 in
	base) echo "essential packages: unpacked, then installed by their own dpkg" ;;
	userland) echo "systemd, openssh-server, dbus and 130 more, by apt and dpkg" ;;
	c) echo "Redis: gcc, make, its tests" ;;
	python) echo "Jinja: venv, pip, pytest; processes and asyncio" ;;
	go) echo "esbuild: go build, go test, race detector, loopback" ;;
	rust) echo "ripgrep: cargo build, cargo test" ;;
	node) echo "js-yaml: npm pack and install, mocha; workers and a server" ;;
	java) echo "Commons Codec: javac, jar, JUnit" ;;
	*) return 1 ;;
	esac
}

pin() {
	mkdir -p "$kept"
	if ! cmp -s "$here/stacker.yaml.in" "$kept/stacker.yaml.in" || [ ! -e "$kept/stacker.yaml" ]; then
		"$repo/examples/hello/pin.sh" "$here/stacker.yaml.in" "$kept/stacker.yaml"
		cp "$here/stacker.yaml.in" "$kept/stacker.yaml.in"
	fi
}

# prepare DIR: the stackerfile and all that it names in DIR.
prepare() {
	mkdir -p "$1/merged-usr/usr" "$1/.stacker"
	for dir in bin sbin lib lib64; do
		mkdir -p "$1/merged-usr/usr/$dir"
		ln -s "usr/$dir" "$1/merged-usr/$dir"
	done
	cp "$kept/stacker.yaml" "$here/policy-rc.d" "$1/"
	cp "$stacker" "$1/stacker"
	[ ! -d "$kept/store" ] || cp -R "$kept/store" "$1/.stacker/store"
}

# The pinned files alone, without the layers that stand beside them.
keep_downloads() {
	local from=$work/user/.stacker/store hex
	mkdir -p "$kept/store/blobs/sha256"
	cp "$from/index.json" "$from/oci-layout" "$kept/store/"
	sed -n 's/^ *hash: sha256:\([0-9a-f]*\)$/\1/p' "$kept/stacker.yaml" | sort -u | while read -r hex; do
		[ ! -f "$from/blobs/sha256/$hex" ] || cp -n "$from/blobs/sha256/$hex" "$kept/store/blobs/sha256/"
	done
}

# build_in DIR NAME [COMMAND...]: by COMMAND, such as as_test_user.
build_in() {
	local dir=$1 name=$2
	shift 2
	# shellcheck disable=SC2016 # for the inner shell
	"$@" "$shell" -c 'cd "$1" && exec ./stacker build -f stacker.yaml -A "$2" </dev/null' sh "$dir" "$name"
}

# The recorder's list, as "NAME ERROR" for the refused and "NAME" for all.
write_golden() {
	local list=$kept/$1.calls
	sed -n 's/^denied \([a-z0-9_]*\)[^ ]* \([A-Z]*\) .*/\1 \2/p' "$list" | sort -u >"$golden/denied-$1.txt"
	sed -n 's/^made \([a-z0-9_]*\) .*/\1/p' "$list" | sort -u >"$golden/made-$1.txt"
}

# What the steps that were built since the stamp were refused, by stacker's own record.
refused() {
	find "$work/user/.stacker/cache" -name '*.evidence.json' -newer "$work/stamp" -exec cat {} + |
		jq -r '.refused_calls[] | .call + " " + .error' | sort -u
}

check_golden() {
	refused >"$kept/$1.refused"
	diff -u "$golden/denied-$1.txt" "$kept/$1.refused" >&2 && return
	echo "$1: the policy refused other calls than denied-$1.txt lists" >&2
	return 1
}

failed=0
report() { # NAME RESULT SECONDS TEXT
	printf '%-9s %-4s %4d s  %s\n' "$@"
	[ "$2" = ok ] || failed=1
}

run_one() {
	local name=$1 start=$SECONDS result=ok log=$kept/$1.log
	shift
	touch "$work/stamp"
	if ! build_in "$work/user" "$name" "$@" >"$log" 2>&1; then
		result=FAIL
		tail -n 20 "$log" >&2
	elif [ -n "$record" ]; then
		write_golden "$name"
	else
		check_golden "$name" || result=FAIL
	fi
	report "$name" "$result" $((SECONDS - start)) "$(what "$name")"
}

digest_of() {
	sed -n 's/^userland \(sha256:[0-9a-f]*\)$/\1/p' "$1"
}

# The user's digest is that of the log which run_one left.
compare_with_root() {
	local start=$SECONDS result=ok log=$kept/userland-root.log
	prepare "$work/root"
	if ! build_in "$work/root" userland env >"$log" 2>&1; then
		result=FAIL
		tail -n 20 "$log" >&2
	elif [ -z "$(digest_of "$log")" ] ||
		[ "$(digest_of "$log")" != "$(digest_of "$kept/userland.log")" ]; then
		echo "userland: root's digest is '$(digest_of "$log")'," \
			"the user's '$(digest_of "$kept/userland.log")'" >&2
		result=FAIL
	fi
	report userland "$result" $((SECONDS - start)) "by root: the same digest"
}

for name in "${names[@]}"; do
	what "$name" >/dev/null || {
		echo "toolchains: error: there is no '$name'" >&2
		exit 2
	}
done
pin
prepare "$work/user"
as=(env)
if [ -n "$record" ]; then
	recorder=$(realpath "${RECORDER:?RECORDER names the program that records}")
elif [ "$(id -u)" -eq 0 ]; then
	ensure_test_user
	chmod 755 "$work"
	chown -R "$TEST_USER:" "$work/user"
	as=(as_test_user)
fi
for name in "${names[@]}"; do
	[ -z "$record" ] || as=("$recorder" "$kept/$name.calls")
	run_one "$name" "${as[@]}"
done
keep_downloads
case "$record  ${names[*]} " in # two blanks: the first name has one before it, too
" "*" userland "*)
	if [ "$(id -u)" -eq 0 ]; then
		compare_with_root
	else
		echo "userland  not compared with root's: that takes root"
	fi
	;;
esac
exit "$failed"

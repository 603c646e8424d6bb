#!/usr/bin/env bash
# `make invariance`: run.py over the projects here and the examples, with stacker built by gcc and clang, without
# and with much optimisation, and with sanitizers. QUICK=1: one of the projects, with one build of stacker.
#
# usage: run.sh BUILD
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${MAKE:=make}"
build=$(realpath -m "${1:?usage: run.sh BUILD}")
top=$build/invariance
# shellcheck source=tests/lib/user.sh
. tests/lib/user.sh

[ "$(id -u)" -eq 0 ] || { echo "run.sh: error: only root can mount file systems and become another user" >&2; exit 1; }
ensure_test_user

# The ordinary user may not be able to read where this clone lies.
work=$(mktemp -d "${TMPDIR:-/var/tmp}/stacker-invariance.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
chmod 0755 "$work"
mkdir "$work/bin" "$work/projects" "$work/fs"

programs=()
# variant NAME MODE MAKE-ARGUMENT...
variant() {
	local name=$1 mode=$2 dir=$top/$1
	shift 2
	echo "building stacker: $name"
	"$MAKE" --no-print-directory -s -j"$(nproc)" BUILD="$dir" MODE="$mode" "$@" "$dir/$mode/stacker" >"$top/$name.log" 2>&1 ||
		{ tail -n 30 "$top/$name.log" >&2; exit 1; }
	cp "$dir/$mode/stacker" "$work/bin/$name"
	programs+=("$name=$work/bin/$name")
}

mkdir -p "$top"
if [ -n "${QUICK:-}" ]; then
	cp "${STACKER:?STACKER names the program to test}" "$work/bin/stacker"
	programs=("stacker=$work/bin/stacker")
else
	variant gcc release CC=gcc
	variant clang release CC=clang
	variant gcc-O0 debug CC=gcc
	# gcc's guesses at -O3 are noise.
	variant gcc-O3 release CC=gcc CFLAGS="-O3 -Wno-error"
	variant sanitizers asan CC=gcc
fi

for project in tests/invariance/projects/*/; do
	project=$(basename "$project")
	[ -z "${QUICK:-}" ] || [ "$project" = layers ] || continue
	cp -R "tests/invariance/projects/$project" "$work/projects/$project"
	mkdir -p "$work/projects/$project/base/bin"
	cp /bin/busybox "$work/projects/$project/base/bin/busybox"
	for applet in sh cat ls seq sort mkdir; do
		ln -s busybox "$work/projects/$project/base/bin/$applet"
	done
done
if [ -z "${QUICK:-}" ]; then
	mkdir "$work/projects/tree/files"
	for i in $(seq 40); do echo "$i" >"$work/projects/tree/files/file-$i"; done
	chmod 0640 "$work/projects/tree/files/file-7"
	ln -s file-1 "$work/projects/tree/files/link"

	# GNU hello from its source by a pinned Debian toolchain, with what the demo has downloaded.
	demo=$build/demo
	mkdir -p "$work/projects/hello/.stacker"
	cp "$demo/stacker.yaml" "$work/projects/hello/"
	cp -R "$demo/.stacker/store" "$work/projects/hello/.stacker/"
	touch "$work/projects/hello/each-value"
fi
chmod -R a+rX "$work/projects"
unshare --mount --propagation private tests/invariance/run.py "$work/fs" "$work/projects" "${programs[@]}" |
	tee "$top/table.txt"

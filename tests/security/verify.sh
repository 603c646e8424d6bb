#!/usr/bin/env bash
# The rows of verify (SG), as far as what they are about exists: exit codes and lost output, and that
# verifying runs nothing but the recipe's own steps.
# shellcheck disable=SC2317,SC2329,SC2016,SC2094 # row calls the functions
set -u -o pipefail
# shellcheck source=tests/security/input_lib.sh
. "$(dirname "$0")/input_lib.sh"

write_recipe() {
	busybox_base
	cat >stacker.yaml <<-'END'
		app:
		  from: {type: scratch}
		  imports: [{path: base/, dest: /}]
		  run: echo made >/made
	END
}

# verdict CODE NAME [IMAGE]: exit status, text and JSON agree.
verdict() {
	local status=0
	build verify || status=$?
	[ "$status" -eq "$1" ] || fail "exit status $status instead of $1"
	grep -q "^app: $2" out || fail "the text does not say $2"
	status=0
	timeout 60 "$STACKER" --quiet verify --json >json 2>/dev/null || status=$?
	[ "$status" -eq "$1" ] || fail "exit status $status with --json instead of $1"
	[ "$(jq -r '.images[0].verdict' json)" = "$2" ] || fail "JSON says $(jq -r '.images[0].verdict' json)"
}
flip() {
	chmod u+w "$1"
	python3 -c 'import sys
with open(sys.argv[1], "r+b") as f:
    at = f.seek(0, 2) // 2; f.seek(at); b = f.read(1)[0]; f.seek(at); f.write(bytes([b ^ 1]))' "$1"
}
layer_of() { jq -r '.layers[-1].digest' "oci/blobs/$(image_digest app | tr : /)" | tr : /; }

# lost COMMAND...: standard output that is full, closed or a pipe that nobody reads is a failure,
# however good the verdict.
lost() {
	local status=0
	"$@" >/dev/full 2>err || status=$?
	[ "$status" -eq "$LOST" ] || fail "'$*' to a full disk gives $status instead of $LOST"
	status=0
	"$@" >&- 2>err || status=$?
	[ "$status" -eq "$LOST" ] || fail "'$*' to nowhere gives $status instead of $LOST"
	mkfifo pipe
	exec 7<>pipe 8>pipe
	exec 7>&-
	rm pipe
	status=0
	"$@" >&8 2>err || status=$?
	exec 8>&-
	[ "$status" -eq "$LOST" ] || fail "'$*' to a pipe that nobody reads gives $status instead of $LOST"
}
sg12() {
	write_recipe
	build build
	verdict 0 reproduced
	LOST=2 lost "$STACKER" verify
	LOST=2 lost "$STACKER" verify --json
	LOST=1 lost "$STACKER" build
	LOST=1 lost "$STACKER" build --json
	LOST=1 lost "$STACKER" check
	LOST=1 lost "$STACKER" check --json
	LOST=1 lost "$STACKER" policy show
	LOST=1 lost "$STACKER" --version
	LOST=1 lost "$STACKER" --help
	LOST=1 lost "$STACKER" build --help
	LOST=1 lost "$STACKER" verify --help
	local status
	# Each failing check alone.
	mv oci good
	! build verify || fail "an absent layout was verified"
	cp -R good oci
	flip "oci/blobs/$(layer_of)"
	! build verify || fail "a damaged layer was verified"
	status=0
	timeout 60 "$STACKER" --quiet verify --json >json 2>/dev/null || status=$?
	[ "$status" -ne 0 ] && [ "$(jq -r '.images[0].verdict' json)" != reproduced ]
	rm -rf oci
	cp -R good oci
	sed -i 's/echo made/echo other/' stacker.yaml
	verdict 1 differs 2>/dev/null || verdict 1 mismatch
	sed -i 's/echo other/exit 7; echo/' stacker.yaml
	verdict 4 cannot-rebuild
	sed -i 's/exit 7; echo/echo $(cat \/proc\/sys\/kernel\/random\/uuid) $(od -An -N8 -tx8 \/dev\/urandom)/' stacker.yaml
	ln -sf busybox base/bin/od
	status=0
	build verify || status=$?
	[ "$status" -eq 1 ] || fail "an unstable recipe gives $status"
	build verify nobody 2>/dev/null || status=$?
	[ "$status" -eq 2 ]
}

# An image that others made is never executed, mounted or unpacked: programs in its layers leave no
# trace, whatever the verdict. What runs is the step of the recipe, seen by its own trace.
sg14() {
	write_recipe
	build build
	# The published image is replaced by one whose every program would report itself.
	mkdir -p evil/bin
	printf '#!/bin/sh\ntouch /ran\n' >evil/bin/sh
	chmod 0755 evil/bin/sh
	cp evil/bin/sh evil/init
	printf 'app:\n  from: {type: scratch}\n  imports: [{path: evil/, dest: /}]\n  cmd: /init\n  entrypoint: /bin/sh\n' >evil.yaml
	build --stacker-dir other --roots-dir otherroots build -f evil.yaml
	if [ "$WHO" = root ] && command -v strace >/dev/null; then
		timeout 120 strace -f -qq -e trace=execve,execveat -o trace "$STACKER" verify >out 2>&1 || true
		# The program itself, then of each of two rebuilds the step: script, and what it runs.
		grep -v '"/stacker/run"\|"/bin/\|resumed\|unfinished\|newuidmap\|newgidmap' trace | grep 'exec' >others || true
		[ "$(wc -l <others)" -eq 1 ] || fail "something else was executed: $(cat others)"
		tried "a published image full of programs verified under strace"
	else
		build verify || true
	fi
	grep -q '^app: ' out || fail "no verdict"
	[ -z "$(find . -name ran)" ] || fail "a program of the image ran"
	# Nothing of it was unpacked either.
	[ -z "$(find roots .stacker -name init 2>/dev/null)" ] || fail "the image was unpacked"
	# Reading it is the lister's work, which has no exec, socket or mount at all.
	mkdir lister
	"$SECBIN/sec_roles" lister lister >got
	for call in execve execveat fork inet unix mount-tmpfs mount-bind create write mkdir; do
		! grep -qx "$call ok" got || fail "the lister may $call"
	done
}

row SG12 sg12 "each failing check alone; standard output full, closed, a pipe without reader" "one verdict, from which text, JSON and exit status come; output is written whole or it is a failure"
row SG14 sg14 "a published image full of programs" "the lister reads layers as data: no exec, socket, mount or write in its list; rebuilds run the recipe's steps alone"

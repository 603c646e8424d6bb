#!/usr/bin/env bash
# Rows SB01 to SB58 of the catalogue, and what `make security` checks beside it: the ablations
# against golden/, a foreign probe, and how fast a step's processes are gone. Called by run.sh.
#
# Most attempts are made by one program in a step of the real stacker, sec_escape, which runs five
# times: in the whole sandbox, and without the seccomp list, the guard (the other filter), the
# dropping of capabilities and the shield of pid 1, one after the other. A row whose check says
# `guarded` fails if its attempts need the seccomp list to fail, one that says `twice` if they
# need any filter.
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

# shellcheck source=tests/security/sandbox_files.sh
. "$here/sandbox_files.sh"
# shellcheck source=tests/security/sandbox_kernel.sh
. "$here/sandbox_kernel.sh"
# shellcheck source=tests/security/sandbox_life.sh
. "$here/sandbox_life.sh"

# ---- beside the catalogue ----

# NAME: the probe's lines are exactly those of golden/, which is written by `GOLDEN=DIR`.
golden() {
	[ -z "${GOLDEN:-}" ] || cp "$WORK/found-$1" "$GOLDEN/escape-$1.txt"
	[ "$(wc -l <"$WORK/found-$1")" -ge 100 ]
	diff "$here/golden/escape-$1.txt" "$WORK/found-$1"
}
golden_full() { golden full; }
golden_no_seccomp() { golden no-seccomp; }
golden_no_filters() { golden no-filters; }
golden_no_caps() { golden no-filters-caps; }
golden_dumpable() { golden no-filters-caps-dumpable; }

# What a program that looks around finds: the whole list, neither more nor less, and, among it, the
# mounts as root and as an ordinary user the same.
foreign() {
	recipe <<<'exec /foreign'
	cp "$SECBIN/sec_foreign_static" base/foreign
	build_ok
	said >said
	[ -z "${GOLDEN:-}" ] || cp said "$GOLDEN/foreign.txt"
	diff "$here/golden/foreign.txt" said
}

# A program of somebody else's, given by FOREIGN_PROBE: whatever it prints that is no line of
# FOREIGN_GOLDEN (none, without one), and any exit code but 0, is a finding.
foreign_given() {
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
	probe "$WORK/found-no-filters" seccomp,guard
	probe "$WORK/found-no-filters-caps" seccomp,guard,caps
	probe "$WORK/found-no-filters-caps-dumpable" seccomp,guard,caps,dumpable
	remove "$WORK/probe"
	while IFS='|' read -r id fn tried stopped; do
		row "$id" "$tried" "$stopped" "$fn"
	done <"$here/sandbox_rows.txt"
	[ -z "${FOREIGN_PROBE:-}" ] ||
		row escape-given "$FOREIGN_PROBE in a step" "the whole sandbox" foreign_given
	end_background
	cat "$WORK/times" >&2
}
main

#!/usr/bin/env bash
# `make security`: the attack catalogue of rows.txt, each row as root and as an ordinary user, where
# it can be at the same time.
#
# usage: run.sh [AREA...]   (all areas without one; rows of others are then not asked for)
#
# Each area has a script, which is called with STACKER, SECBIN (helper programs), WORK (an empty
# directory of its own) and WHO (root or user, which it already is), and prints a line per row:
#   ID|ok or FAIL|what was tried|what stopped it
# An id in small letters is a check beside the catalogue. What is missing, twice there, unknown or
# without a verdict counts as failed. The last line is "N passed, N failed".
set -u -o pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

areas=(sandbox unpack parse download store verify)
declare -A prefix=([sandbox]=SB [unpack]=UN [parse]=PF [download]=DL [store]=ST [verify]=SG)
limit_s=900
build=$(realpath "${BUILD:-build}")
only=("$@")
[ ${#only[@]} -gt 0 ] || only=("${areas[@]}")

# shellcheck source=tests/lib/user.sh
. tests/lib/user.sh

top=$(mktemp -d "${TMPDIR:-/tmp}/stacker-security.XXXXXX") || exit 1
# What a killed script may leave: trees of mapped ids, which only a user namespace can empty.
cleanup() {
	chmod -R u+rwX "$top" 2>/dev/null
	rm -rf "$top" 2>/dev/null || unshare --map-root-user --map-auto rm -rf "$top"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

whos=(user)
[ "$(id -u)" -ne 0 ] || whos=(root user)
if [ ${#whos[@]} -eq 1 ]; then
	echo "run.sh: not started as root: the rows are tried as an ordinary user only"
fi

# The ordinary user may not be able to read where this clone lies.
chmod 0755 "$top"
mkdir -p "$top/bin" "$top/secbin" "$top/logs"
cp "$build/release/stacker" "$build/release/stacker-ablate" "$top/bin/" || exit 1
find "$build/release/security" -maxdepth 1 -type f -name 'sec_*' ! -name '*.d' \
	-exec cp {} "$top/secbin/" \; || exit 1
cp -R tests vectors policy examples "$top/" || exit 1

if strings -a "$top/bin/stacker" 2>/dev/null | grep -q STACKER_TEST_ABLATE; then
	echo "run.sh: error: the released program has the switches of the ablations" >&2
	exit 1
fi

script_env() {
	printf '%s\n' STACKER="$top/bin/stacker" STACKER_ABLATE="$top/bin/stacker-ablate" \
		SECBIN="$top/secbin" WORK="$1" WHO="$2" TMPDIR="$1" LC_ALL=C \
		PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
	[ -z "${FOREIGN_PROBE:-}" ] || printf '%s\n' FOREIGN_PROBE="$FOREIGN_PROBE"
	[ -z "${FOREIGN_GOLDEN:-}" ] || printf '%s\n' FOREIGN_GOLDEN="$FOREIGN_GOLDEN"
}

# shellcheck disable=SC2016 # for the inner shell
# run_script AREA WHO: its lines to logs/AREA.WHO, its diagnostics to logs/AREA.WHO.err.
run_script() {
	local area=$1 who=$2 work=$top/work-$1-$2 out=$top/logs/$1.$2 environment uid gid
	local script=$top/tests/security/$area.sh
	: >"$out"
	[ -x "$script" ] || return 0
	mkdir -m 0755 "$work"
	mapfile -t environment < <(script_env "$work" "$who")
	if [ "$who" = user ] && [ "$(id -u)" -eq 0 ]; then
		uid=$(id -u "$TEST_USER")
		gid=$(id -g "$TEST_USER")
		chown "$uid:$gid" "$work"
		# A group more than its own (dialout), which a step must not inherit.
		timeout --kill-after=10 "$limit_s" setpriv --reuid="$uid" --regid="$gid" \
			--groups="$gid,20" env -i "${environment[@]}" HOME="$work" USER="$TEST_USER" \
			bash -c 'cd "$WORK" && exec "$0"' "$script" </dev/null >"$out" 2>"$out.err"
	else
		timeout --kill-after=10 "$limit_s" env -i "${environment[@]}" HOME="$work" \
			bash -c 'cd "$WORK" && exec "$0"' "$script" </dev/null >"$out" 2>"$out.err"
	fi || echo "script|FAIL|$area.sh as $who|exit $?" >>"$out"
}

passed=0
failed=0
count() {
	if [ "$1" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

# verdict FILE ID: ok, FAIL, missing or twice; then the two texts.
verdict() {
	awk -F'|' -v id="$2" '
		$1 == id { n++; v = $2; tried = $3; stopped = $4 }
		END {
			if (n != 1)
				v = n ? "twice" : "missing"
			else if (v != "ok")
				v = "FAIL"
			print v "|" tried "|" stopped
		}' "$1"
}

# show_row ID PRIORITY AREA: one line, and counts it once for each who.
show_row() {
	local id=$1 priority=$2 area=$3 who v tried stopped text="" columns="" wrong=0
	for who in "${whos[@]}"; do
		IFS='|' read -r v tried stopped < <(verdict "$top/logs/$area.$who" "$id")
		count "$v"
		[ "$v" = ok ] || wrong=1
		columns+=" $who:$v"
		[ -n "$text" ] || [ -z "$tried" ] || text="$tried -> $stopped"
		[ "$v" = ok ] || [ -z "$stopped" ] || text="$tried -> $stopped"
	done
	printf '%-6s %-2s%s  %s\n' "$id" "$priority" "$columns" "${text:-(no line from $area.sh)}"
	return "$wrong"
}

# Rows of an area: of the catalogue, and what else its script printed.
show_area() {
	local area=$1 id priority rest known=" " wrong=0
	while read -r id priority rest; do
		[[ $id == "${prefix[$area]}"[0-9]* ]] || continue
		known+="$id "
		show_row "$id" "$priority" "$area" || wrong=1
	done <tests/security/rows.txt
	while read -r id; do
		[[ $known != *" $id "* ]] || continue
		if [[ $id =~ ^[a-z] ]] || [[ $area = verify ]]; then
			show_row "$id" - "$area" || wrong=1
		else
			count FAIL
			printf '%-6s FAIL: printed by %s.sh, but not in rows.txt\n' "$id" "$area"
		fi
	done < <(cut -s -d'|' -f1 "${whos[@]/#/$top/logs/$area.}" | awk '!seen[$0]++')
	if [ ! -x "$top/tests/security/$area.sh" ] && [ "$known" != " " ]; then
		echo "tests/security/$area.sh is not there: all rows of its area count as failed"
	fi
	if [ "$wrong" -ne 0 ] && [ -e "$top/logs/$area.${whos[0]}.err" ]; then
		for who in "${whos[@]}"; do
			echo "---- what $area.sh said as $who"
			tail -n 60 "$top/logs/$area.$who.err" | sed 's/^/| /'
		done
	fi
}

ready=1
[ "$(id -u)" -ne 0 ] || ensure_test_user || ready=0
if [ "$ready" -eq 0 ]; then
	echo "run.sh: error: no user '$TEST_USER' to be had" >&2
	failed=1
else
	for area in "${only[@]}"; do
		if [ -z "${prefix[$area]:-}" ]; then
			echo "run.sh: error: no area '$area'" >&2
			failed=$((failed + 1))
			continue
		fi
		started=$SECONDS
		for who in "${whos[@]}"; do
			run_script "$area" "$who" &
			# Those that measure how soon a bomb is refused have the machine to themselves.
			[[ " unpack parse " != *" $area "* ]] || wait
		done
		wait
		echo "== $area ($((SECONDS - started)) s)"
		show_area "$area"
	done
fi

mkdir -p "$build/test-logs/security" &&
	cp "$top"/logs/* "$build/test-logs/security/"
rows=$(grep -c '^[A-Z]' tests/security/rows.txt)
echo
echo "$rows rows in the catalogue; run as: ${whos[*]}; areas: ${only[*]}; 0 skipped; $SECONDS s"
[ "$failed" -eq 0 ] || echo "$failed failures"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

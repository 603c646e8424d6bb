#!/usr/bin/env bash
# Runs every suite and sums up. MODE is release (what `make check` does: the released program, and
# all unit tests once more under ASan and UBSan) or asan (the command line tests too under them).
#
# The last line is "N passed, N failed". Exit is 0 only if nothing failed, every suite kept its plan
# and, in CI, nothing was skipped without a reason that begins with "justified:".
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

mode=${1:?usage: run_all.sh release|asan}
make=${MAKE:-make}
build=${BUILD:-build}
jobs=${JOBS:-$(nproc)}
make_build=$build # as given: make's targets may not hold spaces, the path of a clone may
build=$(realpath -m "$build")
logs=$build/test-logs
mkdir -p "$logs"

# shellcheck source=tests/lib/user.sh
. tests/lib/user.sh

passed=0
failed=0
skipped=0
failures=()

# Sums one suite's TAP: prints "PASSED FAILED SKIPPED UNJUSTIFIED". A plan that was not kept, or a
# suite that failed without saying where, counts as one failure. cmocka and bats both give a plan
# for each program, so plans add up.
sum_tap() {
	awk -v status="$1" '
	/^1\.\.[0-9]+/ { sub(/^1\.\./, ""); plan += $1 }
	# cmocka 1.1.5 writes a skipped test as "not ok N # SKIP name".
	/^(not )?ok .*# *[Ss][Kk][Ii][Pp]/ {
		skipped++
		if ($0 !~ /justified:/)
			unjustified++
		next
	}
	/^not ok / { failed++ }
	/^ok / { passed++ }
	END {
		missing = plan - passed - failed - skipped
		if (missing != 0)
			failed += missing > 0 ? missing : 1
		if (status != 0 && !failed)
			failed++
		if (passed + failed + skipped == 0)
			failed++
		print passed + 0, failed + 0, skipped + 0, unjustified + 0
	}'
}

# suite NAME COMMAND...: runs a TAP producer.
suite() {
	local name=$1 log status start=$SECONDS p f s u
	shift
	log=$logs/${name// /-}.tap
	echo "== $name"
	"$@" </dev/null 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	read -r p f s u < <(sum_tap "$status" <"$log")
	if [ "${CI:-}" = true ] && [ "$u" -gt 0 ]; then
		echo "# $u skipped, which CI does not accept"
		f=$((f + u))
		s=$((s - u))
	fi
	echo "== $name: $p passed, $f failed, $s skipped ($((SECONDS - start)) s)"
	passed=$((passed + p))
	failed=$((failed + f))
	skipped=$((skipped + s))
	[ "$f" -eq 0 ] || failures+=("$name")
}

# single NAME COMMAND...: a command whose success is one test; its output is shown if it fails.
single() {
	local name=$1 log start=$SECONDS
	shift
	log=$logs/${name// /-}.log
	if "$@" </dev/null >"$log" 2>&1; then
		echo "== $name: ok ($((SECONDS - start)) s)"
		passed=$((passed + 1))
	else
		tail -n 60 "$log"
		echo "== $name: failed ($((SECONDS - start)) s)"
		failed=$((failed + 1))
		failures+=("$name")
		return 1
	fi
}

run_make() {
	"$make" --no-print-directory BUILD="$make_build" "$@"
}

cli_files() {
	local tag=$1 file
	for file in tests/cli/*.bats tests/security/*.bats; do
		[ -e "$file" ] || continue
		[ "$tag" = all ] || grep -q "^# bats file_tags=.*$tag" "$file" || continue
		printf '%s\n' "$file"
	done
}

# As whoever runs the tests; if that is root, the files tagged `user` again as an ordinary user,
# from a copy that this user can read wherever the clone may lie.
cli_suites() {
	local stacker=$1 copy files
	mapfile -t files < <(cli_files all)
	[ ${#files[@]} -gt 0 ] || return 0
	: >"$logs/records.root"
	suite "command line" env STACKER="$stacker" STACKER_PROBES="$build/probes" \
		STACKER_RECORDS="$logs/records.root" \
		timeout 1200 bats --tap "${files[@]}"
	[ "$(id -u)" -eq 0 ] || return 0

	mapfile -t files < <(cli_files user)
	[ ${#files[@]} -gt 0 ] || return 0
	copy=$(mktemp -d "${TMPDIR:-/tmp}/stacker-check.XXXXXX")
	if ensure_test_user && cp -R tests "$copy/" && cp "$stacker" "$copy/stacker" &&
		mkdir -p "$copy/probes" && cp -R "$build/probes/." "$copy/probes/" &&
		chown -R "$TEST_USER:" "$copy"; then
		# shellcheck disable=SC2016 # for the inner shell
		suite "command line as an ordinary user" as_test_user TMPDIR="$copy" \
			STACKER="$copy/stacker" STACKER_PROBES="$copy/probes" STACKER_RECORDS="$copy/records" \
			sh -c 'cd "$1" && shift && exec timeout 900 bats --tap "$@"' sh "$copy" "${files[@]}"
		cp "$copy/records" "$logs/records.user" &&
			single "root equals user" tests/lib/compare_records.sh \
				"$logs/records.root" "$logs/records.user"
		tail -n 1 "$logs/root-equals-user.log"
	else
		echo "== command line as an ordinary user: failed: no user '$TEST_USER' to be had"
		failed=$((failed + 1))
		failures+=("ordinary user")
	fi
	rm -rf "$copy"
}

# stacker's child processes are cloned with their own namespaces, where LeakSanitizer cannot trace
# them; leaks are looked for by the unit tests, which run in one process.
export UBSAN_OPTIONS=print_stacktrace=1
sanitized_cli() {
	export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1
	cli_suites "$1"
	unset ASAN_OPTIONS
}

# The whole of it is `make invariance`, which takes file systems of four kinds, and a while.
quick_invariance() {
	if [ "$(id -u)" -ne 0 ] || ! losetup --find >/dev/null 2>&1 || ! command -v mkfs.xfs >/dev/null ||
		! command -v mkfs.btrfs >/dev/null || ! command -v faketime >/dev/null; then
		echo "== invariance: skipped: takes root, loop devices, xfsprogs, btrfs-progs and faketime"
		return
	fi
	single "invariance" env QUICK=1 STACKER="$1" tests/invariance/run.sh "$build"
}

# The unit tests of the sandbox run themselves again as this user.
[ "$(id -u)" -ne 0 ] || single "ordinary user" ensure_test_user
single "layers" run_make check-layers
single "error ids" tests/lib/check_error_docs.sh
single "upstream table" tests/lib/check_upstream_table.sh
if [ "$mode" = release ]; then
	single "build release" run_make MODE=release -j"$jobs" all unit-binaries cli-tools &&
		suite "unit" run_make -s MODE=release unit
fi
single "build with sanitizers" run_make MODE=asan -j"$jobs" unit-binaries replay-binaries cli-tools &&
	suite "unit with sanitizers" run_make -s MODE=asan unit &&
	suite "replay with sanitizers" run_make -s MODE=asan replay
if [ "$mode" = release ]; then
	[ ! -x "$build/release/stacker" ] || MAKE=$make \
		single "another folder, the same bytes" tests/lib/check_self.sh "$build/release/stacker"
	[ ! -x "$build/release/stacker" ] || cli_suites "$build/release/stacker"
	[ ! -x "$build/release/stacker" ] || quick_invariance "$build/release/stacker"
else
	[ ! -x "$build/asan/stacker" ] || sanitized_cli "$build/asan/stacker"
fi

echo
[ ${#failures[@]} -eq 0 ] || printf 'failed suite: %s\n' "${failures[@]}"
echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

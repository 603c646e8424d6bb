#!/bin/sh
# Runs what `make cov` has built below OUT, then reports. Tests that fail are reported, too: what
# they did not come to is not covered.
set -u
out=$1
least=$2
failed=0

# The sandbox's tests run again as an ordinary user, whose counts go to the same files.
find "$out" -name '*.gcda' -delete
find "$out" -type d -exec chmod a+rwx {} +
for test in "$out"/tests/test_*; do
	case $test in *.d | *.gcno | *.gcda | *.log) continue ;; esac
	case $test in
	*/test_sandbox_*)
		umask 000
		find "$out" -name '*.gcda' ! -perm -a+w -exec chmod a+rw {} +
		;;
	*) umask 022 ;;
	esac
	timeout 300 "$test" </dev/null >"$test.log" 2>&1 || {
		echo "not ok - $(basename "$test") (log: $test.log)"
		failed=1
	}
done
# shellcheck disable=SC2046 # names without spaces
./tests/lib/replay.sh $(find "$out/replay" -type f -perm -u+x -name 'fuzz_*' | sort) >"$out/replay.log" 2>&1 || {
	grep '^not ok' "$out/replay.log"
	failed=1
}
./tests/lib/cov.py "$out" "$least" || failed=1
exit $failed

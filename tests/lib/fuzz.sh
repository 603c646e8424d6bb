#!/bin/sh
# Runs each fuzz target for SECONDS, from the seeds in the repository; what it finds beyond them is
# kept in BUILD/fuzz-corpus, crashing inputs in BUILD/fuzz-crashes. One TAP line a target.
set -u
seconds=$1
build=$2
shift 2
echo "1..$#"
n=0
failed=0
for binary in "$@"; do
	n=$((n + 1))
	name=$(basename "$binary")
	found=$build/fuzz-corpus/$name
	log=$build/fuzz-corpus/$name.log
	mkdir -p "$found" "$build/fuzz-crashes"
	if "$binary" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$build/fuzz-crashes/$name-" \
		"$found" "tests/fuzz/corpus/$name" </dev/null >"$log" 2>&1; then
		runs=$(awk '/number_of_executed_units/ { print $2 }' "$log")
		echo "ok $n - fuzz $name: $runs runs in $seconds s"
	else
		tail -n 40 "$log" | sed 's/^/# /'
		echo "not ok $n - fuzz $name (log: $log)"
		failed=1
	fi
done
exit $failed

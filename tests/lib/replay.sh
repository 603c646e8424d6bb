#!/bin/sh
# Replays the seeds of each fuzz target through its replay binary; one TAP line a target.
# A target without seeds fails: it would be a test that tests nothing.
set -u
corpus=tests/fuzz/corpus
echo "1..$#"
n=0
failed=0
for binary in "$@"; do
	n=$((n + 1))
	name=$(basename "$binary")
	if [ -n "$(ls "$corpus/$name" 2>/dev/null)" ] && timeout 120 "$binary" "$corpus/$name" </dev/null; then
		echo "ok $n - replay $name"
	else
		echo "not ok $n - replay $name"
		failed=1
	fi
done
exit $failed

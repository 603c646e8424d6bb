#!/bin/sh
# Every test that the table of tests/cli/README.md names exists, and no fewer behaviours are shown than
# the head of the table says.
set -eu
cd "$(dirname "$0")/../.."
export LC_ALL=C
readme=tests/cli/README.md

total=$(grep -cE '^\| [a-z0-9-]+: .* \| (ok|no) \| .+ \|$' "$readme")
# shellcheck disable=SC2016 # backquotes are what the table has
shown=$(grep -cE '^\| [a-z0-9-]+: .* \| ok \| `[a-z_]+\.bats`: .+ \|$' "$readme")
claimed=$(sed -n 's/^.*at 52efa05: \([0-9]*\) of the behaviours.*$/\1/p' "$readme")
failed=0

# The lists come from one pass each: a look for each row would start hundreds of processes.
rows=$(mktemp)
tests=$(mktemp)
trap 'rm -f "$rows" "$tests"' EXIT
# shellcheck disable=SC2016
sed -nE 's/^\| .* \| ok \| `([a-z_]+\.bats)`: (.+) \|$/\1: \2/p' "$readme" | sort -u >"$rows"
for file in tests/cli/*.bats; do
	sed -nE "s|^@test \"(.*)\" \\{\$|${file##*/}: \\1|p" "$file"
done | sort -u >"$tests"
missing=$(comm -23 "$rows" "$tests")
if [ -n "$missing" ]; then
	printf '%s names tests that do not exist:\n%s\n' "$readme" "$missing"
	failed=1
fi
if [ "$total" -ne 175 ] || [ "$shown" -ne "${claimed:-0}" ]; then
	echo "$readme has $total rows of 175, and shows $shown, not ${claimed:-none}"
	failed=1
fi
echo "$shown of $total upstream behaviours shown, $(wc -l <"$rows") tests"
exit "$failed"

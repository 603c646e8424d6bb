#!/bin/sh
# Every error id in the source stands in docs/errors/, and every id there is still raised.
set -eu
cd "$(dirname "$0")/../.."
export LC_ALL=C

found=$(mktemp)
documented=$(mktemp)
trap 'rm -f "$found" "$documented"' EXIT

# An id is a literal "area/name" beside an ERR_ code, or the third argument of err_at and err_recode.
grep -rhoE '"(yaml|recipe|lock|dockerfile|convert|json|digest|input|import|store|system|url|fetch|registry|copy|unpack|tree|layer|layout|image|bundle|sandbox|policy|roots|cache|build|step|verify|clean|grab|publish|setup|explain|gc|cli|api)/[a-z0-9-]+"' \
	src --include='*.c' | tr -d '"' | sort -u |
	grep -vE '^(store/blobs|[a-z]+/v[0-9]+)$' >"$found"
# shellcheck disable=SC2016 # the quotes hold backticks, not commands
grep -rhoE '^\| *`?[a-z]+/[a-z0-9-]+`?' docs/errors | tr -d '|` ' | sort -u >"$documented"

undocumented=$(comm -23 "$found" "$documented")
stale=$(comm -13 "$found" "$documented")
for id in $undocumented; do
	echo "error id '$id' is not in docs/errors/"
done
for id in $stale; do
	echo "docs/errors/ lists '$id', which nothing raises"
done
echo "$(wc -l <"$found") ids, $(wc -l <"$documented") documented"
[ -z "$undocumented$stale" ]

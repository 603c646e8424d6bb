#!/bin/sh
# "Root equals user" over the whole suite: every recipe that the command line tests built, as root and
# as an ordinary user, has one manifest. The files are what record_results of helpers.bash wrote: recipe,
# manifest, test. A recipe with two manifests, also within one file, is named with its tests, and so is
# it if there was nothing to compare.
#
# usage: compare_records.sh ROOT_RECORDS USER_RECORDS
set -u
awk -F '\t' '
FNR == 1 { file++ }
{
	if (!(file SUBSEP $1 in seen)) {
		seen[file, $1] = 1
		files[$1]++
	}
	if (!($1 in manifest)) {
		manifest[$1] = $2
		test[$1] = $3
	} else if (manifest[$1] != $2 && !(($1, $2) in told)) {
		told[$1, $2] = 1
		printf "recipe %s: %s in \"%s\", but %s in \"%s\"\n", $1, manifest[$1], test[$1], $2, $3
		wrong = 1
	}
}
END {
	for (recipe in files) {
		if (files[recipe] == 2)
			both++
		all++
	}
	printf "%d recipes built as root and as an ordinary user, %d in all\n", both, all
	exit wrong || both == 0
}' "$1" "$2"

# The byte contract: a second implementation of docs/format-1.md agrees with the golden layers.
# What the C code makes of the same trees is tests/unit/test_image_vectors.c.

load ../lib/helpers

VECTORS=$BATS_TEST_DIRNAME/../../vectors/format-1
CHECK=$BATS_TEST_DIRNAME/../lib/format1_check.py

@test "format 1: the independent encoder gives every golden digest" {
	run python3 "$CHECK" "$VECTORS"
	[ "$status" -eq 0 ]
	[ "$(grep -c '^ok ' <<<"$output")" -ge 15 ]
	[[ "$output" != *"not ok"* ]]
}

@test "format 1: a changed tree is noticed" {
	mkdir "$BATS_TEST_TMPDIR/v"
	sed 's/text=new/text=neW/' "$VECTORS/plain.tree" >"$BATS_TEST_TMPDIR/v/plain.tree"
	run python3 "$CHECK" "$BATS_TEST_TMPDIR/v"
	[ "$status" -eq 1 ]
	[[ "$output" == "not ok plain.tree"* ]]
}

@test "format 1: GNU tar lists what the vectors say" {
	for tree in "$VECTORS"/*.tree; do
		[[ "$tree" != *.slow.tree ]] || continue
		python3 "$CHECK" --tar "$tree" >"$BATS_TEST_TMPDIR/a.tar"
		tar --numeric-owner -tvf "$BATS_TEST_TMPDIR/a.tar" >"$BATS_TEST_TMPDIR/list" 2>/dev/null
		[ "$(wc -l <"$BATS_TEST_TMPDIR/list")" -eq "$(awk '$1 == "entries" { print $2 }' "$tree")" ]
	done
}

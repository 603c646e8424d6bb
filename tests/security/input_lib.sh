# shellcheck shell=bash disable=SC2034,SC2030,SC2031 # rows are subshells; others use what is set here
# What download.sh and store.sh share. Sourced. Each row is a function that runs in a directory of
# its own, in a subshell that ends at the first command that fails.

: "${STACKER:?}" "${SECBIN:?}" "${WORK:?}" "${WHO:?}"
export LC_ALL=C
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# row ID FUNCTION TRIED STOPPED: prints the row's line. A function may replace both texts by
# calling `tried` and `stopped`.
row() {
	local verdict=ok status
	mkdir "$WORK/$1"
	printf '%s' "$3" >"$WORK/$1.tried"
	printf '%s' "$4" >"$WORK/$1.stopped"
	echo "---- $1" >&2
	(
		set -eEu -o pipefail
		trap 'echo "line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND" >&2' ERR
		ROW=$WORK/$1
		cd "$ROW"
		"$2"
	) >&2
	status=$?
	[ "$status" -eq 0 ] || verdict=FAIL
	printf '%s|%s|%s|%s\n' "$1" "$verdict" "$(tr '|\n' '/ ' <"$WORK/$1.tried")" \
		"$(tr '|\n' '/ ' <"$WORK/$1.stopped")"
}
tried() { printf '%s' "$*" >"$ROW.tried"; }
stopped() { printf '%s' "$*" >"$ROW.stopped"; }

fail() {
	echo "failed: $*" >&2
	return 1
}

# The program with a time limit; its output goes to the file "out" and to the log.
build() {
	local status=0
	timeout --kill-after=10 60 "$STACKER" "$@" >out 2>&1 || status=$?
	sed 's/^/  | /' out >&2
	return "$status"
}

# build_fails ID [ARG]...: a clean failure with that error.
build_fails() {
	local id=$1 status=0
	shift
	build "$@" || status=$?
	[ "$status" -eq 1 ] || fail "exit status $status instead of 1"
	grep -qF "[$id]" out || fail "no [$id] in the output"
}

# Nothing that was downloaded is left in the state directory, under any name.
keeps_nothing() {
	local dir=${1:-.stacker}
	[ "$(find "$dir/store/blobs" -type f 2>/dev/null | wc -l)" -eq 0 ] ||
		fail "something was kept: $(find "$dir/store/blobs" -type f)"
	[ "$(find "$dir/cache" -name '*.json' 2>/dev/null | wc -l)" -eq 0 ] || fail "a cache entry was made"
}

# Every blob of a store or layout is what its name says.
sound_blobs() {
	local sum file
	while IFS= read -r file; do
		sum=$(sha256sum <"$file")
		[ "${sum%% *}" = "${file##*/}" ] || fail "$file holds other bytes"
	done < <(find "$@" -path '*/blobs/sha256/*' -type f)
}

blob_of() { # FILE: where the store keeps its bytes
	local sum
	sum=$(sha256sum <"$1")
	echo ".stacker/store/blobs/sha256/${sum%% *}"
}

# image_digest TAG [LAYOUT]
image_digest() {
	jq -er --arg tag "$1" '[.manifests[] |
		select(.annotations["org.opencontainers.image.ref.name"] == $tag)] |
		if length == 1 then .[0].digest else error("no such tag") end' "${2:-oci}/index.json"
}

# image_list TAG [LAYOUT]: the names in its layers.
image_list() {
	local layout=${2:-oci} manifest layer
	manifest=$(image_digest "$1" "$layout")
	while IFS= read -r layer; do
		tar -tf "$layout/blobs/${layer/://}"
	done < <(jq -r '.layers[].digest' "$layout/blobs/${manifest/://}")
}

# Its files as they would be seen, for images without whiteouts and links across layers.
image_cat() { # TAG NAME
	local manifest layer
	manifest=$(image_digest "$1")
	while IFS= read -r layer; do
		tar -xOf "oci/blobs/${layer/://}" "$2" 2>/dev/null && return 0
	done < <(jq -r '.layers[].digest' "oci/blobs/${manifest/://}")
	return 1
}

busybox_base() {
	local applet
	mkdir -p base/bin
	cp /bin/busybox base/bin/busybox
	for applet in sh cat cp date dd echo env false ls mkdir mv rm sed sleep sort sync test touch true \
		truncate; do
		ln -sf busybox "base/bin/$applet"
	done
}

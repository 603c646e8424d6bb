#!/usr/bin/env bash
# The UN rows: archives and layers that attack who unpacks them. Each vector of vectors.py goes four
# ways: as a layer and as an archive, through sec_unpack (the module beside a canary tree, in a
# worker) and through stacker itself (with the canary on the host). See run.sh for the protocol.
set -u -o pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
: "${STACKER:?}" "${SECBIN:?}" "${WORK:?}" "${WHO:?}"
cd "$WORK" || exit 1

declare -A tried=(
	[UN01]="names that climb or are absolute, by header, prefix, pax and GNU long name"
	[UN02]="writing through links to the canary: below them, onto them, by chains"
	[UN03]="hard links to the canary, the host, links, directories, later entries"
	[UN04]="the root as a link, file, fifo or hard link"
	[UN05]="attributes set through links, directories turned into links"
	[UN06]="device nodes, whiteout devices, fifos, unknown types"
	[UN07]="setuid files and file capabilities"
	[UN08]="whiteouts that name . or .. or lie behind links"
	[UN09]="whiteouts of what the same layer brings, before and after it"
	[UN10]="overlayfs's own attributes, trusted.* and other namespaces"
	[UN11]="sizes that contradict one another"
	[UN12]="what tar readers read differently: competing names, NULs, prefixes, data on links"
	[UN13]="entries, bytes and zeros after the end, or no end"
	[UN14]="negative, huge and garbled numbers"
	[UN15]="gzip with wrong CRC or length"
	[UN16]="gzip members, and bytes behind them"
	[UN17]="tar, gzip and zstd cut at each block and 100 random places"
	[UN18]="zstd frames: skippable, several, huge window, dictionary, no checksum"
	[UN19]="bombs of bytes, entries, names and headers"
	[UN20]="sparse files"
	[UN21]="other formats, and codings that the media type does not say"
	[UN22]="wrong digest, diff_id, size, a flipped bit"
	[UN23]="one name twice, with each pair of types"
	[UN24]="owners outside the 65536 ids of an image"
	[UN25]="extreme times and modes"
)
declare -A mechanism=(
	[UN01]="component parser, openat2 BENEATH" [UN02]="O_NOFOLLOW walk by directory fd"
	[UN03]="only files of the same archive are linked, by fd" [UN04]="root is special"
	[UN05]="attributes by fd, times of directories last" [UN06]="closed table of types"
	[UN07]="0700 directory of subordinate ids" [UN08]="parsed after the prefix"
	[UN09]="applied last, to lower layers only" [UN10]="xattr allow-list"
	[UN11]="pax must agree with ustar" [UN12]="strict tar profile" [UN13]="the stream is read to its end"
	[UN14]="checked parse" [UN15]="zlib checks CRC and length" [UN16]="every byte belongs to a member"
	[UN17]="an end is not an end until it was checked" [UN18]="window limit, frames by magic"
	[UN20]="not in the profile" [UN21]="no auto-detection"
	[UN23]="map of names that were seen" [UN24]="range check" [UN25]="range check"
)

say() { printf '%s|%s|%s|%s\n' "$@"; }
complain() { printf '%s\n' "$*" >&2; }

make_canary() {
	mkdir -p canary/dir && chmod 0777 canary
	echo alive >canary/file && echo alive >canary/dir/file && ln -s file canary/link
}
canary_state() {
	find canary -printf '%p %y %m %U %G %T@ %l\n' | LC_ALL=C sort
	sha256sum canary/file canary/dir/file
}

# What a refused build must not leave: a tree, a result, work in progress.
remains() {
	local list=(state/roots/sha256_* state/stacker/cache/*.json)
	local work=(state/roots/.work/*)
	printf '%s ' "${#list[@]}" "${#work[@]}"
	find state/stacker -name '.*' -type f ! -name .lock | wc -l
}

stacker() {
	timeout --kill-after=10 120 "$STACKER" --stacker-dir state/stacker --roots-dir state/roots \
		--oci-dir state/oci "$@"
}

# through FROM: builds an image from it; sets `id` to "accept" or the id of the error.
through() {
	local output
	printf 'x: {from: %s}\n' "$1" >stacker.yaml
	if output=$(stacker build -f stacker.yaml 2>&1 </dev/null); then
		id=accept
	elif [[ $output =~ \[([a-z0-9/-]+)\] ]]; then
		id=${BASH_REMATCH[1]}
	else
		id="none: $output"
	fi
}

layer_of() { printf '{type: oci, url: "%s/oci:%s"}' "$1" "$2"; }
archive_of() { printf '{type: tar, url: "%s/%s"}' "$1" "$2"; }

# is_expected ALTERNATIVES ID
is_expected() {
	case $1 in
	contained) [ "$2" = accept ] || [[ $2 == unpack/* ]] ;;
	*) [[ ,$1, == *,"$2",* ]] ;;
	esac
}

# attempt ROW NAME DOOR WANT FROM: one vector through stacker.
attempt() {
	local before after
	[ "$4" != - ] || return 0
	before=$(remains)
	through "$5"
	after=$(remains)
	count[$1]=$((${count[$1]:-0} + 1))
	seen[$1]="${seen[$1]:-} $id"
	is_expected "$4" "$id" || fail "$1" "$2 as $3: got '$id', expected '$4'"
	[ "$id" = accept ] || [ "$before" = "$after" ] || fail "$1" "$2 as $3: left something behind: $before -> $after"
	[ "$canary" = "$(canary_state)" ] || fail "$1" "$2 as $3: the canary changed"
}

fail() {
	failed[$1]="${failed[$1]:-$2}"
	complain "$1: $2"
}

# Both doors of every vector in LIST, through stacker.
through_stacker() {
	local row name layer archive
	while IFS='|' read -r row name _ layer archive _; do
		attempt "$row" "$name" layer "$layer" "$(layer_of "$WORK/host" "$name")"
		attempt "$row" "$name" archive "$archive" "$(archive_of "$WORK/host" "$name")"
	done <host/list
}

# The same through the module, with the canary where the vectors of `near` say.
through_module() {
	local row name door verdict id rest
	timeout 300 "$SECBIN/sec_unpack" vectors near/list near scratch >near.out
	while IFS='|' read -r row name door verdict id rest; do
		count[$row]=$((${count[$row]:-0} + 1))
		seen[$row]="${seen[$row]:-} $id"
		[ "$verdict" = ok ] || fail "$row" "$name as $door through the module: '$id'"
	done <near.out
	[ "$(wc -l <near.out)" -gt 800 ] || fail UN01 "sec_unpack stopped after $(wc -l <near.out) attempts"
}

# What was seen, each once, with how often.
summary() {
	tr ' ' '\n' <<<"$1" | sort | uniq -c | sort -rn |
		awk '$2 != "" { printf "%s%s x%d", sep, $2, $1; sep = ", " }'
}

report() {
	local row=$1 stopped="${mechanism[$1]:-}"
	if [ -n "${failed[$row]:-}" ]; then
		say "$row" FAIL "${tried[$row]}" "${failed[$row]}"
	elif [ "${count[$row]:-0}" -eq 0 ]; then
		say "$row" FAIL "${tried[$row]}" "nothing was tried"
	else
		say "$row" ok "${tried[$row]} (${count[$row]} attempts)" "$stopped${2:-}: $(summary "${seen[$row]}")"
	fi
}

# Privilege in a layer: nobody else gets to it, and it belongs to nobody's root.
row_07() {
	local tree mode owner
	through "$(layer_of "$WORK/host" setuid)"
	tree=$(echo state/roots/sha256_*)
	for tree in state/roots/sha256_*; do
		[ -e "$tree/su" ] || continue
		mode=$(stat -c %a "$tree/su")
		owner=$(stat -c %u "$tree/su")
		[ "$mode" = 4755 ] || fail UN07 "the mode became $mode"
		[ "$owner" -ne 0 ] || fail UN07 "the setuid file belongs to root"
	done
	[ "$(stat -c %a state/roots)" = 700 ] || fail UN07 "the trees can be reached by others"
	if [ "$WHO" = root ]; then
		setpriv --reuid=65534 --regid=65534 --clear-groups ls state/roots >/dev/null 2>&1 &&
			fail UN07 "another user can look into the trees"
	fi
}

row_22() {
	local tag want
	while read -r tag want; do
		attempt UN22 "$tag" layer "$want" "$(layer_of "$WORK/host" "$tag")"
	done <<-'END'
		un22-good accept
		un22-diff-id unpack/diff-id
		un22-diff-id-is-blob unpack/diff-id
		un22-size-less layout/damaged
		un22-size-more layout/damaged
		un22-missing layout/missing-blob
		un22-flipped store/wrong-hash
	END
	mechanism[UN22]="hashed into quarantine before any reader sees it"
}

# Bombs: also within bounds of time and memory.
row_19() {
	local row name layer archive door from took mib worst="" figures
	while IFS='|' read -r row name _ layer archive _; do
		for door in layer archive; do
			[ "${!door}" != - ] || continue
			from=$("${door}_of" "$WORK/bombs" "$name")
			attempt UN19 "$name" "$door" "${!door}" "$from"
			printf 'x: {from: %s}\n' "$from" >stacker.yaml
			"$here/measure.py" figures "$STACKER" --stacker-dir state/stacker --roots-dir state/roots \
				--oci-dir state/oci build -f stacker.yaml >/dev/null 2>&1 </dev/null
			read -r _ took mib <figures
			worst="$worst $name/$door ${took}s ${mib}MiB;"
			[ "$mib" -lt 256 ] || fail UN19 "$name as $door took $mib MiB"
			# Mostly the disk's time, for what is made before the limit is met, and removed.
			awk -v t="$took" 'BEGIN { exit !(t < 60) }' || fail UN19 "$name as $door took $took s"
		done
	done <bombs/list
	complain "UN19:$worst"
	figures=$(tr ';' '\n' <<<"$worst" | awk 'NF == 3 {
			s = $2 + 0; m = $3 + 0
			if (s > max_s) { max_s = s; slow = $1 }
			if (m > max_m) max_m = m
			if (s <= 1) quick++
			n++
		} END { printf "%d of %d within 1 s, slowest %s %.2f s, most memory %d MiB", quick, n, slow, max_s, max_m }')
	mechanism[UN19]="limits of ratio, entries, names, headers; $figures"
}

row_26() {
	local tag start ms
	start=$(date +%s%N)
	for tag in un26-501 un26-500 un26-499; do
		attempt UN26 "$tag" layer image/too-many-layers,build/too-many-layers "$(layer_of "$WORK/host" "$tag")"
	done
	ms=$((($(date +%s%N) - start) / 3000000))
	tried[UN26]="images of 499 to 501 layers"
	mechanism[UN26]="counted before anything is unpacked, in $ms ms each"
}

row_27() {
	local out text="somebody of the same ids swaps a directory for a link to the canary meanwhile"
	if out=$(timeout 60 "$SECBIN/sec_unpack" swap near/swap-target swapped 4); then
		say UN27 ok "$text" "every directory is opened anew below the root, without links: $out"
	else
		say UN27 FAIL "$text" "${out:-stopped early}"
	fi
}

row_28() {
	local out text="an unpacker, packer, lister and remover that try exec, sockets, open, fork, mount ..."
	if out=$(timeout 120 "$SECBIN/sec_unpack" confined confined) && [ "$(wc -l <<<"$out")" -ge 80 ]; then
		say UN28 ok "$text" "own seccomp lists and namespaces: $(wc -l <<<"$out") of $(wc -l <<<"$out") denied ($(cut -d'|' -f4 <<<"$out" | sort | uniq -c | awk '{ printf "%s%s x%d", sep, $2, $1; sep = ", " }'))"
	else
		grep '|FAIL|' <<<"$out" >&2
		say UN28 FAIL "$text" "$(grep -m1 '|FAIL|' <<<"$out" || echo "stopped early")"
	fi
}

shopt -s nullglob dotglob
declare -A count seen failed
mkdir -p state
make_canary
python3 "$here/vectors.py" near /scratch/canary || exit 1
python3 "$here/vectors.py" host "$WORK/canary" || exit 1
python3 "$here/vectors.py" bombs "$WORK/canary" bombs || exit 1
canary=$(canary_state)

through_module
through_stacker
row_07
row_22
row_19
row_26
for row in $(printf '%s\n' "${!tried[@]}" | sort); do
	report "$row"
done
row_27
row_28

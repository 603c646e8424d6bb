#!/bin/sh
# Turns stacker.yaml.in into a stackerfile whose every input is pinned.
#
# A template names Debian packages; this script asks apt which files those are today, and writes
# their URL, SHA-256 and size into the stackerfile. From then on the stackerfile alone decides what
# is built: it can be kept, shared and built again for as long as some server has those bytes.
#
#   # pin-debs: PACKAGE...     the packages and all they depend on, each unpacked into /
#   # pin-archives: PACKAGE... [without PACKAGE...]
#                              the same as files for dpkg to install, those left out that the
#                              packages after `without`, which the base has, depend on
#   # pin-source: PACKAGE DIR  the upstream tarball of the source package, unpacked into DIR
#
# PACKAGE may be a pattern of apt's, such as ?essential.
#
# apt is asked with a private state below the directory of OUTPUT, so the answer depends neither on
# what is installed here nor on how old the machine's package lists are, and no root is needed.
# Only the Debian main archive is used, from wherever this machine's own sources get it.
set -eu
export LC_ALL=C

die() {
	echo "pin: error: $*" >&2
	exit 1
}

[ $# -eq 2 ] || die "usage: pin.sh TEMPLATE OUTPUT"
template=$1
output=$2
[ -r "$template" ] || die "cannot read '$template'"
command -v apt-get >/dev/null || die "apt-get is missing; the pins come from Debian's archive"

arch=$(dpkg --print-architecture)
[ "$arch" = amd64 ] || die "the example names files of amd64, and this machine is $arch"

mkdir -p "$(dirname "$output")"
dir=$(cd "$(dirname "$output")" && pwd)
state=$(mktemp -d "$dir/apt.XXXXXX")
trap 'rm -rf "$state"' EXIT
trap 'exit 130' INT TERM HUP
mkdir -p "$state/parts" "$state/lists/partial" "$state/archives/partial"
: >"$state/status" # no package is installed: the whole closure is listed

# The release's own suites: not backports, and not the third parties that may stand beside them.
# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$codename" ] || die "/etc/os-release names no release"
suites="$codename $codename-updates $codename-security $codename/updates
	stable stable-updates stable-security stable/updates"

# Copies the Debian entries of the machine's sources as `deb` and `deb-src`. Both forms apt knows
# are read: one line an entry (*.list), and paragraphs (*.sources). An entry signed by a key other
# than Debian's is someone else's archive.
# shellcheck disable=SC2016
common='
function wanted_suites(text,   names, n, i, out) {
	n = split(text, names, " ")
	out = ""
	for (i = 1; i <= n; i++)
		if (index(known, " " names[i] " "))
			out = out " " names[i]
	return out
}
# Cloud images name a file that lists mirrors; its first line will do, as a URL others can use.
function real_uri(uri,   path, line, found) {
	if (uri !~ /^mirror\+file:/)
		return uri
	path = uri
	sub(/^mirror\+file:/, "", path)
	sub(/^\/\/\//, "/", path)
	sub(/\/$/, "", path)
	while (!found && (getline line < path) > 0)
		if (line ~ /^[a-z]+:\/\//) {
			split(line, found_fields)
			found = found_fields[1]
		}
	close(path)
	return found
}
BEGIN {
	gsub(/[ \t\n]+/, " ", known)
	known = " " known " "
}'
# shellcheck disable=SC2016
lines='
/^deb[ \t]/ {
	options = ""
	rest = $0
	sub(/^deb[ \t]+/, "", rest)
	if (match(rest, /^\[[^]]*\][ \t]*/)) {
		options = substr(rest, 1, RLENGTH)
		rest = substr(rest, RLENGTH + 1)
	}
	if (options ~ /signed-by/ && options !~ /debian-archive/)
		next
	n = split(rest, field, " ")
	if (n < 3 || field[1] ~ /^cdrom:/ || !wanted_suites(field[2]))
		next
	for (i = 3; i <= n && field[i] != "main"; i++)
		;
	if (i > n)
		next
	print "deb", options, real_uri(field[1]), field[2], "main"
	print "deb-src", options, real_uri(field[1]), field[2], "main"
}'
# shellcheck disable=SC2016
paragraphs='
function flush(   uris, n, i, out) {
	if (("types" in value) && (" " value["types"] " ") ~ / deb / &&
	    wanted_suites(value["suites"]) && (" " value["components"] " ") ~ / main / &&
	    tolower(value["enabled"]) !~ /no|false|0/ &&
	    (value["signed-by"] == "" || value["signed-by"] ~ /debian-archive|BEGIN PGP/)) {
		n = split(value["uris"], uris, " ")
		out = ""
		for (i = 1; i <= n; i++)
			out = out " " real_uri(uris[i])
		print "Types: deb deb-src"
		print "URIs:" out
		print "Suites:" wanted_suites(value["suites"])
		print "Components: main"
		printf "%s\n", kept
	}
	split("", value)
	kept = ""
	name = ""
}
/^#/ { next }
/^[ \t]*$/ { flush(); next }
/^[ \t]/ { value[name] = value[name] $0 }
/^[^ \t]/ {
	name = tolower($0)
	sub(/:.*/, "", name)
	value[name] = $0
	sub(/^[^:]*:[ \t]*/, "", value[name])
}
name !~ /^(types|uris|suites|components)$/ { kept = kept $0 "\n" }
END { flush() }'

for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
	[ -r "$file" ] || continue
	awk -v known="$suites" "$common$lines" "$file"
done >"$state/parts/debian.list"
for file in /etc/apt/sources.list.d/*.sources; do
	[ -r "$file" ] || continue
	awk -v known="$suites" "$common$paragraphs" "$file"
done >"$state/parts/debian.sources"
[ -s "$state/parts/debian.list" ] || [ -s "$state/parts/debian.sources" ] ||
	die "the sources in /etc/apt name no Debian main archive of '$codename'"

# Read after the machine's own configuration, which keeps its say about proxies and the like.
cat >"$state/apt.conf" <<END
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$state/parts";
Dir::State::Lists "$state/lists";
Dir::State::Status "$state/status";
Dir::State::extended_states "$state/extended_states";
Dir::Cache "$state";
Dir::Cache::archives "$state/archives";
APT::Sandbox::User "";
APT::Install-Recommends "false";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Debug::NoLocking "true";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
END

ask_apt() {
	apt-get -q -q --config-file="$state/apt.conf" "$@"
}

# apt prints: 'URL' FILE SIZE SHA256:HEX. Anything else, such as a weaker hash, is refused.
# Without a destination the files are not unpacked: they stand in /stacker/imports for the script.
entries() {
	sort -k2 | awk -v dest="$1" -v q="'" '
	{
		url = $1
		gsub(q, "", url)
		if (NF != 4 || url !~ /^https?:\/\// || $3 !~ /^[0-9]+$/ ||
		    $4 !~ /^SHA256:[0-9a-f]+$/ || length($4) != 71) {
			print "pin: error: apt gave no URL with a SHA-256 for " $2 > "/dev/stderr"
			exit 1
		}
		print "    - path: " url
		print "      hash: sha256:" substr($4, 8)
		print "      size: " $3
		if (dest != "") {
			print "      dest: " dest
			print "      unpack: true"
		}
	}
	END { if (!NR) { print "pin: error: apt listed nothing" > "/dev/stderr"; exit 1 } }'
}

# A dry run of an installation onto nothing lists the packages and all they depend on.
closure() {
	ask_apt --simulate install "$@" >"$state/closure" || die "apt cannot install '$*'"
	awk '$1 == "Inst" { sub(/^\(/, "", $3); print $2 "=" $3 }' "$state/closure" | sort
}

# `download` knows the SHA-256 of what an installation would take.
uris() {
	ask_apt --print-uris download "$@" >"$state/uris" || die "apt knows no file of '$*'"
}

pin_debs() {
	closure "$@" >"$state/wanted"
	# shellcheck disable=SC2046 # one word a package
	uris $(cat "$state/wanted")
	entries / <"$state/uris"
}

# Both closures are of the same dry run's kind, so that a choice between alternatives that the base
# made is made again.
pin_archives() {
	: >"$state/base"
	all=$*
	case $all in
	*" without "*)
		# shellcheck disable=SC2086
		closure ${all#* without } >"$state/base"
		# shellcheck disable=SC2086
		set -- ${all%% without *} ${all#* without }
		;;
	esac
	closure "$@" >"$state/wanted"
	comm -23 "$state/wanted" "$state/base" >"$state/more"
	# shellcheck disable=SC2046
	uris $(cat "$state/more")
	entries "" <"$state/uris"
}

pin_source() {
	ask_apt --print-uris source "$1" >"$state/uris" || die "apt knows no source of '$1'"
	grep -E "^'[^']*\.orig\.tar\.[a-z0-9]+' " "$state/uris" >"$state/orig" ||
		die "source package '$1' has no upstream tarball"
	entries "$2" <"$state/orig"
}

echo "pin: reading the package lists of Debian $codename" >&2
ask_apt update >&2 || die "apt could not read the package lists"

set -f # from here on ? and * are apt's
# The marker stays above what it stood for, so that the stackerfile says where its pins came from.
while IFS= read -r line; do
	printf '%s\n' "$line"
	case $line in
	*"# pin-debs: "*)
		# shellcheck disable=SC2086
		pin_debs ${line#*"# pin-debs: "}
		;;
	*"# pin-archives: "*)
		# shellcheck disable=SC2086
		pin_archives ${line#*"# pin-archives: "}
		;;
	*"# pin-source: "*)
		# shellcheck disable=SC2086
		pin_source ${line#*"# pin-source: "}
		;;
	esac
done <"$template" >"$state/stacker.yaml"
mv "$state/stacker.yaml" "$output"
echo "pin: $(grep -c '^ *hash: sha256:' "$output") inputs pinned in $output" >&2

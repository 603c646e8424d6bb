#!/bin/sh
# Installs those of the named Debian packages that are missing, and nothing when none is.
# Asks nothing; where it may not install, it says what is missing and which command adds it.
set -eu

missing=
for package in "$@"; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
	[ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

give_up() {
	echo "deps: error: $1; these Debian packages are missing:$missing" >&2
	echo "deps: hint: as root: apt-get update && apt-get install --no-install-recommends$missing" >&2
	exit 1
}

command -v apt-get >/dev/null || give_up "this machine has no apt-get"
if [ "$(id -u)" -eq 0 ]; then
	as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
	as_root="sudo -n"
else
	give_up "not root, and sudo would ask for a password"
fi

apt() {
	# shellcheck disable=SC2086 # empty for root
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

echo "deps: installing$missing"
# Package lists that are old name files that are gone. One broken source must not stop the others.
apt update || echo "deps: warning: some package lists could not be read" >&2
# shellcheck disable=SC2086 # a list of words
apt install --no-install-recommends $missing || give_up "apt-get could not install"

#!/bin/sh
# stacker's own build keeps what stacker promises: in another folder, under another umask, locale
# and time zone, with one job, it gives the same bytes as STACKER, built here before.
set -eu
stacker=$(realpath "${1:?usage: check_self.sh STACKER}")
copy=$(mktemp -d "${TMPDIR:-/tmp}/stacker-self.XXXXXX")
trap 'rm -rf "$copy"' EXIT
trap 'exit 130' INT TERM HUP

mkdir "$copy/another folder"
cp -R Makefile src include policy "$copy/another folder/"
cd "$copy/another folder"
umask 077
LC_ALL=C TZ=Asia/Tokyo MAKEFLAGS='' "${MAKE:-make}" --no-print-directory -j1 BUILD=build MODE=release all
cmp build/stacker "$stacker"

#!/bin/sh
# Enforces the layers of the design over every `#include "module/..."` below SRC: a module includes
# itself and what is below it, peers never one another, and nobody another's *_internal.h.
set -eu
src=${1:?usage: check_layers.sh SRC}

# shellcheck disable=SC2016 # $ belongs to awk
find "$src" -name '*.[chS]' | LC_ALL=C sort | xargs awk '
BEGIN {
	below["util"] = "util"
	peers = "recipe inputs sandbox image attest"
	n = split(peers, peer, " ")
	for (i = 1; i <= n; i++)
		below[peer[i]] = "util " peer[i]
	below["build"] = "util " peers " build"
	below["verify"] = below["build"] " verify"
	below["api"] = below["verify"] " api"
	below["api"] = below["verify"] " api"
	below["cli"] = below["verify"] " cli"
	bad = 0
}
FNR == 1 {
	files++
	n = split(FILENAME, part, "/")
	module = part[n - 1]
	if (!(module in below)) {
		printf "%s:1: error: folder \"%s\" is in no layer\n", FILENAME, module
		bad++
	}
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	path = $0
	sub(/^[^"]*"/, "", path)
	sub(/".*/, "", path)
	if (path ~ /^stacker\/[a-z]+\.h$/)
		next
	if (path !~ /^[a-z]+\/[a-z0-9_]+\.h$/) {
		printf "%s:%d: error: include \"%s\" is not of the form \"module/noun.h\"\n",
			FILENAME, FNR, path
		bad++
		next
	}
	target = path
	sub(/\/.*/, "", target)
	if (!index(" " below[module] " ", " " target " ")) {
		printf "%s:%d: error: %s may not include %s (\"%s\")\n",
			FILENAME, FNR, module, target, path
		bad++
	} else if (path ~ /_internal\.h$/ && target != module) {
		printf "%s:%d: error: \"%s\" is internal to %s\n", FILENAME, FNR, path, target
		bad++
	}
}
END {
	printf "%d files, %d layer violations\n", files, bad
	exit bad > 0 || files == 0
}'

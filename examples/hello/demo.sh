#!/bin/sh
# `make demo`: pins the inputs of GNU hello, builds the image, runs the program, verifies the image.
# Everything it makes is below DIR. A second run finds pins, inputs and image there, and only
# verifies again.
set -eu
export LC_ALL=C

dir=${1:?usage: demo.sh DIR}
here=$(cd "$(dirname "$0")" && pwd)
stacker=$(realpath "${STACKER:?STACKER names the program to use}")
mkdir -p "$dir"
cd "$dir"

say() {
	printf '\n==> %s\n' "$*"
}
run_stacker() {
	"$stacker" --stacker-dir .stacker --oci-dir oci --roots-dir roots "$@"
}

# Pins are taken once: from then on this machine's apt and its clock have no say.
if ! cmp -s "$here/stacker.yaml.in" stacker.yaml.in || [ ! -e stacker.yaml ]; then
	say "pinning the inputs"
	"$here/pin.sh" "$here/stacker.yaml.in" stacker.yaml
	cp "$here/stacker.yaml.in" stacker.yaml.in
fi

say "building $PWD/stacker.yaml"
if ! run_stacker build --hermetic -f stacker.yaml; then
	echo "demo: the build failed; if an input is gone, 'rm $PWD/stacker.yaml' pins anew" >&2
	exit 1
fi

# The image's own dynamic linker and C library run the program, so that nothing of this machine is
# needed but a kernel; and no container engine either.
say "running it"
rm -rf run
mkdir run
umoci --log=error raw unpack --rootless --image oci:hello run/rootfs
run/rootfs/lib64/ld-linux-x86-64.so.2 --library-path run/rootfs/lib/x86_64-linux-gnu \
	run/rootfs/usr/bin/hello --greeting="Hello from pinned inputs."

say "verifying it: built again, twice, from nothing, under other conditions"
status=0
run_stacker verify -f stacker.yaml hello || status=$?
echo
if [ "$status" -ne 0 ]; then
	echo "not reproduced (exit code $status of stacker verify)"
	exit "$status"
fi
echo "reproduced"

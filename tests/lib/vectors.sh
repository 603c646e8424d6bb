#!/usr/bin/env bash
# The golden vectors, packed, compressed and written by other builds of the same code, each of which
# must give the digests in vectors/format-1. Prints a line for each build; exits 1 if one fails.
#
#   vectors.sh BUILD variants        gcc and clang, -O0 and -O3, ASan and UBSan
#   vectors.sh BUILD cross ARCH...   cross-compiled for Debian's ARCH, run by qemu's user emulation
#
# The libraries of an architecture are downloaded from the Debian mirror of this machine's apt and unpacked
# below BUILD; nothing is installed. The slow vectors are `make vectors`'s. Needs root, since the trees have
# owners and devices.
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
: "${MAKE:=make}"
build=$(realpath -m "${1:?usage: vectors.sh BUILD variants | vectors.sh BUILD cross ARCH...}")
what=${2:?usage: vectors.sh BUILD variants | vectors.sh BUILD cross ARCH...}
shift 2
tests=(test_util_vectors test_recipe_vectors test_image_vectors)
modules="util recipe image"
failed=0

[ "$(id -u)" -eq 0 ] || { echo "vectors.sh: error: only root can make the trees of the vectors" >&2; exit 1; }

# tell NAME OK: one line of the table.
tell() {
	printf '%-24s %s\n' "$1" "$2"
	[ "$2" = ok ] || failed=1
}

# run_all NAME OUT [RUNNER...]: the three programs in OUT/tests.
run_all() {
	local name=$1 out=$2 test log=$build/vectors/$1.log
	shift 2
	for test in "${tests[@]}"; do
		if ! "$@" "$out/tests/$test" >"$log" 2>&1; then
			tail -n 20 "$log" >&2
			tell "$name" "FAILED in $test"
			return
		fi
	done
	tell "$name" ok
}

# variant NAME MODE MAKE-ARGUMENT...
variant() {
	local name=$1 mode=$2 dir=$build/vectors/$1
	shift 2
	if ! "$MAKE" --no-print-directory -j"$(nproc)" BUILD="$dir" MODE="$mode" MODULES="$modules" "$@" \
		"${tests[@]/#/$dir/$mode/tests/}" >"$dir.make.log" 2>&1; then
		tail -n 20 "$dir.make.log" >&2
		tell "$name" "FAILED to build"
		return
	fi
	run_all "$name" "$dir/$mode"
}

# sysroot ARCH DIR: what the vectors' programs link, with all that it needs.
sysroot() {
	local arch=$1 dir=$2 deb
	local apt=(apt-get -qq -o Dir::State="$dir/state" -o Dir::State::status="$dir/status"
		-o Dir::Cache="$dir/cache" -o APT::Architecture="$arch" -o APT::Architectures::="$arch"
		-o Debug::NoLocking=1 -o APT::Install-Recommends=false -o APT::Sandbox::User=root)
	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" "$dir/root"
	: >"$dir/status"
	"${apt[@]}" update && "${apt[@]}" install -y --download-only libssl-dev libjansson-dev libzstd-dev \
		liblzma-dev zlib1g-dev libarchive-dev libyaml-dev libcmocka-dev || return 1
	for deb in "$dir"/cache/archives/*.deb; do
		dpkg-deb -x "$deb" "$dir/root" || return 1
	done
	touch "$dir/complete"
}

cross() {
	local arch=$1 dir=$build/vectors/$1 triplet machine sys
	case $arch in
	arm64) triplet=aarch64-linux-gnu machine=aarch64 ;;
	s390x) triplet=s390x-linux-gnu machine=s390x ;;
	*) tell "$arch" "FAILED: an architecture that is not known here"; return ;;
	esac
	sys=$dir/root
	mkdir -p "$dir"
	if [ ! -e "$dir/complete" ] && ! sysroot "$arch" "$dir" >"$dir.apt.log" 2>&1; then
		tail -n 20 "$dir.apt.log" >&2
		tell "$arch" "FAILED to get its libraries"
		return
	fi
	if ! "$triplet-gcc" --sysroot="$sys" -std=gnu11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -fPIE -c \
		-o "$dir/openat2.o" tests/lib/emulated_openat2.c ||
		! "$MAKE" --no-print-directory -j"$(nproc)" BUILD="$dir/build" MODULES="$modules" \
			CC="$triplet-gcc --sysroot=$sys" AR="$triplet-ar" \
			PACKAGES="libarchive libcrypto yaml-0.1 jansson zlib libzstd liblzma" \
			PKG_CONFIG="env PKG_CONFIG_LIBDIR=$sys/usr/lib/$triplet/pkgconfig PKG_CONFIG_SYSROOT_DIR=$sys pkg-config" \
			LDFLAGS=-Wl,--wrap=syscall LDLIBS="$dir/openat2.o" \
			"${tests[@]/#/$dir/build/release/tests/}" >"$dir.make.log" 2>&1; then
		tail -n 20 "$dir.make.log" >&2
		tell "$arch" "FAILED to build"
		return
	fi
	run_all "$arch, emulated" "$dir/build/release" "qemu-$machine-static" -L "$sys"
}

mkdir -p "$build/vectors"
case $what in
variants)
	# gcc's guesses at -O3 are noise; what is built otherwise is held to having none.
	variant gcc release CC=gcc
	variant clang release CC=clang
	variant gcc-O0 debug CC=gcc
	variant gcc-O3 release CC=gcc CFLAGS="-O3 -Wno-error"
	variant clang-O0 debug CC=clang
	variant clang-O3 release CC=clang CFLAGS=-O3
	variant gcc-sanitizers asan CC=gcc
	variant clang-sanitizers asan CC=clang
	;;
cross)
	for arch in "$@"; do
		cross "$arch"
	done
	;;
*)
	echo "vectors.sh: error: '$what' is neither 'variants' nor 'cross'" >&2
	exit 2
	;;
esac
exit "$failed"

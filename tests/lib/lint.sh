#!/bin/sh
# Static analysis with whatever of clang-tidy, cppcheck and shellcheck is installed.
# Off are checks that misread cleanup attributes, va_list and arrays of pointers, where there is no fault.
set -u
failed=0
found=0
if command -v clang-tidy >/dev/null; then
	found=1
	clang-tidy --quiet -p . \
		--checks='-*,clang-analyzer-*,-clang-analyzer-unix.Malloc,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,-bugprone-assignment-in-if-condition,-clang-analyzer-valist.Uninitialized,-clang-analyzer-optin.performance.Padding,-bugprone-sizeof-expression,-bugprone-not-null-terminated-result,-bugprone-narrowing-conversions' \
		--warnings-as-errors='*' "$@" || failed=1
fi
if command -v cppcheck >/dev/null; then
	found=1
	cppcheck --quiet --std=c11 --enable=warning,portability --suppress=memleak --inline-suppr \
		--error-exitcode=1 -Isrc -D_GNU_SOURCE -D__x86_64__ "$@" || failed=1
fi
if command -v shellcheck >/dev/null; then
	found=1
	shellcheck .ci/run .ci/deps.sh tests/lib/*.sh tests/bench/*.sh examples/*/*.sh || failed=1
fi
if [ $found -eq 0 ]; then
	echo "lint: error: none of clang-tidy, cppcheck, shellcheck is installed; 'make deps-dev' adds them" >&2
	exit 1
fi
exit $failed

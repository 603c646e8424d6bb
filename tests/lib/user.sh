# shellcheck shell=sh
# The ordinary user of the tests: made by root when it is missing, with the subordinate ids that a
# sandbox needs. Sourced.

TEST_USER=stackertest

# The first id above every range in FILE, so that no two users share one.
free_range_start() {
	awk -F: '{ end = $2 + $3; if (end > max) max = end }
		END { print (max > 100000 ? max : 100000) }' "$1"
}

ensure_test_user() {
	if ! id "$TEST_USER" >/dev/null 2>&1; then
		useradd --create-home --shell /bin/sh "$TEST_USER" || return 1
	fi
	touch /etc/subuid /etc/subgid
	if ! grep -q "^$TEST_USER:" /etc/subuid; then
		start=$(free_range_start /etc/subuid)
		usermod --add-subuids "$start-$((start + 65535))" "$TEST_USER" || return 1
	fi
	if ! grep -q "^$TEST_USER:" /etc/subgid; then
		start=$(free_range_start /etc/subgid)
		usermod --add-subgids "$start-$((start + 65535))" "$TEST_USER" || return 1
	fi
}

# Runs a command as that user, with an environment of its own and nothing on stdin.
as_test_user() {
	home=$(getent passwd "$TEST_USER" | cut -d: -f6)
	runuser -u "$TEST_USER" -- env -i HOME="$home" USER="$TEST_USER" LOGNAME="$TEST_USER" \
		PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin CI="${CI:-}" "$@" </dev/null
}

# bats file_tags=user
# One recipe, one digest: whatever differs around the build.

load ../lib/helpers

setup() {
	setup_work
	. "$REPO_LIB/user.sh"
	EXTRA=
	DISK=
}
teardown() {
	local dir
	for dir in "$EXTRA" "$DISK"; do
		[ -z "$dir" ] || [ "$dir" = "$PWD" ] || rm -rf "$dir" 2>/dev/null ||
			unshare --map-root-user --map-auto rm -rf "$dir"
	done
	teardown_work
}

# A stackerfile that gives every difference a chance to show: modes, owners, links, times, many
# names in one directory, a parallel step, what the step sees of the machine.
write_project() {
	local dir=$1
	mkdir -p "$dir"
	(
		cd "$dir" || exit 1
		mkdir -p tree/sub
		for i in $(seq 40); do echo "$i" >"tree/file-$i"; done
		chmod 0640 tree/file-7
		ln -s file-1 tree/link
		write_stackerfile <<-'END'
			stage:
			  build_only: true
			  from: {type: built, tag: base}
			  imports:
			    - {path: tree/, dest: /tree}
			  run: |
			    #!/bin/busybox sh
			    mkdir /many
			    for i in $(seq 200); do echo $i > /many/$i & done
			    wait
			    chown -R 33:44 /many
			    ln /many/1 /hard
			    { id; hostname; umask; env | sort; ls /proc/sys /sys; } > /seen 2>&1
			    find /tree -exec stat -c '%n %F %a %u %g %Y' {} + | sort > /tree-seen
			    rm /tree/file-9
			app:
			  from: {type: built, tag: stage}
			  run: |
			    #!/bin/busybox sh
			    sort /seen | tail -n +1 > /again
			  environment: {B: b, A: a}
			  cmd: [/bin/sh]
		END
		# Whoever builds must be able to read it, whatever the umask was.
		chmod -R a+rX .
	)
}

build_digest() {
	local dir=$1
	shift
	(cd "$dir" && env "$@" "$STACKER" --quiet build >log 2>&1) || {
		cat "$dir/log"
		return 1
	}
	image_digest app "$dir/oci"
}

@test "invariance: path, TZ, locale, umask and one CPU" {
	write_project a
	local long
	long=$(printf 'long-%.0s' $(seq 30))
	write_project "b c/$long"
	local first second
	first=$(build_digest a)
	second=$(umask 077 && cd / && build_digest "$BATS_TEST_TMPDIR/b c/$long" \
		TZ=Asia/Tokyo LC_ALL=C LANG=tr_TR.UTF-8 HOME=/nonexistent SOURCE_DATE_EPOCH=1 taskset -c 0)
	[ -n "$first" ]
	expect_equal "$second" "$first"
}

@test "invariance: a tmpfs and a disk" {
	[ "$(stat -f -c %T /dev/shm)" = tmpfs ] || skip "/dev/shm is no tmpfs"
	EXTRA=$(mktemp -d /dev/shm/stacker-test.XXXXXX)
	# Where /tmp is a tmpfs itself, /var/tmp is on the disk.
	DISK=$PWD
	[ "$(stat -f -c %T .)" != tmpfs ] || DISK=$(mktemp -d /var/tmp/stacker-test.XXXXXX)
	[ "$(stat -f -c %T "$DISK")" != tmpfs ] || skip "no disk: /tmp and /var/tmp are on a tmpfs"
	write_project a
	cp -r a "$EXTRA/a"
	[ "$DISK" = "$PWD" ] || cp -r a "$DISK/a"
	expect_equal "$(build_digest "$EXTRA/a")" "$(build_digest "$DISK/a")"
}

@test "invariance: the order of names in a directory" {
	write_project a
	mkdir -p b/base/bin b/tree/sub
	cp a/stacker.yaml b/
	cp a/base/bin/busybox b/base/bin/
	# Made in another order, with other times and another inode order.
	(cd a && find base tree -type l | tac) | while read -r f; do cp -P "a/$f" "b/$f"; done
	(cd a && find tree -type f | LC_ALL=C sort -r) | while read -r f; do cp "a/$f" "b/$f" && chmod --reference="a/$f" "b/$f"; done
	chmod --reference=a/base/bin b/base/bin b/base b/tree b/tree/sub
	touch -d 1990-01-01 b/tree/*
	expect_equal "$(build_digest b)" "$(build_digest a)"
}

@test "invariance: root and an ordinary user" {
	[ "$(id -u)" -eq 0 ] || skip_justified "only root can be two users"
	ensure_test_user
	write_project a
	EXTRA=$(mktemp -d "${TMPDIR:-/tmp}/stacker-user.XXXXXX")
	cp -r a "$EXTRA/a"
	cp "$STACKER" "$EXTRA/stacker"
	chown -R "$TEST_USER:" "$EXTRA"
	as_test_user sh -c 'cd "$1" && ../stacker --quiet build' sh "$EXTRA/a"
	expect_equal "$(image_digest app "$EXTRA/a/oci")" "$(build_digest a)"
	# And either can verify what the other made.
	cp -r "$EXTRA/a/oci" a/oci.user
	(cd a && stacker --oci-dir oci.user verify app)
}

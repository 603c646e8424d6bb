# bats file_tags=user
# unpriv-setup and check: what a machine needs.

load ../lib/helpers

setup() {
	setup_work
	export HOME=$PWD
	unset SUDO_USER SUDO_UID SUDO_GID
	mkdir -p machine/etc
	me=(--root machine --username alice --uid "$(id -u)" --gid "$(id -g)")
}
teardown() { teardown_work; }

@test "unpriv-setup: gives ids and directories" {
	run stacker unpriv-setup "${me[@]}"
	expect_success
	expect_equal "$(cat machine/etc/subuid)" alice:100000:65536
	expect_equal "$(cat machine/etc/subgid)" alice:100000:65536
	expect_equal "$(stat -c %a machine/etc/subuid)" 644
	expect_equal "$(stat -c %a:%u .stacker)" "700:$(id -u)"
	expect_equal "$(stat -c %a:%u roots)" "700:$(id -u)"
	expect_equal "$(stat -c %a:%u oci)" "755:$(id -u)"
	expect_equal "$(ls -A machine/etc | tr '\n' ' ')" "subgid subuid "
	# What it prepared is what a build takes.
	write_stackerfile <<-'END'
		app:
		  from: {type: built, tag: base}
	END
	run stacker build
	expect_success
}

@test "unpriv-setup: a new range overlaps nobody's, one that is there stays" {
	printf '# ids\nbob:100000:65536\ncarol:500000:70000' >machine/etc/subuid
	chmod 640 machine/etc/subuid
	printf 'alice:300000:65536\n' >machine/etc/subgid
	run stacker unpriv-setup "${me[@]}"
	expect_success
	expect_equal "$(cat machine/etc/subuid)" "# ids
bob:100000:65536
carol:500000:70000
alice:570000:65536"
	expect_equal "$(stat -c %a machine/etc/subuid)" 640
	expect_equal "$(cat machine/etc/subgid)" alice:300000:65536
	rm -rf .stacker
	run stacker unpriv-setup "${me[@]}"
	expect_success
	expect_equal "$(grep -c alice machine/etc/subuid)" 1
}

@test "unpriv-setup: refuses what is in use, and then changes nothing" {
	mkdir .stacker
	run stacker unpriv-setup "${me[@]}"
	expect_exit 1
	expect_output "stacker dir '.stacker' already exists, aborting setup" "[setup/exists]"
	rmdir .stacker
	echo 1 >machine/etc/subuid.lock
	run stacker unpriv-setup "${me[@]}"
	expect_exit 1
	expect_output "[setup/locked]"
	rm machine/etc/subuid.lock
	echo nonsense >machine/etc/subgid
	run stacker unpriv-setup "${me[@]}"
	expect_exit 1
	expect_output "[sandbox/subid-file]"
	expect_equal "$(cat machine/etc/subgid)" nonsense
	echo bob:4294900000:60000 >machine/etc/subgid
	run stacker unpriv-setup "${me[@]}"
	expect_exit 1
	expect_output "[setup/no-range]"
	[ ! -e .stacker ]
	[ ! -e roots ]
	[ -z "$(find machine -name '*.lock')" ]
	run stacker unpriv-setup "${me[@]}" --username a:b
	expect_exit 1
	expect_output "[setup/user]"
}

@test "unpriv-setup: who it is for comes from sudo or from options" {
	SUDO_USER=dora SUDO_UID=$(id -u) SUDO_GID=$(id -g) run stacker unpriv-setup --root machine
	expect_success
	expect_equal "$(cat machine/etc/subuid)" dora:100000:65536
	rm -rf .stacker
	run stacker unpriv-setup --root machine
	expect_exit 2
	expect_output "--username"
	for uid in x -1 4294967295 1x; do
		run stacker unpriv-setup --root machine --username a --uid="$uid" --gid 1
		expect_exit 2
	done
	[ ! -e .stacker ]
}

@test "check: the kernel, the file system of the trees, and what fails is an error" {
	run stacker check
	expect_success
	expect_output "kernel" "$(uname -r)" "roots-dir" "overlay"
	mkdir real
	ln -s real linked
	run stacker --roots-dir linked check
	expect_exit 1
	expect_output "symbolic link" "[roots/link]"
}

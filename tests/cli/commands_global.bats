# bats file_tags=user
# What stands before the command: directories, conf.yaml, messages.

load ../lib/helpers

setup() {
	setup_work
	export HOME=$PWD/home
	unset XDG_CONFIG_HOME
	mkdir home
}
teardown() { teardown_work; }

write_app() {
	write_stackerfile <<-'END'
		app:
		  from:
		    type: built
		    tag: base
		  cmd: /bin/sh
	END
}

@test "global: without arguments the help is printed, with exit code 0" {
	run stacker
	expect_success
	expect_output "BUILD AND VERIFY:" "  build " "  verify " "LOOK INTO IMAGES:" "--oci-dir DIR"
}

@test "global: every command stands once in the help, below a title" {
	run stacker --help
	expect_success
	expect_equal "$(grep -c '^[A-Z ]*:$' <<<"$output")" 5
	local names
	names=$(sed -n 's/^  \([a-z][a-z-]*\)  *[A-Z].*/\1/p' <<<"$output" | sort)
	expect_equal "$names" "$(sort -u <<<"$names")"
	expect_equal "$names" "$(stacker completion bash | sed -n "s/^\t'') words='\([^']*\)' ;;/\1/p" |
		tr ' ' '\n' | grep -v '^-' | sort)"
}

@test "global: help COMMAND is COMMAND --help" {
	run stacker build --help
	expect_success
	local asked=$output
	run stacker help build
	expect_success
	expect_equal "$output" "$asked"
	run stacker help bulid
	expect_exit 2
	expect_output "unknown command 'bulid'" "did you mean 'build'?"
}

@test "global: an option on the wrong side of the command is told where it stands" {
	run stacker -f x build
	expect_exit 2
	expect_output "unknown option '-f'" "it stands after the command: stacker build -f"
	run stacker build --oci-dir=x
	expect_exit 2
	expect_output "unknown option '--oci-dir=x'" "it stands before the command: stacker --oci-dir=x ... build"
}

@test "global: what cannot be completed or has no page is named" {
	run stacker completion fish
	expect_exit 2
	expect_output "nothing for 'fish'" "bash or zsh"
	run stacker manual bulid
	expect_exit 2
	expect_output "nothing for 'bulid'"
}

@test "global: where nothing can be written, the error says how to write elsewhere" {
	[ "$(id -u)" -ne 0 ] || skip_justified "root writes everywhere"
	mkdir closed
	write_app
	mv stacker.yaml closed
	chmod 555 closed
	cd closed
	run stacker build
	cd ..
	chmod 755 closed
	expect_exit 1
	expect_output "cannot make directory '.stacker': Permission denied" "stacker --work-dir DIR"
	run stacker lint
	expect_exit 1
	expect_output "cannot open 'stacker.yaml'" "the default is stacker.yaml"
}

@test "global: a caller that ignores the end of its children starts a build like any other" {
	write_app
	run env --ignore-signal=CHLD "$STACKER" build
	expect_success
}

@test "global: without a layout, inspect and verify say what makes one" {
	write_app
	for command in inspect verify; do
		run stacker $command
		expect_output "'oci'" "'stacker build' makes it"
		[ "$status" -ne 0 ]
	done
}

@test "global: --work-dir is the parent of the three directories, unless they are given" {
	write_app
	run stacker --work-dir w build
	expect_success
	[ -e w/oci/index.json ]
	[ -d w/.stacker/store ]
	[ -d w/roots ]
	[ ! -e oci ]
	run stacker --work-dir v --stacker-dir mine build
	expect_success
	[ -d mine/store ]
	[ ! -e v/.stacker ]
	[ -e v/oci/index.json ]
}

@test "global: conf.yaml names directories, and flags beat it" {
	write_app
	mkdir -p home/.config/stacker
	printf 'stacker_dir: %s\noci_dir: %s\nrootfs_dir: %s\n' "$PWD/s" "$PWD/o" "$PWD/r" \
		>home/.config/stacker/conf.yaml
	run stacker build
	expect_success
	[ -d s/store ]
	[ -e o/index.json ]
	[ -d r ]
	[ ! -e oci ]
	[ ! -e .stacker ]
	[ ! -e roots ]
	run stacker --oci-dir other build
	expect_success
	[ -e other/index.json ]
}

@test "global: conf.yaml at its other places" {
	write_app
	echo "work_dir: $PWD/w1" >one.yaml
	run stacker --config one.yaml build
	expect_success
	[ -e w1/oci/index.json ]
	mkdir xdg
	echo "work_dir: $PWD/w2" >xdg/conf.yaml
	XDG_CONFIG_HOME=$PWD/xdg run stacker build
	expect_success
	[ -e w2/oci/index.json ]
	mkdir xdg/stacker
	echo "work_dir: $PWD/w3" >xdg/stacker/conf.yaml
	XDG_CONFIG_HOME=$PWD/xdg run stacker build
	expect_success
	[ -e w3/oci/index.json ]
}

@test "global: a wrong conf.yaml is an error with its position" {
	write_app
	echo 'oci_dri: x' >c.yaml
	run stacker --config c.yaml build
	expect_exit 1
	expect_output "c.yaml:1:1: error: unknown key 'oci_dri' [cli/conf-key]" "did you mean 'oci_dir'?"
	echo 'oci_dir: [x]' >c.yaml
	run stacker --config c.yaml build
	expect_exit 1
	expect_output "c.yaml:1:10: error: 'oci_dir' must be a path, not a list [cli/conf-type]"
	echo '- oci_dir' >c.yaml
	run stacker --config c.yaml build
	expect_exit 1
	expect_output "[cli/conf-type]"
	echo 'a: b: c' >c.yaml
	run stacker --config c.yaml build
	expect_exit 1
	expect_output "c.yaml:1:" "[yaml/"
	run stacker --config absent.yaml build
	expect_exit 1
	expect_output "absent.yaml"
	: >c.yaml
	run stacker --config c.yaml build
	expect_success
}

@test "global: a colon in the name of the roots directory is forbidden" {
	write_app
	run stacker --roots-dir with:colon build
	expect_exit 2
	expect_output "forbidden"
	[ ! -e with:colon ]
}

@test "global: flags that exclude one another, and values that mean nothing" {
	for flags in "--debug --quiet" "--progress --no-progress" "--storage-type btrfs" "--log-format xml"; do
		# shellcheck disable=SC2086 # several words
		run stacker $flags check
		expect_exit 2
		expect_output "[cli/usage]"
	done
	run stacker --storage-type overlay policy show
	expect_success
}

@test "global: --debug tells the version, --quiet does not" {
	write_app
	run stacker --debug build
	expect_success
	expect_output "stacker version"
	run stacker --quiet build
	expect_success
	refute_output "stacker version"
	refute_output "built successfully"
}

@test "global: --log-file takes the messages, from its beginning, and errors come to stderr too" {
	write_app
	echo old >log
	stacker --log-file log build >out 2>err
	expect_equal "$(cat err)" ""
	[[ $(cat out) == "app sha256:"* ]]
	grep -q "filesystem app built successfully" log
	expect_equal "$(grep -c old log)" 0
	run stacker --log-file log build -f absent.yaml
	expect_exit 1
	expect_output "absent.yaml"
	grep -q "absent.yaml" log
	run stacker --log-file /nonexistent/log build
	expect_exit 1
	expect_output "'/nonexistent/log'"
}

@test "global: --progress tells of each blob that is copied, also without a terminal" {
	write_app
	run stacker --progress build
	expect_success
	expect_output "Copying blob $(image_manifest app | jq -r '.layers[0].digest')"
	rm -rf oci
	run stacker build
	expect_success
	refute_output "Copying blob"
	rm -rf oci
	run stacker --no-progress build
	refute_output "Copying blob"
}

@test "global: --log-timestamp begins each line with the time" {
	write_app
	stacker --log-timestamp --log-file log build >out
	expect_equal "$(grep -cvE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z ' log)" 0
	stacker --log-timestamp --log-format json --log-file log build >out
	jq -e '.time' log >/dev/null
}

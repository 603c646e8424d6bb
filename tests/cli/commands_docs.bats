# Help, manual pages and completions say what the tables of options say.

load ../lib/helpers

setup() {
	setup_work
	DOCS=$BATS_TEST_DIRNAME/../../docs
	export HOME=$PWD
}
teardown() { teardown_work; }

# Every command, as the shell sees them.
all_commands() {
	stacker completion bash | sed -n "s/^\t'') words='\([^']*\)' ;;/\1/p" | tr ' ' '\n' | grep -v '^-'
}

# The long options of a command, from its help; without one, those before the command.
options_of() {
	stacker "$@" --help | grep -oE '^ +(-[A-Za-z], )?--[a-z-]+' | grep -oE -e '--[a-z-]+'
}

# complete WORD...: what bash offers for the last one.
complete() {
	bash -c '
		eval "$("$STACKER" completion bash)"
		compopt() { :; }
		COMP_WORDS=("$@")
		COMP_CWORD=$(($# - 1))
		_stacker
		printf "%s\n" "${COMPREPLY[@]}"' _ "$@"
}

@test "docs: each command has a help that teaches, and a manual page" {
	[ "$(all_commands | wc -l)" -gt 10 ]
	for command in $(all_commands); do
		run stacker "$command" --help
		expect_success
		expect_output "usage: stacker $command"
		[[ $(tr '\n' ' ' <<<"$output") == *"xit status"* ]]
		stacker manual "$command" >page.scd
		scdoc <page.scd >page.1
		grep -q "^.TH \"stacker-$command\" \"1\"" page.1
		for option in $(options_of "$command"); do
			grep -qF -e "*$option*" page.scd
		done
	done
	run stacker manual nope
	expect_exit 2
}

@test "docs: the manual page of the tool names every command and every option before it" {
	for command in $(all_commands); do
		grep -qE "\*(stacker-)?$command\*" "$DOCS/stacker.1.scd" || {
			echo "stacker.1.scd lacks $command"
			return 1
		}
	done
	for option in $(options_of); do
		grep -qF -e "*$option*" "$DOCS/stacker.1.scd" || {
			echo "stacker.1.scd lacks $option"
			return 1
		}
	done
}

@test "docs: pages written by hand name just the options that there are" {
	local page command
	for page in "$DOCS"/stacker-*.1.scd; do
		command=${page##*/stacker-}
		command=${command%.1.scd}
		options_of "$command" | sort -u >there
		grep -oE -e '\*--[a-z-]+\*' "$page" | tr -d '*' | sort -u >named
		grep -q "options of stacker-build\|as of \*stacker build\*\|_options of build_" "$page" ||
			expect_equal "$(comm -23 there named)" ""
		expect_equal "$(comm -13 there named | grep -vx -e --help)" ""
	done
}

@test "docs: configuration keys are in the manual page" {
	for key in work_dir stacker_dir oci_dir rootfs_dir; do
		grep -qF "_${key/_/\\_}_" "$DOCS/stacker.1.scd"
	done
}

@test "completion: bash offers commands, options and values" {
	run complete stacker bui
	expect_equal "$output" build
	run complete stacker --oci
	expect_equal "$output" --oci-dir
	run complete stacker --oci-dir x --quiet insp
	expect_equal "$output" inspect
	run complete stacker --oci-dir = x gra
	expect_equal "$output" grab
	run complete stacker build --no-c
	expect_equal "$output" --no-cache
	run complete stacker publish --layer-type s
	expect_equal "$output" squashfs
	run complete stacker publish --layer-type = e
	expect_equal "$output" erofs
	run complete stacker --log-format ""
	expect_equal "$output" "text
json"
	mkdir directory
	touch dirfile
	run complete stacker recursive-build -d dir
	expect_equal "$output" directory
	run complete stacker build -f dirf
	expect_equal "$output" dirfile
	run stacker completion fish
	expect_exit 2
}

@test "completion: zsh's is sound and has every option" {
	stacker completion zsh >_stacker
	zsh -n _stacker
	for command in $(all_commands); do
		sed -n "/^\t\t$command)/,/;;/p" _stacker >part
		for option in $(options_of "$command"); do
			grep -qE -e "'\*?$option(=?\[)" part
		done
	done
	# What zsh's own machinery makes of it.
	# shellcheck disable=SC2016 # for zsh
	run zsh -fc 'autoload -Uz compinit; compinit -u -D; fpath=($PWD $fpath); autoload -Uz _stacker
		whence -w _stacker'
	expect_output "function"
}

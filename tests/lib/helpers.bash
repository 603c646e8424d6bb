# shellcheck shell=bash disable=SC2154 # bats sets status and output
# What the command line tests share. Each test works in a directory of its own; STACKER names the
# program, STACKER_PROBES the directory of static programs that look around in a sandbox.

setup_work() {
	: "${STACKER:?STACKER names the program to test}"
	REPO_LIB=$(cd "$BATS_TEST_DIRNAME/../lib" && pwd)
	export REPO_LIB
	cd "$BATS_TEST_TMPDIR" || return 1
}

# Of a test whose images are meant to differ from build to build: called first.
builds_differ() {
	RECORDS=
}

# Notes which manifest each recipe gave, for tests/lib/compare_records.sh: the same as root as for an
# ordinary user. Results are found wherever a test has its state.
record_results() {
	local entries=() entry
	[ -n "${RECORDS-${STACKER_RECORDS:-}}" ] || return 0
	while IFS= read -r -d '' entry; do
		entries+=("$entry")
	done < <(find "$BATS_TEST_TMPDIR" -regextype egrep -regex '.*/cache/[0-9a-f]{64}\.json' -print0 2>/dev/null)
	[ ${#entries[@]} -gt 0 ] || return 0
	# Some tests spoil theirs.
	jq -r --arg test "$(basename "$BATS_TEST_FILENAME"): $BATS_TEST_DESCRIPTION" '
		(input_filename | capture("(?<recipe>[0-9a-f]{64})[.]json$").recipe) as $recipe |
		select(.manifest.digest? | type == "string") | [$recipe, .manifest.digest, $test] | @tsv' \
		"${entries[@]}" >>"$STACKER_RECORDS" 2>/dev/null || true
}

# Trees may hold directories of subordinate ids, which only a user namespace can empty.
teardown_work() {
	record_results
	cd / || return 1
	rm -rf "${BATS_TEST_TMPDIR:?}" 2>/dev/null ||
		unshare --map-root-user --map-auto rm -rf "$BATS_TEST_TMPDIR"
}

# A skip that CI accepts must say why it cannot be otherwise.
skip_justified() {
	skip "justified: $*"
}

# stacker with a time limit, since a test that hangs tells nothing.
stacker() {
	timeout --kill-after=10 "${STACKER_TIMEOUT:-120}" "$STACKER" "$@"
}

# DIR as the content of a root file system: one static program under a few of its names.
make_busybox_base() {
	local dir=${1:-base} applet
	mkdir -p "$dir/bin"
	cp /bin/busybox "$dir/bin/busybox"
	for applet in sh cat chmod chown cp date dd echo env find grep head hostname id ln ls mkdir mv \
		od rm rmdir sed seq sleep sort stat tail test touch tr true false wc nproc umask uname; do
		ln -sf busybox "$dir/bin/$applet"
	done
}

# A stackerfile that begins with that base; further images come from stdin.
write_stackerfile() {
	local file=${1:-stacker.yaml}
	[ -d base ] || make_busybox_base base
	{
		cat <<-'END'
			base:
			  build_only: true
			  from:
			    type: scratch
			  imports:
			    - path: base/
			      dest: /
		END
		cat
	} >"$file"
}

# The digest of a tag's manifest.
image_digest() {
	local layout=${2:-oci}
	jq -er --arg tag "$1" '[.manifests[] |
		select(.annotations["org.opencontainers.image.ref.name"] == $tag)] |
		if length == 1 then .[0].digest else error("tag is there \(length) times") end' \
		"$layout/index.json"
}

blob_path() {
	echo "${2:-oci}/blobs/${1/://}"
}

image_manifest() {
	cat "$(blob_path "$(image_digest "$1")")"
}

image_config() {
	cat "$(blob_path "$(image_manifest "$1" | jq -er .config.digest)")"
}

# Unpacks an image with umoci, which shares no code with stacker.
unpack_image() {
	local tag=$1 dir=$2
	if [ "$(id -u)" -eq 0 ]; then
		umoci --log=error raw unpack --image "oci:$tag" "$dir"
	else
		umoci --log=error raw unpack --rootless --image "oci:$tag" "$dir"
	fi
}

image_file() {
	rm -rf unpacked.tmp
	unpack_image "$1" unpacked.tmp
	cat "unpacked.tmp/$2"
	rm -rf unpacked.tmp
}

# start_registry [YAML [HTTP]]: a registry of our own on a free port of the loopback, with more in its
# configuration and in its `http`; sets registry and registry_pid.
start_registry() {
	command -v docker-registry >/dev/null || skip_justified "docker-registry is not installed"
	local port
	for _ in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 20000))
		mkdir -p registry
		cat >registry.yml <<-END
			version: 0.1
			log: {level: error}
			storage: {filesystem: {rootdirectory: $PWD/registry}}
			http: {addr: "127.0.0.1:$port"${2:+, $2}}
			${1:-}
		END
		docker-registry serve registry.yml >registry.log 2>&1 3>&- &
		registry_pid=$!
		registry=127.0.0.1:$port
		for _ in $(seq 100); do
			(: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return 0
			kill -0 "$registry_pid" 2>/dev/null || break
			sleep 0.1
		done
	done
	cat registry.log
	return 1
}

# expect_success / expect_exit CODE: about the last `run`.
expect_success() {
	[ "$status" -eq 0 ] || {
		printf 'expected success, got exit %s:\n%s\n' "$status" "$output"
		return 1
	}
}

expect_exit() {
	[ "$status" -eq "$1" ] || {
		printf 'expected exit %s, got %s:\n%s\n' "$1" "$status" "$output"
		return 1
	}
}

expect_output() {
	local text
	for text in "$@"; do
		[[ $output == *"$text"* ]] || {
			printf 'expected "%s" in:\n%s\n' "$text" "$output"
			return 1
		}
	done
}

refute_output() {
	[[ $output != *"$1"* ]] || {
		printf 'did not expect "%s" in:\n%s\n' "$1" "$output"
		return 1
	}
}

expect_equal() {
	[ "$1" = "$2" ] || {
		printf 'expected: %s\ngot:      %s\n' "$2" "$1"
		return 1
	}
}

# Every blob of a layout or store is what its name says.
expect_sound_blobs() {
	local dir=$1 file sum
	while IFS= read -r file; do
		sum=$(sha256sum <"$file")
		expect_equal "${sum%% *}" "${file##*/}" || return 1
	done < <(find "$dir" -path '*/blobs/sha256/*' -type f)
}

blob_count() {
	find "${1:-.stacker/store}" -path '*/blobs/*' -type f 2>/dev/null | wc -l
}

# refuse ID TEXT...: the stackerfile on stdin is refused with that id and these texts.
refuse() {
	local id=$1
	shift
	cat >stacker.yaml
	run stacker build
	expect_exit 1 || return 1
	expect_output "stacker.yaml:" "error: " "[$id]" "$@"
}

# A server with faults that serves DIR: sets URL; what it is asked for goes to the file "requests".
start_fault_server() {
	mkfifo hold
	python3 "$REPO_LIB/fault_server.py" --root "$1" --log requests <hold >port 2>server.err 3>&- &
	SERVER=$!
	exec 9>hold # it serves until this closes
	for _ in $(seq 100); do
		[ ! -s port ] || break
		sleep 0.05
	done
	URL=http://127.0.0.1:$(cat port)
}

stop_fault_server() {
	exec 9>&-
	wait "$SERVER" 2>/dev/null || true
}

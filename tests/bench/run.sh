#!/bin/sh
# `make bench`: what a user waits for when nothing changed, and what isolation costs a step, beside
# bubblewrap. JSON is kept in BUILD/bench. A busy machine makes the ratios worse than they are, since
# a step changes processes more often: as root, `chrt -f 50 make bench` keeps others away.
set -eu
export LC_ALL=C

build=$(realpath "${1:?usage: run.sh BUILD}")
stacker=$(realpath "${STACKER:?STACKER names the program to use}")
bench_step=$(realpath "${BENCH_STEP:?BENCH_STEP names the program that measures the sandbox alone}")
ablated=$(realpath "${ABLATED:?ABLATED names the program whose evidence can be switched off}")
here=$(realpath "$(dirname "$0")")
measure=$here/measure.py
runs=${RUNS:-20}
bench=$build/bench
demo=$build/demo
limit_ms=50
mkdir -p "$bench"
results=$bench/results.jsonl
: >"$results"

[ -e "$demo/oci/index.json" ] || {
	echo "bench: error: the demo has not been built; run 'make demo' first" >&2
	exit 1
}

cd "$demo"
python3 "$measure" "$runs" "no-op build of the demo" -- \
	"$stacker" --quiet --stacker-dir .stacker --oci-dir oci --roots-dir roots build -f stacker.yaml \
	>>"$results"

# A step that does nothing, on a root file system of one static program.
work=$(mktemp -d "$bench/step.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
cd "$work"
mkdir -p base/bin
cp /bin/busybox base/bin/busybox
cat >stacker.yaml <<'END'
base:
  build_only: true
  from:
    type: scratch
  imports:
    - path: base/
      dest: /
nothing:
  from:
    type: built
    tag: base
  run: "#!/bin/busybox true"
END
python3 "$measure" "$runs" "sandboxed step of /bin/true" --from-stderr 'step nothing: ([0-9.]+) ms' -- \
	"$stacker" --debug build --no-cache >>"$results"
python3 "$measure" "$runs" "build of two images without cache" -- \
	"$stacker" --quiet build --no-cache >>"$results"
# The sandbox alone, beside bubblewrap, which builds the same namespaces: as whoever runs this, and
# if that is root, as an ordinary user too.
step_dir() {
	mkdir -p "$1/roots/base/bin"
	cp /bin/busybox "$1/roots/base/bin/true"
	cp "$bench_step" "$1/"
}
if command -v bwrap >/dev/null; then
	step_dir "$work/self"
	(cd "$work/self" && ./bench_step "$runs") | jq -c '.as = "caller"' >"$bench/step.jsonl"
	if [ "$(id -u)" -eq 0 ]; then
		# shellcheck source=tests/lib/user.sh
		. "$here/../lib/user.sh"
		ensure_test_user
		copy=$(mktemp -d)
		step_dir "$copy"
		chown -R "$TEST_USER:" "$copy"
		# shellcheck disable=SC2016 # for the inner shell
		as_test_user sh -c 'cd "$1" && ./bench_step "$2"' sh "$copy" "$runs" |
			jq -c '.as = "ordinary user"' >>"$bench/step.jsonl"
		chmod -R u+rwX "$copy" && rm -rf "$copy"
	fi
else
	: >"$bench/step.jsonl"
	echo "bench: bubblewrap is not installed, so there is no peer to compare with" >&2
fi

mkdir "$work/compile"
python3 "$here/evidence.py" "$ablated" "$work/compile" >"$bench/evidence.json" || [ -s "$bench/evidence.json" ]

# A large project: 500 images in a graph that is 40 deep.
python3 "$here/many_images.py" "$stacker" >"$bench/many.jsonl" || [ -s "$bench/many.jsonl" ]

jq -s . "$results" >"$bench/bench.json"
jq -r --argjson limit "$limit_ms" '
	def ms: . * 10 | round / 10 | tostring | . + " ms";
	def pad(n): . + " " * ([n - length, 1] | max);
	(map({(.name): .median_ms}) | add) as $median |
	(.[] | (.name | pad(42)) + (.median_ms | ms | pad(12)) +
		"(" + (.min_ms | ms) + " to " + (.max_ms | ms) + ", " + (.runs | tostring) + " runs)"),
	"",
	(("no-op build of the demo", "sandboxed step of /bin/true") as $name |
		"\($name): \(if $median[$name] < $limit then "under" else "NOT UNDER" end) \($limit) ms")
	' "$bench/bench.json"
jq -r '"sandbox of /bin/true as \(.as): \(.sandbox_ms) ms, bubblewrap \(.bubblewrap_ms) ms: " +
	"\(.ratio) times (\(if .ratio <= 1.5 then "at most" else "NOT at most" end) 1.5); " +
	"the first of a run: \(.first_sandbox_ms) ms"' "$bench/step.jsonl"
jq -r '"compile with evidence / without: \(.ratio) times (\(if .ratio < 1.02 then "under" else "NOT under" end) 1.02)"' \
	"$bench/evidence.json"
jq -r '"\(.name): \(.seconds * 1000) ms, \(.mib) MiB"' "$bench/many.jsonl"

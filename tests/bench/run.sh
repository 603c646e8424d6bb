#!/bin/sh
# `make bench`: what a user waits for when nothing changed, and what isolation costs a step, beside
# bubblewrap, which builds a comparable set of namespaces and no more. JSON is kept in BUILD/bench.
set -eu
export LC_ALL=C

build=$(realpath "${1:?usage: run.sh BUILD}")
stacker=$(realpath "${STACKER:?STACKER names the program to use}")
measure=$(realpath "$(dirname "$0")/measure.py")
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
if command -v bwrap >/dev/null; then
	python3 "$measure" "$runs" "bubblewrap, all namespaces, same root" -- \
		bwrap --unshare-all --bind base / --proc /proc --dev /dev --tmpfs /tmp /bin/busybox true \
		>>"$results"
else
	echo "bench: bubblewrap is not installed, so there is no peer to compare with" >&2
fi

jq -s . "$results" >"$bench/bench.json"
jq -r --argjson limit "$limit_ms" '
	def ms: . * 10 | round / 10 | tostring | . + " ms";
	def pad(n): . + " " * ([n - length, 1] | max);
	(map({(.name): .median_ms}) | add) as $median |
	(.[] | (.name | pad(42)) + (.median_ms | ms | pad(12)) +
		"(" + (.min_ms | ms) + " to " + (.max_ms | ms) + ", " + (.runs | tostring) + " runs)"),
	"",
	(("no-op build of the demo", "sandboxed step of /bin/true") as $name |
		"\($name): \(if $median[$name] < $limit then "under" else "NOT UNDER" end) \($limit) ms"),
	($median["bubblewrap, all namespaces, same root"] // empty |
		"step / bubblewrap: \($median["sandboxed step of /bin/true"] / . * 100 | round / 100) times")
	' "$bench/bench.json"

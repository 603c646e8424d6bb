#!/usr/bin/env bash
# The PF rows: stackerfiles, JSON and OCI documents that attack who reads them, by the parsers alone
# (sec_parse) and through `stacker build`. See run.sh for the protocol.
set -u -o pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
: "${STACKER:?}" "${SECBIN:?}" "${WORK:?}" "${WHO:?}"
cd "$WORK" || exit 1

declare -A tried=(
	[PF01]="members twice: plainly, escaped, nested"
	[PF02]="members that differ in case, also by U+017F"
	[PF03]="a million brackets, braces, keys and values; 1 GiB of text; documents over 4 and 8 MiB"
	[PF04]="exponents, fractions, signs, zeros, 2^53, 2^64, numbers as text"
	[PF05]="BOM, bad UTF-8, lone surrogate, NUL, trailing bytes, comments"
	[PF06]="YAML duplicates, merge keys, tags, directives, documents, encodings"
	[PF07]="alias bomb, anchors, cycles"
	[PF08]="a million brackets and others that cost libyaml quadratic time"
	[PF09]="no, 012, 1_0, 1e3, .nan, 0x1F, ~ as flags, integers, modes and texts"
	[PF10]="digests with .., /, NUL, wrong length or case"
	[PF11]="weaker and unknown algorithms, pins of another algorithm"
	[PF12]="documents of two kinds, or of another than is said"
	[PF13]="indexes in indexes, 100000 entries, two of one platform"
	[PF14]="urls, data and annotations that lead elsewhere"
	[PF15]="configurations that contradict their manifest, variables without value"
)
declare -A mechanism=(
	[PF01]="key set after unescaping" [PF02]="case-folded key set" [PF03]="byte caps before reading, bounded scan"
	[PF04]="integers up to 2^53-1 only" [PF05]="RFC 8259 and nothing else" [PF06]="own composer over events"
	[PF07]="aliases copy at most 10000 values and 1 MiB" [PF08]="stops at depth 32 in the event loop" [PF09]="typed by schema"
	[PF10]="parsed before any path is made of it" [PF11]="closed table, compared in the pin's algorithm"
	[PF12]="kind is checked in descriptor and body" [PF13]="depth 2, 1000 entries, ambiguity refused"
	[PF14]="content is what its digest says; nothing is contacted" [PF15]="cross-checked"
)

say() { printf '%s|%s|%s|%s\n' "$@"; }
complain() { printf '%s\n' "$*" >&2; }
fail() {
	failed[$1]="${failed[$1]:-$2}"
	complain "$1: $2"
}

# build FILE: sets `id` and `output`. Nothing may take longer than a few seconds.
build() {
	local stacker=("$STACKER" --stacker-dir state/stacker --roots-dir state/roots --oci-dir state/oci)
	if output=$("$here/measure.py" figures timeout --kill-after=5 30 "${stacker[@]}" build -f "$1" 2>&1 </dev/null &&
		read -r code _ _ <figures && [ "$code" -eq 0 ]); then
		id=accept
	elif [[ $output =~ \[([a-z0-9/-]+)\] ]]; then
		id=${BASH_REMATCH[1]}
	else
		id="none: $output"
	fi
	read -r _ took mib <figures
}

# expect ROW WHAT WANT: about the last build.
expect() {
	count[$1]=$((${count[$1]:-0} + 1))
	seen[$1]="${seen[$1]:-} $id"
	[[ ,$3, == *,"$id",* ]] || fail "$1" "$2: got '$id', expected '$3'"
	awk -v t="$took" 'BEGIN { exit !(t <= 1) }' || slow "$1" "$2"
	[ "$mib" -lt 256 ] || fail "$1" "$2 took $mib MiB"
	most[$1]=$(printf '%s %s %s\n' "$took" "$mib" "$2" | cat - <(echo "${most[$1]:-0 0 -}") | sort -rn | head -1)
	peak[$1]=$((mib > ${peak[$1]:-0} ? mib : ${peak[$1]:-0}))
}

# Another process may have had the processor: what is slow twice is slow.
slow() {
	local before=$took
	build "$file"
	awk -v t="$took" 'BEGIN { exit !(t <= 1) }' || fail "$1" "$2 took $before and $took s"
}

summary() {
	tr ' ' '\n' <<<"$1" | sort | uniq -c | sort -rn |
		awk '$2 != "" { printf "%s%s x%d", sep, $2, $1; sep = ", " }'
}

report() {
	local row=$1
	if [ -n "${failed[$row]:-}" ]; then
		say "$row" FAIL "${tried[$row]}" "${failed[$row]}"
	elif [ "${count[$row]:-0}" -eq 0 ]; then
		say "$row" FAIL "${tried[$row]}" "nothing was tried"
	else
		say "$row" ok "${tried[$row]} (${count[$row]} attempts)" \
			"${mechanism[$row]}: $(summary "${seen[$row]}")${figures_of[$row]:-}"
	fi
}

through_module() {
	local row name verdict result
	"$SECBIN/sec_parse" vectors/list vectors >module.out
	while IFS='|' read -r row name verdict result; do
		count[$row]=$((${count[$row]:-0} + 1))
		seen[$row]="${seen[$row]:-} $result"
		[ "$verdict" = ok ] || fail "$row" "$name by the parser: '$result'"
	done <module.out
	[ "$(wc -l <module.out)" -gt 150 ] || fail PF01 "sec_parse stopped early"
}

through_stacker() {
	local row name kind binary
	while IFS='|' read -r row name kind _ binary; do
		case $kind in
		yaml) file=vectors/$name ;;
		index) file=s.yaml && echo "x: {from: {type: oci, url: 'vectors/$name.oci:t'}}" >s.yaml ;;
		*) file=s.yaml && echo "x: {from: {type: oci, url: 'vectors/oci:$name'}}" >s.yaml ;;
		esac
		build "$file"
		expect "$row" "$name" "$binary"
	done <vectors/list
}

# Documents over their caps: 1 GiB that takes no room on the disk but would in memory.
row_03() {
	local what
	for what in index manifest config; do
		rm -rf huge && mkdir huge && cp -r vectors/nested-1.oci/. huge/
		python3 - huge "$what" <<-'END'
			import hashlib, json, os, sys
			root, what = sys.argv[1:]
			def huge(path):
			    with open(path, "wb") as f:
			        f.write(b'{"schemaVersion":2,"x":"')
			        f.truncate(1 << 30)
			def blob(document):
			    data = json.dumps(document).encode()
			    name = hashlib.sha256(data).hexdigest()
			    open(f"{root}/blobs/sha256/{name}", "wb").write(data)
			    return {"digest": "sha256:" + name, "size": len(data)}
			name = "0" * 64
			fake = {"digest": "sha256:" + name, "size": 1 << 30}
			if what == "index":
			    huge(root + "/index.json")
			    sys.exit()
			huge(f"{root}/blobs/sha256/{name}")
			manifest = {"mediaType": "application/vnd.oci.image.manifest.v1+json",
			            "annotations": {"org.opencontainers.image.ref.name": "t"}}
			if what == "manifest":
			    manifest.update(fake)
			else:
			    manifest.update(blob({"schemaVersion": 2, "mediaType": manifest["mediaType"], "layers": [],
			        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **fake}}))
			json.dump({"schemaVersion": 2, "manifests": [manifest]}, open(root + "/index.json", "w"))
		END
		file=s.yaml
		echo "x: {from: {type: oci, url: 'huge:t'}}" >s.yaml
		build s.yaml
		expect PF03 "1 GiB $what" "input/too-big,json/too-big"
	done
	figures_of[PF03]="; slowest ${most[PF03]%% *} s, most memory ${peak[PF03]} MiB"
	figures_of[PF08]="; slowest ${most[PF08]%% *} s, most memory ${peak[PF08]} MiB"
	rm -rf huge
}

row_14() {
	[ -s requests ] && fail PF14 "the server was asked for $(head -1 requests)"
}

# A layout's own files as links, fifos and doubles.
row_16() {
	local text="links, fifos and doubles in a layout, foreign files in the output"
	fresh() { rm -rf trick && cp -r vectors/nested-1.oci trick; }
	file=s.yaml
	echo "x: {from: {type: oci, url: 'trick:t'}}" >s.yaml
	try() {
		build s.yaml
		expect PF16 "$1" "$2"
	}
	local manifest
	fresh && mv trick/blobs trick/other && ln -s other trick/blobs && try "blobs as a link" layout/not-a-layout,layout/not-regular,layout/missing-blob
	fresh && mv trick/index.json trick/i && ln -s i trick/index.json && try "index as a link" layout/not-a-layout,layout/not-regular
	fresh && rm trick/index.json && mkfifo trick/index.json && try "index as a fifo" layout/not-a-layout,layout/not-regular,input/not-regular
	fresh && rm trick/oci-layout && try "no oci-layout" layout/not-a-layout
	fresh && echo '{"imageLayoutVersion":"2.0.0"}' >trick/oci-layout && try "version 2" layout/not-a-layout
	manifest=$(python3 -c 'import json; print(json.load(open("vectors/nested-1.oci/index.json"))["manifests"][0]["digest"].split(":")[1])')
	fresh && mv "trick/blobs/sha256/$manifest" trick/m && ln -s ../../m "trick/blobs/sha256/$manifest" && try "blob as a link" layout/not-regular
	fresh && rm "trick/blobs/sha256/$manifest" && mkfifo "trick/blobs/sha256/$manifest" && try "blob as a fifo" layout/not-regular
	fresh && rm "trick/blobs/sha256/$manifest" && mkdir "trick/blobs/sha256/$manifest" && try "blob as a directory" layout/not-regular
	fresh && python3 - <<-'END'
		import json
		x = json.load(open("trick/index.json"))
		x["manifests"] *= 2
		json.dump(x, open("trick/index.json", "w"))
	END
	try "one tag twice" layout/ambiguous-tag
	mv state/oci state/oci.kept 2>/dev/null
	mkdir state/oci && touch state/oci/precious
	echo "x: {from: {type: scratch}}" >s.yaml
	try "output among foreign files" layout/not-a-layout
	[ -e state/oci/precious ] || fail PF16 "a foreign file was removed"
	rm -rf state/oci && mv state/oci.kept state/oci 2>/dev/null
	rm -rf trick
	tried[PF16]=$text
	mechanism[PF16]="openat2 without links, regular files only"
}

# has_controls: does stdin hold anything that a terminal would obey, or that lies about its order?
has_controls() {
	python3 -c '
import sys
data = sys.stdin.buffer.read()
text = data.decode("utf-8", "surrogateescape")
bad = [c for c in text if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or 0xdc80 <= ord(c) <= 0xdcff
       or 0x202a <= ord(c) <= 0x202e or 0x2066 <= ord(c) <= 0x2069 or c in "\u200e\u200f\u2028\u2029\ufeff"]
if bad:
    sys.stderr.write("%r\n" % data)
sys.exit(0 if bad else 1)'
}

row_17() {
	local n=0 port
	tried[PF17]="ESC, CR, C1, RTL override in names, tags, digests, recipes, archives, HTTP answers"
	mechanism[PF17]="one function prints, escaped"
	port=$(cat port)
	python3 - vectors "$port" <<-'END'
		import io, json, os, sys, tarfile
		out, port = sys.argv[1:]
		evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\rerror: all is well\nfake line \u2066x\ufeff"
		raw = evil.encode() + b"\x9b31m\xff\xfe"
		os.makedirs(out + "/term", exist_ok=True)
		def recipe(name, text):
		    open(f"{out}/term/{name}.yaml", "w").write(text)
		q = json.dumps(evil)
		recipe("key", f"a: {{from: {{type: scratch}}, {q}: x}}\n")
		recipe("image", f"{q}: {{from: {{type: scratch}}}}\n")
		recipe("type", f"a: {{from: {{type: {q}}}}}\n")
		recipe("tag", f"a: {{from: {{type: built, tag: {q}}}}}\n")
		recipe("oci", f"a: {{from: {{type: oci, url: {json.dumps('vectors/term/oci:' + evil)}}}}}\n")
		recipe("url", f"a: {{from: {{type: scratch}}, imports: [{{path: {json.dumps('http://127.0.0.1:' + port + '/' + evil)}, dest: /f, hash: {'0' * 64}}}]}}\n")
		recipe("file", f"a: {{from: {{type: scratch}}, imports: [{{path: {q}, dest: /f}}]}}\n")
		recipe("hash", f"a: {{from: {{type: scratch}}, imports: [{{path: f, dest: /f, hash: {q}}}]}}\n")
		recipe("user", f"a: {{from: {{type: scratch}}, runtime_user: {q}}}\n")
		recipe("http", f"a: {{from: {{type: scratch}}, imports: [{{path: 'http://127.0.0.1:{port}/missing', dest: /f, hash: {'0' * 64}}}]}}\n")
		def tar(name, member):
		    # The raw name goes into a ustar header by hand: tarfile would encode it.
		    data = io.BytesIO()
		    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as t:
		        t.addfile(tarfile.TarInfo("x" * 64))
		    block = bytearray(data.getvalue())
		    block[0:100] = member[:100].ljust(100, b"\0")
		    block[148:156] = b" " * 8
		    block[148:156] = b"%06o\0 " % sum(block[:512])
		    open(f"{out}/term/{name}.tar", "wb").write(block)
		    recipe(name, f"a: {{from: {{type: tar, url: vectors/term/{name}.tar}}}}\n")
		tar("dotdot", b"../" + raw)
		tar("whiteout", raw.replace(b"/", b"") + b"/.wh.")
		os.makedirs(out + "/term/oci/blobs/sha256", exist_ok=True)
		open(out + "/term/oci/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
		descriptor = {"mediaType": evil, "digest": "sha256:" + evil, "size": 1, "annotations": {"org.opencontainers.image.ref.name": evil}}
		json.dump({"schemaVersion": 2, "mediaType": evil, "manifests": [descriptor]}, open(out + "/term/oci/index.json", "w"))
		recipe("index", "a: {from: {type: oci, url: 'vectors/term/oci:t'}}\n")
		os.makedirs(out + "/term/tags/blobs", exist_ok=True)
		open(out + "/term/tags/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
		descriptor.update(digest="sha256:" + "0" * 64, mediaType="application/vnd.oci.image.manifest.v1+json")
		json.dump({"schemaVersion": 2, "manifests": [descriptor]}, open(out + "/term/tags/index.json", "w"))
		recipe("tags", "a: {from: {type: oci, url: 'vectors/term/tags:t'}}\n")
	END
	for file in vectors/term/*.yaml; do
		build "$file"
		n=$((n + 1))
		[ "$id" != accept ] || fail PF17 "$file was accepted"
		if printf '%s' "$output" | has_controls; then
			fail PF17 "${file##*/}: what was printed holds control characters"
		fi
	done
	# The HTTP error was really received.
	grep -q /missing requests || fail PF17 "the server was never asked"
	count[PF17]=$n
	seen[PF17]="refused"
}

# Names that would be options, files or commands to other programs.
row_18() {
	tried[PF18]="files named -rf, @x, \$(x), ;x, with quotes and newlines; the same in the recipe's fields"
	mechanism[PF18]="names are data: no shell, no arguments"
	rm -rf names && mkdir names
	python3 - <<-'END'
		import os
		for name in ("-rf", "--help", "@f", "$(touch pwned)", "`touch pwned`", "a;touch pwned", "|touch pwned",
		             "new\nline", "tab\t", "'q'", '"dq"', "*", "~", "%s%n", "\\x", "-"):
		    with open(os.path.join("names", name), "w") as f:
		        f.write(repr(name))
		open("list", "w").write("\n".join(sorted(repr(x) for x in os.listdir("names"))))
	END
	cat >s.yaml <<-'END'
		x:
		  from: {type: scratch}
		  imports: [{path: names/, dest: /names}]
		  environment: {A: "$(touch pwned)", B: "-rf"}
		  labels: {a: "`touch pwned`"}
		  entrypoint: ["--help", "@f"]
		  working_dir: "/$(touch pwned)"
	END
	file=s.yaml
	build s.yaml
	expect PF18 "names" accept
	python3 - <<-'END' || fail PF18 "the image does not hold what was imported"
		import json, tarfile
		def read(d):
		    return open("state/oci/blobs/" + d.replace(":", "/"), "rb")
		index = json.load(open("state/oci/index.json"))
		m = [x for x in index["manifests"] if x["annotations"]["org.opencontainers.image.ref.name"] == "x"][0]
		layer = json.load(read(json.load(read(m["digest"]))["digest"] if "layers" not in json.load(read(m["digest"])) else m["digest"]))["layers"][0]
		with tarfile.open(fileobj=read(layer["digest"])) as t:
		    found = sorted(repr(x.name.removeprefix("names/")) for x in t if x.isfile())
		assert found == open("list").read().split("\n"), found
	END
	local text
	mkdir -p bytes && : >bytes/"$(printf 'a\377b')"
	echo "x: {from: {type: scratch}, imports: [{path: bytes/, dest: /b}]}" >s.yaml
	build s.yaml
	expect PF18 "a name that is no text" import/name-not-utf8
	while read -r text; do
		printf 'x: {from: {type: scratch}, imports: [%s]}\n' "$text" >s.yaml
		build s.yaml
		expect PF18 "$text" "recipe/bad-path,recipe/bad-name,recipe/bad-url,recipe/relative-path,recipe/unpinned,recipe/unresolved,import/absent"
	done <<-'END'
		{path: "-rf", dest: /f}
		{path: "@/etc/passwd", dest: /f}
		{path: "f;id", dest: /f}
		{path: "f", dest: "/../f"}
		{path: "f", dest: "f"}
		{path: "f", dest: "/a/../../f"}
		{path: "f", dest: "/a\nb"}
		{path: "ext::sh -c id", dest: /f}
		{path: "file:///etc/passwd", dest: /f}
		{path: "ssh://-oProxyCommand=id/x", dest: /f}
		{path: "http://-oProxyCommand=id/x", dest: /f}
		{path: "stacker://../x", dest: /f}
	END
	for text in -rf --help @f 'a b' $'a\nb' ../x a/../b . 'a;b'; do
		python3 -c 'import json, sys; print(json.dumps({sys.argv[1]: {"from": {"type": "scratch"}}}))' "$text" >s.yaml
		build s.yaml
		expect PF18 "image '$text'" recipe/bad-name
	done
	[ ! -e pwned ] || fail PF18 "a name was run"
}

cleanup() {
	[ -z "${server:-}" ] || kill "$server" 2>/dev/null
}
trap cleanup EXIT

declare -A count seen failed most peak figures_of
file=s.yaml
mkdir -p state
echo f >f
python3 "$here/counting_server.py" port requests &
server=$!
for _ in $(seq 100); do
	[ ! -e port ] || break
	sleep 0.05
done
python3 "$here/parse_vectors.py" vectors "$(cat port)" || exit 1
through_module
through_stacker
row_03
row_14
row_16
row_17
row_18
unset "count[PF00]"
for row in $(printf '%s\n' "${!tried[@]}" | sort); do
	report "$row"
done

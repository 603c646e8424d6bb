#!/usr/bin/env python3
"""Documents that attack who reads them: the PF rows.

usage: parse_vectors.py OUT PORT

Writes OUT/list, one vector a line: ROW NAME KIND MODULE BINARY, separated by "|", the bytes to
OUT/NAME, and what stacker needs to come across them: OUT/oci, a layout with a tag for each manifest
and configuration, OUT/NAME.oci for each index; stackerfiles are OUT/NAME themselves.

MODULE and BINARY are what must come of it from the parser alone (sec_parse) and from `stacker build`:
ids of errors with "," between, "accept", or "-": not tried there. PORT is of a server that counts who
comes along.
"""
import copy
import hashlib
import io
import json
import os
import sys
import tarfile

out, port = sys.argv[1], sys.argv[2]
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
REF = "org.opencontainers.image.ref.name"
os.makedirs(out)
rows, tags = [], []


def digest(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def blob(data, layout="oci"):
    os.makedirs(f"{out}/{layout}/blobs/sha256", exist_ok=True)
    with open(f"{out}/{layout}/blobs/{digest(data).replace(':', '/')}", "wb") as f:
        f.write(data)
    return {"digest": digest(data), "size": len(data)}


def dump(document):
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def finish(layout, index):
    os.makedirs(f"{out}/{layout}", exist_ok=True)
    with open(f"{out}/{layout}/oci-layout", "w") as f:
        f.write('{"imageLayoutVersion":"1.0.0"}')
    with open(f"{out}/{layout}/index.json", "wb") as f:
        f.write(dump(index))


tar = io.BytesIO()
with tarfile.open(fileobj=tar, mode="w") as t:
    info = tarfile.TarInfo("f")
    info.size = 6
    t.addfile(info, io.BytesIO(b"inner\n"))
tar = tar.getvalue()
layer = {"mediaType": LAYER, **blob(tar)}
config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"]},
          "rootfs": {"type": "layers", "diff_ids": [digest(tar)]}}


def manifest_of(config_bytes, **changes):
    return {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": CONFIG, **blob(config_bytes)},
            "layers": [layer], **changes}


good = dump(manifest_of(dump(config)))


def entry(data, tag="t", layout="oci", **changes):
    return {"mediaType": MANIFEST, **blob(data, layout), "platform": {"os": "linux", "architecture": "amd64"},
            "annotations": {REF: tag}, **changes}


def row(row_id, name, kind, module, binary, data):
    rows.append("|".join((row_id, name, kind, module, binary)))
    with open(f"{out}/{name}", "wb") as f:
        f.write(data)


def manifest(row_id, name, expect, document, binary=None):
    data = dump(document)
    row(row_id, name, "manifest", expect, binary or expect, data)
    tags.append(entry(data, name))


def configuration(row_id, name, expect, document, binary=None):
    data = dump(document)
    row(row_id, name, "config", expect, binary or expect, data)
    tags.append(entry(dump(manifest_of(data)), name))


def index(row_id, name, expect, document, binary=None):
    data = dump(document)
    row(row_id, name, "index", expect, binary or expect, data)
    finish(name + ".oci", data)
    for each in (good, tar, dump(config)):
        blob(each, name + ".oci")


def recipe(row_id, name, expect, text):
    row(row_id, name + ".yaml", "yaml", expect if expect.startswith("yaml/") else "-", expect,
        text if isinstance(text, bytes) else text.encode())


def all_json(row_id, name, expect, text):
    """The same document where a manifest, a configuration and an index are expected."""
    text = dump(text)
    manifest(row_id, name + "-m", expect, text)
    configuration(row_id, name + "-c", expect, text)
    index(row_id, name + "-i", expect, text)


def changed(document, **changes):
    return {**copy.deepcopy(document), **changes}


M = manifest_of(dump(config))
text = good.decode()
manifest("PF00", "good", "accept", M)

# PF01: the same member twice.
manifest("PF01", "dup-layers", "json/duplicate-key", (text[:-1] + ', "layers": []}').encode())
manifest("PF01", "dup-escaped", "json/duplicate-key", text.replace('"digest":', f'"digest": "{digest(b"evil")}", "\\u0064igest":', 1).encode())
manifest("PF01", "dup-nested", "json/duplicate-key", text.replace('"size":', '"size": 1, "size":', 1).encode())
configuration("PF01", "dup-os", "json/duplicate-key", (json.dumps(config)[:-1] + ', "os": "windows"}').encode())
index("PF01", "dup-manifests", "json/duplicate-key", b'{"schemaVersion":2,"manifests":[],"manifests":[]}')

# PF02: members that some readers take for one.
for i, key in enumerate(["MediaType", "mediatype", "MEDIATYPE", "Layer\u017f", "layer\u017f", "LAYERS"]):
    manifest("PF02", f"fold{i}", "json/key-collision", changed(M, **{key: [] if key[0] in "Ll" else MANIFEST}))
configuration("PF02", "fold-config", "json/key-collision", changed(config, OS="windows"))
index("PF02", "fold-index", "json/key-collision", {"schemaVersion": 2, "manifests": [entry(good)], "Manifests": []})

# PF03: deep and huge; sizes beyond the caps are in parse.sh.
all_json("PF03", "million-brackets", "json/too-deep", b"[" * 1000000)
all_json("PF03", "million-braces", "json/too-deep", b'{"a":' * 500000)
all_json("PF03", "deep-33", "json/too-deep", b"[" * 33 + b"]" * 33)
all_json("PF03", "keys", "json/too-many-values", ("{" + ",".join(f'"k{i}":0' for i in range(150000)) + "}").encode())
all_json("PF03", "values", "json/too-many-values", b"[" + b"0," * 999999 + b"0]")
manifest("PF03", "five-mib", "json/too-big", b'"' + b"a" * (5 << 20) + b'"', "input/too-big,json/too-big")

# PF04: numbers.
for i, number in enumerate(["1e3", "1.0", "01", "9007199254740992", "18446744073709551616", "-0", "1E+2", "0x10", "+1", "NaN", "Infinity", "1_0", ".5", "1."]):
    manifest("PF04", f"number{i}", "json/number,json/syntax", text.replace('"schemaVersion": 2', f'"schemaVersion": 2, "x": {number}', 1).encode())
manifest("PF04", "size-text", "json/type", changed(M, layers=[{**layer, "size": str(layer["size"])}]))
manifest("PF04", "size-negative", "json/type", changed(M, layers=[{**layer, "size": -1}]))
manifest("PF04", "size-null", "json/type,json/missing", changed(M, layers=[{**layer, "size": None}]))

# PF05: text.
manifest("PF05", "bom", "json/syntax", b"\xef\xbb\xbf" + good)
manifest("PF05", "utf8", "json/syntax", good[:-1] + b', "x": "\xff"}')
manifest("PF05", "overlong", "json/syntax", good[:-1] + b', "x": "\xc0\xaf"}')
manifest("PF05", "surrogate", "json/syntax", good[:-1] + b', "x": "\\ud800"}')
manifest("PF05", "nul-escape", "json/syntax", good[:-1] + b', "x": "a\\u0000b"}')
manifest("PF05", "nul", "json/syntax", good + b"\0")
manifest("PF05", "trailing", "json/syntax", good + b"{}")
manifest("PF05", "comment", "json/syntax", b"/* */" + good)
manifest("PF05", "comma", "json/syntax", good[:-1] + b",}")
manifest("PF05", "single-quotes", "json/syntax", b"{'schemaVersion': 2}")
manifest("PF05", "control", "json/syntax", good[:-1] + b', "x": "a\nb"}')
manifest("PF05", "utf16", "json/syntax", good.decode().encode("utf-16"))
manifest("PF05", "empty", "json/syntax", b"")

# PF06 and PF07: what YAML can do that a recipe must not.
recipe("PF06", "dup-image", "yaml/duplicate-key", "a: {from: {type: scratch}}\na: {from: {type: scratch}}\n")
recipe("PF06", "dup-key", "yaml/duplicate-key", "a:\n  from: {type: scratch}\n  cmd: x\n  \"cmd\": y\n")
recipe("PF06", "merge", "yaml/merge-key", "a:\n  <<: {run: x}\n  from: {type: scratch}\n")
recipe("PF06", "python-tag", "yaml/tag", "a: !!python/object/apply:os.system ['touch pwned']\n")
recipe("PF06", "str-tag", "yaml/tag", "a: {from: {type: !!str scratch}}\n")
recipe("PF06", "own-tag", "yaml/tag", "a: {from: {type: !x scratch}}\n")
recipe("PF06", "two-documents", "yaml/several-documents", "a: {from: {type: scratch}}\n---\na: {from: {type: scratch}}\n")
recipe("PF06", "version", "yaml/directive,yaml/syntax", "%YAML 9.0\n---\na: {from: {type: scratch}}\n")
recipe("PF06", "version-1.1", "yaml/directive", "%YAML 1.1\n---\na: {from: {type: scratch}}\n")
recipe("PF06", "tag-directive", "yaml/directive", "%TAG ! tag:x,2000:\n---\na: {from: {type: scratch}}\n")
recipe("PF06", "complex-key", "yaml/complex-key", "? [a, b]\n: {from: {type: scratch}}\n")
recipe("PF06", "bom", "yaml/encoding", b"\xef\xbb\xbfa: {from: {type: scratch}}\n")
recipe("PF06", "utf16", "yaml/encoding,yaml/control-character", "a: {from: {type: scratch}}\n".encode("utf-16"))
recipe("PF06", "utf8", "yaml/encoding", b"a: {from: {type: scratch}, cmd: \"\xff\"}\n")
recipe("PF06", "nel", "yaml/control-character", "a: {from: {type: scratch},\u0085 cmd: x}\n")
recipe("PF06", "nul", "yaml/control-character", "a: {from: {type: scratch}, cmd: \"a\\0b\"}\n")
bomb = "x0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"x{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
recipe("PF07", "alias-bomb", "yaml/too-many-aliases", bomb)
recipe("PF07", "anchor", "accept", "a: &x {from: {type: scratch}}\nb: *x\n")
recipe("PF07", "alias", "yaml/unknown-alias", "a: *x\n")
recipe("PF07", "cycle", "yaml/alias-cycle", "a: &x [*x]\n")

# PF08: depth, which costs libyaml time by its square.
recipe("PF08", "million-brackets", "yaml/too-deep", "[" * 1000000)
recipe("PF08", "hundred-kb", "yaml/too-deep", "[" * 100000)
recipe("PF08", "braces", "yaml/too-deep", "{a: " * 200000)
recipe("PF08", "dashes", "yaml/too-deep", "- " * 500000 + "x")
recipe("PF08", "question-marks", "yaml/too-deep,yaml/complex-key", "? " * 500000 + "x")
recipe("PF08", "indent", "yaml/too-deep", "".join(" " * i + "a:\n" for i in range(1400)))
recipe("PF08", "many-values", "yaml/too-many-nodes", "a: [" + "x," * 400000 + "x]\n")
recipe("PF08", "too-big", "yaml/too-big,input/too-big", "#" * ((1 << 20) + 1))
recipe("PF08", "long-scalar", "recipe/wrong-type,recipe/bad-name,yaml/syntax", "a" * 1000000)

# PF09: texts stay texts, numbers are decimal. build_only: a flag; source_date_epoch: an integer.
for i, value in enumerate(["no", "yes", "True", "on", "1", "'true'", "~x"]):
    recipe("PF09", f"flag{i}", "recipe/wrong-type", f"a: {{from: {{type: scratch}}, build_only: {value}}}\n")
for i, value in enumerate(["012", "1_0", "1e3", ".nan", "0x1F", "+1", "1.0", "'7'", "-1", "1:30", "18446744073709551616", "\u0661"]):
    recipe("PF09", f"integer{i}", "recipe/not-an-integer,recipe/out-of-range", f"config: {{source_date_epoch: {value}}}\na: {{from: {{type: scratch}}}}\n")
for i, value in enumerate(["755", "0x1ff", "0o10000", "rwx", "0888"]):
    recipe("PF09", f"mode{i}", "recipe/bad-mode,recipe/not-an-integer,recipe/out-of-range", f"a: {{from: {{type: scratch}}, imports: [{{path: f, dest: /f, mode: {value}}}]}}\n")
recipe("PF09", "texts", "accept", "a: {from: {type: scratch}, environment: {A: no, B: 012, C: 1e3, D: .nan, E: 0x1F, F: 3.10}}\n")

# PF10 and PF11: digests, where they become paths and where they are pins.
h = digest(tar)[7:]
BAD = ["sha256:../../x", "sha256:" + h[:-1], "sha256:" + h + "0", "sha256:" + h.upper(), "sha256:", "sha256:" + h[:-1] + "g", "sha256:" + h[:-1] + "/",
       "sha256:" + h[:63] + "\n", "sha256:" + h[:62] + "..", "sha256:%2e%2e", h, ":" + h, "sha256:" + "/etc/passwd".rjust(64, "/"), "", "sha256:" + h + " ",
       "sha256:" + "\u0661" * 64]
for i, bad in enumerate(BAD):
    manifest("PF10", f"digest{i}", "digest/malformed,digest/algorithm", changed(M, layers=[{**layer, "digest": bad}]))
    index("PF10", f"digest-index{i}", "digest/malformed,digest/algorithm", {"schemaVersion": 2, "manifests": [entry(good, layout=f"digest-index{i}.oci", digest=bad)]})
manifest("PF10", "digest-nul", "json/syntax", text.replace(digest(tar), digest(tar)[:30] + "\\u0000" + digest(tar)[31:]).encode())
for i, bad in enumerate(["sha1:" + "0" * 40, "md5:" + "0" * 32, "sha256+b64:" + h, "blake3:" + h, "SHA256:" + h, "sha384:" + "0" * 96, "sha512-256:" + h, "multihash:" + h, "crc32:00000000"]):
    manifest("PF11", f"algorithm{i}", "digest/algorithm,digest/malformed", changed(M, layers=[{**layer, "digest": bad}]))
    recipe("PF11", f"pin{i}", "recipe/bad-hash,digest/algorithm,digest/malformed", f"a: {{from: {{type: scratch}}, imports: [{{path: f, dest: /f, hash: \"{bad}\"}}]}}\n")
recipe("PF11", "pin-sri-md5", "recipe/bad-hash", "a: {from: {type: scratch}, imports: [{path: f, dest: /f, hash: md5-1B2M2Y8AsgTpgAmY7PhCfg==}]}\n")
f256, f512 = hashlib.sha256(b"f\n").hexdigest(), hashlib.sha512(b"f\n").hexdigest()
recipe("PF11", "pin-512-of-256", "recipe/bad-hash", f"a: {{from: {{type: scratch}}, imports: [{{path: f, dest: /f, hash: \"sha512:{f256}\"}}]}}\n")
recipe("PF11", "pin-512-padded", "import/wrong-hash", f"a: {{from: {{type: scratch}}, imports: [{{path: f, dest: /f, hash: \"sha512:{f256}{f256}\"}}]}}\n")
recipe("PF11", "pin-256-of-512", "import/wrong-hash", f"a: {{from: {{type: scratch}}, imports: [{{path: f, dest: /f, hash: \"sha256:{f512[:64]}\"}}]}}\n")
recipe("PF11", "pin-512", "accept", f"a: {{from: {{type: scratch}}, imports: [{{path: f, dest: /f, hash: \"sha512:{f512}\"}}]}}\n")

# PF12: one document, two meanings.
manifest("PF12", "both", "image/manifest-confusion", changed(M, manifests=[]))
index("PF12", "both-index", "image/manifest-confusion", {"schemaVersion": 2, "manifests": [entry(good)], "layers": []})
manifest("PF12", "says-index", "image/media-type", changed(M, mediaType=INDEX))
manifest("PF12", "says-docker-1", "image/media-type", changed(M, mediaType="application/vnd.docker.distribution.manifest.v1+json"))
manifest("PF12", "says-docker-list", "image/media-type", changed(M, mediaType="application/vnd.docker.distribution.manifest.list.v2+json"))
manifest("PF12", "version-1", "image/schema-version", changed(M, schemaVersion=1))
manifest("PF12", "no-layers", "json/missing", {k: x for k, x in M.items() if k != "layers"})
index("PF12", "says-manifest", "image/media-type", {"schemaVersion": 2, "mediaType": MANIFEST, "manifests": [entry(good)]})
index("PF12", "index-as-manifest", "accept", {"schemaVersion": 2, "manifests": [entry(dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}), layout="index-as-manifest.oci")]}, "image/media-type")
index("PF12", "manifest-as-index", "accept", {"schemaVersion": 2, "manifests": [entry(good, layout="manifest-as-index.oci", mediaType=INDEX)]}, "image/media-type")
index("PF12", "config-as-manifest", "accept", {"schemaVersion": 2, "manifests": [entry(dump(config), layout="config-as-manifest.oci", mediaType=CONFIG)]}, "image/media-type,layout/no-such-platform,json/missing")
manifest("PF12", "layer-type", "accept", changed(M, layers=[{**layer, "mediaType": "application/zip"}]), "image/layer-type")
manifest("PF12", "layer-foreign", "accept", changed(M, layers=[{**layer, "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}]), "image/layer-type")
manifest("PF12", "config-type", "accept", changed(M, config={**M["config"], "mediaType": "application/vnd.evil+json"}), "image/media-type")

# PF13: indexes in indexes.
def nested(depth, layout):
    d = entry(good, layout=layout)
    for _ in range(depth):
        d = {"mediaType": INDEX, **blob(dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [d]}), layout), "annotations": {REF: "t"}}
    return {"schemaVersion": 2, "manifests": [d]}
index("PF13", "nested-1", "accept", nested(1, "nested-1.oci"))
index("PF13", "nested-10", "accept", nested(10, "nested-10.oci"), "layout/index-too-deep")
index("PF13", "nested-3", "accept", nested(3, "nested-3.oci"), "layout/index-too-deep")
index("PF13", "many", "layout/too-many-entries", {"schemaVersion": 2, "manifests": [entry(good, f"t{i}", "many.oci") for i in range(1001)]})
index("PF13", "hundred-thousand", "json/too-many-values,json/too-big", {"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": digest(good), "size": 1}] * 100000}, "json/too-many-values,json/too-big,input/too-big")
two = [entry(good, layout="ambiguous.oci"), entry(dump(changed(M, annotations={"x": "y"})), layout="ambiguous.oci")]
for each in two:
    del each["annotations"]
inner = {"schemaVersion": 2, "mediaType": INDEX, "manifests": two}
index("PF13", "ambiguous", "accept", {"schemaVersion": 2, "manifests": [{"mediaType": INDEX, **blob(dump(inner), "ambiguous.oci"), "annotations": {REF: "t"}}]}, "layout/ambiguous-platform")

# PF14: other ways to content.
gone = digest(b"not there")
manifest("PF14", "urls", "accept", changed(M, layers=[{**layer, "digest": gone, "urls": [f"http://127.0.0.1:{port}/layer"]}]), "layout/missing-blob")
manifest("PF14", "data", "accept", changed(M, layers=[{**layer, "digest": gone, "data": "aW5uZXIK"}]), "layout/missing-blob")
manifest("PF14", "data-config", "accept", changed(M, config={**M["config"], "data": "eyJvcyI6IndpbmRvd3MifQ=="}))
manifest("PF14", "data-and-url", "accept", changed(M, layers=[{**layer, "data": "ZXZpbA==", "urls": [f"http://127.0.0.1:{port}/layer"]}]))
manifest("PF14", "annotation-urls", "accept", changed(M, annotations={"org.opencontainers.image.source": f"http://127.0.0.1:{port}/source"}))

# PF15: manifest against configuration.
configuration("PF15", "more-diff-ids", "accept", changed(config, rootfs={"type": "layers", "diff_ids": [digest(tar)] * 2}), "image/config-mismatch")
configuration("PF15", "no-diff-ids", "accept", changed(config, rootfs={"type": "layers", "diff_ids": []}), "image/config-mismatch")
configuration("PF15", "rootfs-type", "image/rootfs", changed(config, rootfs={"type": "disk", "diff_ids": [digest(tar)]}))
configuration("PF15", "rootfs-none", "json/missing,image/rootfs", {k: x for k, x in config.items() if k != "rootfs"})
configuration("PF15", "other-arch", "accept", changed(config, architecture="arm64"), "image/platform")
configuration("PF15", "other-os", "accept", changed(config, os="windows"), "image/platform")
configuration("PF15", "history-short", "accept", changed(config, history=[{"empty_layer": True}]), "image/config-mismatch")
configuration("PF15", "history-long", "accept", changed(config, history=[{}, {}]), "image/config-mismatch")
configuration("PF15", "history-text", "image/history,json/type", changed(config, history=["x"]))
configuration("PF15", "env-bare", "image/env", changed(config, config={"Env": ["AWS_SECRET"]}))
configuration("PF15", "env-nul", "json/syntax", json.dumps(changed(config, config={"Env": ["A=b\x00c"]})).encode())
configuration("PF15", "diff-id-bad", "digest/malformed", changed(config, rootfs={"type": "layers", "diff_ids": ["sha256:../x"]}))

with open(out + "/f", "w") as f:
    f.write("f\n")
finish("oci", {"schemaVersion": 2, "mediaType": INDEX, "manifests": tags})
with open(out + "/list", "w") as f:
    f.write("\n".join(rows) + "\n")

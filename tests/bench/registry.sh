#!/bin/bash
# Pulling and pushing an image of 1 GiB in 20 layers, from and to docker-registry on loopback, beside
# skopeo, neither of which compresses anything: registry.sh STACKER [ROUNDS]. Prints seconds of each round, alternating, and the ratio of the
# medians. Needs 8 GiB below TMPDIR.
set -eu -o pipefail
stacker=$(realpath "${1:?usage: registry.sh STACKER [ROUNDS]}")
rounds=${2:-3}
dir=$(mktemp -d)
registry=
cleanup() {
	[ -z "$registry" ] || kill "$registry"
	rm -rf "$dir"
}
trap cleanup EXIT
cd "$dir"

python3 - <<'END'
import hashlib, json, os
os.makedirs("image/blobs/sha256")
def put(*parts):
    data = b"".join(parts)
    name = hashlib.sha256(data).hexdigest()
    with open("image/blobs/sha256/" + name, "wb") as f:
        f.write(data)
    return {"digest": "sha256:" + name, "size": len(data)}
def layer(i):  # one file in a tar, of bytes that do not compress
    size = (1 << 30) // 20
    head = bytearray(f"file-{i}".encode().ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2
                     + b"%011o\0" % size + b"%011o\0" % 0 + b" " * 8 + b"0").ljust(512, b"\0")
    head[148:156] = b"%06o\0 " % sum(head)
    return put(bytes(head), os.urandom(size), bytes(-size % 512 + 1024))
layers = [dict(layer(i), mediaType="application/vnd.oci.image.layer.v1.tar") for i in range(20)]
config = put(json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {
    "type": "layers", "diff_ids": [x["digest"] for x in layers]}}).encode())
manifest = put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": dict(config, mediaType="application/vnd.oci.image.config.v1+json"), "layers": layers}).encode())
with open("image/index.json", "w") as f:
    json.dump({"schemaVersion": 2, "manifests": [dict(manifest,
        mediaType="application/vnd.oci.image.manifest.v1+json",
        annotations={"org.opencontainers.image.ref.name": "x"})]}, f)
with open("image/oci-layout", "w") as f:
    f.write('{"imageLayoutVersion": "1.0.0"}')
END

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >config.yml <<END
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $dir/data}}
http: {addr: "127.0.0.1:$port"}
END
docker-registry serve config.yml >registry.log 2>&1 &
registry=$!
until python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/v2/')" 2>/dev/null; do sleep 0.1; done

# NAME COMMAND...: appends its seconds to the file NAME.
clock() {
	local name=$1 start end
	shift
	sync
	start=$(date +%s%N)
	"$@" >/dev/null 2>&1
	end=$(date +%s%N)
	echo "$(((end - start) / 1000000))" >>"$name"
}

# Each push goes to an empty registry, or the second would find the first's blobs.
for _ in $(seq "$rounds"); do
	for who in stacker skopeo; do
		rm -rf data/docker
		if [ "$who" = stacker ]; then
			clock push.stacker "$stacker" copy --insecure oci:image:x "docker://127.0.0.1:$port/a:x"
		else
			clock push.skopeo skopeo copy --preserve-digests --dest-tls-verify=false oci:image:x "docker://127.0.0.1:$port/a:x"
		fi
	done
	for who in stacker skopeo; do
		rm -rf pulled
		if [ "$who" = stacker ]; then
			clock pull.stacker "$stacker" copy --insecure "docker://127.0.0.1:$port/a:x" oci:pulled:x
		else
			clock pull.skopeo skopeo copy --preserve-digests --src-tls-verify=false "docker://127.0.0.1:$port/a:x" oci:pulled:x
		fi
	done
done

median() { sort -n "$1" | sed -n "$(((rounds + 1) / 2))p"; }
for what in push pull; do
	ours=$(median $what.stacker)
	theirs=$(median $what.skopeo)
	printf '%s: stacker %s ms (%s), skopeo %s ms (%s), ratio %s\n' "$what" "$ours" \
		"$(paste -sd' ' $what.stacker)" "$theirs" "$(paste -sd' ' $what.skopeo)" \
		"$((ours / theirs)).$(printf %02d $((ours * 100 / theirs % 100)))"
done

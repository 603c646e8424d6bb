#!/usr/bin/env python3
"""Writes an image into an OCI layout, in the odd forms that other tools make.

oci_layout.py DIR TAG [--layer FILE.tar[:gzip|:zstd]]... [--docker] [--nest N] [--arch A] [--os O]
    [--variant V] [--config JSON] [--filler] [--no-history]

--nest puts N indexes between index.json and the manifest; --filler adds history entries of
empty layers; --config is merged into the configuration; --docker names the documents as Docker does.
"""
import argparse
import gzip
import hashlib
import json
import os
import subprocess

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
TYPES = {
    False: {"manifest": OCI + "manifest.v1+json", "index": OCI + "index.v1+json",
            "config": OCI + "config.v1+json", "": OCI + "layer.v1.tar",
            "gzip": OCI + "layer.v1.tar+gzip", "zstd": OCI + "layer.v1.tar+zstd"},
    True: {"manifest": DOCKER + "distribution.manifest.v2+json",
           "index": DOCKER + "distribution.manifest.list.v2+json",
           "config": DOCKER + "container.image.v1+json", "": DOCKER + "image.rootfs.diff.tar",
           "gzip": DOCKER + "image.rootfs.diff.tar.gzip",
           "zstd": DOCKER + "image.rootfs.diff.tar.zstd"},
}


def put(layout, data, media_type):
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(layout, "blobs/sha256", digest), "wb") as file:
        file.write(data)
    return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}


def compress(data, how):
    if how == "gzip":
        return gzip.compress(data, mtime=0)
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE,
                              check=True).stdout
    return data


def main():
    p = argparse.ArgumentParser()
    p.add_argument("layout")
    p.add_argument("tag")
    p.add_argument("--layer", action="append", default=[])
    p.add_argument("--docker", action="store_true")
    p.add_argument("--nest", type=int, default=0)
    p.add_argument("--os", default="linux")
    p.add_argument("--arch", default="amd64" if os.uname().machine == "x86_64" else "arm64")
    p.add_argument("--variant")
    p.add_argument("--config", default="{}")
    p.add_argument("--filler", action="store_true")
    p.add_argument("--no-history", action="store_true")
    a = p.parse_args()
    types = TYPES[a.docker]
    os.makedirs(os.path.join(a.layout, "blobs/sha256"), exist_ok=True)
    with open(os.path.join(a.layout, "oci-layout"), "w") as file:
        file.write('{"imageLayoutVersion": "1.0.0"}')

    layers, diff_ids, history = [], [], []
    for spec in a.layer:
        path, _, how = spec.partition(":")
        with open(path, "rb") as file:
            data = file.read()
        diff_ids.append("sha256:" + hashlib.sha256(data).hexdigest())
        layers.append(put(a.layout, compress(data, how), types[how]))
        if a.filler:
            history.append({"created_by": "ENV", "empty_layer": True})
        history.append({"created_by": "ADD " + path})
    if a.filler:
        history.append({"created_by": "CMD", "empty_layer": True})
    config = {"architecture": a.arch, "os": a.os, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    if a.variant:
        config["variant"] = a.variant
    if not a.no_history:
        config["history"] = history
    config.update(json.loads(a.config))
    manifest = {"schemaVersion": 2, "mediaType": types["manifest"],
                "config": put(a.layout, json.dumps(config).encode(), types["config"]),
                "layers": layers}
    entry = put(a.layout, json.dumps(manifest).encode(), types["manifest"])
    entry["platform"] = {"os": a.os, "architecture": a.arch}
    if a.variant:
        entry["platform"]["variant"] = a.variant
    for _ in range(a.nest):
        index = {"schemaVersion": 2, "mediaType": types["index"], "manifests": [entry]}
        entry = put(a.layout, json.dumps(index).encode(), types["index"])
    entry["annotations"] = {"org.opencontainers.image.ref.name": a.tag}

    path = os.path.join(a.layout, "index.json")
    index = {"schemaVersion": 2, "manifests": []}
    if os.path.exists(path):
        with open(path) as file:
            index = json.load(file)
    index["manifests"].append(entry)
    with open(path, "w") as file:
        json.dump(index, file)


main()

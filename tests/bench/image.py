#!/usr/bin/env python3
"""Packing, unpacking and building beside other tools, on the same data in one run.

usage: image.py STACKER BENCH_IMAGE WORK OUT.json

As root, on a machine with umoci, buildah, GNU tar, pigz and mmdebstrap. Tools take turns and each
number is a median of BENCH_ROUNDS (2), since a shared machine is never quiet for long; beside the
wall time stands the CPU time, which others disturb less. WORK is emptied. The data are made once,
in BENCH_CACHE (~/.cache/stacker-bench): a Debian root file system of more than 1 GB by mmdebstrap
from the mirrors of this machine, which is kept; 100,000 small files and one of 2 GiB, which are
made of it anew. It takes about ten minutes and 12 GB. BENCH_PARTS narrows it to some of "encode pack
unpack layers small build"; BENCH_WITH="chrt -f 50" keeps others away from what is measured, and from
nothing else.
"""
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

PACKAGES = ("build-essential,git,python3,python3-dev,vim,default-jre-headless,clang,cmake,gdb")
SMALL_FILES = 100000
BIG_BYTES = 2 << 30
SAMPLE_PART = 4 << 20  # of every 32 MiB of the archive, to compare encoders on
LAYERS = 8
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "2"))
PARTS = os.environ.get("BENCH_PARTS", "encode pack unpack layers small build").split()
WITH = os.environ.get("BENCH_WITH", "").split()
CPUS = len(os.sched_getaffinity(0))


def say(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def run(command, cwd=None):
    """Wall seconds, CPU seconds, peak memory in MiB of any one process, and what it printed."""
    start = time.perf_counter()
    child = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, errors="replace")
    stdout, stderr = child.stdout.read(), child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if child.returncode != 0:
        sys.exit(f"bench: error: {command} exited with {child.returncode}:\n{stderr[-2000:]}")
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_mib": usage.ru_maxrss / 1024, "stdout": stdout, "stderr": stderr}


def in_turns(tools, rounds=ROUNDS):
    """tools: name -> (prepare, command, cwd). Medians by name, and the last output of each."""
    taken = {name: [] for name in tools}
    for _ in range(rounds):
        for name, (prepare, command, cwd) in tools.items():
            prepare()
            taken[name].append(run(WITH + command, cwd))
    return {name: {"wall_s": round(statistics.median(r["wall_s"] for r in runs), 3),
                   "cpu_s": round(statistics.median(r["cpu_s"] for r in runs), 3),
                   "peak_mib": round(max(r["peak_mib"] for r in runs), 1),
                   "stdout": runs[-1]["stdout"]} for name, runs in taken.items()}


def remove(*paths):
    for path in paths:
        subprocess.run(["rm", "-rf", path], check=True)


def largest_blob(layout):
    with os.scandir(layout + "/blobs/sha256") as blobs:
        return max(blob.stat().st_size for blob in blobs)


def settle():
    """What is still to be written must not be charged to whoever comes next."""
    os.sync()


# Data

def mirror_lines():
    """The Debian mirrors that this machine's apt uses, as lines of a sources.list."""
    form = "$(REPO_URI)\t$(CODENAME)\t$(COMPONENT)\t$(ORIGIN)"
    listed = subprocess.run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
                            capture_output=True, text=True, check=True).stdout
    lines = []
    for line in sorted(set(listed.splitlines())):
        uri, suite, component, origin = line.split("\t")
        if origin == "Debian" and component == "main":
            lines.append(f"deb {uri} {suite} {component}")
    return lines


def codename():
    with open("/etc/os-release", encoding="utf-8") as release:
        return re.search(r"^VERSION_CODENAME=(.*)$", release.read(), re.M).group(1).strip('"')


def make_rootfs(cache):
    path = f"{cache}/rootfs.tar"
    if os.path.exists(path):
        return path
    say("making a Debian root file system; this is done once")
    new = f"{cache}/rootfs.new.tar"  # its end says what is wanted
    os.makedirs(cache, exist_ok=True)
    subprocess.run(["mmdebstrap", "--quiet", "--variant=important", "--include=" + PACKAGES,
                    # Device nodes are the runtime's, and no layer of ours may hold one.
                    "--skip=output/dev",
                    codename(), new] + mirror_lines(),
                   check=True, stdin=subprocess.DEVNULL)
    os.rename(new, path)
    return path


def make_small(rootfs, target):
    """Pieces of the archive: their contents compress like files, and none is like another."""
    size = os.path.getsize(rootfs)
    with open(rootfs, "rb") as source:
        for number in range(SMALL_FILES):
            if number % 100 == 0:
                directory = f"{target}/{number // 10000:02}/{number // 100 % 100:02}"
                os.makedirs(directory)
            source.seek(number * (size // SMALL_FILES))
            with open(f"{directory}/{number % 100:02}", "wb") as out:
                out.write(source.read(200 + number * 7919 % 3000))


def make_big(rootfs, path):
    with open(path, "wb") as out:
        while (left := BIG_BYTES - out.tell()) > 0:
            with open(rootfs, "rb") as source:
                while left > 0 and (part := source.read(min(1 << 20, left))):
                    out.write(part)
                    left -= len(part)


def make_sample(rootfs, path):
    size = os.path.getsize(rootfs)
    with open(rootfs, "rb") as source, open(path, "wb") as out:
        for at in range(0, size, 8 * SAMPLE_PART):
            source.seek(at)
            out.write(source.read(SAMPLE_PART))


# Measurements

class Bench:
    def __init__(self, stacker, bench_image, work):
        self.stacker, self.tool, self.work = stacker, bench_image, work
        self.results, self.claims = {}, []

    def path(self, name):
        return f"{self.work}/{name}"

    def clear(self):
        """Also of a run that was killed: its mounts are in the way."""
        if os.path.exists(self.path("buildah")):
            subprocess.run(self.buildah("rm", "-a"), check=False, capture_output=True)
            subprocess.run(self.buildah("rmi", "-a", "-f"), check=False, capture_output=True)
        remove(self.work)

    def claim(self, text, holds, figure):
        self.claims.append({"claim": text, "holds": bool(holds), "figure": figure})

    def tar_pigz(self, tree, out):
        return (settle, ["sh", "-c", f"tar --sort=name --numeric-owner -c . | pigz -6 -p{CPUS} > {out}"], tree)

    def ours(self, tree, out, form="gzip"):
        return (settle, [self.tool, "pack", tree, "-", out, form, str(CPUS)], None)

    def umoci_bundle(self, tree):
        """A bundle whose image is empty: to repack it is to pack the tree."""
        layout, bundle = self.path("umoci"), self.path("bundle")
        remove(layout, bundle)
        run(["umoci", "init", "--layout", layout])
        run(["umoci", "new", "--image", layout + ":empty"])
        run(["umoci", "unpack", "--image", layout + ":empty", bundle])
        run(["cp", "-a", tree + "/.", bundle + "/rootfs/"])
        return (settle, ["umoci", "repack", "--image", layout + ":packed", bundle], None)

    def buildah(self, *arguments):
        return ["buildah", "--root", self.path("buildah"), "--runroot", self.path("buildah-run"), *arguments]

    def buildah_container(self, tree):
        name = run(self.buildah("from", "scratch"))["stdout"].strip()
        mount = run(self.buildah("mount", name))["stdout"].strip()
        run(["cp", "-a", tree + "/.", mount + "/"])
        out = self.path("buildah-oci")

        def prepare():
            remove(out)
            settle()
        return (prepare, self.buildah("commit", "-q", "--disable-compression=false", name, f"oci:{out}:t"), None)

    def pack(self, tree):
        say("packing a Debian root file system")
        ours, pigz = self.path("ours.gz"), self.path("pigz.gz")
        r = in_turns({"stacker": self.ours(tree, ours),
                      "tar | pigz -6": self.tar_pigz(tree, pigz),
                      "umoci repack": self.umoci_bundle(tree),
                      "buildah commit": self.buildah_container(tree)})
        packed = json.loads(r["stacker"]["stdout"])
        # pigz in blocks is gzip -6 but for some thousandths.
        gzip_bytes = os.path.getsize(pigz)
        r["stacker"]["bytes"], r["tar | pigz -6"]["bytes"] = packed["bytes"], gzip_bytes
        r["umoci repack"]["bytes"] = largest_blob(self.path("umoci"))
        r["buildah commit"]["bytes"] = largest_blob(self.path("buildah-oci"))
        self.results["pack"] = r
        for peer, factor in (("umoci repack", 3), ("buildah commit", 3), ("tar | pigz -6", 1)):
            speed = r[peer]["wall_s"] / r["stacker"]["wall_s"]
            self.claim(f"packs {factor} times as fast as {peer}", speed >= factor, round(speed, 2))
        more = packed["bytes"] / gzip_bytes
        self.claim("packs to no more than 1.03 of gzip -6", more <= 1.03, round(more, 4))
        self.claim("packs in less than 96 MiB", r["stacker"]["peak_mib"] < 96, r["stacker"]["peak_mib"])
        return ours, packed["diff_id"]

    def unpack(self, blob, diff_id):
        say("unpacking it")
        ours, tar, umoci = self.path("u-ours"), self.path("u-tar"), self.path("u-umoci")

        def cleared():
            remove(ours, tar, umoci)
            os.mkdir(tar)
            settle()
        r = in_turns({"stacker": (cleared, [self.tool, "unpack", blob, "gzip", diff_id, ours], None),
                      "tar -I pigz -x": (cleared, ["tar", "-x", "-I", "pigz", "--numeric-owner", "-f", blob, "-C", tar], None),
                      "umoci unpack": (cleared, ["umoci", "unpack", "--image", self.path("umoci") + ":packed", umoci], None)})
        cleared()
        self.results["unpack"] = r
        for peer, factor in (("umoci unpack", 2), ("tar -I pigz -x", 1)):
            speed = r[peer]["wall_s"] / r["stacker"]["wall_s"]
            self.claim(f"unpacks {factor} times as fast as {peer}", speed >= factor, round(speed, 2))

    def unpack_layers(self, tree):
        """Directories of the tree in turn to eight layers, as base images have them."""
        say("unpacking an image of eight layers")
        layers = [self.path(f"layer-{number}") for number in range(LAYERS)]
        for layer in layers:
            os.mkdir(layer)
        parts = [f"{top}/{name}" for top in ("usr/lib", "usr/share", "usr/bin", "var/lib")
                 for name in sorted(os.listdir(f"{tree}/{top}"))]
        # The largest first, each to the layer that has the least.
        sized = sorted(((int(run(["du", "-sk", f"{tree}/{part}"])["stdout"].split()[0]), part)
                        for part in parts), reverse=True)
        filled = [0] * LAYERS
        for size, part in sized:
            least = filled.index(min(filled))
            filled[least] += size
            os.makedirs(os.path.dirname(f"{layers[least]}/{part}"), exist_ok=True)
            run(["cp", "-al", f"{tree}/{part}", f"{layers[least]}/{part}"])
        arguments = []
        for layer in layers:
            packed = json.loads(run([self.tool, "pack", layer, "-", layer + ".gz", "gzip", str(CPUS)])["stdout"])
            arguments.append(f'{packed["diff_id"]}:{layer}.gz')
            remove(layer)
        out = self.path("stack")

        def cleared():
            remove(out)
            settle()
        r = in_turns({f"{threads} at a time": (cleared, [self.tool, "stack", out, str(threads), *arguments], None)
                      for threads in (1, CPUS)})
        cleared()
        remove(*(layer + ".gz" for layer in layers))
        self.results["unpack eight layers"] = r
        speed = r["1 at a time"]["wall_s"] / r[f"{CPUS} at a time"]["wall_s"]
        self.claim("unpacks layers faster side by side than one by one", CPUS == 1 or speed > 1, round(speed, 2))

    def pack_small_and_big(self, rootfs):
        say("packing 100,000 small files")
        tree = self.path("small")
        make_small(rootfs, tree)
        self.results["pack 100,000 small files"] = in_turns({
            "stacker": self.ours(tree, self.path("small.gz")),
            "tar | pigz -6": self.tar_pigz(tree, self.path("small-pigz.gz")),
            "umoci repack": self.umoci_bundle(tree)}, 1)
        remove(tree, self.path("bundle"))
        say("packing one file of 2 GiB")
        tree = self.path("big")
        os.mkdir(tree)
        make_big(rootfs, tree + "/file")
        self.results["pack a file of 2 GiB"] = in_turns({
            "stacker": self.ours(tree, self.path("big.gz")),
            "tar | pigz -6": self.tar_pigz(tree, self.path("big-pigz.gz"))}, 1)
        remove(tree)
        for name in ("pack 100,000 small files", "pack a file of 2 GiB"):
            peak = self.results[name]["stacker"]["peak_mib"]
            self.claim(f"in less than 96 MiB: {name}", peak < 96, peak)

    def encode(self, rootfs):
        say("encoding alone")
        sample = self.path("sample")
        make_sample(rootfs, sample)
        encoded = json.loads(run(WITH + [self.tool, "encode", sample, "3"])["stdout"])
        self.results["encode"] = encoded
        self.results["hash"] = json.loads(run(WITH + [self.tool, "hash", sample])["stdout"])
        self.results["hash"]["openssl_s"] = round(run(["openssl", "dgst", "-sha256", sample])["cpu_s"], 3)
        remove(sample)
        self.claim("encodes 2.5 times as fast as zlib level 6", encoded["speed"] >= 2.5, encoded["speed"])
        self.claim("at a ratio no worse than zlib level 6", encoded["ours_ratio"] >= encoded["zlib6_ratio"],
                   f'{encoded["ours_ratio"]} to {encoded["zlib6_ratio"]}')

    def build(self, rootfs):
        """The root file system and the big file are 3 GB; a step touches one file of it."""
        say("building from the archive, and a step upon it")
        work = self.path("build")
        os.mkdir(work)
        os.mkdir(work + "/big")
        make_big(rootfs, work + "/big/file")
        os.link(rootfs, work + "/rootfs.tar") if os.stat(rootfs).st_dev == os.stat(work).st_dev \
            else shutil.copy(rootfs, work + "/rootfs.tar")
        with open(work + "/stacker.yaml", "w", encoding="ascii") as out:
            out.write("base:\n  from: {type: tar, url: rootfs.tar}\n")
        ours = [self.stacker, "--quiet", "build"]
        # By hand: 'buildah build' with ADD never came to an end with this archive (1.28.2).
        buildah = " ".join(self.buildah())
        peer = ["sh", "-ec", f"c=$({buildah} from scratch); m=$({buildah} mount $c); "
                f"tar -x --numeric-owner -f rootfs.tar -C $m; {buildah} commit -q "
                f"--disable-compression=false $c oci:{self.path('buildah-built')}:t; {buildah} rm $c"]
        self.results["build from an archive"] = in_turns({
            "stacker": (settle, ours, work), "tar, buildah": (settle, peer, work)}, 1)
        self.results["build from an archive, nothing changed"] = in_turns({
            "stacker": (settle, ours, work)}, 3)
        self.touch(work)

    def touch(self, work):
        with open(work + "/stacker.yaml", "a", encoding="ascii") as out:
            out.write("more:\n  from: {type: built, tag: base}\n  imports: [{path: big/, dest: /}]\n")
        run([self.stacker, "--quiet", "build"], work)
        taken = []
        for number in range(6):
            with open(work + "/stacker.yaml", "r+", encoding="ascii") as file:
                text = file.read().split("touched:")[0]
                file.seek(0)
                file.truncate()
                file.write(text + "touched:\n  from: {type: built, tag: more}\n"
                           f"  run: echo {number} > /etc/hostname\n")
            printed = run(WITH + [self.stacker, "--debug", "build"], work)["stderr"]
            taken.append(int(re.search(r"packed touched: ([0-9]+) ms", printed).group(1)))
        # The first one unpacks the layers below.
        self.results["pack a step that writes one file upon 3 GB"] = {"ms": taken[1:]}
        median = statistics.median(taken[1:])
        self.claim("packs one file upon 3 GB in less than 50 ms", median < 50, median)


def show(bench):
    for name, rows in bench.results.items():
        print(name)
        for tool, row in rows.items():
            if isinstance(row, dict):
                size = f'  {row["bytes"] / 1e6:9.1f} MB' if "bytes" in row else ""
                print(f'  {tool:16}{row["wall_s"]:9.2f} s wall{row["cpu_s"]:9.2f} s CPU{row["peak_mib"]:8.0f} MiB{size}')
            else:
                print(f"  {tool}: {row}")
    print()
    for claim in bench.claims:
        print(f'{"yes" if claim["holds"] else "NO "} {claim["claim"]}: {claim["figure"]}')


def save(bench, out):
    for rows in bench.results.values():
        for row in rows.values():
            if isinstance(row, dict):
                row.pop("stdout", None)
    with open(out, "w", encoding="ascii") as file:
        json.dump({"cpus": CPUS, "rounds": ROUNDS, "results": bench.results, "claims": bench.claims}, file, indent=1)


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    missing = [t for t in ("umoci", "buildah", "pigz", "mmdebstrap", "tar") if not shutil.which(t)]
    if os.geteuid() != 0 or missing:
        sys.exit("bench: error: this needs root and " + (", ".join(missing) or "nothing else"))
    stacker, bench_image, work, out = (os.path.realpath(a) for a in sys.argv[1:])
    cache = os.environ.get("BENCH_CACHE") or os.path.expanduser("~/.cache/stacker-bench")
    bench = Bench(stacker, bench_image, work)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    bench.clear()
    os.makedirs(work)
    rootfs = make_rootfs(cache)
    tree = work + "/tree"
    try:
        if "encode" in PARTS:
            bench.encode(rootfs)
        if {"pack", "unpack", "layers"} & set(PARTS):
            os.mkdir(tree)
            run(["tar", "-x", "--numeric-owner", "-f", rootfs, "-C", tree])
        if "layers" in PARTS:
            bench.unpack_layers(tree)
        if "pack" in PARTS or "unpack" in PARTS:
            blob, diff_id = bench.pack(tree)
        remove(bench.path("bundle"), tree)
        if "unpack" in PARTS:
            bench.unpack(blob, diff_id)
        if "small" in PARTS:
            bench.pack_small_and_big(rootfs)
        if "build" in PARTS:
            bench.build(rootfs)
    finally:
        bench.clear()
        save(bench, out)  # what there is, also if something failed
        show(bench)


main()

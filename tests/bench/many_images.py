#!/usr/bin/env python3
"""What a stackerfile of many images costs before anything is built.

usage: many_images.py STACKER [IMAGES [DEPTH [RUNS]]]

Writes a stackerfile of IMAGES (500) in a graph DEPTH (40) deep into a temporary directory and
measures, as the median of RUNS (5):
  eval        fully pinned, nothing downloaded, no store, no network
  no-op       a build that finds everything in the cache
Prints one JSON object a line: name, seconds, user and system seconds, mebibytes. Exit status 1 if
eval takes 100 ms, no-op 200 ms or either 100 MiB.
"""
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

LIMITS = {"eval": 0.100, "no-op": 0.200}
LIMIT_MIB = 100


def graph(images, depth):
    """(name, the image below, another one below) for each image; None at the bottom."""
    width = images // depth
    for i in range(images):
        below = i - width if i >= width else None
        beside = below - below % width + (i + 1) % width if below is not None else None
        yield i, below, beside


def pinned(images, depth):
    for i, below, beside in graph(images, depth):
        yield f"image{i}:"
        yield f"  from: {{type: built, tag: image{below}}}" if below is not None else "  from: {type: scratch}"
        yield "  imports:"
        yield f"    - {{path: 'https://example.org/file{i}.tar.gz', hash: {i:064x}, size: 1000}}"
        if beside is not None:
            yield f"    - stacker://image{beside}/file"
        yield "  run: |"
        yield from (f"    echo step {n} of image {i}" for n in range(5))
        yield "  environment: {LANG: C.UTF-8, VERSION: '1.0'}"
        yield "  labels: {org.example.team: web}"


def buildable(images, depth):
    for i, below, beside in graph(images, depth):
        yield f"image{i}:"
        yield f"  from: {{type: built, tag: image{below}}}" if below is not None else "  from: {type: scratch}"
        yield "  imports:"
        path = f"stacker://image{beside}/file" if beside is not None and i % 7 == 0 else f"file{i}"
        yield f"    - {{path: {path}, dest: /file}}"
        yield "  environment: {LANG: C.UTF-8, VERSION: '1.0'}"


def measure(command, runs):
    taken = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.monotonic()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        elapsed = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append((elapsed, after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime))
    return [statistics.median(column) for column in zip(*taken)]


def peak_mib(command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"many_images: error: {' '.join(command)} failed")
    return usage.ru_maxrss / 1024


def main():
    stacker = os.path.realpath(sys.argv[1])
    images, depth, runs = (int(v) for v in (sys.argv[2:] + ["500", "40", "5"][len(sys.argv) - 2:]))
    failed = False
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        for name, lines in (("pinned", pinned), ("buildable", buildable)):
            with open(f"{name}.yaml", "w", encoding="utf-8") as file:
                file.write("\n".join(lines(images, depth)) + "\n")
        for i in range(images):
            with open(f"file{i}", "w", encoding="utf-8") as file:
                file.write(f"{i}\n")
        evaluate = [stacker, "eval", "-f", "pinned.yaml"]
        build = [stacker, "--quiet", "build", "-f", "buildable.yaml"]
        subprocess.run(build, stdout=subprocess.DEVNULL, check=True)
        for name, command in (("eval", evaluate), ("no-op", build)):
            elapsed, user, system = measure(command, runs)
            mib = peak_mib(command)
            failed |= elapsed >= LIMITS[name] or mib >= LIMIT_MIB
            print(json.dumps({"name": f"{name} of {images} images, {depth} deep", "seconds": round(elapsed, 4),
                              "user": round(user, 4), "system": round(system, 4), "mib": round(mib, 1)}))
        subprocess.run([stacker, "--quiet", "clean"], check=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

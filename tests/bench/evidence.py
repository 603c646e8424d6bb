#!/usr/bin/env python3
"""What evidence costs a compile: the same step with and without it, in turns.

usage: evidence.py STACKER WORK [ROUNDS]

STACKER is the ablation build (make security-binaries), whose switch takes the notifications away
and nothing else. WORK is an empty directory. The compiler is this machine's own, copied into an
image by what its packages list. Rounds take turns and the least of each counts, since a busy
machine can only add. Prints one JSON object; exit 1 if the cost is 2 % or more.
"""
import json
import os
import re
import shutil
import subprocess
import sys

PACKAGES = ("gcc-12 cpp-12 libgcc-12-dev libgcc-s1 binutils binutils-common libbinutils "
            "binutils-x86-64-linux-gnu libc6 libc6-dev linux-libc-dev libisl23 libmpfr6 libmpc3 "
            "libgmp10 zlib1g libctf0 libctf-nobfd0 libzstd1 libjansson4 libgprofng0 libstdc++6").split()
FILES, FUNCTIONS = 3, 60
LIMIT = 1.02


def copy_compiler(root):
    for package in PACKAGES:
        listed = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=False)
        for path in listed.stdout.splitlines():
            if "/share/" in path or os.path.isdir(path):
                continue
            target = root + os.path.realpath(os.path.dirname(path)) + "/" + os.path.basename(path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.lexists(path) and not os.path.lexists(target):
                shutil.copy2(path, target, follow_symlinks=False)
    for link in ("bin", "lib", "lib64"):
        os.symlink("usr/" + link, f"{root}/{link}")
    shutil.copy2("/bin/busybox", root + "/usr/bin/busybox")
    os.symlink("busybox", root + "/usr/bin/sh")
    os.symlink("gcc-12", root + "/usr/bin/gcc")


def write_sources(directory):
    os.makedirs(directory)
    for number in range(FILES):
        with open(f"{directory}/f{number}.c", "w", encoding="ascii") as out:
            out.write("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n")
            for function in range(FUNCTIONS):
                out.write(f"int f{number}_{function}(const char *s, int n) {{ char b[64]; int r = 0;"
                          f" for (int i = 0; i < n; i++) {{ snprintf(b, sizeof b, \"%d%s\", i + {function}, s);"
                          " r += (int)strlen(b) * atoi(b); } return r; }\n")


def write_stackerfile():
    with open("stacker.yaml", "w", encoding="ascii") as out:
        out.write("""base:
  build_only: true
  from: {type: scratch}
  imports:
    - {path: root/, dest: /}
    - {path: src, dest: /src}
compile:
  from: {type: built, tag: base}
  run: |
    #!/bin/sh
    cd /src && for f in *.c; do gcc -O2 -c $f || exit 1; done
""")


def compile_ms(stacker, ablate):
    # Only the image itself is built again: what it is made of comes from the cache.
    for entry in os.listdir(".stacker/cache"):
        if entry.endswith(".json") and b'"build_only":false' in open(".stacker/cache/" + entry, "rb").read():
            os.unlink(".stacker/cache/" + entry)
    environment = dict(os.environ, STACKER_TEST_ABLATE=ablate)
    done = subprocess.run([stacker, "--debug", "build"], env=environment, capture_output=True,
                          text=True, errors="replace", check=False)
    found = re.search(r"step compile: ([0-9]+) ms", done.stderr)
    if done.returncode != 0 or not found:
        sys.exit(f"evidence: error: the step failed:\n{done.stderr[-2000:]}")
    return int(found.group(1))


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    stacker, rounds = os.path.realpath(sys.argv[1]), int(sys.argv[3]) if len(sys.argv) == 4 else 10
    os.chdir(sys.argv[2])
    copy_compiler("root")
    write_sources("src")
    write_stackerfile()
    subprocess.run([stacker, "--quiet", "build"], check=True, stdout=subprocess.DEVNULL)
    times = {"": [], "evidence": []}
    for _ in range(rounds):
        for ablate, taken in times.items():
            taken.append(compile_ms(stacker, ablate))
    with_ms, without_ms = min(times[""]), min(times["evidence"])
    ratio = with_ms / without_ms
    print(json.dumps({"name": "evidence of a compile", "rounds": rounds, "with_ms": times[""],
                      "without_ms": times["evidence"], "ratio": round(ratio, 4)}))
    sys.exit(ratio >= LIMIT)


main()

#!/usr/bin/env python3
"""Line coverage of what reads hostile bytes and of the sandbox, by file and group.

usage: cov.py OUT LEAST

OUT is the build directory of MODE=cov after its tests ran. Exits 1 if a group has less than LEAST
percent of its lines covered.
"""
import fnmatch
import json
import os
import subprocess
import sys

GROUPS = {
    "parsers": ["src/recipe/*.c", "src/util/json_read.c", "src/image/manifest.c", "src/image/config.c",
                "src/image/layout_index.c", "src/image/oci_json.c", "src/inputs/url.c", "src/inputs/http_header.c"],
    "unpacker": ["src/image/archive_read.c", "src/image/tar_read.c", "src/image/byte_*.c", "src/image/zip_read.c",
                 "src/image/deb_read.c", "src/image/entry.c", "src/image/place*.c", "src/image/unpack*.c",
                 "src/image/layer_read.c", "src/image/tree*.c"],
    "sandbox": ["src/sandbox/*.c"],
}


def lines_of(out, source):
    """Line number -> times executed; of several instances of a line the highest counts."""
    notes = os.path.join(out, source.removeprefix("src/").removesuffix(".c") + ".gcno")
    report = subprocess.run(["gcov", "--json-format", "--stdout", notes], check=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL).stdout
    counts = {}
    for document in report.splitlines():
        for file in json.loads(document)["files"]:
            if file["file"].removeprefix("./") == source:
                for line in file["lines"]:
                    number = line["line_number"]
                    counts[number] = max(counts.get(number, 0), line["count"])
    return counts


def ranges(numbers):
    text, numbers = [], sorted(numbers)
    while numbers:
        first = last = numbers.pop(0)
        while numbers and numbers[0] == last + 1:
            last = numbers.pop(0)
        text.append(str(first) if first == last else f"{first}-{last}")
    return " ".join(text)


def main():
    out, least = sys.argv[1], float(sys.argv[2])
    sources = sorted(os.path.join(root, name) for root, _, names in os.walk("src") for name in names if name.endswith(".c"))
    failed = False
    for group, patterns in GROUPS.items():
        total = covered = 0
        for source in sources:
            if not any(fnmatch.fnmatch(source, pattern) for pattern in patterns):
                continue
            counts = lines_of(out, source)
            hit = sum(1 for count in counts.values() if count > 0)
            total += len(counts)
            covered += hit
            missing = [number for number, count in counts.items() if count == 0]
            print(f"  {100 * hit / max(len(counts), 1):5.1f} %  {hit:4d}/{len(counts):4d}  {source}"
                  + (f"  not: {ranges(missing)}" if "-v" in sys.argv else ""))
        share = 100 * covered / max(total, 1)
        failed |= share < least
        print(f"{share:5.1f} % of {total} lines: {group}" + ("" if share >= least else f" (less than {least:g} %)"))
    sys.exit(failed)


main()

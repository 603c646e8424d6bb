#!/usr/bin/env python3
"""Runs a command many times and prints how long it took, as one JSON object.

usage: measure.py RUNS NAME [--from-stderr REGEX] -- COMMAND...

Wall time from fork to exit, in milliseconds; or, with --from-stderr, the number that the regular
expression's group catches in what the command prints there. The first run warms caches and is not
counted. Medians, because a shared machine has outliers in one direction only.
"""
import json
import re
import statistics
import subprocess
import sys
import time


def run_once(command, pattern):
    start = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    wall_ms = (time.perf_counter() - start) * 1000
    if done.returncode != 0:
        sys.exit(f"measure: error: {command[0]} exited with {done.returncode}:\n{done.stderr}")
    if not pattern:
        return wall_ms
    found = re.search(pattern, done.stderr)
    if not found:
        sys.exit(f"measure: error: '{pattern}' is not in what {command[0]} printed:\n{done.stderr}")
    return float(found.group(1))


def main():
    arguments, command = sys.argv[1:], []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, command = arguments[:at], arguments[at + 1:]
    if len(arguments) not in (2, 4) or not command:
        sys.exit(__doc__)
    runs, name = int(arguments[0]), arguments[1]
    pattern = arguments[3] if len(arguments) == 4 else None
    run_once(command, pattern)
    times = [run_once(command, pattern) for _ in range(runs)]
    print(json.dumps({
        "name": name,
        "runs": runs,
        "median_ms": round(statistics.median(times), 2),
        "min_ms": round(min(times), 2),
        "max_ms": round(max(times), 2),
    }))


main()

#!/usr/bin/env python3
"""One recipe, one digest: builds the same stackerfiles under conditions that must not matter.

usage: run.py WORK PROJECTS NAME=STACKER...

PROJECTS is a directory of projects (each with a stacker.yaml); NAME=STACKER are builds of stacker. Started
as root, in a mount namespace of its own, with WORK on a disk; makes file systems in files there.

Every pair of values of two factors occurs (all-pairs), but for those that EXCLUDED names with their
reason; a project with a file "each-value", which is for those that take long, meets every value of
every factor. A table is printed, a line for each run; the last line counts.
"""
import itertools
import json
import os
import pwd
import shutil
import subprocess
import sys
import time

USER = "stackertest"
FAKETIME = "/usr/lib/%s-linux-gnu/faketime/libfaketime.so.1" % os.uname().machine
LONG = "/".join(["a directory with blanks", "x" * 200, "é"])
FS_BYTES = 6 << 30

FACTORS = {
    "who": ["root", "user"],
    "fs": ["ext4", "tmpfs", "xfs", "btrfs"],
    "cpus": ["1", "2"],
    "umask": ["022", "077", "000"],
    "TZ": ["UTC", "Asia/Kathmandu"],
    "LC_ALL": ["C", "tr_TR.UTF-8"],
    "HOME": ["own", "absent"],
    "host": ["as it is", "other"],
    "path": ["short", "long"],
    "clock": ["now", "2001", "2037"],
    "cache": ["fresh", "cached"],
}
EXCLUDED = [
    ({"clock": "2001", "build": "sanitizers"}, "the sanitizer refuses to be loaded after libfaketime"),
    ({"clock": "2037", "build": "sanitizers"}, "the sanitizer refuses to be loaded after libfaketime"),
]


def excluded(cell):
    return any(all(cell.get(factor) == value for factor, value in rule.items()) for rule, _ in EXCLUDED)


def all_pairs(factors):
    """A small set of cells with every allowed pair, found greedily and always the same."""
    names = list(factors)
    left = {(a, x, b, y) for a, b in itertools.combinations(names, 2)
            for x in factors[a] for y in factors[b] if not excluded({a: x, b: y})}
    cells = []
    while left:
        a, x, b, y = min(left, key=lambda p: (names.index(p[0]), names.index(p[2]), p))
        cell = {a: x, b: y}
        for name in names:
            if name in cell:
                continue

            def gain(value, name=name):
                trial = dict(cell, **{name: value})
                if excluded(trial):
                    return -1
                return sum((p, v, name, value) in left or (name, value, p, v) in left
                           for p, v in cell.items())
            cell[name] = max(factors[name], key=gain)
        for p, q in itertools.combinations(names, 2):
            left.discard((p, cell[p], q, cell[q]))
        cells.append(cell)
    return cells


def each_value(factors):
    """As few cells as have every value: as many as the longest list has."""
    cells = []
    for number in range(max(len(values) for values in factors.values())):
        cell = {name: values[number % len(values)] for name, values in factors.items()}
        if excluded(cell):
            cell["clock"] = "now"
        cells.append(cell)
    return cells


def run(*command, **options):
    return subprocess.run(command, check=True, **options)


def make_file_systems(work):
    """name -> a directory on it."""
    places = {}
    for kind, mkfs in (("ext4", ["mkfs.ext4", "-q"]), ("xfs", ["mkfs.xfs", "-q"]),
                       ("btrfs", ["mkfs.btrfs", "-q", "-f"]), ("tmpfs", None)):
        place = os.path.join(work, kind)
        os.mkdir(place)
        if mkfs is None:
            run("mount", "-t", "tmpfs", "-o", "size=%d" % FS_BYTES, "tmpfs", place)
        else:
            image = place + ".img"
            with open(image, "wb") as f:
                f.truncate(FS_BYTES)
            run(*mkfs, image, stdout=subprocess.DEVNULL)
            run("mount", "-o", "loop", image, place)
        os.chmod(place, 0o755)
        places[kind] = place
    return places


def command_of(cell, directory, stacker):
    account = pwd.getpwnam(USER)
    home = account.pw_dir if cell["who"] == "user" else "/root"
    environment = ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=" + cell["LC_ALL"],
                   "TZ=" + cell["TZ"], "HOME=" + (home if cell["HOME"] == "own" else "/nonexistent"),
                   "ASAN_OPTIONS=detect_leaks=0"]
    if cell["clock"] != "now":
        # The clock alone: by default it lies about the times of files, too.
        environment += ["LD_PRELOAD=" + FAKETIME, "FAKETIME=@%s-02-28 23:59:58" % cell["clock"],
                        "NO_FAKE_STAT=1"]
    command = []
    if cell["host"] == "other":
        command += ["unshare", "--uts", "sh", "-c", 'hostname other.example.org && exec "$@"', "sh"]
    if cell["who"] == "user":
        command += ["setpriv", "--reuid=%d" % account.pw_uid, "--regid=%d" % account.pw_gid, "--clear-groups"]
    if cell["cpus"] == "1":
        command += ["taskset", "-c", "0"]
    command += ["sh", "-c", 'umask %s && cd "$1" && shift && exec env -i "$@"' % cell["umask"], "sh", directory]
    return command + environment + [stacker, "--quiet", "build"]


def digests(directory):
    with open(os.path.join(directory, "oci", "index.json"), encoding="utf-8") as f:
        index = json.load(f)
    return {m["annotations"]["org.opencontainers.image.ref.name"]: m["digest"] for m in index["manifests"]}


def remove(directory):
    if subprocess.run(["rm", "-rf", directory], stderr=subprocess.DEVNULL).returncode:
        run("unshare", "--map-root-user", "--map-auto", "rm", "-rf", directory)


def build(cell, place, project, stacker):
    """The digest of each tag; raises with what stacker said."""
    base = os.path.join(place, "w")
    directory = os.path.join(base, LONG if cell["path"] == "long" else "", "p")
    os.makedirs(os.path.dirname(directory))
    shutil.copytree(project, directory, symlinks=True)
    if cell["who"] == "user":
        run("chown", "-R", "%s:" % USER, base)
    try:
        for again in range(2 if cell["cache"] == "cached" else 1):
            if again:
                shutil.rmtree(os.path.join(directory, "oci"))
            result = subprocess.run(command_of(cell, directory, stacker), stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200)
            if result.returncode:
                raise RuntimeError(result.stdout.decode(errors="replace")[-2000:])
        return digests(directory)
    finally:
        remove(base)


class Table:
    def __init__(self, names):
        self.names = ["project"] + names + ["s", "digest"]
        wide = {"project": 8, "TZ": 14, "LC_ALL": 11, "host": 8, "build": 10}
        self.widths = [max(len(name), wide.get(name, 6)) for name in self.names]
        self.line(self.names)

    def line(self, fields):
        print("  ".join(field.ljust(width) for field, width in zip(fields, self.widths)).rstrip(), flush=True)


def main():
    work, projects = sys.argv[1:3]
    builds = dict(argument.split("=", 1) for argument in sys.argv[3:])
    factors = dict(FACTORS, build=list(builds))
    pairs, singles = all_pairs(factors), each_value(factors)
    places = make_file_systems(work)
    table, reference, bad, count = Table(list(factors)), {}, 0, 0
    for project in sorted(os.listdir(projects)):
        slow = os.path.exists(os.path.join(projects, project, "each-value"))
        for cell in singles if slow else pairs:
            started = time.monotonic()
            count += 1
            try:
                found = build(cell, places[cell["fs"]], os.path.join(projects, project), builds[cell["build"]])
                reference.setdefault(project, found)
                good = found == reference[project]
                text = ("" if good else "DIFFERS ") + " ".join(
                    "%s %s" % (tag, digest[7:19]) for tag, digest in sorted(found.items()))
            except (RuntimeError, subprocess.SubprocessError, OSError) as error:
                good, text = False, "FAILED: %s" % error
            bad += not good
            table.line([project] + [cell[factor] for factor in factors] +
                       ["%.1f" % (time.monotonic() - started), text])
    for rule, reason in EXCLUDED:
        print("not run: %s: %s" % (" with ".join("%s %s" % pair for pair in rule.items()), reason))
    print("%d projects; %d factors, all pairs of their values in %d cells, each value in %d: %d runs, %d wrong" %
          (len(reference), len(factors), len(pairs), len(singles), count, bad))
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main())

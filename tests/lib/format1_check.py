#!/usr/bin/env python3
"""Recomputes the digests of vectors/format-1 from the trees they describe.

A second encoder, written from docs/format-1.md alone and sharing nothing with src/image, so that
the page, the C code and the vectors can only be wrong together. `format1_check.py DIR` checks;
`--tar FILE.tree` writes the archive of one vector to standard output for other tools to read.
"""
import hashlib
import os
import re
import sys
import urllib.parse

BLOCK = 512
TYPEFLAG = {"file": b"0", "hardlink": b"1", "symlink": b"2", "char": b"3", "block": b"4",
            "dir": b"5", "fifo": b"6"}


class Node:
    def __init__(self, kind, mode=0, uid=0, gid=0, mtime=0):
        self.kind, self.mode, self.uid, self.gid, self.mtime = kind, mode, uid, gid, mtime
        self.content, self.target, self.rdev = b"", b"", (0, 0)
        self.xattrs, self.children, self.links = {}, {}, 1


def kept_xattrs(node):
    kept = {}
    for name, value in node.xattrs.items():
        wanted = name.startswith(b"user.") and not name.startswith(b"user.overlay.")
        wanted = wanted or name in (b"security.capability", b"system.posix_acl_access",
                                    b"system.posix_acl_default")
        if not wanted or not value or node.kind not in ("file", "dir"):
            continue
        if name == b"security.capability" and len(value) == 24 and value[3] == 3:
            value = value[:3] + b"\x02" + value[4:20]
        kept[name] = value
    return kept


def same(a, b):
    return ((a.kind, a.mode, a.uid, a.gid, a.content, a.target, a.rdev, kept_xattrs(a)) ==
            (b.kind, b.mode, b.uid, b.gid, b.content, b.target, b.rdev, kept_xattrs(b)))


def has_mark(node, mark):
    return any(prefix + mark in node.xattrs for prefix in (b"user.overlay.", b"trusted.overlay."))


def is_gone(node):
    return (node.kind == "char" and node.rdev == (0, 0) or node.kind == "socket" or
            node.kind == "file" and not node.content and has_mark(node, b"whiteout"))


def octal(value, digits):
    return b"%0*o\0" % (digits, value if 0 <= value < 8 ** digits else 0)


def is_ascii(text):
    return all(byte < 0x80 for byte in text)


def split_path(path):
    """(prefix, name), or None if the path does not fit."""
    if not is_ascii(path):
        return None
    if len(path) <= 100:
        return b"", path
    for i, byte in enumerate(path):
        if byte == ord("/") and i <= 155 and 1 <= len(path) - i - 1 <= 100:
            return path[:i], path[i + 1:]
    return None


def fallback(text):
    return bytes(byte if byte < 0x80 else ord("_") for byte in text[:100])


def is_utf8(text):
    try:
        text.decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False


def record(key, value):
    rest = len(key) + len(value) + 3
    length = next(n for n in range(rest, rest + 20) if rest + len(str(n)) == n)
    return b"%d %s=%s\n" % (length, key, value)


def block(name, prefix, mode, uid, gid, size, mtime, flag, link=b"", rdev=(0, 0)):
    head = (name.ljust(100, b"\0") + octal(mode, 7) + octal(uid, 7) + octal(gid, 7) +
            octal(size, 11) + octal(mtime, 11))
    tail = (flag + link.ljust(100, b"\0") + b"ustar\0" + b"00" + bytes(64) + octal(rdev[0], 7) +
            octal(rdev[1], 7) + prefix.ljust(155, b"\0") + bytes(12))
    total = sum(head) + sum(tail) + 8 * ord(" ")
    return head + b"%06o\0 " % total + tail


def padded(content):
    return content + bytes(-len(content) % BLOCK)


def entry(kind, path, mode=0, uid=0, gid=0, mtime=0, content=b"", target=None, rdev=(0, 0),
          xattrs=None):
    path += b"/" if kind == "dir" else b""
    records = {b"SCHILY.xattr." + name: value for name, value in (xattrs or {}).items()}
    fits = split_path(path)
    if fits is None:
        records[b"path"] = path
    link = target or b""
    if target is not None and (not is_ascii(target) or len(target) > 100):
        records[b"linkpath"] = target
        link = fallback(target)
    if not all(is_utf8(records.get(key, b"")) for key in (b"path", b"linkpath")):
        records[b"hdrcharset"] = b"BINARY"
    for key, value, digits in ((b"uid", uid, 7), (b"gid", gid, 7), (b"mtime", mtime, 11),
                               (b"size", len(content), 11)):
        if not 0 <= value < 8 ** digits:
            records[key] = b"%d" % value
    out = b""
    if records:
        body = b"".join(record(key, records[key]) for key in sorted(records))
        out += block(b"PaxHeader", b"", 0o644, 0, 0, len(body), 0, b"x") + padded(body)
    prefix, name = fits if fits is not None else (b"", fallback(path))
    out += block(name, prefix, mode, uid, gid, len(content), mtime, TYPEFLAG[kind], link, rdev)
    return out + padded(content)


class Packer:
    def __init__(self, epoch):
        self.epoch, self.out, self.entries, self.owners = epoch, [], 0, {}

    def emit(self, *args, **kwargs):
        self.out.append(entry(*args, **kwargs))
        self.entries += 1

    def whiteout(self, path, name):
        self.emit("file", path + b".wh." + name)

    def node(self, path, node):
        owner = self.owners.get(id(node))
        common = dict(mode=node.mode, uid=node.uid, gid=node.gid, mtime=min(node.mtime, self.epoch))
        if node.kind == "file" and owner is not None:
            return self.emit("hardlink", path, target=owner, **common)
        self.owners[id(node)] = path
        target = node.target if node.kind == "symlink" else None
        return self.emit(node.kind, path, content=node.content, target=target, rdev=node.rdev,
                         xattrs=kept_xattrs(node), **common)

    def directory(self, path, upper, lower):
        beneath = lower.children if lower is not None else {}
        for name in sorted(upper.children):
            if is_gone(upper.children[name]) and name in beneath:
                self.whiteout(path, name)
        for name in sorted(upper.children):
            child, old = upper.children[name], beneath.get(name)
            if is_gone(child):
                continue
            below = old if old is not None and old.kind == "dir" else None
            opaque = (child.kind == "dir" and below is not None and below.children and
                      any(child.xattrs.get(prefix + b"overlay.opaque") == b"y"
                          for prefix in (b"user.", b"trusted.")))
            if opaque or old is None or not same(child, old):
                self.node(path + name, child)
            if opaque:
                self.whiteout(path + name + b"/", b".wh..opq")
            if child.kind == "dir":
                self.directory(path + name + b"/", child, None if opaque else below)


def unquote(text):
    return urllib.parse.unquote_to_bytes(text)


def content_of(text):
    kind, value = text.split("=", 1)
    if kind == "zeros":
        return bytes(int(value))
    if kind != "text":
        raise ValueError(text)
    return unquote(value)


def place(root, path, node):
    *parents, name = unquote(path).split(b"/")
    for parent in parents:
        root = root.children[parent]
    root.children[name] = node


def find(root, path):
    for name in unquote(path).split(b"/"):
        root = root.children[name]
    return root


def add_line(root, words):
    """One line of a tree; see vectors/format-1/README.md."""
    kind = words[0]
    if kind == "xattr":
        value = words[3] if len(words) > 3 else ""
        find(root, words[1]).xattrs[words[2].encode()] = unquote(value)
        return
    if kind == "link":
        place(root, words[1], find(root, words[2]))
        return
    if kind in ("gone", "socket"):
        place(root, words[1], Node("char" if kind == "gone" else "socket"))
        return
    mode, uid, gid, mtime = int(words[1], 8), int(words[2]), int(words[3]), int(words[4])
    node = Node(kind, mode, uid, gid, mtime)
    if kind == "file":
        node.content = content_of(words[6])
    elif kind == "symlink":
        node.mode, node.target = 0o777, unquote(words[6])
    elif kind in ("char", "block"):
        node.rdev = tuple(int(number) for number in words[6].split(","))
    place(root, words[5], node)


def read_vector(name):
    trees, facts = {}, {}
    with open(name, encoding="ascii") as lines:
        for line in lines:
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] in ("lower", "upper"):
                root = trees.setdefault(words[0], Node("dir"))
                if len(words) > 1:
                    add_line(root, words[1:])
            else:
                facts[words[0]] = words[1]
    return trees, facts


def pack(name):
    trees, facts = read_vector(name)
    packer = Packer(int(facts["epoch"]))
    packer.directory(b"", trees["upper"], trees.get("lower"))
    return b"".join(packer.out) + bytes(2 * BLOCK), packer.entries, facts


def check(name):
    tar, entries, facts = pack(name)
    digest = hashlib.sha256(tar).hexdigest()
    good = digest == facts.get("sha256") and str(entries) == facts.get("entries")
    print("%s %s: sha256 %s entries %d" % ("ok" if good else "not ok", os.path.basename(name), digest,
                                            entries))
    return good


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--tar":
        sys.stdout.buffer.write(pack(sys.argv[2])[0])
        return 0
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    names = sorted(name for name in os.listdir(sys.argv[1]) if re.search(r"\.tree$", name))
    results = [check(os.path.join(sys.argv[1], name)) for name in names]
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

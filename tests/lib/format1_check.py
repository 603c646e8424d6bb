#!/usr/bin/env python3
"""Recomputes the digests of vectors/format-1 from what they describe.

A second encoder, written from docs/format-1.md alone and sharing nothing with src/, so that the
page, the C code and the vectors can only be wrong together. It does not compress: of the gzip form
it takes digest and size from the vector, to make the manifest from.

usage: format1_check.py DIR           check all but slow vectors
       format1_check.py DIR slow      check all
       format1_check.py --tar FILE    write the archive of one tree to standard output
       format1_check.py --facts FILE  write what a tree's facts must be, but for the gzip form
"""
import datetime
import hashlib
import json
import os
import re
import sys
import urllib.parse

BLOCK = 512
CHUNK = 1 << 20
OCI = "application/vnd.oci.image."
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TYPEFLAG = {"file": b"0", "hardlink": b"1", "symlink": b"2", "char": b"3", "block": b"4",
            "dir": b"5", "fifo": b"6"}


class Content:
    """Pieces of bytes, or of so many zeros, which may be more than memory holds."""

    def __init__(self, pieces=()):
        self.pieces = list(pieces)

    def __len__(self):
        return sum(piece if isinstance(piece, int) else len(piece) for piece in self.pieces)

    def chunks(self):
        for piece in self.pieces:
            if not isinstance(piece, int):
                yield piece
                continue
            zeros = bytes(min(piece, CHUNK))
            for at in range(0, piece, CHUNK):
                yield zeros[:piece - at]

    def bytes(self):
        return b"".join(self.chunks())

    def __eq__(self, other):
        return len(self) == len(other) and (self.pieces == other.pieces or
                                            self.bytes() == other.bytes())


class Mix:
    """Data that is neither random nor regular; see vectors/format-1/README.md."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        x = self.state
        x ^= x << 13 & 0xffffffff
        x ^= x >> 17
        x ^= x << 5 & 0xffffffff
        self.state = x
        return x

    def random(self, size):
        return b"".join(self.next().to_bytes(4, "little") for _ in range((size + 3) // 4))

    def runs(self, size):
        out = bytearray()
        while len(out) < size:
            x = self.next()
            out += bytes([x & 0xff]) * (1 + (x >> 8 & 0x3ff))
        return out

    def words(self, size):
        words = []
        for _ in range(256):
            length = 2 + self.next() % 9
            words.append(bytes(ord("a") + self.next() % 26 for _ in range(length)))
        out, count = bytearray(), 0
        while len(out) < size:
            x = self.next()
            out += words[(x & 0xff) * (x >> 8 & 0xff) >> 8]
            count += 1
            out += b"\n" if count % 12 == 0 else b" "
        return out

    def records(self, size):
        out = bytearray()
        for number in range((size + 31) // 32):
            x = self.next()
            for field in (number, number * 8, x & 0xfff, 0x1000 + (x >> 12 & 0xff)):
                out += field.to_bytes(4, "little")
            out += bytes([0x55, 0x48, 0x89, 0xe5, x >> 20 & 7, 0, 0, 0]) + bytes(8)
        return out


class Node:
    def __init__(self, kind, mode=0, uid=0, gid=0, mtime=0):
        self.kind, self.mode, self.uid, self.gid, self.mtime = kind, mode, uid, gid, mtime
        self.content, self.target, self.rdev = Content(), b"", (0, 0)
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
            node.kind == "file" and not len(node.content) and has_mark(node, b"whiteout"))


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


def padding(length):
    return bytes(-length % BLOCK)


def header(kind, path, mode=0, uid=0, gid=0, mtime=0, size=0, target=None, rdev=(0, 0),
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
                               (b"size", size, 11)):
        if not 0 <= value < 8 ** digits:
            records[key] = b"%d" % value
    out = b""
    if records:
        body = b"".join(record(key, records[key]) for key in sorted(records))
        out += block(b"PaxHeader", b"", 0o644, 0, 0, len(body), 0, b"x") + body + padding(len(body))
    prefix, name = fits if fits is not None else (b"", fallback(path))
    return out + block(name, prefix, mode, uid, gid, size, mtime, TYPEFLAG[kind], link, rdev)


def matches(pattern, path):
    parts = re.split(br"(\*\*|\*)", pattern)
    glob = b"".join({b"**": b".*", b"*": b"[^/]*"}.get(part, re.escape(part)) for part in parts)
    return re.fullmatch(glob, path, re.DOTALL) is not None


def lowered(data, at, epoch):
    if not 0 <= epoch <= 0xffffffff or int.from_bytes(data[at:at + 4], "little") <= epoch:
        return data
    return data[:at] + epoch.to_bytes(4, "little") + data[at + 4:]


def lowered_days(data, epoch):
    def line(text):
        fields = text.split(b":", 3)
        if len(fields) == 4 and re.fullmatch(br"[0-9]+", fields[2]):
            days = int(fields[2])
            if epoch // 86400 < days <= 0xffffffff:
                fields[2] = b"%d" % (epoch // 86400)
        return b":".join(fields)
    if epoch < 0 or len(data) > 1 << 20:
        return data
    return b"\n".join(line(text) for text in data.split(b"\n"))


def by_rule(rule, fixed, data, epoch):
    """What a rule for volatile files makes of a file; None: nothing."""
    if rule == "remove":
        return None
    if rule == "truncate":
        return b""
    if rule == "set":
        return fixed
    if rule == "python-time":
        if len(data) >= 16 and data[2:4] == b"\r\n" and data[4:8] == bytes(4):
            return lowered(data, 8, epoch)
    elif rule == "gzip-time":
        if len(data) >= 10 and data[:3] == b"\x1f\x8b\x08" and not data[3] & 2:
            return lowered(data, 4, epoch)
    elif rule == "shadow-days":
        return lowered_days(data, epoch)
    else:
        raise ValueError(rule)
    return data


class Packer:
    def __init__(self, epoch, volatile, write):
        self.epoch, self.volatile, self.write = epoch, volatile, write
        self.entries, self.owners = 0, {}

    def emit(self, *args, content=Content(), **kwargs):
        self.write(header(*args, size=len(content), **kwargs))
        for chunk in content.chunks():
            self.write(chunk)
        self.write(padding(len(content)))
        self.entries += 1

    def whiteout(self, path, name):
        self.emit("file", path + b".wh." + name)

    def node(self, path, node):
        owner = self.owners.get(id(node))
        common = dict(mode=node.mode, uid=node.uid, gid=node.gid, mtime=min(node.mtime, self.epoch))
        if node.kind == "file" and owner is not None:
            return self.emit("hardlink", path, target=owner, **common)
        if node.links > 1:
            self.owners[id(node)] = path
        target = node.target if node.kind == "symlink" else None
        return self.emit(node.kind, path, content=node.content, target=target, rdev=node.rdev,
                         xattrs=kept_xattrs(node), **common)

    def normalised(self, path, node, old):
        """A changed regular file with one name, as the rules want it; None: gone."""
        if node.kind != "file" or node.links > 1 or old is not None and same(node, old):
            return node
        for rule, pattern, fixed in self.volatile:
            if not matches(pattern, path):
                continue
            data = by_rule(rule, fixed, node.content.bytes(), self.epoch)
            if data is None:
                return None
            other = Node("file", node.mode, node.uid, node.gid, node.mtime)
            other.content, other.xattrs = Content([data]), node.xattrs
            return other
        return node

    def directory(self, path, upper, lower):
        beneath = lower.children if lower is not None else {}
        children = {}
        for name in sorted(upper.children):
            child = upper.children[name]
            if not is_gone(child):
                child = self.normalised(path + name, child, beneath.get(name))
            if child is not None and not is_gone(child):
                children[name] = child
            elif name in beneath:
                self.whiteout(path, name)
        for name, child in children.items():
            old = beneath.get(name)
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


def piece_of(text):
    kind, value = text.split("=", 1)
    if kind == "zeros":
        return int(value)
    if kind == "mix":
        way, size, seed = value.split(",")
        return bytes(getattr(Mix(int(seed)), way)(int(size))[:int(size)])
    if kind != "text":
        raise ValueError(text)
    return unquote(value)


def content_of(text):
    return Content(piece_of(piece) for piece in text.split(";"))


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
        node = find(root, words[2])
        node.links += 1
        place(root, words[1], node)
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


class Vector:
    def __init__(self, name):
        self.name, self.trees, self.facts, self.volatile = name, {}, {}, []
        with open(name, encoding="ascii") as lines:
            for line in lines:
                words = line.split()
                if words and not words[0].startswith("#"):
                    self.read(words)

    def read(self, words):
        if words[0] in ("lower", "upper"):
            root = self.trees.setdefault(words[0], Node("dir"))
            if len(words) > 1:
                add_line(root, words[1:])
        elif words[0] == "volatile":
            fixed = unquote(words[3]) if len(words) > 3 else None
            self.volatile.append((words[1], unquote(words[2]), fixed))
        else:
            self.facts[words[0]] = words[1]

    def pack(self, write):
        packer = Packer(int(self.facts["epoch"]), self.volatile, write)
        packer.directory(b"", self.trees["upper"], self.trees.get("lower"))
        write(bytes(2 * BLOCK))
        return packer.entries


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def canonical(value):
    """RFC 8785 with integers only; its order of members is that of UTF-16 code units."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be", "surrogatepass"))
        return b"{" + b",".join(canonical(k) + b":" + canonical(v) for k, v in members) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(canonical(item) for item in value) + b"]"
    if isinstance(value, float):
        raise ValueError("a real number has no canonical form here")
    if isinstance(value, int) and abs(value) >= 1 << 53:
        raise ValueError("an integer beyond 2^53 - 1")
    return json.dumps(value, ensure_ascii=False).encode()


def descriptor(kind, digest, size):
    return {"mediaType": OCI + kind, "digest": "sha256:" + digest, "size": size}


def documents(epoch, diff_id, layer):
    """Configuration and manifest of an image from scratch that is this one layer, or none."""
    created = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    last = {"created": created, "author": "stacker", "created_by": "stacker build", "empty_layer": True}
    history = [{"created": created, "created_by": "vector"}] if layer else []
    config = canonical({
        "created": created, "author": "stacker", "architecture": "amd64", "os": "linux",
        "config": {"Env": [DEFAULT_PATH]}, "history": history + [last],
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + diff_id] if layer else []}})
    manifest = canonical({
        "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
        "config": descriptor("config.v1+json", sha256(config), len(config)),
        "layers": [descriptor("layer.v1.tar+gzip", *layer)] if layer else []})
    return {"config": sha256(config), "manifest": sha256(manifest)}


def facts_of(vector):
    tar = hashlib.sha256()
    entries = vector.pack(tar.update)
    layer = None
    if entries:
        layer = vector.facts.get("gzip", "0" * 64), int(vector.facts.get("gzip-size", "0"))
    facts = {"entries": str(entries), "sha256": tar.hexdigest()}
    facts.update(documents(int(vector.facts["epoch"]), facts["sha256"], layer))
    return facts


def check_tree(name):
    vector = Vector(name)
    wrong = [" ".join(fact) for fact in facts_of(vector).items() if vector.facts.get(fact[0]) != fact[1]]
    print("%s %s%s" % ("not ok" if wrong else "ok", os.path.basename(name),
                       ": " + ", ".join(wrong) if wrong else ""))
    return not wrong


def unique(members):
    if len({key for key, _ in members}) != len(members):
        raise ValueError("a member twice")
    return dict(members)


def check_json(name):
    """Lines 'as TEXT': the canonical form of the line before it; 'sha256 HEX': the digest of that."""
    good, form = True, b""
    with open(name, "rb") as lines:
        for number, line in enumerate(lines, 1):
            word, _, rest = line.rstrip(b"\n").partition(b" ")
            if word == b"json":
                form = canonical(json.loads(rest, object_pairs_hook=unique))
            elif word == b"as" and form != rest or word == b"sha256" and sha256(form).encode() != rest:
                print("not ok %s line %d: %s" % (os.path.basename(name), number, form.decode()))
                good = False
    if good:
        print("ok " + os.path.basename(name))
    return good


def main():
    arguments = sys.argv[1:]
    if len(arguments) == 2 and arguments[0] == "--tar":
        Vector(arguments[1]).pack(sys.stdout.buffer.write)
        return 0
    if len(arguments) == 2 and arguments[0] == "--facts":
        for fact in facts_of(Vector(arguments[1])).items():
            print(*fact)
        return 0
    if len(arguments) not in (1, 2) or arguments[1:] not in ([], ["slow"]):
        print(__doc__, file=sys.stderr)
        return 2
    results = []
    for name in sorted(os.listdir(arguments[0])):
        path = os.path.join(arguments[0], name)
        if name.endswith(".tree") and (arguments[1:] or not name.endswith(".slow.tree")):
            results.append(check_tree(path))
        elif name.endswith(".json.txt"):
            results.append(check_json(path))
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

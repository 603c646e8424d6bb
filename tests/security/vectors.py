#!/usr/bin/env python3
"""The attack vectors of the UN rows, byte by byte.

usage: vectors.py OUT CANARY [bombs]

Writes OUT/list, one vector a line: ROW NAME CODING LAYER ARCHIVE LOOK DIFF_ID, separated by "|", the bytes
to OUT/NAME, and OUT/oci, an OCI layout in which each vector is the one layer of the image NAME.
CANARY is the absolute path that hostile names and links point at; it lies beside the directory
that is unpacked to, as "../canary" for relative ones.

LAYER and ARCHIVE say what must come of it as a layer of an image and as an imported archive: the id
of the error, alternatives with "," between; "accept"; "contained": either, as long as nothing
outside is touched (an archive lands in a root file system, in which links are followed); "-": not
meant for this door. LOOK is what the list of files must hold after "accept".

With "bombs" it writes those of UN19 instead.
"""
import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import struct
import subprocess
import sys
import zlib

BLOCK = 512
USTAR, GNU, V7 = b"ustar\x0000", b"ustar  \x00", bytes(8)
END = bytes(2 * BLOCK)

out_dir, CANARY = sys.argv[1], sys.argv[2]
vectors = []


def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def header(name, type="0", size=0, mode=0o644, uid=0, gid=0, mtime=0, link="", magic=USTAR, prefix=b"",
           raw=None):
    """One header; `raw` replaces fields by offset before the checksum is computed."""
    as_bytes = lambda t: t if isinstance(t, bytes) else t.encode()
    h = bytearray(BLOCK)
    def put(offset, value):
        h[offset:offset + len(value)] = value
    put(0, as_bytes(name)[:100])
    put(100, octal(mode, 8))
    put(108, octal(uid, 8) if uid < 1 << 21 else b"\x80" + uid.to_bytes(7, "big"))
    put(116, octal(gid, 8) if gid < 1 << 21 else b"\x80" + gid.to_bytes(7, "big"))
    put(124, octal(size, 12) if size < 1 << 33 else b"\x80" + size.to_bytes(11, "big"))
    put(136, octal(mtime, 12))
    put(156, as_bytes(type))
    put(157, as_bytes(link)[:100])
    put(257, magic)
    put(345, prefix)
    for offset, value in (raw or {}).items():
        put(offset, value)
    put(148, b" " * 8)
    put(148, b"%06o\0 " % sum(h))
    return bytes(h)


def padded(data):
    return data + bytes(-len(data) % BLOCK)


def entry(name, data=b"", **fields):
    fields.setdefault("size", len(data))
    return header(name, **fields) + padded(data)


def directory(name, **fields):
    fields.setdefault("mode", 0o755)
    return header(name, type="5", **fields)


def symlink(name, to, **fields):
    return header(name, type="2", link=to, mode=0o777, **fields)


def hardlink(name, to, **fields):
    return header(name, type="1", link=to, **fields)


def record(key, value):
    body = b" " + key.encode() + b"=" + (value if isinstance(value, bytes) else value.encode()) + b"\n"
    n = len(body)
    while len(str(n)) + len(body) != n:
        n = len(str(n)) + len(body)
    return str(n).encode() + body


def pax(records, type="x", name="PaxHeaders/0"):
    data = b"".join(record(k, v) for k, v in records)
    return entry(name, data, type=type)


def gnu_long(name, type="L"):
    data = (name if isinstance(name, bytes) else name.encode()) + b"\0"
    return entry("././@LongLink", data, type=type, magic=GNU)


def zst(data, *options):
    return subprocess.run(["zstd", "-q", "-c", *options], input=data, stdout=subprocess.PIPE, check=True).stdout


def v(row, name, data, layer, archive=None, coding="tar", look="", end=True, plain=None):
    """`plain`: the uncompressed bytes that the image's diff_id names."""
    if coding == "tar" and end:
        data += END
    vectors.append((row, name, data, coding, layer, archive or layer, look, plain))


FILE = entry("f", b"inner\n")
GOOD = FILE + END

# UN01: names that climb.
for i, name in enumerate(["../e", "a/../../e", "..", "./..//e", "a/..", "../canary/file", "a/b/../../../canary/file"]):
    v("UN01", f"dotdot{i}", entry(name, b"evil"), "unpack/dotdot")
v("UN01", "dotdot-pax", pax([("path", "../canary/file")]) + entry("x", b"evil"), "unpack/dotdot")
v("UN01", "dotdot-long", gnu_long("a/" * 60 + "../" * 70 + "canary/file") + entry("x", b"evil", magic=GNU), "unpack/dotdot")
v("UN01", "dotdot-prefix", entry("canary/file", b"evil", prefix=b".."), "unpack/dotdot")
v("UN01", "dotdot-dir", directory("../canary/dir", mode=0o777), "unpack/dotdot")
v("UN01", "absolute", entry(CANARY + "/file", b"evil"), "accept", look=CANARY[1:] + "/file")
v("UN01", "absolute-many", entry("///" + CANARY + "//./file", b"evil"), "accept", look=CANARY[1:] + "/file")

# UN02: writing through a link.
for i, to in enumerate([CANARY, "../canary", "/../../../.." + CANARY]):
    link = symlink("s", to)
    v("UN02", f"through-new{i}", link + entry("s/new", b"evil"), "unpack/link-in-path", "contained")
    v("UN02", f"through-file{i}", link + entry("s/file", b"evil"), "unpack/link-in-path", "contained")
    v("UN02", f"through-dir{i}", link + directory("s/dir", mode=0o777), "unpack/link-in-path", "contained")
    v("UN02", f"through-deep{i}", link + entry("s/dir/x/y", b"evil"), "unpack/link-in-path", "contained")
    v("UN02", f"as-file{i}", link + entry("s", b"evil"), "unpack/type-flip")
    v("UN02", f"as-dir{i}", link + directory("s") + entry("s/new", b"evil"), "unpack/type-flip")
    v("UN02", f"as-file-link{i}", symlink("s", to + "/file") + entry("s", b"evil"), "unpack/type-flip")
    v("UN02", f"link-through-link{i}", link + symlink("t", "s/file") + entry("t", b"evil"), "unpack/type-flip")
    v("UN02", f"link-in-link{i}", link + symlink("s/t", "x"), "unpack/link-in-path", "contained")
v("UN02", "chain", symlink("a", "b") + symlink("b", "../canary") + entry("a/file", b"evil"), "unpack/link-in-path", "contained")
v("UN02", "link-parent-dir", directory("d") + symlink("d/s", "../../canary") + entry("d/s/file", b"evil"), "unpack/link-in-path", "contained")

# UN03: hard links to what is not the archive's own.
for i, to in enumerate([CANARY + "/file", "../canary/file", "/etc/hostname", "nowhere", "h"]):
    v("UN03", f"hard-out{i}", hardlink("h", to), "unpack/hardlink,unpack/dotdot")
v("UN03", "hard-through", symlink("s", "../canary") + hardlink("h", "s/file") + entry("h", b"evil"), "unpack/hardlink")
v("UN03", "hard-to-link", symlink("s", "../canary/file") + hardlink("h", "s") + entry("h", b"evil"), "unpack/hardlink")
v("UN03", "hard-later", hardlink("h", "f") + FILE, "unpack/hardlink")
v("UN03", "hard-dir", directory("d") + hardlink("h", "d"), "unpack/hardlink")
v("UN03", "hard-root", hardlink("h", "/"), "unpack/hardlink")
v("UN03", "hard-fine", FILE + hardlink("h", "f"), "accept", look="h")

# UN04: the root itself.
for i, name in enumerate([".", "/", "./", "//", "./."]):
    for kind in "0126":
        v("UN04", f"root{i}-{kind}", FILE + header(name, type=kind, link=CANARY if kind in "12" else ""),
          "unpack/root,unpack/name")
v("UN04", "root-dir", directory("./", mode=0o711) + FILE, "accept", look="f")

# UN05: attributes through a link.
v("UN05", "chmod-link", symlink("s", "../canary/file") + header("s", type="2", link="../canary/file", mode=0o777, mtime=7, uid=9), "accept", look="s")
v("UN05", "xattr-link", pax([("SCHILY.xattr.user.evil", "1")]) + symlink("s", "../canary/file"), "unpack/xattr")
v("UN05", "dir-then-link", directory("d", mtime=7, mode=0o777) + symlink("d", "../canary"), "unpack/type-flip")
v("UN05", "dir-link-dir", directory("d", mtime=7) + symlink("d", "../canary") + directory("d", mtime=9, mode=0o777), "unpack/type-flip")
v("UN05", "link-then-dir", symlink("d", "../canary") + directory("d", mtime=7, mode=0o777), "unpack/type-flip")
v("UN05", "acl-link", pax([("SCHILY.acl.access", "user::rwx")]) + symlink("s", "../canary/file"), "unpack/pax-keyword")

# UN06: device nodes and other kinds.
for kind in "34":
    v("UN06", f"device{kind}", header("n", type=kind, raw={329: octal(1, 8), 337: octal(3, 8)}), "unpack/device")
v("UN06", "device00", header("n", type="3", raw={329: octal(0, 8), 337: octal(0, 8)}), "unpack/device")
for kind in "89ADEIMNVXZs~\x01":
    v("UN06", "type%02x" % ord(kind), header("n", type=kind), "unpack/entry-type")
v("UN06", "fifo", header("p", type="6"), "accept", look="p")
v("UN06", "contiguous", entry("c", b"inner\n", type="7"), "accept", look="c")

# UN07: privilege that travels: kept as data, never anyone's to run. See unpack.sh for the rest.
CAPS = struct.pack("<IIIII", 0x02000001, 0xffffffff, 0, 0, 0)
v("UN07", "setuid", entry("su", b"#!x", mode=0o4755), "accept", look="su")
v("UN07", "caps", pax([("SCHILY.xattr.security.capability", CAPS)]) + entry("cap", b"#!x", mode=0o755), "accept", look="cap")

# UN08: whiteouts that are none.
for i, name in enumerate([".wh...", ".wh.", ".wh..", "d/.wh...", "d/.wh.", ".wh./x", "d/.wh./x", ".wh.a/b", ".wh..wh.x", ".wh..wh..plnk", ".wh..wh.aufs"]):
    v("UN08", f"whiteout{i}", FILE + entry(name), "unpack/whiteout")
v("UN08", "whiteout-link", symlink(".wh.f", CANARY), "unpack/whiteout")
v("UN08", "whiteout-data", entry(".wh.f", b"data"), "unpack/whiteout")
v("UN08", "whiteout-through", symlink("s", "../canary") + entry("s/.wh.file"), "unpack/link-in-path", "contained")
v("UN08", "opaque-through", symlink("s", "../canary") + entry("s/.wh..wh..opq"), "unpack/link-in-path", "contained")
v("UN08", "whiteout-dotdot", entry("../canary/.wh.file"), "unpack/dotdot")

# UN09: own content survives own whiteouts, wherever they stand.
v("UN09", "before", entry("d/.wh..wh..opq") + entry("d/f", b"x"), "accept", look="d/f")
v("UN09", "after", entry("d/f", b"x") + entry("d/.wh..wh..opq"), "accept", look="d/f")
v("UN09", "remove-after", entry("g", b"x") + entry(".wh.g"), "accept", look="g")
v("UN09", "root-opaque-last", entry("g", b"x") + entry(".wh..wh..opq"), "accept", look="g")

# UN10: the kernel's own markers.
for i, name in enumerate(["user.overlay.opaque", "user.overlay.whiteout", "user.overlay.redirect", "user.overlay.metacopy", "user.overlay.overlay.opaque",
                          "trusted.overlay.opaque", "trusted.overlay.redirect", "security.ima", "system.data"]):
    v("UN10", f"xattr{i}", pax([("SCHILY.xattr." + name, "y")]) + directory("d"), "unpack/xattr")
    v("UN10", f"xattr-file{i}", pax([("SCHILY.xattr." + name, "y")]) + FILE, "unpack/xattr")
v("UN10", "xattr-user", pax([("SCHILY.xattr.user.fine", "y")]) + FILE, "accept", look="f")

# UN11: which size counts.
INNER = entry("f2", b"smuggled")
v("UN11", "pax-wins", pax([("size", str(len(INNER)))]) + header("f", size=0) + INNER, "accept", look="f")
v("UN11", "sizes-differ", pax([("size", "1024")]) + header("f", size=512) + INNER, "unpack/tar-header")
v("UN11", "pax-zero", pax([("size", "0")]) + header("f", size=512) + bytes(512), "unpack/tar-header")
v("UN11", "pax-twice", pax([("size", "6"), ("size", "7")]) + FILE, "unpack/tar-header")
for i, value in enumerate(["-1", "0x6", "6 ", " 6", "6.0", "", "9223372036854775808", "06x"]):
    v("UN11", f"pax-bad{i}", pax([("size", value)]) + FILE, "unpack/tar-header")

# UN12 and the table of differentials: competing names and lengths.
v("UN12", "gnu-and-pax", gnu_long("L") + pax([("path", "P")]) + entry("h", b"x"), "unpack/tar-header")
v("UN12", "pax-and-gnu", pax([("path", "P")]) + gnu_long("L") + entry("h", b"x"), "unpack/tar-header")
v("UN12", "links-both", gnu_long("L", "K") + pax([("linkpath", "P")]) + symlink("h", "x"), "unpack/tar-header")
v("UN12", "long-twice", gnu_long("L") + gnu_long("M") + entry("h", b"x"), "unpack/tar-header")
v("UN12", "pax-nul", pax([("path", b"a\0b")]) + entry("c", b"x"), "unpack/tar-header")
v("UN12", "pax-link-nul", pax([("linkpath", b"a\0b")]) + symlink("c", "x"), "unpack/tar-header")
v("UN12", "long-nul", gnu_long(b"a\0b") + entry("c", b"x"), "unpack/tar-header")
v("UN12", "global-path", pax([("path", "G")], "g") + entry("c", b"x"), "unpack/pax-keyword")
v("UN12", "global-size", pax([("size", "512")], "g") + entry("c", b"x") + INNER, "unpack/pax-keyword")
v("UN12", "global-uid", pax([("uid", "7")], "g") + entry("c", b"x"), "unpack/pax-keyword")
v("UN12", "prefix-gnu", entry("a", b"x", magic=GNU, prefix=b"pre"), "unpack/tar-header")
v("UN12", "prefix-v7", entry("a", b"x", magic=V7, prefix=b"pre"), "unpack/tar-header")
v("UN12", "magic-other", entry("a", b"x", magic=b"ustar\x0011"), "unpack/tar-header")
v("UN12", "hard-data", FILE + header("h", type="1", link="f", size=3) + padded(b"abc"), "unpack/tar-header")
v("UN12", "symlink-size", header("h", type="2", link="f", size=512) + INNER, "unpack/tar-header")
v("UN12", "dir-size", header("d", type="5", size=512) + INNER, "unpack/tar-header")
v("UN12", "fifo-size", header("p", type="6", size=512) + INNER, "unpack/tar-header")
v("UN12", "pax-unknown", pax([("pathname", "x")]) + FILE, "unpack/pax-keyword")
v("UN12", "pax-two", pax([("path", "a")]) + pax([("path", "b")]) + FILE, "unpack/tar-header")
v("UN12", "pax-path-twice", pax([("path", "a"), ("path", "b")]) + FILE, "unpack/tar-header")
v("UN12", "pax-empty", pax([("path", "")]) + FILE, "unpack/tar-header")
for i, data in enumerate([b"9 path=ab\n", b"99 path=a\n", b"11 path=abc", b" 9 path=a\n", b"8 pathab\n", b"5 =a\n", b"0 path=a\n", b"-9 path=a\n",
                          b"10 path=a\n\0\0", b"12 pa\0th=a\n", b"99999999999999999999 path=a\n", b"9 path=a\nx"]):
    v("UN12", f"pax-record{i}", entry("p", data, type="x") + FILE, "unpack/tar-header")
v("UN12", "slash-on-file", entry("f/", b"x"), "unpack/name")
v("UN12", "checksum", bytes(header("f"))[:148] + b"000000\0 " + header("f")[156:], "unpack/tar-header", "unpack/tar-header,unpack/format")

# UN13: after the end.
v("UN13", "entries-after", FILE + END + entry("g", b"evil"), "unpack/after-end")
v("UN13", "bytes-after", FILE + END + b"x", "unpack/after-end", end=False)
v("UN13", "lone-zero", FILE + bytes(BLOCK) + entry("g", b"evil"), "unpack/tar-header")
v("UN13", "no-end", FILE, "unpack/truncated", end=False)
v("UN13", "half-end", FILE + bytes(BLOCK), "unpack/truncated", end=False)
v("UN13", "empty", b"", "unpack/truncated", "unpack/truncated,unpack/format", end=False)
v("UN13", "tail-zeros", FILE + bytes(10240), "accept", look="f", end=False)
v("UN13", "tail-too-long", FILE + END + bytes((1 << 20) + 1), "unpack/after-end", end=False)
GIB_OF_ZEROS = lambda data: data + bytes(1 << 28)
v("UN13", "tail-256mib", gzip.compress(GIB_OF_ZEROS(GOOD), 1, mtime=0), "unpack/after-end", coding="gzip", plain=GOOD)
v("UN13", "header-missing", FILE + pax([("path", "x")]), "unpack/tar-header")

# UN14: numbers.
for i, field in enumerate([b"\xff" * 12, b"\xff" + bytes(11), b"\x80" + b"\xff" * 11, b"\x80" + bytes(3) + b"\x80" + bytes(7), b"\x81" + bytes(11),
                           b"12x\0", b"19\0", b"-1\0", b"0x10\0", b"7777777777778", b"1 2\0"]):
    v("UN14", f"size{i}", header("f", raw={124: field.ljust(12, b"\0")[:12]}) + INNER, "unpack/tar-header,unpack/too-big")
v("UN14", "size-8eib", header("f", size=(1 << 63) - 1), "unpack/too-big")
v("UN14", "size-8gib", header("f", size=(8 << 30) + 1), "unpack/too-big")
for offset, width in ((100, 8), (108, 8), (116, 8), (136, 12)):
    v("UN14", f"octal{offset}", header("f", raw={offset: b"12x".ljust(width, b"\0")}), "unpack/tar-header")

# UN15-UN17: gzip.
gz = gzip.compress(GOOD, 6, mtime=0)
v("UN15", "gz-crc", gz[:-8] + bytes([gz[-8] ^ 1]) + gz[-7:], "unpack/corrupt", coding="gzip", plain=GOOD)
v("UN15", "gz-isize", gz[:-4] + bytes([gz[-4] ^ 1]) + gz[-3:], "unpack/corrupt", coding="gzip", plain=GOOD)
v("UN15", "gz-both", gz[:-8] + b"\0" * 8, "unpack/corrupt", coding="gzip", plain=GOOD)
v("UN15", "gz-fhcrc", gz[:3] + b"\x02" + gz[4:10] + b"\xde\xad" + gz[10:], "unpack/corrupt", coding="gzip", plain=GOOD)
v("UN16", "gz-two", gzip.compress(GOOD[:700], 6, mtime=0) + gzip.compress(GOOD[700:], 6, mtime=0), "accept", coding="gzip", look="f", plain=GOOD)
v("UN16", "gz-empty-member", gz + gzip.compress(b"", mtime=0), "accept", coding="gzip", look="f", plain=GOOD)
v("UN16", "gz-zeros", gz + bytes(8), "unpack/trailing-bytes", coding="gzip", plain=GOOD)
v("UN16", "gz-text", gz + b"trailing text\n", "unpack/trailing-bytes", coding="gzip", plain=GOOD)
v("UN16", "gz-one-byte", gz + b"\x1f", "unpack/trailing-bytes", coding="gzip", plain=GOOD)
v("UN16", "gz-half-member", gz + gz[:12], "unpack/truncated,unpack/after-end", coding="gzip", plain=GOOD)
v("UN16", "gz-hidden-member", gz + gzip.compress(entry("evil", b"x") + END, mtime=0), "unpack/after-end", coding="gzip", plain=GOOD)
long = b"".join(entry(f"file{i}", hashlib.sha256(b"%d" % i).digest() * 30) for i in range(12)) + END
lgz = gzip.compress(long, 6, mtime=0)
for cut in sorted({*range(0, len(lgz), 512), *(len(lgz) - n for n in range(1, 10))}):
    v("UN17", f"gz-cut{cut}", lgz[:cut], "unpack/truncated,unpack/corrupt,unpack/format", coding="gzip", plain=long)
for cut in range(0, len(long), BLOCK):
    v("UN17", f"tar-cut{cut}", long[:cut], "unpack/truncated", "unpack/truncated,unpack/format", end=False)
for i in range(100):
    cut = int.from_bytes(hashlib.sha256(b"cut%d" % i).digest()[:4], "big") % len(long)
    v("UN17", f"tar-random{i}", long[:cut], "unpack/truncated", "unpack/truncated,unpack/format", end=False)
lz = zst(long)
for cut in (*range(0, len(lz), 512), len(lz) - 1, len(lz) - 4):
    v("UN17", f"zst-cut{cut}", lz[:cut], "unpack/truncated,unpack/corrupt,unpack/format", coding="zstd", plain=long)

# UN18: zstd frames.
SKIP = b"\x50\x2a\x4d\x18" + struct.pack("<I", 4) + b"skip"
z = zst(GOOD)
v("UN18", "zst-skippable", SKIP + z + SKIP, "accept", "accept,unpack/format", coding="zstd", look="f", plain=GOOD)
v("UN18", "zst-two", zst(GOOD[:700]) + zst(GOOD[700:]), "accept", coding="zstd", look="f", plain=GOOD)
v("UN18", "zst-text", z + b"trailing", "unpack/trailing-bytes", coding="zstd", plain=GOOD)
v("UN18", "zst-short-skip", z + SKIP[:6], "unpack/truncated,unpack/corrupt", coding="zstd", plain=GOOD)
v("UN18", "zst-no-checksum", zst(GOOD, "--no-check"), "accept", coding="zstd", look="f", plain=GOOD)
v("UN18", "zst-checksum", z[:-4] + bytes([z[-4] ^ 1]) + z[-3:], "unpack/corrupt", coding="zstd", plain=GOOD)
# Magic, a frame header with window descriptor for 2^31 and no content size, one raw last block.
v("UN18", "zst-window", b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3]) + struct.pack("<I", 1 | 8 << 3)[:3] + b"x" * 8, "unpack/corrupt", coding="zstd", plain=GOOD)
v("UN18", "zst-dictionary", b"\x28\xb5\x2f\xfd" + bytes([0x21, 7, 6]) + struct.pack("<I", 1 | 6 << 3)[:3] + b"inner\n", "unpack/corrupt", coding="zstd", plain=GOOD)
v("UN18", "zst-legacy", b"\x27\xb5\x2f\xfd" + z[4:], "unpack/corrupt", "unpack/format", coding="zstd", plain=GOOD)

# UN19: bounds of single entries; the bombs are below.
v("UN19", "name-long", gnu_long("n" * 5000) + entry("x", b"x", magic=GNU), "unpack/pax-too-big,unpack/name")
v("UN19", "name-64k", pax([("path", "n/" * 32768)]) + entry("x", b"x"), "unpack/name")
v("UN19", "component-256", pax([("path", "c" * 256)]) + entry("x", b"x"), "unpack/name")
v("UN19", "depth-10000", pax([("path", "d/" * 10000 + "f")]) + entry("x", b"x"), "unpack/name")
v("UN19", "depth-513", pax([("path", "d/" * 512 + "f")]) + entry("x", b"x"), "unpack/name")
v("UN19", "link-4096", pax([("linkpath", "l" * 4096)]) + symlink("s", "x"), "unpack/link")
v("UN19", "pax-1mib", pax([("comment", "c" * (1 << 20))]) + FILE, "unpack/pax-too-big")
v("UN19", "pax-1gib-claimed", header("p", type="x", size=1 << 30) + FILE, "unpack/pax-too-big")
v("UN19", "long-1gib-claimed", header("p", type="L", size=1 << 30, magic=GNU) + FILE, "unpack/pax-too-big")

# xz, which only imported archives may be in.
x = lzma.compress(GOOD)
v("UN16", "xz-two", lzma.compress(GOOD[:700]) + lzma.compress(GOOD[700:]), "-", "accept", coding="xz", look="f", plain=GOOD)
v("UN16", "xz-text", x + b"trailing text", "-", "unpack/trailing-bytes", coding="xz", plain=GOOD)
v("UN16", "xz-zeros", x + bytes(4), "-", "unpack/trailing-bytes", coding="xz", plain=GOOD)
v("UN15", "xz-check", x[:-40] + bytes([x[-40] ^ 1]) + x[-39:], "-", "unpack/corrupt", coding="xz", plain=GOOD)
v("UN17", "xz-cut", x[:-5], "-", "unpack/truncated", coding="xz", plain=GOOD)


def with_dictionary(data, code):
    """The block's header claims another dictionary: 40 is 4 GiB."""
    size = (data[12] + 1) * 4 - 4
    block = bytearray(data[12:12 + size])
    block[block.index(b"\x21\x01") + 2] = code
    return data[:12] + bytes(block) + struct.pack("<I", zlib.crc32(block)) + data[12 + size + 4:]


for code in (30, 36, 37, 40):
    v("UN19", f"xz-dictionary{code}", with_dictionary(x, code), "-", "unpack/too-big", coding="xz", plain=GOOD)

# UN20: sparse files.
v("UN20", "gnu-sparse", header("s", type="S", size=512, magic=GNU, raw={386: octal(0, 12), 398: octal(512, 12), 483: octal(1 << 62, 12)[:12]}) + bytes(512), "unpack/tar-header,unpack/sparse")
v("UN20", "pax-sparse-0", pax([("GNU.sparse.size", str(1 << 62)), ("GNU.sparse.numblocks", "1"), ("GNU.sparse.offset", "0"), ("GNU.sparse.numbytes", "6")]) + FILE, "unpack/sparse")
v("UN20", "pax-sparse-map", pax([("GNU.sparse.map", ",".join(["0,1"] * 50000))]) + FILE, "unpack/sparse")
v("UN20", "pax-sparse-1", pax([("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "s"), ("GNU.sparse.realsize", "9223372036854775807")]) + FILE, "unpack/sparse")
v("UN20", "star-sparse", pax([("SCHILY.realsize", str(1 << 62))]) + FILE, "unpack/pax-keyword")

# UN21: other formats, and codings that are not what the media type says.
ARCHIVE_ONLY = "unpack/tar-header,unpack/truncated,unpack/corrupt"
v("UN21", "as-7z", b"7z\xbc\xaf\x27\x1c\0\4" + bytes(1016), ARCHIVE_ONLY, "unpack/format", end=False)
v("UN21", "as-rar5", b"Rar!\x1a\x07\x01\x00" + bytes(1016), ARCHIVE_ONLY, "unpack/format", end=False)
v("UN21", "as-cpio", (b"070701" + b"0" * 104 + b"f\0").ljust(1024, b"\0"), ARCHIVE_ONLY, "unpack/format", end=False)
v("UN21", "as-mtree", b"#mtree\n./f type=file link=/etc/passwd\n".ljust(1024, b"\n"), ARCHIVE_ONLY, "unpack/format", end=False)
v("UN21", "as-xar", b"xar!\0\x1c\0\1".ljust(1024, b"\0"), ARCHIVE_ONLY, "unpack/format", end=False)
v("UN21", "as-iso", bytes(32769) + b"CD001" + bytes(4096), "unpack/after-end", end=False)
v("UN21", "as-warc", b"WARC/1.0\r\n".ljust(1024, b"\0"), ARCHIVE_ONLY, "unpack/format", end=False)
v("UN21", "as-shar", b"#! /bin/sh\ntouch /evil\n".ljust(1024, b"\n"), ARCHIVE_ONLY, "unpack/format", end=False)
v("UN21", "as-lha", (b"\x20\x00-lh5-").ljust(1024, b"\0"), ARCHIVE_ONLY, "unpack/format", end=False)
v("UN21", "as-compress", b"\x1f\x9d\x90".ljust(1024, b"\0"), ARCHIVE_ONLY, "unpack/format", end=False)
v("UN21", "as-lz4", b"\x04\x22\x4d\x18".ljust(1024, b"\0"), ARCHIVE_ONLY, "unpack/format", end=False)
v("UN21", "bzip2-as-gzip", bz2.compress(GOOD), "unpack/corrupt", "-", coding="gzip", plain=GOOD)
v("UN21", "xz-as-gzip", lzma.compress(GOOD), "unpack/corrupt", "-", coding="gzip", plain=GOOD)
v("UN21", "zstd-as-gzip", z, "unpack/corrupt", "-", coding="gzip", plain=GOOD)
v("UN21", "gzip-as-zstd", gz, "unpack/corrupt", "-", coding="zstd", plain=GOOD)
v("UN21", "tar-as-gzip", GOOD, "unpack/corrupt", "-", coding="gzip", plain=GOOD)
v("UN21", "gzip-as-tar", gz, ARCHIVE_ONLY, "-", end=False)
v("UN21", "gzip-in-gzip", gzip.compress(gz, mtime=0), ARCHIVE_ONLY, ARCHIVE_ONLY, coding="gzip", plain=gz)

# UN22 is about what the layout says of good bytes: unpack.sh.

# UN23: one name twice.
KINDS = {"file": entry("n", b"1"), "dir": directory("n"), "link": symlink("n", CANARY), "fifo": header("n", type="6")}
for a in KINDS:
    for b in KINDS:
        if a != b:
            v("UN23", f"flip-{a}-{b}", KINDS[a] + KINDS[b], "unpack/type-flip")
v("UN23", "flip-four", KINDS["file"] + KINDS["dir"] + KINDS["link"] + KINDS["file"], "unpack/type-flip")
v("UN23", "same-file", entry("n", b"1") + entry("n", b"2222"), "accept", look="n")
v("UN23", "case-pair", entry("Name", b"1") + entry("name", b"2"), "accept", look="Name")
v("UN23", "nfc-nfd", entry("\u00e9", b"1") + entry("e\u0301", b"2"), "accept", look="e\u0301")
v("UN23", "file-as-parent", entry("n", b"1") + entry("n/x", b"2"), "unpack/link-in-path")
v("UN23", "parent-as-file", entry("n/x", b"2") + entry("n", b"1"), "unpack/type-flip,unpack/directory-in-the-way")

# UN24: owners.
for i, uid in enumerate([65536, 2 ** 31, 4294967295, 4294967294, 2 ** 40]):
    v("UN24", f"uid{i}", entry("f", b"x", uid=uid), "unpack/owner")
    v("UN24", f"gid{i}", entry("f", b"x", gid=uid), "unpack/owner")
    v("UN24", f"pax-uid{i}", pax([("uid", str(uid))]) + FILE, "unpack/owner")
v("UN24", "uid-negative", header("f", raw={108: b"\xff" * 7 + b"\xfe"}), "unpack/owner")
v("UN24", "pax-negative", pax([("gid", "-2")]) + FILE, "unpack/tar-header")
v("UN24", "uid-highest", entry("f", b"x", uid=65535, gid=65535), "accept", look="f")

# UN25: times and modes.
v("UN25", "time-minus", header("f", raw={136: b"\xff" * 12}), "accept", look="f")
v("UN25", "time-2-63", pax([("mtime", str(2 ** 63))]) + FILE, "unpack/tar-header")
v("UN25", "time-far", pax([("mtime", "253402300800")]) + FILE, "unpack/time")
v("UN25", "time-nanos", pax([("mtime", "1.1000000000")]) + FILE, "accept", look="f")
v("UN25", "time-garbage", pax([("mtime", "1e9")]) + FILE, "unpack/tar-header")
v("UN25", "mode-all", entry("f", b"x", mode=0o177777), "accept", look="f")
v("UN25", "mode-over", entry("f", b"x", mode=0o200000), "unpack/tar-header")


class Layout:
    """An OCI layout whose every image is one layer."""
    TYPES = {"tar": "", "gzip": "+gzip", "zstd": "+zstd"}

    def __init__(self, path):
        self.path, self.manifests = path, []
        os.makedirs(path + "/blobs/sha256", exist_ok=True)

    def blob(self, data):
        name = hashlib.sha256(data).hexdigest()
        with open(f"{self.path}/blobs/sha256/{name}", "wb") as f:
            f.write(data)
        return {"digest": "sha256:" + name, "size": len(data)}

    def blob_file(self, path):
        h = hashlib.sha256()
        with open(path, "rb") as f:
            for piece in iter(lambda: f.read(1 << 20), b""):
                h.update(piece)
        os.link(path, f"{self.path}/blobs/sha256/{h.hexdigest()}")
        return {"digest": "sha256:" + h.hexdigest(), "size": os.path.getsize(path)}

    def image(self, tag, layers, diff_ids, **changes):
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **self.blob(json.dumps(config).encode())},
                    "layers": layers, **changes}
        self.manifests.append({"mediaType": manifest["mediaType"], **self.blob(json.dumps(manifest).encode()),
                               "platform": {"os": "linux", "architecture": "amd64"},
                               "annotations": {"org.opencontainers.image.ref.name": tag}})

    def layer(self, descriptor, coding):
        return {"mediaType": "application/vnd.oci.image.layer.v1.tar" + self.TYPES[coding], **descriptor}

    def write(self):
        with open(self.path + "/oci-layout", "w") as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')
        with open(self.path + "/index.json", "w") as f:
            json.dump({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": self.manifests}, f)


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def write_all():
    layout = Layout(out_dir + "/oci")
    with open(out_dir + "/list", "w") as rows:
        for row, name, data, coding, layer, archive, look, plain in vectors:
            with open(f"{out_dir}/{name}", "wb") as f:
                f.write(data)
            diff_id = digest(data if plain is None else plain)
            rows.write("|".join((row, name, coding, layer, archive, look, diff_id)) + "\n")
            if layer != "-":
                layout.image(name, [layout.layer(layout.blob(data), coding)], [diff_id])
    # UN22: good bytes of which something else is said.
    blob = layout.blob(gz)
    good = layout.layer(blob, "gzip")
    layout.image("un22-good", [good], [digest(GOOD)])
    layout.image("un22-diff-id", [good], [digest(FILE)])
    layout.image("un22-diff-id-is-blob", [good], [blob["digest"]])
    layout.image("un22-size-less", [{**good, "size": good["size"] - 1}], [digest(GOOD)])
    layout.image("un22-size-more", [{**good, "size": good["size"] + 1}], [digest(GOOD)])
    layout.image("un22-missing", [{**good, "digest": digest(b"no such blob")}], [digest(GOOD)])
    flipped = {**good, "digest": digest(gz + b"flip")}
    with open(f"{layout.path}/blobs/{flipped['digest'].replace(':', '/')}", "wb") as f:
        f.write(gz[:40] + bytes([gz[40] ^ 1]) + gz[41:])
    layout.image("un22-flipped", [flipped], [digest(GOOD)])
    # UN27: back to one directory again and again, so that somebody may come between.
    with open(out_dir + "/swap-target", "wb") as f:
        f.write(b"".join(entry(f"d/f{i}", b"x" * 100) + entry(f"e/f{i}", b"x") for i in range(100)) + END)
    # UN26: more layers than an overlay can hold.
    layers = [entry(f"layer{i}", b"x") + END for i in range(501)]
    for count in (499, 500, 501):
        chosen = layers[:count]
        layout.image(f"un26-{count}", [layout.layer(layout.blob(data), "tar") for data in chosen], [digest(data) for data in chosen])
    layout.write()


def stream(path, command, pieces):
    """Pipes `pieces` through a compressor; the uncompressed bytes are hashed on the way."""
    h = hashlib.sha256()
    with open(path, "wb") as f:
        p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=f)
        for piece in pieces:
            h.update(piece)
            p.stdin.write(piece)
        p.stdin.close()
        if p.wait() != 0:
            sys.exit(f"{command} failed")
    return "sha256:" + h.hexdigest()


def file_of_zeros(size):
    yield header("zeros", size=size)
    piece = bytes(1 << 22)
    for _ in range(size // len(piece)):
        yield piece
    yield END


def repeated_entries(path, times, count, make):
    """`count` entries, `times` over: zstd frames may follow one another."""
    piece = zst(b"".join(make(i) for i in range(count)), "-1")
    with open(path, "wb") as f:
        for _ in range(times):
            f.write(piece)
        f.write(zst(END))


def many_entries(count, make):
    for first in range(0, count, 4096):
        yield b"".join(make(i) for i in range(first, min(first + 4096, count)))
    yield END


def fast_header(kind):
    """Names that differ, with the checksum corrected by hand."""
    base = header("e00000000", type=kind, mode=0o755)
    total = sum(base) - sum(base[148:156]) + 8 * 32 - sum(b"00000000")
    def make(i):
        digits = b"%08d" % i
        return b"e" + digits + base[9:148] + b"%06o\0 " % (total + sum(digits)) + base[156:]
    return make


def repeated_deflate(raw, block, count):
    """gzip of `raw` and then `count` times `block`, by repeating one compressed, flushed piece."""
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = c.compress(raw) + c.flush(zlib.Z_FULL_FLUSH)
    piece = c.compress(block) + c.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + head + piece * count + c.flush()


def write_bombs():
    layout = Layout(out_dir + "/oci")
    rows = open(out_dir + "/list", "w")
    ten_gib = 10 << 30
    def bomb(name, coding, diff_id, layer, archive=None):
        rows.write("|".join(("UN19", name, coding, layer, archive or layer, "", diff_id)) + "\n")
        if coding in Layout.TYPES:
            layout.image(name, [layout.layer(layout.blob_file(f"{out_dir}/{name}"), coding)], [diff_id])
    def put(name, data):
        with open(f"{out_dir}/{name}", "wb") as f:
            f.write(data)
    nobody = digest(b"never reached")
    # 10 GiB of zeros in 10 MB: the checksum at its end would be wrong, and is never reached.
    block = bytes(1 << 24)
    put("bomb-gzip", repeated_deflate(header("zeros", size=ten_gib), block, ten_gib // len(block)))
    bomb("bomb-gzip", "gzip", nobody, "unpack/too-big")
    # The same spread over files that are each innocent, so that no header gives it away.
    part = header("part", size=(1 << 24) - BLOCK) + bytes((1 << 24) - BLOCK)
    put("bomb-gzip-parts", repeated_deflate(b"", part, ten_gib // len(part)))
    bomb("bomb-gzip-parts", "gzip", nobody, "unpack/too-big")
    bomb("bomb-zstd", "zstd", stream(f"{out_dir}/bomb-zstd", ["zstd", "-q", "-1", "-c"], file_of_zeros(1 << 30)), "unpack/too-big")
    stream(f"{out_dir}/bomb-xz", ["xz", "-1", "-c"], file_of_zeros(1 << 30))
    bomb("bomb-xz", "xz", nobody, "-", "unpack/too-big")
    stream(f"{out_dir}/bomb-bzip2", ["bzip2", "-1", "-c"], file_of_zeros(1 << 29))
    bomb("bomb-bzip2", "bzip2", nobody, "-", "unpack/too-big")
    with open(out_dir + "/bomb-gzip", "rb") as f:
        put("bomb-nested", gzip.compress(f.read(), 1, mtime=0))
    bomb("bomb-nested", "gzip", nobody, "unpack/tar-header,unpack/truncated")
    # Entries.
    repeated_entries(out_dir + "/bomb-entries", 100, 100_000, fast_header("0"))
    bomb("bomb-entries", "zstd", nobody, "unpack/too-many-entries")
    repeated_entries(out_dir + "/bomb-dirs", 21, 100_000, fast_header("5"))
    bomb("bomb-dirs", "zstd", nobody, "unpack/too-many-entries")
    long_name = lambda i: pax([("path", "/".join(["%0200d" % i] * 20))]) + header("x")
    bomb("bomb-names", "zstd", stream(f"{out_dir}/bomb-names", ["zstd", "-q", "-1", "-c"], many_entries(20_000, long_name)), "unpack/too-many-entries")
    # One extended header of 1 GiB that is really there.
    value = b"c" * (1 << 20)
    gib = 1 << 30
    length = len("1073741824 comment=\n")
    def pax_gib():
        yield header("p", type="x", size=gib) + b"1073741824 comment=" + b"c" * ((1 << 20) - length)
        for _ in range(1022):
            yield value
        yield value[:-1] + b"\n" + FILE + END
    bomb("bomb-pax", "zstd", stream(f"{out_dir}/bomb-pax", ["zstd", "-q", "-1", "-c"], pax_gib()), "unpack/pax-too-big")
    bomb("bomb-tail", "zstd", stream(f"{out_dir}/bomb-tail", ["zstd", "-q", "-1", "-c"], (p for p in (GOOD, *[bytes(1 << 22)] * 256))), "unpack/after-end")
    layout.write()
    rows.close()


os.makedirs(out_dir, exist_ok=True)
if len(sys.argv) > 3 and sys.argv[3] == "bombs":
    write_bombs()
else:
    write_all()

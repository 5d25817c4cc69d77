#!/usr/bin/env python3
"""Says what an archive of a folder must show: looks at the folder itself, not at any archive.

    expected.py FOLDER > EXPECTED.json

One object a row, in byte order of path: path (as a reader shows it: bytes that are not UTF-8 replaced), kind, size,
mode, mtime_ns, digest (BLAKE3 in hexadecimal, or null).
"""

import json
import os
import stat
import sys

from blake3 import blake3

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}


def paths(root, prefix=b""):
    """Every path below a folder, the folder itself as the empty path."""
    yield prefix
    for entry in os.scandir(os.path.join(root, prefix)):
        path = os.path.join(prefix, entry.name)
        if entry.is_dir(follow_symlinks=False):
            yield from paths(root, path)
        else:
            yield path


def digest(path):
    hasher = blake3()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def main():
    root = os.fsencode(sys.argv[1])
    rows, first_names = [], {}
    for path in sorted(paths(root)):
        full = os.path.join(root, path)
        info = os.lstat(full)
        kind = KINDS[stat.S_IFMT(info.st_mode)]
        if kind == "file" and info.st_nlink > 1 and first_names.setdefault(info.st_ino, path) != path:
            kind = "hardlink"
        rows.append(
            {
                "path": path.decode("utf-8", "replace"),
                "kind": kind,
                "size": info.st_size if kind in ("file", "hardlink") else 0,
                "mode": stat.S_IMODE(info.st_mode),
                "mtime_ns": info.st_mtime_ns,
                "digest": digest(full) if kind == "file" else None,
            }
        )
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main()

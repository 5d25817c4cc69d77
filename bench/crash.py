#!/usr/bin/env python3
"""Cuts the power while carrack packs, and kills it while it packs and unpacks, and looks at what is left.

    sudo bench/crash.py [--cuts 1000] [--kills 200] [--carrack target/release/carrack] [--seed 1]

The power is cut on an ext4 with a journal in a small file: at a random moment of a run the ioctl EXT4_IOC_SHUTDOWN stops the
file system without writing its journal out, as when the current is gone; it is then mounted again, which replays what the
journal has. Of an archive that was being made there must be all or nothing, of one that was being replaced the old one or the
new one, and when carrack had ended with success, the new one. Killed runs (SIGKILL) must leave the target in the same way, and
a killed unpack, unpacked once more with --force, the tree as it was packed. Needs root, a loop device and mkfs.ext4.
"""

import argparse
import collections
import fcntl
import filecmp
import hashlib
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

EXT4_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def digest(path):
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except FileNotFoundError:
        return None


def make_tree(root, draw, files):
    os.makedirs(root)
    for number in range(files):
        folder = os.path.join(root, str(number % 7))
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, str(number)), "wb") as file:
            file.write(draw.randbytes(draw.randrange(1, 20_000)))
    with open(os.path.join(root, "large"), "wb") as file:
        file.write(draw.randbytes(3 << 20))


def same_trees(left, right):
    compared = filecmp.dircmp(left, right)
    if compared.left_only or compared.right_only or compared.funny_files:
        return False
    _, wrong, errors = filecmp.cmpfiles(left, right, compared.common_files, shallow=False)
    return not wrong and not errors and all(same_trees(os.path.join(left, name), os.path.join(right, name))
                                            for name in compared.common_dirs)


class Test:
    def __init__(self, carrack, work, draw):
        self.carrack, self.work, self.draw = carrack, work, draw
        self.seen, self.bad = collections.Counter(), 0
        self.trees = [os.path.join(work, name) for name in ("one", "two")]
        self.archives, self.digests = [], []
        for tree, files in zip(self.trees, (150, 170)):
            make_tree(tree, draw, files)
            archive = tree + ".crk"
            run(carrack, "-q", "pack", tree, "-o", archive)
            self.archives.append(archive)
            self.digests.append(digest(archive))
        begin = time.monotonic()
        run(carrack, "-q", "pack", self.trees[1], "-o", os.path.join(work, "x"))
        self.longest = 1.5 * (time.monotonic() - begin) + 0.02

    def judge(self, what, target, had_old, ended):
        """Says what is under the target's name."""
        kinds = {None: "nothing", self.digests[0]: "old", self.digests[1]: "new"}
        found = kinds.get(digest(target), "PARTIAL")
        good = found == "new" or not ended and found == ("old" if had_old else "nothing")
        if found == "new":
            good = good and subprocess.run([self.carrack, "-q", "verify", target]).returncode == 0
        self.seen[f"{what}, {'replacing' if had_old else 'new'}, {'ended' if ended else 'not ended'}: {found}"] += 1
        if not good:
            self.bad += 1
            print(f"{what}: had_old {had_old}, ended {ended}, found {found}", file=sys.stderr)

    def start(self, target):
        flags = ["--force"] + (["--verify"] if self.draw.random() < 0.3 else [])
        return subprocess.Popen([self.carrack, "-q", "pack", self.trees[1], "-o", target, *flags],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def cuts(self, count):
        image, mount = os.path.join(self.work, "image"), os.path.join(self.work, "mount")
        run("truncate", "-s", "64M", image)
        run("mkfs.ext4", "-q", "-F", image)
        os.makedirs(mount)
        for _ in range(count):
            run("mount", "-o", "loop", image, mount)
            target = os.path.join(mount, "a.crk")
            had_old = self.draw.random() < 0.5
            for name in os.listdir(mount):
                if name != "lost+found":
                    os.remove(os.path.join(mount, name))
            if had_old:
                shutil.copy(self.archives[0], target)
            os.sync()
            folder = os.open(mount, os.O_RDONLY)
            process = self.start(target)
            time.sleep(self.draw.uniform(0, self.longest * 1.5))
            ended = process.poll() == 0
            fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
            os.close(folder)
            process.wait()
            run("umount", mount)
            run("mount", "-o", "loop", image, mount)
            self.judge("power cut", target, had_old, ended)
            run("umount", mount)
        run("fsck.ext4", "-f", "-n", image)

    def kills(self, count):
        folder = os.path.join(self.work, "out")
        for _ in range(count):
            os.makedirs(folder)
            target, had_old = os.path.join(folder, "a.crk"), self.draw.random() < 0.5
            if had_old:
                shutil.copy(self.archives[0], target)
            process = self.start(target)
            time.sleep(self.draw.uniform(0, self.longest))
            process.kill()
            self.judge("kill -9, pack", target, had_old, process.wait() == 0)
            shutil.rmtree(folder)
        for _ in range(count):
            command = [self.carrack, "-q", "unpack", self.archives[1], "-C", folder]
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            time.sleep(self.draw.uniform(0, 3 * self.longest))
            process.kill()
            process.wait()
            was_whole = os.path.isdir(folder) and same_trees(self.trees[1], folder)
            again = subprocess.run([*command, "--force"]).returncode
            good = again == 0 and same_trees(self.trees[1], folder)
            self.bad += not good
            self.seen[f"kill -9, unpack, {'whole' if was_whole else 'in part'}; again with --force: {'whole' if good else 'BAD'}"] += 1
            shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--carrack", default="target/release/carrack")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("crash.py: only root may mount a file system and stop it")
    work = tempfile.mkdtemp(prefix="carrack-crash-")
    try:
        test = Test(os.path.abspath(args.carrack), work, random.Random(args.seed))
        test.kills(args.kills)
        test.cuts(args.cuts)
    finally:
        subprocess.run(["umount", "-q", os.path.join(work, "mount")], stderr=subprocess.DEVNULL)
        shutil.rmtree(work)
    for what, count in sorted(test.seen.items()):
        print(f"{count:6} {what}")
    print(f"{args.cuts} power cuts, {2 * args.kills} kills: {test.bad} not as promised")
    return test.bad > 0


if __name__ == "__main__":
    sys.exit(main())

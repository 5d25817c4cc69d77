#!/usr/bin/env python3
"""How long a run takes to end after a signal, and what it leaves.

    bench/stop.py [--runs 60] [--carrack target/release/carrack] [--seed 1]

Stops runs of carrack by SIGINT and SIGTERM at random moments: packing at level 22 with blocks of 32 MiB, packing into a named
pipe that nobody reads, unpacking, verifying. Prints the median, the 95th percentile and the maximum of the time from signal to
exit, in ms, and fails when a run left a file that is not whole or ended by anything but 0 or 128 and the signal's number.
"""

import argparse
import filecmp
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time


def catches(pid, number):
    with open(f"/proc/{pid}/status") as status:
        mask = next(line.split()[1] for line in status if line.startswith("SigCgt:"))
    return int(mask, 16) >> (number - 1) & 1


def stop(command, place, number, seconds):
    """Milliseconds from the signal to the end, or None where the run was faster; the exit code."""
    run = subprocess.Popen(command, cwd=place, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while run.poll() is None and not catches(run.pid, number):
        time.sleep(0.001)
    try:
        return None, run.wait(seconds)
    except subprocess.TimeoutExpired:
        begin = time.monotonic()
        run.send_signal(number)
        code = run.wait()
        return (time.monotonic() - begin) * 1e3, code


def left(place):
    """What is below out and not as it is below src."""
    found = []
    for folder, _, files in os.walk(os.path.join(place, "out")):
        for name in files:
            path = os.path.join(folder, name)
            twin = os.path.join(place, "src", os.path.relpath(path, os.path.join(place, "out")))
            if not os.path.exists(twin) or not filecmp.cmp(path, twin, shallow=False):
                found.append(path)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--carrack", default="target/release/carrack")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    carrack = os.path.abspath(args.carrack)
    draw = random.Random(args.seed)
    bad = 0
    with tempfile.TemporaryDirectory() as place:
        os.mkdir(f"{place}/src")
        for number in range(4000):
            with open(f"{place}/src/{number}", "wb") as file:
                file.write(draw.randbytes(200 + number))
        with open(f"{place}/src/large", "wb") as file:
            file.write(draw.randbytes(64 << 20).translate(bytes(ord("0") + byte % 10 for byte in range(256))))
        os.mkfifo(f"{place}/pipe")
        subprocess.run([carrack, "-q", "pack", "src", "-o", "a.crk", "--level", "1", "--no-dedup"], cwd=place, check=True)
        level = ["--level", "22", "--block-size", "32M", "--no-dedup", "--no-tune"]
        for name, command, longest in [
            ("pack, level 22, blocks of 32 MiB", ["pack", "src", "-o", "out/a.crk", *level], 3.0),
            ("pack into a pipe without a reader", ["pack", "src", "-o", "pipe"], 0.5),
            ("unpack", ["unpack", "a.crk", "-C", "out"], 0.3),
            ("verify", ["verify", "a.crk"], 0.2),
        ]:
            times = []
            for _ in range(args.runs):
                shutil.rmtree(f"{place}/out", ignore_errors=True)
                os.mkdir(f"{place}/out")
                number = draw.choice([signal.SIGINT, signal.SIGTERM])
                took, code = stop([carrack, *command], place, number, draw.uniform(0, longest))
                whole = code == 0 and command[0] == "pack"
                remains = [] if whole else left(place)
                if code not in (0, 128 + number) or remains:
                    bad += 1
                    print(f"{name}: code {code}, left {remains}", file=sys.stderr)
                if took is not None:
                    times.append(took)
            times.sort()
            at = lambda share: times[min(len(times) - 1, int(len(times) * share))] if times else float("nan")
            print(f"{name}: {len(times)} stopped, ms: median {at(0.5):.0f}, 95% {at(0.95):.0f}, maximum {at(1):.0f}", flush=True)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())

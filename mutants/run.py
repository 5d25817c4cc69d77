#!/usr/bin/env python3
"""Plants the bugs of list.toml one by one, and sees whether the tests named there notice.

    run.py [NAME...]        all of them, or those named
    run.py --check          only whether the list fits the sources: quick, and builds nothing
    run.py --list           what each of them breaks

Works in a copy of the tree, target/mutants/tree, and builds in target/mutants/build; the tree itself stays as it is. First the
tests have to pass without any bug. Exit code 0 when every bug was noticed, 1 when one was not, 2 when the list or the
machine is not fit for it. CARGO names the program to build with.
"""

import fcntl
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "mutants/list.toml"
WORK = ROOT / "target/mutants"
TREE = WORK / "tree"
CARGO = shlex.split(os.environ.get("CARGO", "cargo"))

# Our own crates are built anew for each bug, so quickly; what they stand on is built once, so well.
QUICK = {"CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_PROFILE_DEV_OPT_LEVEL": "0"}
WELL = ["--config", 'profile.dev.package."*".opt-level=1']
# As make test-loom and make test-shuttle have it.
LOOM = {"RUSTFLAGS": "--cfg loom"}
SHUTTLE = ["--features", "shuttle"]

# A test that takes so much longer than without the bug hangs: seconds, and times.
PATIENCE = (60, 20)


class Unfit(Exception):
    """The list or the machine is not fit for it."""


class Test:
    """Tests of one target: package, target (`lib`, `loom`, `shuttle` or the name of an integration test) and filter."""

    def __init__(self, text):
        self.text = text
        words = text.split()
        if len(words) != 3:
            raise Unfit(f"tests: expected a package, a target and a filter, found {text!r}")
        self.package, self.target, self.filter = words

    def cargo(self, *more):
        """The command, and what it adds to the environment."""
        is_loom = self.target == "loom"
        target = ["--lib"] if self.target in ("lib", "loom", "shuttle") else ["--test", self.target]
        target += SHUTTLE if self.target == "shuttle" else []
        profile = ["--profile", "loom", "--target-dir", WORK / "loom"] if is_loom else ["--target-dir", WORK / "build", *WELL]
        return [*CARGO, "test", "--quiet", "--locked", "-p", self.package, *target, *profile, *more], LOOM if is_loom else QUICK


class Mutant:
    """An entry of the list."""

    def __init__(self, entry):
        self.name = entry.get("name", "(no name)")
        expected = {"name", "file", "find", "replace", "breaks", "tests"}
        if set(entry) != expected:
            raise Unfit(f"{self.name}: expected the keys {sorted(expected)}, found {sorted(entry)}")
        self.file, self.find, self.replace, self.breaks = (entry[key] for key in ("file", "find", "replace", "breaks"))
        self.tests = [Test(text) for text in entry["tests"]]

    def faults(self):
        """Why it cannot be planted."""
        path = ROOT / self.file
        if not path.is_file():
            return [f"{self.file} is not there"]
        found = path.read_text(encoding="utf-8").count(self.find)
        faults = [] if found == 1 else [f"its text stands {found} times in {self.file}, not once: the list is out of date"]
        if self.find == self.replace or not self.tests:
            faults.append("it changes nothing, or nothing is to notice it")
        for test in self.tests:
            if not is_test(test):
                faults.append(f"there is nothing like {test.filter} in {test.package}")
        return faults

    def planted(self):
        text = (ROOT / self.file).read_text(encoding="utf-8")
        return text.replace(self.find, self.replace)


def is_test(test):
    """Whether the package has a test or module of the filter's last part."""
    folder = ROOT / test.package.removeprefix("carrack-") if test.package != "carrack" else ROOT / "cli"
    last = [part for part in test.filter.split("::") if part][-1]
    declared = re.compile(rf"\b(fn|mod) {re.escape(last)}\w*\b")
    return any(declared.search(path.read_text(encoding="utf-8")) for path in folder.glob("**/*.rs"))


def read_list():
    with open(LIST, "rb") as file:
        mutants = [Mutant(entry) for entry in tomllib.load(file)["mutant"]]
    names = [mutant.name for mutant in mutants]
    faults = [f"{name}: there are two of this name" for name in sorted(set(names)) if names.count(name) > 1]
    faults += [f"{mutant.name}: {fault}" for mutant in mutants for fault in mutant.faults()]
    if faults:
        raise Unfit("\n".join(faults))
    return mutants


def chosen(mutants, names):
    known = {mutant.name: mutant for mutant in mutants}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Unfit(f"no such bug: {', '.join(unknown)}; run.py --list names all")
    return [known[name] for name in names] or mutants


def copy_tree():
    """Makes the copy what the tree is. A file that is the same stays, so that nothing is built anew for it."""
    listed = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True).stdout.decode().split("\0")
    wanted = {Path(name) for name in names if name and (ROOT / name).is_file()}
    there = {path.relative_to(TREE) for path in TREE.glob("**/*") if path.is_file()} if TREE.is_dir() else set()
    for name in there - wanted:
        (TREE / name).unlink()
    for name in wanted:
        source, copy = ROOT / name, TREE / name
        if name in there and copy.read_bytes() == source.read_bytes():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
        copy.chmod(source.stat().st_mode & 0o777)


def run(test, *more, limit=None):
    """What a command says: its exit code (None: it hung), and what it wrote."""
    command, extra = test.cargo(*more)
    process = subprocess.Popen(
        command,
        cwd=TREE,
        env={**os.environ, **extra},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def build(tests):
    """What the compiler says against it, if anything. Tests of one target are built once."""
    for test in {(test.package, test.target): test for test in tests}.values():
        code, output = run(test, "--no-run")
        if code != 0:
            return output
    return None


def prove(tests):
    """The tests without any bug: they pass, and there are some. Gives back how long each may take, seconds."""
    said = build(tests.values())
    if said is not None:
        raise Unfit(f"without any bug it does not build:\n{said}")
    limits = {}
    for test in tests.values():
        begin = time.monotonic()
        code, output = run(test, test.filter)
        took = time.monotonic() - begin
        passed = sum(int(count) for count in re.findall(r"(\d+) passed", output))
        if code != 0 or passed == 0:
            raise Unfit(f"{test.text}: without any bug {passed} tests pass, exit code {code}:\n{output}")
        print(f"  {passed:3} pass in {took:5.1f} s  {test.text}", flush=True)
        limits[test.text] = PATIENCE[0] + PATIENCE[1] * took
    return limits


def hunt(mutant, limits):
    """Who noticed, if anybody."""
    said = build(mutant.tests)
    if said is not None:
        raise Unfit(f"{mutant.name}: it does not compile:\n{said}")
    for test in mutant.tests:
        code, output = run(test, test.filter, limit=limits[test.text])
        if code is None:
            return f"{test.filter}, which hangs"
        if code != 0:
            failed = re.findall(r"^    ([\w:]+)$", output, re.MULTILINE)
            return failed[0] if failed else f"{test.filter}, exit code {code}"
    return None


def plant(mutants):
    """Plants each, and gives back those that nobody noticed."""
    tests = {test.text: test for mutant in mutants for test in mutant.tests}
    copy_tree()
    print("Without any bug:", flush=True)
    begin = time.monotonic()
    limits = prove(tests)
    print(f"Bugs, one by one ({time.monotonic() - begin:.0f} s so far):", flush=True)
    rows = []
    for mutant in mutants:
        copy = TREE / mutant.file
        copy.write_text(mutant.planted(), encoding="utf-8")
        started = time.monotonic()
        try:
            noticed = hunt(mutant, limits)
        finally:
            copy.write_bytes((ROOT / mutant.file).read_bytes())
        took = time.monotonic() - started
        rows.append((mutant, noticed))
        verdict = f"killed by {noticed}" if noticed else f"SURVIVED: {mutant.breaks}"
        print(f"  {took:5.1f} s  {mutant.name:34}  {verdict}", flush=True)
    survived = [mutant for mutant, noticed in rows if not noticed]
    print(f"{len(rows) - len(survived)} of {len(rows)} killed, {len(survived)} survived, {time.monotonic() - begin:.0f} s")
    return survived


def main(arguments):
    mutants = read_list()
    if arguments == ["--check"]:
        print(f"mutants: {len(mutants)} bugs, each at its place")
        return 0
    if arguments == ["--list"]:
        for mutant in mutants:
            print(f"{mutant.name:34}  {mutant.breaks}")
        return 0
    mutants = chosen(mutants, arguments)
    WORK.mkdir(parents=True, exist_ok=True)
    with open(WORK / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unfit(f"{WORK}: another run is at work there") from None
        return 1 if plant(mutants) else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Unfit as why:
        print(f"mutants: {why}", file=sys.stderr)
        sys.exit(2)

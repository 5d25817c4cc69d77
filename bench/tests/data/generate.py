#!/usr/bin/env python3
"""Writes the documents beside it: what the tests of the report read. Invented numbers in the range of real ones, by the
fields of docs/results.md; nothing here was measured. The same program gives the same bytes."""

import json
import math
import random
from pathlib import Path

HERE = Path(__file__).parent
draw = random.Random(7)

CORPORA = {  # name: (files, bytes, MB/s of a pack, ratio)
    "source": (20_000, 224_000_000, 390, 4.06),
    "logs": (120, 98_000_000, 525, 4.97),
    "media": (300, 85_000_000, 900, 1.00),
    "tiny": (100_000, 35_000_000, 55, 1.87),
    "huge": (3, 400_000_000, 600, 3.65),
}
BACKENDS = {"uring": 1.0, "pool": 1.06, "pread": 1.1, "mmap": 0.84}

HOST = {
    "cpu": "Example Processor 9000",
    "cores": 2,
    "memory_bytes": 25_271_390_208,
    "kernel": "6.1.0-example",
    "target": "linux x86_64",
    "corpus_filesystem": {"kind": "ext4", "device": "/dev/vda1", "scheduler": "none", "max_sectors_kb": 1280, "read_ahead_kb": 128},
    "work_filesystem": {"kind": "ext4", "device": "/dev/vda1", "scheduler": "none", "max_sectors_kb": 1280, "read_ahead_kb": 128},
    "memlock_bytes": None,
    "transparent_huge_pages": "madvise",
    "backends": [{"backend": name, "refused": None} for name in BACKENDS],
    "load_at_start": "0.02 0.10 0.15",
    "version": "0.1.0",
    "optimised": True,
}


def head(schema, *words):
    return {"schema": schema, "command": ["target/release/carrack-bench", *words], "host": HOST, "seed": 1}


def save(name, document):
    (HERE / name).write_text(json.dumps(document, separators=(",", ":")) + "\n")


def near(value, spread=0.08):
    return value * math.exp(draw.gauss(0, spread))


def summary(middle, spread=0.06, count=9):
    values = sorted(near(middle, spread) for _ in range(count))
    return {"count": count, "median": round(values[count // 2]), "quarter": round(values[count // 4]),
            "three_quarters": round(values[3 * count // 4]), "min": round(values[0]), "max": round(values[-1])}


def ratio(middle, spread=0.04, count=9):
    rounds = [near(middle, spread) for _ in range(count)]
    mean = math.exp(sum(map(math.log, rounds)) / count)
    half = 1.96 * spread / math.sqrt(count)
    return {"rounds": [round(r, 4) for r in rounds], "mean": round(mean, 4),
            "low": round(mean * math.exp(-half), 4), "high": round(mean * math.exp(half), 4)}


def stage(name, kind, unit, count, p50, tail):
    """A curve whose logarithm rises with the logarithm of 1 / (1 - q), with a knee near the end."""
    def at(q):
        x = math.log10(1 / (1 - q))
        return p50 * math.exp((x - 0.301) * tail) * (4 if x > 3.2 else 1)
    last = 1 - 1 / max(2, count)
    quantiles = [0, .1, .25, .5, .75, .9, .95, .99, .995, .999, .9995, .9999, 1.0]
    curve = [[q, max(1, round(near(at(min(q, last)), 0.01)))] for q in quantiles]
    for before, after in zip(curve, curve[1:]):
        after[1] = max(before[1], after[1])
    value = lambda q: next(ns for quantile, ns in curve if quantile >= min(q, 1))
    total = round(count * min(p50 * 1.15, 3e8 / count))
    return {"stage": name, "kind": kind, "unit": unit, "count": count, "p50_ns": value(.5), "p90_ns": value(.9),
            "p99_ns": value(.99), "p999_ns": value(.999), "max_ns": curve[-1][1], "total_ns": total,
            "share": None, "curve": curve}


READ_P50 = {"uring": 450_000, "pool": 5_180, "pread": 4_990, "mmap": 24_700}


def stages_of(operation, corpus, backend, wall):
    files, size, _, _ = CORPORA[corpus]
    blocks = max(2, size // 1_048_576)
    reads = max(files, blocks)
    two = 2 * wall
    read = near(READ_P50[backend] * (8 if files < blocks else 1), .1)
    compress = 450_000 if corpus == "media" else 3_900_000
    if operation == "pack":
        rows = [
            ("slot_wait", "wait", "slot", blocks, 2_100_000, .6), ("queue_wait", "wait", "request", reads, read / 3, .7),
            ("read", "service", "request", reads, read, .8), ("file", "road", "file", files, read * 1.6, .8),
            ("digest_wait", "wait", "slot", blocks, 45_000, 1.1), ("digest", "service", "slot", blocks, 330_000, .25),
            ("place_wait", "wait", "slot", blocks, 28_000, 1.0), ("place", "service", "slot", blocks, 12_000, .8),
            ("frame_wait", "wait", "block", blocks, 900, 1.6), ("compress_wait", "wait", "block", blocks, 240_000, .9),
            ("compress", "service", "block", blocks, compress, .35), ("sequence_wait", "wait", "frame", blocks, 640_000, .7),
            ("commit", "service", "frame", blocks, 90_000, .95), ("encode", "service", "batch", max(1, files // 16_384), 1_900_000, .2),
            ("event_wait", "wait", "event", blocks * 3, 310_000, .8), ("block", "road", "block", blocks, 9_500_000, .4),
        ]
    else:
        last = ("write", "service", "block", blocks, 2_300_000, .6) if operation == "unpack" else ("prove", "service", "block", blocks, 350_000, .3)
        rows = [("read", "service", "frame", blocks, 60_000, .8), ("buffer_wait", "wait", "frame", blocks, 900_000, .7),
                ("decode_wait", "wait", "frame", blocks, 80_000, .9), ("decode", "service", "frame", blocks, 700_000, .3), last,
                ("block", "road", "block", blocks, 4_100_000, .4)]
    made = [stage(name, kind, unit, count, near(p50), tail) for name, kind, unit, count, p50, tail in rows]
    whole = sum(row["total_ns"] for row in made if row["kind"] == "service")
    for row in made:
        row["share"] = round(row["total_ns"] / whole, 4) if row["kind"] == "service" else None
    return made


def usage(wall, size):
    return {"wall_ns": round(wall), "user_ns": round(wall * 1.7), "system_ns": round(wall * .2), "peak_bytes": 34_000_000,
            "disk_read_bytes": 0, "disk_written_bytes": 1_000_000, "read_bytes": size, "written_bytes": size // 4}


def verdict(corpus, backend):
    bound = {"media": "sink", "tiny": "reader"}.get(corpus, "balanced" if (corpus, backend) == ("logs", "pool") else "codec")
    return {"bound": bound, "reader_share": .41, "workers_share": .97 if bound == "codec" else .6, "codec_share": .9,
            "sink_share": .08, "coordinator_share": .12, "backlog": 3.1 if bound == "codec" else .2}


def run():
    rows = []
    for corpus, (files, size, rate, packed) in CORPORA.items():
        for backend, factor in BACKENDS.items():
            row = {"corpus": corpus, "contender": backend, "unavailable": None, "archive_digest": "ab" * 32, "unreadable": 0, "failures": []}
            for operation, speed in (("pack", rate * factor), ("verify", rate * 4.4), ("unpack", rate * .8)):
                wall = near(size * 1e3 / speed)
                report = {"files": files, "bytes": size, "stages": stages_of(operation, corpus, backend, wall)}
                if operation == "pack":
                    report |= {"archive_bytes": round(size / packed), "backend": backend, "notes": []}
                report["verdict"] = verdict(corpus, backend)
                row[operation] = {"usage": usage(wall, size), "report": report}
            row["compare"] = {"usage": usage(9e8, size), "report": {"differences": {"count": 0, "first": []}}}
            rows.append(row)
        wall = near(size * 1e3 / (rate * 1.1))
        rows.append({"corpus": corpus, "contender": "naive", "unavailable": None, "archive_digest": "cd" * 32,
                     "pack": {"usage": usage(wall, size), "report": {"files": files, "bytes": size, "archive_bytes": round(size / packed * 1.02), "stages": [], "verdict": None}},
                     "verify": None, "unpack": None, "compare": None, "unreadable": 0, "failures": []})
    save("run.json", head("carrack.run/2", "run", "--corpus", "corpus", "--results", "results") | {"rows": rows})


PEERS = {  # name: (wall of a pack, size) relative to tar|zstd, wall of an unpack
    "tar|zstd": (1.0, 1.0, 1.0), "tar|lz4": (.62, 1.71, .9), "mksquashfs": (1.45, 1.06, .8), "7zz": (6.5, .74, 2.1),
    "pixz": (11.0, .71, 1.6), "zpaq": (2.3, .86, 3.0), "mkdwarfs": (2.0, .81, .9), "borg": (2.9, .97, 2.4), "restic": (1.9, 1.02, 1.3),
    "naive": (.75, 1.04, None), "carrack": (.76, 1.02, .49), "carrack --io uring": (.77, 1.02, None),
    "carrack --io pool": (.74, 1.02, None), "carrack --io pread": (.72, 1.02, None), "carrack --io mmap": (.9, 1.02, None),
}


def compare():
    rows, noise = [], []
    for name, (files, size, rate, packed) in CORPORA.items():
        base = size * 1e3 / rate * 1.3
        for cache in ("hot", "cold") if name == "source" else ("hot",):
            for operation in ("pack", "unpack"):
                for contender, (time, share, back) in PEERS.items():
                    factor = (time if operation == "pack" else back)
                    if factor is None or contender in ("mkdwarfs",):
                        continue
                    if contender.startswith("carrack") and name == "tiny":
                        factor *= 1.36 if operation == "pack" else 2.03
                    if cache == "cold":
                        factor = factor * .6 + 1.2
                    ours = contender.startswith("carrack")
                    row = {"id": f"{name}/{cache}/{operation}/{contender}", "input": name, "cache": cache, "operation": operation,
                           "contender": contender, "command": f"{contender} …", "synced": operation == "pack",
                           "wall": summary(base * factor), "cpu": summary(base * factor * 1.8), "peak": summary(34e6, .02),
                           "read": summary(size, .01), "written": None, "archive_bytes": round(size / packed * (share if packed > 1 else 1 + (share - 1) * .02)) if operation == "pack" else None,
                           "base": None, "to_base": None, "efficiency": None, "not_held": 0, "failed": None}
                    if contender != "tar|zstd":
                        row |= {"base": f"{name}/{cache}/{operation}/tar|zstd", "to_base": ratio(factor)}
                    if ours:
                        if operation == "pack" and cache == "hot":
                            row["efficiency"] = round(min(.97, near(.84 if name != "tiny" else .3, .05)), 3)
                    if (name, operation, contender) == ("huge", "pack", "zpaq"):
                        row |= {"failed": "exit status: 2: zpaq: Out of memory", "wall": None, "cpu": None, "peak": None, "archive_bytes": None, "to_base": None}
                    if (cache, operation, contender) == ("cold", "pack", "restic"):
                        row["not_held"] = 2
                    rows.append(row)
                if (cache, operation) == ("hot", "pack"):
                    controls = [("carrack (again)", 1.0, "carrack"), ("unplanted", 1.0, None), ("planted 3%", 1.03, "unplanted")]
                    for contender, factor, against in controls[:3 if name == "source" else 1]:
                        wall = base * .76 * factor
                        rows.append({"id": f"{name}/{cache}/{operation}/{contender}", "input": name, "cache": cache, "operation": operation,
                                     "contender": contender, "command": None, "synced": True, "wall": summary(wall), "cpu": summary(wall * 1.8),
                                     "peak": summary(34e6, .02), "read": None, "written": None, "archive_bytes": round(size / packed * 1.02),
                                     "base": against and f"{name}/{cache}/{operation}/{against}", "to_base": ratio(factor, .012) if against else None,
                                     "efficiency": None, "not_held": 0, "failed": None})
                noise.append({"input": name, "cache": cache, "operation": operation, "ratio": ratio(1.0, .03)})
    floors = [
        {"name": "pack: wall, carrack / tar|zstd, source", "unit": "", "limit": .85, "value": .76, "low": .72, "high": .80, "held": True},
        {"name": "pack: archive bytes, carrack / tar|zstd", "unit": "", "limit": 1.05, "value": 1.02, "low": None, "high": None, "held": True},
        {"name": "pack: wall, carrack / naive", "unit": "", "limit": 1.0, "value": 1.012, "low": .958, "high": 1.076, "held": False},
        {"name": "peak memory, pack, 100000 files", "unit": "MB", "limit": 350, "value": None, "low": None, "high": None, "held": None},
    ]
    rooflines = [{"input": name, "level": 3, "threads": 2, "codec_ns": summary(size * 1e3 / rate * .85), "read_ns": {b: summary(size * 1e3 / (3000 * f)) for b, f in BACKENDS.items()},
                  "write_ns": summary(size / packed * 1e3 / 1500)} for name, (_, size, rate, packed) in CORPORA.items()]
    missing = {"mkdwarfs": "mkdwarfs is not on the PATH"}
    save("compare.json", head("carrack.compare/1", "compare", "--corpus", "corpus", "--results", "results", "--rounds", "9") | {
        "inputs": [{"name": n, "path": f"corpus/{n}", "files": f, "bytes": b} for n, (f, b, _, _) in CORPORA.items()],
        "contenders": [{"name": n, "version": None if n in missing else "1.0", "missing": missing.get(n)} for n in PEERS],
        "settings": {"rounds": 9, "level": 3, "synced": "pack", "caches": ["hot", "cold"], "threads": 2},
        "caches_refused": [{"cache": "capped", "why": "no right to make a control group"}],
        "rows": rows, "noise": noise, "rooflines": rooflines, "floors": floors, "samples": []})
    save("aa.json", head("carrack.aa/1", "noise", "--repeats", "20") | {"repeats": 20, "held": 19,
         "comparisons": [{"ratio": r, "holds_one": r["low"] <= 1 <= r["high"]} for r in
                         [ratio(1.0, .03) for _ in range(19)] + [{"rounds": [1.05] * 9, "mean": 1.05, "low": 1.02, "high": 1.08}]]})


def tune():
    trials = []
    for io, factor in BACKENDS.items():
        for slots in (2, 4, 8, 16, 32):
            for size in (262_144, 524_288, 1_048_576, 2_097_152, 4_194_304, 8_388_608):
                if slots * size > 128 << 20:
                    continue
                off = .05 * abs(math.log2(slots / 8)) + .04 * abs(math.log2(size / 1_048_576))
                median = near(5.2e8 / factor * (1 + off), .01)
                failed = "exit status: 2: cannot lock 128 MiB" if (io, slots, size) == ("uring", 16, 8_388_608) else None
                trials.append({"default": (io, slots, size) == ("uring", 8, 1_048_576), "failed": failed, "settings": {"io": io, "slots": slots, "slot_size": size, "readers": 4 if io == "pool" else None,
                               "depth": 64 if io == "uring" else None, "threads": 2, "direct": None},
                               "rung": 0 if off > .12 else 1, "walls_ns": [round(near(median, .02)) for _ in range(3)], "median_ns": None if failed else round(median),
                               "memory_bytes": slots * size + 12_000_000, "to_default": ratio(median / 5e8, .02, 3)})
    best = min((trial for trial in trials if trial["median_ns"]), key=lambda trial: trial["median_ns"])
    save("tune.json", head("carrack.tune/1", "tune", "corpus/source", "--budget", "60s") | {
        "input": {"paths": ["corpus/source"], "files": 20000, "bytes": 224_000_000, "sampled": False}, "cache": "hot", "operation": "pack",
        "budget_ns": 60_000_000_000, "trials": trials, "confirmed": [{"settings": best["settings"], "to_default": ratio(.95, .02), "memory_bytes": best["memory_bytes"]}],
        "chosen": {"settings": best["settings"]}, "verdict": "pread with 8 slots of 1 MiB: 0.95 [0.94, 0.97] of the time of the default"})


def alone():
    wall = 580_000_000
    save("pack.stages.json", head("carrack.stages/1", "pack", "corpus/source") | {
        "command": ["carrack", "pack", "corpus/source", "-o", "x.crk", "--stats", "pack.stages.json"],
        "operation": "pack", "backend": "uring", "wall_ns": wall, "verdict": verdict("source", "uring"), "stages": stages_of("pack", "source", "uring", wall)})


SETTINGS = {  # several levels and profiles, as in PEERS
    "carrack --profile fast": (.56, 1.11), "carrack --profile small": (3.1, .88), "carrack --profile smallest": (48, .79),
    "carrack --profile random": (3.4, 1.04), "carrack --level 1": (.55, 1.11), "carrack --level 6": (2.2, .92), "carrack --level 9": (3.0, .9),
    "tar|zstd -1": (.8, 1.12), "tar|zstd -9": (3.6, .88), "tar|zstd -19": (110, .76), "mksquashfs -9": (4.4, .93), "7zz -1": (4.1, .8),
}


def front():
    document = json.loads((HERE / "compare.json").read_text())
    for name in ("source", "logs"):
        files, size, rate, packed = CORPORA[name]
        for contender, (time, share) in SETTINGS.items():
            wall = size * 1e3 / rate * 1.3 * time
            document["rows"].append({
                "id": f"{name}/hot/pack/{contender}", "input": name, "cache": "hot", "operation": "pack", "contender": contender,
                "command": f"{contender} …", "synced": True, "wall": summary(wall), "cpu": summary(wall * 1.8), "peak": summary(60e6, .02),
                "read": summary(size, .01), "written": None, "archive_bytes": round(size / packed * share),
                "base": f"{name}/hot/pack/tar|zstd", "to_base": ratio(time), "efficiency": None, "not_held": 0, "failed": None})
    document["contenders"] += [{"name": contender, "version": "1.0", "missing": None} for contender in SETTINGS]
    save("compare.json", document)


run()
compare()
tune()
alone()
front()

#!/usr/bin/env python3
"""Opens an archive with the Arrow readers of other projects and compares what they see with what was packed.

    check.py ARCHIVE EXPECTED.json

EXPECTED.json is a list of objects, one a row, in the order of the rows:
path, kind, size, mode, mtime_ns, digest (hexadecimal, or null).

Readers: pyarrow (memory-mapped and from a file object), Polars (memory-mapped, read into memory, and scanned
lazily), DataFusion when it is installed. Exit code 0 when all of them agree, 1 otherwise.
"""

import inspect
import io
import json
import os
import sys
import tempfile

COLUMNS = ["path", "kind", "size", "mode", "mtime", "digest"]


def expected_rows(path):
    with open(path, encoding="utf-8") as file:
        rows = json.load(file)
    return [tuple(row[key] for key in ("path", "kind", "size", "mode", "mtime_ns", "digest")) for row in rows]


def rows_of_arrow(table):
    """Rows of a pyarrow table; times as integers, so that no reader's clock type rounds them."""
    import pyarrow as pa

    columns = []
    for name in COLUMNS:
        column = table.column(name)
        if name == "mtime":
            column = column.cast(pa.int64())
        values = column.to_pylist()
        if name == "digest":
            values = [None if value is None else bytes(value).hex() for value in values]
        columns.append(values)
    return list(zip(*columns))


def with_pyarrow(archive):
    import pyarrow as pa

    with pa.memory_map(archive) as source:
        yield "memory_map", rows_of_arrow(pa.ipc.open_file(source).read_all())
    with open(archive, "rb") as source:
        yield "file", rows_of_arrow(pa.ipc.open_file(source).read_all())


def rows_of_polars(frame):
    import polars as pl

    digest = pl.col("digest").bin.encode("hex")
    mtime = pl.col("mtime").dt.epoch("ns")
    return frame.select("path", "kind", "size", "mode", mtime, digest).rows()


def with_polars(archive):
    import polars as pl

    for function in (pl.read_ipc, pl.scan_ipc):
        # Versions before 2 let the caller choose whether the file is mapped.
        chooses = "memory_map" in inspect.signature(function).parameters
        for options in [{"memory_map": True}, {"memory_map": False}] if chooses else [{}]:
            frame = function(archive, **options).lazy().collect()
            yield " ".join([function.__name__, *map(str, options.items())]), rows_of_polars(frame)
    with open(archive, "rb") as file:
        yield "read_ipc of bytes", rows_of_polars(pl.read_ipc(io.BytesIO(file.read())))


def with_datafusion(archive):
    import datafusion
    import pyarrow as pa

    # DataFusion takes a file for what its name ends with.
    with tempfile.TemporaryDirectory() as folder:
        link = os.path.join(folder, "archive.arrow")
        os.symlink(os.path.abspath(archive), link)
        context = datafusion.SessionContext()
        context.sql(f"CREATE EXTERNAL TABLE archive STORED AS ARROW LOCATION '{link}'").collect()
        batches = context.sql("SELECT * FROM archive").collect()
        yield "CREATE EXTERNAL TABLE", rows_of_arrow(pa.Table.from_batches(batches))


READERS = [("pyarrow", with_pyarrow, True), ("polars", with_polars, True), ("datafusion", with_datafusion, False)]


def compare(name, how, found, expected):
    if name.startswith("datafusion"):  # reads batches in any order
        found, expected = sorted(found), sorted(expected)
    if found == expected:
        print(f"ok      {name}: {how}: {len(found)} rows")
        return True
    print(f"FAILED  {name}: {how}: {len(found)} rows, expected {len(expected)}")
    differing = [(a, b) for a, b in zip(expected, found) if a != b]
    for wanted, got in differing[:5]:
        print(f"        expected {wanted}\n        found    {got}")
    return False


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    archive, expected = sys.argv[1], expected_rows(sys.argv[2])
    good = True
    for module, reader, required in READERS:
        try:
            version = __import__(module).__version__
        except ImportError:
            print(f"{'FAILED ' if required else 'skipped'} {module}: not installed")
            good = good and not required
            continue
        try:
            for how, found in reader(archive):
                good = compare(f"{module} {version}", how, found, expected) and good
        except Exception as error:  # whatever a reader raises is a failed comparison, not the end of the others
            print(f"FAILED  {module} {version}: {type(error).__name__}: {error}")
            good = False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

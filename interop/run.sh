#!/usr/bin/env bash
# Opens an archive with other projects' Arrow readers: makes a Python environment, packs a generated tree, compares.
#
#     interop/run.sh FOLDER_OF_PROGRAMS
#
# Where Python or its packages cannot be had, says so and passes, unless CARRACK_REQUIRE_INTEROP is set.
set -euo pipefail
cd "$(dirname "$0")/.."
programs=$1
python=${PYTHON:-python3}
venv=${VENV:-.venv}

cannot() {
    echo "interop: NOT CHECKED: $1" >&2
    [[ -z ${CARRACK_REQUIRE_INTEROP:-} ]] || exit 1
    exit 0
}

if ! "$venv/bin/python" -c 'import pyarrow, polars, blake3' 2>/dev/null; then
    "$python" -c 'import venv, ensurepip' 2>/dev/null || cannot "$python with the venv module is needed"
    "$python" -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet pyarrow polars blake3 || cannot "pyarrow, polars and blake3 cannot be installed"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$programs/carrack-corpus" --out "$work/corpus" --scale 0.02 --only mixed,source >/dev/null
for corpus in mixed source; do
    "$programs/carrack" pack --quiet "$work/corpus/$corpus" -o "$work/$corpus.crk"
    "$venv/bin/python" interop/expected.py "$work/corpus/$corpus" >"$work/$corpus.json"
    "$venv/bin/python" interop/check.py "$work/$corpus.crk" "$work/$corpus.json"
done

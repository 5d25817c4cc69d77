#!/usr/bin/env bash
# Runs the criterion suites, compares them with the figures that `make bench BASE=name` kept, and lists what changed.
# Usage: bench/compare.sh NAME [FILTER], as `make bench-compare BASE=name` calls it.
set -euo pipefail
cd "$(dirname "$0")/.."
base=${1:-} filter=${2:-}
figures=${CRITERION_HOME:-${CARGO_TARGET_DIR:-target}/criterion}

# Criterion keeps the figures of a benchmark in a folder a name; those of the latest run are in "new".
kept() {
    if [[ -d $figures ]]; then
        find "$figures" -name benchmark.json | sed 's|/benchmark\.json$||; s|.*/||; /^new$/d' | sort -u
    fi
}

refuse() {
    local names
    names=$(kept | tr '\n' ' ')
    echo "bench-compare: $1" >&2
    echo "bench-compare: kept in $figures: ${names:-nothing}" >&2
    exit 2
}

[[ -n $base ]] || refuse 'BASE is not set: make bench-compare BASE=name, after make bench BASE=name'
[[ $'\n'$(kept)$'\n' == *$'\n'"$base"$'\n'* ]] || refuse "no figures are kept as $base: make bench BASE=$base does that"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Lenient: a benchmark that is newer than the figures is measured and named as such, and the run goes on.
${CARGO:-cargo} bench -p carrack-bench --bench suites -- --baseline-lenient "$base" ${filter:+"$filter"} | tee "$log"
awk -v base="$base" -f bench/changes.awk "$log"

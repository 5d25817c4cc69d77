#!/usr/bin/env bash
# Runs the fuzz targets for so many seconds in all, as many at once as there are cores: run.sh SECONDS FOLDER [TARGET…].
# FOLDER holds the programs. What is found is in fuzz/artifacts; exit code 1 then.
set -euo pipefail
cd "$(dirname "$0")"
seconds=$1 programs=$(realpath "../$2")
shift 2
targets=("$@")
((${#targets[@]})) || targets=(index archive codecs salvage differential head paths config)
jobs=${FUZZ_JOBS:-$(nproc)}
((jobs <= ${#targets[@]})) || jobs=${#targets[@]}
share=$(((seconds * jobs + ${#targets[@]} - 1) / ${#targets[@]}))
mkdir -p artifacts

one() {
    local target=$1 seeds=seeds/$1 options=()
    case $target in
    index | archive | salvage) seeds=seeds/archives options+=(-max_len=65536) ;;
    codecs) options+=(-max_len=16384) ;;
    differential) options+=(-max_len=4096) ;;
    config | paths) options+=(-max_len=2048 -dict=words.dict) ;;
    esac
    mkdir -p "corpus/$target" "regressions/$target" "$seeds"
    # A batch of rows may take 1 GiB (docs/format.md), its bytes and what Arrow makes of them included; time is that of slow
    # machines.
    if "$programs/fuzz-$target" "corpus/$target" "$seeds" "regressions/$target" -max_total_time="$share" \
        -timeout=60 -rss_limit_mb="${FUZZ_RSS_MB:-2560}" -artifact_prefix="artifacts/$target-" -print_final_stats=1 \
        -verbosity=1 "${options[@]}" >"artifacts/$target.log" 2>&1; then
        awk -v target="$target" '/number_of_executed_units/ { runs = $2 } / cov: / { line = $0 }
            END { match(line, /cov: [0-9]+/); print "fuzz " target ": " runs " runs, " substr(line, RSTART, RLENGTH) }' \
            "artifacts/$target.log"
    else
        echo "fuzz $target: FOUND SOMETHING; the end of fuzz/artifacts/$target.log:"
        grep -v '^INFO\|^#' "artifacts/$target.log" | tail -n 40
        return 1
    fi
}

echo "fuzz: ${#targets[@]} targets, $jobs at once, $share s each"
failed=0
for target in "${targets[@]}"; do
    while (($(jobs -rp | wc -l) >= jobs)); do wait -n || failed=1; done
    one "$target" &
done
while (($(jobs -p | wc -l))); do wait -n || failed=1; done
exit $failed

#!/usr/bin/env bash
# Prune to 50% and stop when that costs more than 2 points, or when the score is too low.
# Usage: examples/ci-gate.sh            (generated data; no network)
#        examples/ci-gate.sh --model MODEL --data DATA
set -euo pipefail
export PRUNE_WORKSPACE="${PRUNE_WORKSPACE:-gate-workspace}"
source_of=("${@:---demo}")

pruned=$(prune prune --task sst2 --level 0.5 --max-drop 2 "${source_of[@]}" --json)
run=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["runs"][-1]["name"])' <<<"$pruned")
prune evaluate "$run" --fail-under accuracy=0.80
echo "$run may be deployed: $PRUNE_WORKSPACE/runs/$run/model"

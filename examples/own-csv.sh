#!/usr/bin/env bash
# Your classifier and your labelled rows: what they can show, and the compressed model.
# Usage: examples/own-csv.sh MODEL rows.csv        (without both: generated data and a tiny model)
set -euo pipefail
mine=(--demo)
if [ $# -ge 2 ]; then mine=("$1" --data "$2" "${@:3}"); fi

prune compress "${mine[@]}" --dry-run
prune compress "${mine[@]}" --yes
cat compressed/README.md

#!/usr/bin/env bash
# The smallest model that is shown to lose less than a point, or none: for a release script.
# Usage: examples/smallest-under-one-point.sh MODEL --data rows.csv    (without: the demonstration)
set -euo pipefail
mine=("${@:---demo}")

prune compress "${mine[@]}" --smaller 2 --max-drop 1 --confidence 0.95 --yes --json > compressed.json
python3 -c 'import json; found = json.load(open("compressed.json")); print(found["chosen"]["bytes"], "bytes in", found["folder"])'

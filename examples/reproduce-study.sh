#!/usr/bin/env bash
# The published study's grid, its comparison and its report.
# Usage: examples/reproduce-study.sh               (from the hub)
#        examples/reproduce-study.sh --model DIR --data GLUE_DIR, or --demo
set -euo pipefail
prune sweep --config examples/study.toml "$@"
prune compare
prune report --format md html

"""Time of `prune report` over many runs, after imports, phase by phase.

    python benchmarks/reporting.py
    python benchmarks/reporting.py --seeds 1 12 --formats md html

The workspace is fabricated (records and predictions with the study's accuracies, no model): three
tasks, two strategies and seven levels for each seed, with their baselines, 2,000 examples each. The
whole command runs in this process: reading and verifying the files, the statistics, the figures,
and every format that is asked for. It is checked that no model library was loaded.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

RUNS_OF_A_SEED = 3 * (1 + 2 * 7)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 12], help="(1 12)")
    parser.add_argument("--formats", nargs="+", default=["md", "html", "latex", "csv", "json"])
    parser.add_argument("--examples", type=int, default=2000, help="in each split (2000)")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    for seeds in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            workspace = fabricated(Path(folder), seeds, options.examples)
            warm_up(workspace)
            measure(workspace, seeds, options.formats)
    loaded = {"torch", "transformers", "datasets"} & set(sys.modules)
    print(f"model libraries loaded: {', '.join(sorted(loaded)) or 'none'}")


def fabricated(folder: Path, seeds: int, examples: int) -> Path:
    """A workspace on disk; its files are whole, so that every check is passed in earnest."""
    from reporting.fabricate import Fabricated

    from prunecli.files import file_sha256
    from prunecli.store.folders import PREDICTIONS
    from prunecli.store.predictions import save_predictions
    from prunecli.store.workspace import Workspace

    made = Fabricated(examples=examples).study(seeds=seeds)
    workspace = Workspace(folder).prepare()
    for record in made.records:
        run = workspace.run_dir(record.name)
        run.mkdir()
        save_predictions(run / PREDICTIONS, made.files[record.name])
        files = {PREDICTIONS: file_sha256(run / PREDICTIONS)}
        workspace.write_record(run, record.model_copy(update={"files": files}))
    return folder


def warm_up(workspace: Path) -> None:
    """Import whatever the command does, and let Matplotlib find its fonts."""
    report(workspace, ["md"], "--task", "sst2")


def measure(workspace: Path, seeds: int, formats: list[str]) -> None:
    elapsed, spent = time.perf_counter(), time.process_time()
    report(workspace, formats)
    elapsed, spent = time.perf_counter() - elapsed, time.process_time() - spent
    print(
        f"{seeds * RUNS_OF_A_SEED} runs, {' '.join(formats)}: "
        f"{elapsed:.2f} s elapsed, {spent:.2f} s of processor time"
    )


def report(workspace: Path, formats: list[str], *more: str) -> None:
    from prunecli.cli import main as prune

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = prune(["report", "--format", *formats, "-w", str(workspace), *more])
    if code:
        raise SystemExit(f"prune report ended with exit code {code}")


if __name__ == "__main__":
    main()

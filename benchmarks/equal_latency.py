"""Cuts to a speed against cuts of one share in every layer and of one share in all, at equal time.

    python benchmarks/equal_latency.py BASELINE --faster 3 5 --deployed-as onnx-int8

For each speed the shares of the other two, one for heads and neurons alike, are the smallest that
take no longer by the same table of latencies. All are made, exported, scored and measured in one
run by the tool's own commands. Heads and neurons of all three are ranked by the same criterion and
what is left is refitted on the same examples.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LEAST, HALVINGS = 1e-4, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("baseline", help="a dense run of the workspace")
    parser.add_argument("--workspace", default="workspace")
    parser.add_argument("--data", help="where the data are, if not where they were")
    parser.add_argument("--faster", nargs="+", default=["3", "5"])
    parser.add_argument("--deployed-as", default="onnx-int8")
    parser.add_argument("--shape", default="1x128")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--rounds", default="20")
    options = parser.parse_args()
    where = ["-w", options.workspace, *(["--data", options.data] if options.data else [])]
    speeds = ["--deployed-as", options.deployed_as, "--shape", options.shape]
    speeds += ["--threads", options.threads]
    prune("prune", "--from", options.baseline, "--faster", *options.faster, *speeds, *where)
    names = {}
    for title, run, shares in contenders(options):
        if shares is not None:
            share, strategy = shares
            cut = ["--heads", share, "--neurons", share, "--strategy", strategy]
            prune("prune", "--from", options.baseline, *cut, *where)
            run = cut_of(options.workspace, float(share), strategy)
        names[exported(options, run, where)] = title
    batch, _, tokens = options.shape.partition("x")
    measured = ["--batch-size", batch, "--length", tokens, "--threads", options.threads]
    measured += ["--rounds", options.rounds, "-w", options.workspace]
    prune("bench", *names, *measured)
    show(options.workspace, names)


def prune(*words: str) -> None:
    """One command of the tool, printed and run."""
    from prunecli.cli import main as command

    print(f"$ prune {shlex.join(words)}", flush=True)
    if command(list(words)):
        raise SystemExit(1)


def contenders(options: argparse.Namespace) -> list[tuple[str, str, tuple[str, str] | None]]:
    """A title and a run, or the share and the strategy of one that is to be made."""
    from prunecli.pipelines.latency import latency_table
    from prunecli.records.runs import CutSpec
    from prunecli.runtimes.opening import load

    job = job_of(options)
    baseline = job.workspace.get(job.workspace.named_by(options.baseline) or options.baseline)
    model = load(job.workspace.run_dir(baseline.name))
    found: list[tuple[str, str, tuple[str, str] | None]] = []
    for run in job.workspace.runs():
        if not isinstance(run.spec, CutSpec) or run.spec.cut.speed is None or run.speed is None:
            continue
        speed = run.spec.cut.speed
        if run.spec.source != baseline.name or f"{speed.faster:g}" not in options.faster:
            continue
        if (speed.deployment, f"{speed.batch}x{speed.tokens}") != (
            options.deployed_as,
            options.shape,
        ):
            continue
        table = latency_table(job, model.config, speed)
        budget = cost(table, run.speed.heads, run.speed.neurons)
        found.append((f"{speed.faster:g}×, to the speed", run.name, None))
        for strategy in ("layerwise", "global"):
            share = share_within(job, baseline, model, strategy, table, budget)
            found.append((f"{speed.faster:g}×, {strategy}", "", (f"{share:.4f}", strategy)))
    return found


def job_of(options: argparse.Namespace) -> Any:
    from prunecli.pipelines.job import Job
    from prunecli.settings.model import Settings
    from prunecli.store.workspace import Workspace

    given = {"data": options.data} if options.data else {}
    return Job(Settings(**given), Workspace(Path(options.workspace)), "benchmark")


def cost(table: Any, heads: Sequence[int], neurons: Sequence[int]) -> float:
    """What a model takes beyond the fewest units, by the table."""
    import numpy as np

    total = 0.0
    for counts, times in ((heads, table.heads), (neurons, table.neurons)):
        known, taken = np.array(times).T
        total += float(np.interp(counts, known, taken).sum())
    return total


def share_within(
    job: Any, baseline: Any, model: Any, strategy: str, table: Any, budget: float
) -> float:
    """The smallest share of heads and neurons whose cut takes no longer than a budget."""
    from prunecli.core.structured import chosen
    from prunecli.core.sublayers import sublayers_of

    sublayers = sublayers_of(model)
    scores = scored(job, baseline, model)

    def takes(share: float) -> float:
        kept = chosen(sublayers, scores, {"heads": share, "neurons": share}, strategy)
        pairs = list(zip(sublayers, map(len, kept), strict=True))
        heads, neurons = (
            [count for sublayer, count in pairs if sublayer.kind == kind]
            for kind in ("heads", "neurons")
        )
        return cost(table, heads, neurons)

    low, high = 0.0, 1 - LEAST
    for _ in range(HALVINGS):
        middle = round((low + high) / 2, 4)
        low, high = (low, middle) if takes(middle) <= budget else (middle, high)
    return high


_SCORES: dict[str, Any] = {}


def scored(job: Any, baseline: Any, model: Any) -> Any:
    """How the units are ranked, as every cut of this baseline ranks them."""
    from prunecli.core.evidence import Evidence
    from prunecli.core.structured import unit_scores
    from prunecli.models.loading import check_labels, load_tokenizer
    from prunecli.pipelines.calibration import calibration_batches
    from prunecli.pipelines.makers.base import inputs_of
    from prunecli.pipelines.specs import pruned_specs

    if baseline.name not in _SCORES:
        settings = job.settings.model_copy(update={"heads": 0.5, "neurons": 0.5})
        (spec,) = pruned_specs(settings, baseline, "global", settings.unit_criterion)
        inputs = inputs_of(job, baseline, spec)
        folder = str(job.workspace.verified_model(baseline))
        batches = calibration_batches(
            inputs,
            load_tokenizer(folder),
            spec,
            config=model.config,
            outputs=check_labels(folder, inputs.task),
            among=range(len(inputs.data.train or ())),
        )
        evidence = Evidence(model, batches)
        _SCORES[baseline.name] = unit_scores(
            model, spec.criterion, seed=spec.seed, evidence=evidence
        )
    return _SCORES[baseline.name]


def cut_of(workspace: str, share: float, strategy: str) -> str:
    """The run that cut so much."""
    from prunecli.records.runs import CutSpec
    from prunecli.store.workspace import Workspace

    return next(
        run.name
        for run in Workspace(Path(workspace)).runs()
        if isinstance(run.spec, CutSpec)
        and (run.spec.cut.heads, run.spec.strategy) == (share, strategy)
    )


def exported(options: argparse.Namespace, run: str, where: Sequence[str]) -> str:
    """The artefact of a run in the deployment's format."""
    from prunecli.pipelines.deployments import DEPLOYMENTS
    from prunecli.store.workspace import Workspace

    deployment = DEPLOYMENTS.get(options.deployed_as)
    flags = [
        word
        for key, value in deployment.given.items()
        for word in ([f"--{key}"] if value is True else [f"--{key}", str(value)])
    ]
    words = ["export", run, "--format", deployment.format_name, *flags, *where]
    prune(*words, "--max-difference", "100")
    return next(
        one.name
        for one in Workspace(Path(options.workspace)).artefacts()
        if (one.run, one.spec.format) == (run, deployment.format_name)
        and dict(one.spec.settings) == deployment.settings
    )


def show(workspace: str, names: dict[str, str]) -> None:
    from prunecli.store.workspace import Workspace

    record = max(Workspace(Path(workspace)).benches(), key=lambda one: one.created)
    print(f"\n{record.machine.hardware}; {record.machine.software}; load {record.load}")
    for one in record.contenders:
        for cell in one.cells:
            if one.subject in names and cell.ratio is not None:
                ratio = cell.ratio
                print(
                    f"{names[one.subject]:24s} {ratio.value:.2f}× ({ratio.low:.2f} to "
                    f"{ratio.high:.2f}), score {100 * (one.score or 0):.2f}, drop "
                    f"{one.drop or 0:+.2f}"
                )


if __name__ == "__main__":
    main()

"""The tables of one section: each is made here once, and shown alike by every format."""

from __future__ import annotations

from prunecli.evaluation.change import BINS
from prunecli.reporting.facts.labels import start_kind
from prunecli.reporting.facts.pareto import front
from prunecli.reporting.facts.results import Curve, Section
from prunecli.reporting.tables.cells import (
    MISSING,
    TextTable,
    bounds,
    drop,
    heading,
    interval,
    level_cell,
    percent,
    set_title,
    sparsity,
    with_spread,
)
from prunecli.reporting.tables.marks import Marks, usual

FRAGILE_ROWS = 10
PHASES = ("calibrate", "prune", "train", "evaluate")
"""Parts of a run's time, as its record names them."""


def baseline_table(section: Section) -> TextTable:
    """The dense models: score with interval, examples, sizes."""
    metric, *others = section.metrics
    columns = (
        "Run",
        "Set",
        "Seed",
        "Examples",
        heading(metric),
        "95% interval",
        *map(heading, others),
        "Parameters",
        "Prunable",
    )
    rows = []
    for run in section.baselines:
        for split in section.splits:
            examples = run.data.evaluation_examples.get(split)
            scores = section.baseline.scores[split] if section.baseline else {}
            alone = len(section.baselines) == 1
            rows.append(
                (
                    run.name,
                    set_title(section, split),
                    str(run.spec.seed),
                    f"{examples:,}" if examples is not None else MISSING,
                    percent(run.metrics[split][metric]),
                    interval(scores[metric].interval) if alone else MISSING,
                    *(percent(run.metrics[split][other]) for other in others),
                    f"{run.model.parameters:,}",
                    f"{run.model.prunable:,}",
                )
            )
    if len(section.baselines) > 1 and section.baseline:
        rows += [
            (
                f"mean of {len(section.baselines)}",
                set_title(section, split),
                MISSING,
                MISSING,
                with_spread(section.baseline.scores[split][metric]),
                interval(section.baseline.scores[split][metric].interval),
                *(with_spread(section.baseline.scores[split][other]) for other in others),
                MISSING,
                MISSING,
            )
            for split in section.splits
        ]
    title = section.marked(f"{section.title}: baseline")
    return TextTable(title, columns, tuple(rows), _one_model(section), text_columns=2)


def _one_model(section: Section) -> str:
    """Which seeds do not count, since the dense model is the same; empty where all do."""
    same = section.baseline.repeats if section.baseline else ()
    if not same:
        return ""
    seeds = ", ".join(str(run.spec.seed) for run in same)
    return (
        f"Under seed{'s' * (len(same) != 1)} {seeds} it is the same model, weight for weight, and "
        "counts once. What is pruned from it without chance or training is one model, too; what "
        "chance prunes or training recovers with several seeds are several models of one training."
    )


def results_table(section: Section, curve: Curve, split: str) -> TextTable:
    """One method over the levels, on one split."""
    metric, *others = section.metrics
    several = len(section.baselines) > 1 or any(len(point.runs) > 1 for point in curve.points)
    columns = (
        "Sparsity",
        heading(metric),
        "95% interval",
        "Drop",
        "95% interval of the drop",
        "Compression",
        *map(heading, others),
        "Model",
        *(("Seeds",) if several else ()),
    )
    rows = []
    marks, reference = Marks(), usual(section, curve.points)
    for point in curve.points:
        score, own = point.scores[split][metric], section.behind(point.runs)
        rows.append(
            (
                sparsity(point),
                marks.cell(with_spread(score), own, reference),
                interval(score.interval),
                marks.cell(drop(score), own, reference),
                bounds(score.drop_interval),
                f"{point.compression:.2f}×",
                *(with_spread(point.scores[split][other]) for other in others),
                f"{point.model_compression:.2f}×",
                *((str(len(point.runs)),) if several else ()),
            )
        )
    where = f", {set_title(section, split)}" if len(section.splits) > 1 else ""
    title = section.marked(f"{section.title}: {curve.label}{where}")
    return TextTable(title, columns, tuple(rows), marks.note().strip(), text_columns=0)


def cut_table(section: Section) -> TextTable | None:
    """Every method that cut heads and neurons out; ``None`` where there is none."""
    if not section.cuts:
        return None
    several = len(section.splits) > 1
    rows = []
    marks, others = Marks(), usual(section, (curve.points[0] for curve in section.cuts))
    for curve in section.cuts:
        for point in curve.points:
            own = section.behind(point.runs)
            for split in section.splits:
                score = point.scores[split][section.metric]
                rows.append(
                    (
                        curve.label,
                        *((set_title(section, split),) if several else ()),
                        *(f"{share * 100:.4g}%" for share in point.shares_cut),
                        marks.cell(with_spread(score), own, others),
                        interval(score.interval),
                        marks.cell(drop(score), own, others),
                        bounds(score.drop_interval),
                        f"{point.nonzero_parameters:,.0f}",
                        f"{point.model_compression:.2f}×",
                        str(len(point.runs)),
                    )
                )
    columns = (
        "Method",
        *(("Set",) if several else ()),
        "Heads cut",
        "Neurons cut",
        heading(section.metric),
        "95% interval",
        "Drop",
        "95% interval of the drop",
        "Parameters",
        "Model",
        "Seeds",
    )
    return TextTable(
        section.marked(f"{section.title}: heads and neurons cut out"),
        columns,
        tuple(rows),
        "The matrices are smaller and have no zeros for it. Parameters: those left and not zero; "
        f"Model: those of the dense model over them.{marks.note()}",
        text_columns=2 if several else 1,
    )


def levels_table(section: Section) -> TextTable:
    """Every method at every level that was run, on the primary metric."""
    levels = sorted({point.level for curve in section.curves for point in curve.points})
    rows = []
    marks = Marks()
    others = usual(section, (point for curve in section.curves for point in curve.points))
    for curve in section.curves:
        at = {
            point.level: marks.cell(
                with_spread(section.primary(point)), section.behind(point.runs), others
            )
            for point in curve.points
        }
        rows.append((curve.label, *(at.get(level, MISSING) for level in levels)))
    dense = ""
    if section.baseline is not None:
        count = section.behind(section.baselines).told
        kind = start_kind(section.baseline.sparsity).capitalize()
        dense = f" {kind}: {with_spread(section.primary(section.baseline))} ({count})."
    where = f", {set_title(section, section.split)}" if len(section.splits) > 1 else ""
    return TextTable(
        section.marked(f"{section.title}: all methods{where}"),
        ("Method", *(f"{level * 100:.4g}%" for level in levels)),
        tuple(rows),
        f"{heading(section.metric)} by sparsity.{dense}{marks.note(drops=False)}",
    )


def change_table(section: Section) -> TextTable | None:
    """What pruning did beyond the average; ``None`` for a regression or without a baseline."""
    labels = section.runs[0].task.label_names
    rows = []
    marks, others = Marks(), usual(section)
    for curve in section.methods:
        for point in curve.points:
            change = point.change
            if change is None:
                continue
            recalls = zip(change.recalls_dense, change.recalls, strict=True)
            rows.append(
                (
                    curve.label,
                    marks.cell(level_cell(curve, point), section.behind(point.runs), others),
                    percent(change.lost),
                    percent(change.gained),
                    *(f"{percent(then)} → {percent(now)}" for then, now in recalls),
                    f"{percent(change.calibration_dense)} → {percent(change.calibration)}",
                )
            )
    if not rows:
        return None
    where = f", {set_title(section, section.split)}" if len(section.splits) > 1 else ""
    return TextTable(
        section.marked(f"{section.title}: beyond the average{where}"),
        ("Method", "Sparsity", "Lost", "Gained", *labels, "Calibration error"),
        tuple(rows),
        "In %. Lost: right before pruning and wrong after; gained: the other way round. Under each "
        "class the share of its examples that is answered right, dense → pruned. Calibration "
        f"error: expected, over {BINS} equal bins of confidence. Estimates, not tested."
        f"{marks.note(drops=False)}",
    )


def fragile_table(section: Section, most: int = FRAGILE_ROWS) -> TextTable | None:
    """The examples most often lost, at most so many; ``None`` where none is."""
    if not section.fragile:
        return None
    rows = [
        (
            str(one.index),
            one.label,
            one.answered,
            f"{one.lost_runs} of {one.runs}",
            f"{one.first_level * 100:.4g}%",
        )
        for one in section.fragile[:most]
    ]
    return TextTable(
        section.marked(f"{section.title}: the examples lost most often"),
        ("Example", "Label", "Answered instead", "Lost in", "From"),
        tuple(rows),
        "Example: its position in the file, from 0. Lost in: how many of the pruned runs, "
        "whose baseline answers it right, do not; all levels count, broken models among them. "
        "From: the lowest level at which one does not.",
        text_columns=3,
    )


def pareto_table(section: Section) -> TextTable:
    """The points that none beats in both score and non-zero parameters."""
    found = front(section)
    marks, others = Marks(), usual(section, (point for _, point in found))
    rows = []
    for curve, point in found:
        score, own = section.primary(point), section.behind(point.runs)
        rows.append(
            (
                curve.label,
                level_cell(curve, point),
                f"{point.nonzero_parameters:,.0f}",
                marks.cell(with_spread(score), own, others),
                marks.cell(drop(score), own, others),
            )
        )
    return TextTable(
        section.marked(f"{section.title}: Pareto front"),
        ("Method", "Sparsity", "Non-zero parameters", heading(section.metric), "Drop"),
        tuple(rows),
        "The points that no other beats in both score and non-zero parameters, by the estimates."
        f"{marks.note()}",
    )


def seconds_table(section: Section) -> TextTable:
    """What a run of each method took, phase by phase.

    A run that went on from a checkpoint knows only the seconds since, so it counts where there is
    no other.
    """
    rows = []
    interrupted = False
    for curve in section.methods:
        every = [run for point in curve.points for run in point.runs]
        whole = [run for run in every if not (run.training and run.training.resumed_from_step)]
        runs, least = whole or every, "" if whole else "≥ "
        took = {
            phase: sum(run.seconds.get(phase, 0.0) for run in runs) / len(runs) for phase in PHASES
        }
        known = {phase for run in runs for phase in run.seconds}
        cells = (f"{took[phase]:.1f}" if phase in known else MISSING for phase in PHASES)
        rows.append((curve.label, str(len(runs)), *cells, f"{least}{sum(took.values()):.1f}"))
        interrupted |= len(whole) < len(every)
    note = (
        "Mean wall-clock time of a run on the machine named below; what levels of a sweep share is "
        "counted in equal parts. Pruning during recovery stands under Prune."
    )
    if interrupted:
        note += (
            " Runs that were interrupted have the seconds since they went on: they are left out, "
            "or, where there are no others, marked ≥."
        )
    return TextTable(
        section.marked(f"{section.title}: seconds per run"),
        ("Method", "Runs", *(phase.capitalize() for phase in PHASES), "Together"),
        tuple(rows),
        note,
    )

"""The tables of a report: each is made here once, and shown alike by every format."""

from __future__ import annotations

from collections.abc import Sequence

from prunecli.evaluation.change import BINS
from prunecli.evaluation.statistics import Interval
from prunecli.reporting.facts.labels import start_kind
from prunecli.reporting.facts.marks import Marks, most_common, usual
from prunecli.reporting.facts.pareto import front
from prunecli.reporting.facts.results import METRIC_TITLES, Curve, Point, Score, Section, Table
from prunecli.reporting.verdicts.comparison import NEITHER, Comparison, Row
from prunecli.reporting.verdicts.level import Recommendation
from prunecli.text.numbers import decimals, points

MISSING = "—"
SUMMARY_LEVELS = (0.5, 0.8)
FRAGILE_ROWS = 10
PAIRS = 60
"""Pairs of methods that one table names at most."""
_VERDICTS = {
    "better": "A is better at",
    "worse": "B is better at",
    "equivalent": "Equivalent at",
    "not distinguishable": "Not distinguishable at",
    NEITHER: "Neither beats a constant answer at",
}
PHASES = ("calibrate", "prune", "train", "evaluate")
"""Parts of a run's time, as its record names them."""


def baseline_table(section: Section) -> Table:
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
    return Table(title, columns, tuple(rows), _one_model(section), text_columns=2)


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


def results_table(section: Section, curve: Curve, split: str) -> Table:
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
    marks, beside = Marks(), usual(section, curve.points)
    for point in curve.points:
        score, own = point.scores[split][metric], section.behind(point.runs)
        rows.append(
            (
                sparsity(point),
                marks.cell(with_spread(score), own, beside),
                interval(score.interval),
                marks.cell(drop(score), own, beside),
                bounds(score.drop_interval),
                f"{point.compression:.2f}×",
                *(with_spread(point.scores[split][other]) for other in others),
                f"{point.model_compression:.2f}×",
                *((str(len(point.runs)),) if several else ()),
            )
        )
    where = f", {set_title(section, split)}" if len(section.splits) > 1 else ""
    title = section.marked(f"{section.title}: {curve.label}{where}")
    return Table(title, columns, tuple(rows), marks.note().strip(), text_columns=0)


def cut_table(section: Section) -> Table | None:
    """Every method that cut heads and neurons out; ``None`` where there is none."""
    if not section.cuts:
        return None
    several = len(section.splits) > 1
    rows = []
    marks, others = Marks(), usual(section, (curve.points[0] for curve in section.cuts))
    for curve in section.cuts:
        cut = curve.method.cut
        for point in curve.points:
            own = section.behind(point.runs)
            for split in section.splits:
                score = point.scores[split][section.metric]
                rows.append(
                    (
                        curve.label,
                        *((set_title(section, split),) if several else ()),
                        f"{cut.heads * 100:.4g}%" if cut else MISSING,
                        f"{cut.neurons * 100:.4g}%" if cut else MISSING,
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
    return Table(
        section.marked(f"{section.title}: heads and neurons cut out"),
        columns,
        tuple(rows),
        "The matrices are smaller and have no zeros for it. Parameters: those left and not zero; "
        f"Model: those of the dense model over them.{marks.note()}",
        text_columns=2 if several else 1,
    )


def summary_table(
    sections: Sequence[Section], optimal: Sequence[Sequence[Recommendation]]
) -> Table:
    """One row per method: baseline, 50%, 80% and its optimal point.

    ``optimal`` has one recommendation for each curve of each section, of that curve alone.
    """
    columns = (
        "Task",
        "Type",
        "Method",
        "Metric",
        "Baseline",
        *(f"{level:.0%}" for level in SUMMARY_LEVELS),
        "Optimal point",
    )
    rows = []
    marks = Marks()
    for section, found in zip(sections, optimal, strict=True):
        dense = percent(section.primary(section.baseline).value) if section.baseline else MISSING
        others = usual(section, (point for curve in section.curves for point in curve.points))
        for curve, best in zip(section.curves, found, strict=True):
            own = {point.level: section.behind(point.runs) for point in curve.points}
            at = {
                point.level: marks.cell(
                    percent(section.primary(point).value), own[point.level], others
                )
                for point in curve.points
                if point.level in SUMMARY_LEVELS
            }
            chosen = _optimal(best)
            if best.level is not None:
                chosen = marks.cell(chosen, own[best.level], others)
            rows.append(
                (
                    section.marked(section.title),
                    section.type,
                    curve.label,
                    heading(section.metric),
                    dense,
                    *(at.get(level, MISSING) for level in SUMMARY_LEVELS),
                    chosen,
                )
            )
    asked = next((one for found in optimal for one in found), None)
    limits = ""
    if asked is not None:
        limits = f"{asked.confidence * 100:.4g}% confidence for each method, to lose at most "
        limits += points(asked.max_drop)
    where = ""
    if asked is not None and asked.select_on == "half":
        where = "; its drop is on the half of the examples that the choice did not use"
    note = (
        "Optimal point: the highest measured sparsity at which it and every lower measured level "
        f"are shown, with {limits} against their baseline{where}. Where "
        "none is shown, the one that the estimates alone would give stands in brackets. Drop: "
        f"baseline minus pruned, so that a loss is positive.{marks.note()}"
    )
    return Table("Summary", columns, tuple(rows), note, text_columns=4)


def levels_table(section: Section) -> Table:
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
    return Table(
        section.marked(f"{section.title}: all methods{where}"),
        ("Method", *(f"{level * 100:.4g}%" for level in levels)),
        tuple(rows),
        f"{heading(section.metric)} by sparsity.{dense}{marks.note(drops=False)}",
    )


def change_table(section: Section) -> Table | None:
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
    return Table(
        section.marked(f"{section.title}: beyond the average{where}"),
        ("Method", "Sparsity", "Lost", "Gained", *labels, "Calibration error"),
        tuple(rows),
        "In %. Lost: right before pruning and wrong after; gained: the other way round. Under each "
        "class the share of its examples that is answered right, dense → pruned. Calibration "
        f"error: expected, over {BINS} equal bins of confidence. Estimates, not tested."
        f"{marks.note(drops=False)}",
    )


def fragile_table(section: Section, most: int = FRAGILE_ROWS) -> Table | None:
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
    return Table(
        section.marked(f"{section.title}: the examples lost most often"),
        ("Example", "Label", "Answered instead", "Lost in", "From"),
        tuple(rows),
        "Example: its position in the file, from 0. Lost in: how many of the pruned runs, "
        "whose baseline answers it right, do not; all levels count, broken models among them. "
        "From: the lowest level at which one does not.",
        text_columns=3,
    )


def pareto_table(section: Section) -> Table:
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
    return Table(
        section.marked(f"{section.title}: Pareto front"),
        ("Method", "Sparsity", "Non-zero parameters", heading(section.metric), "Drop"),
        tuple(rows),
        "The points that no other beats in both score and non-zero parameters, by the estimates."
        f"{marks.note()}",
    )


def seconds_table(section: Section) -> Table:
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
    return Table(
        section.marked(f"{section.title}: seconds per run"),
        ("Method", "Runs", *(phase.capitalize() for phase in PHASES), "Together"),
        tuple(rows),
        note,
    )


def comparison_table(
    section: Section, rows: Sequence[Row], family: str = "made here", by: str | None = None
) -> Table:
    """Pairs of methods side by side with the difference and what may be said about it.

    ``family`` says which comparisons Holm's correction runs over, ``by`` what the methods differ
    in, where a report has several kinds of comparison.
    """
    pairs = {(row.first, row.second) for row in rows}
    single = next(iter(pairs)) if len(pairs) == 1 else None
    several = len({row.split for row in rows}) > 1
    leading = (*(("Set",) if several else ()), *(() if single else ("A against B",)))
    sides = single or ("A", "B")
    columns = (*leading, "Sparsity", *sides, "Difference", "95% interval", "p", "Seeds", "Verdict")
    body: list[tuple[str, ...]] = []
    marks, others = Marks(), most_common(row.behind for row in rows)
    for row in rows:
        found = row.difference
        body.append(
            (
                *((set_title(section, row.split),) if several else ()),
                *(() if single else (f"{row.first} against {row.second}",)),
                row.at,
                marks.cell(percent(row.value_first), row.behind, others),
                marks.cell(percent(row.value_second), row.behind, others),
                signed(found.estimate),
                f"{signed(found.interval.low)} to {signed(found.interval.high)}",
                p_value(found.p_value if found.p_adjusted is None else found.p_adjusted),
                str(row.seeds),
                verdict(row),
            )
        )
    where = "" if several or len(section.splits) == 1 else f", {set_title(section, rows[0].split)}"
    note = f"{heading(section.metric)}{where}. {_how_judged(rows, family)}{marks.note(drops=False)}"
    what = f"{single[0]} against {single[1]}" if single else "side by side"
    if by is not None:
        what = f"compared by {by}"
    title = section.marked(f"{section.title}: {what}")
    return Table(title, columns, tuple(body), note, text_columns=len(leading))


def _how_judged(rows: Sequence[Row], family: str) -> str:
    methods = sorted({row.difference.method for row in rows})
    within = {row.difference.margin for row in rows if row.difference.margin is not None}
    note = (
        f"Difference in percentage points, first minus second; "
        f"{'; '.join(methods)}; p adjusted by Holm over all comparisons {family}. A winner is "
        "named only where the adjusted p is under 0.05 and the interval does not hold zero."
    )
    if within:
        note += (
            f" Equivalent: shown by two one-sided tests, adjusted alike, to differ by less than "
            f"{' or '.join(points(margin * 100) for margin in sorted(within))}."
        )
    if any(row.verdict == NEITHER for row in rows):
        note += (
            f" {NEITHER.capitalize()}: neither is shown, by a one-sided test at 5% on the same "
            "examples, to score higher than always giving the same answer (for accuracy, the most "
            "frequent class)."
        )
    if any(row.seeds == 1 for row in rows):
        note += " What one seed shows is of these models: other trainings may differ."
    for caveat in sorted({row.behind.caveat for row in rows if row.behind.of_one_training}):
        note += f" Where all seeds are of one dense model: {caveat[0].lower()}{caveat[1:]}"
    return note


def pairs_table(section: Section, rows: Sequence[Row], family: str, by: str) -> Table:
    """The same in short: one row per pair, and at which levels what was shown."""
    pairs: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        pairs.setdefault((row.split, row.first, row.second), []).append(row)
    several = len({split for split, _, _ in pairs}) > 1
    marks, others = Marks(), most_common(row.behind for row in rows)

    def at(own: Sequence[Row], verdict: str) -> str:
        found = [row for row in own if row.verdict == verdict]
        return ", ".join(marks.cell(row.at, row.behind, others) for row in found) or MISSING

    body = []
    for (split, first, second), own in list(pairs.items())[:PAIRS]:
        found = sorted(row.difference.estimate for row in own)
        body.append(
            (
                *((set_title(section, split),) if several else ()),
                first,
                second,
                *(at(own, verdict) for verdict in _VERDICTS),
                f"{signed(found[0])} to {signed(found[-1])}",
            )
        )
    columns = (*(("Set",) if several else ()), "A", "B", *_VERDICTS.values(), "A minus B")
    note = (
        f"{heading(section.metric)}; the levels at which each was shown. "
        f"{_how_judged(rows, family)} A minus B: the least and the greatest estimate over the "
        f"levels. All of it: prune compare --by {by}.{marks.note(drops=False)}"
    )
    if len(pairs) > len(body):
        note += f" {len(pairs) - len(body)} more pairs are left out here."
    title = section.marked(f"{section.title}: compared by {by}")
    return Table(title, columns, tuple(body), note, text_columns=len(columns) - 1)


def comparison_tables(comparison: Comparison) -> tuple[Table, ...]:
    """One table per section that has something to compare."""
    return tuple(
        comparison_table(section, comparison.of(section)) for section in comparison.sections
    )


# Cells


def heading(metric: str) -> str:
    """A metric's column title with its unit."""
    unit = "%" if metric in ("accuracy", "f1") else "×100"
    return f"{METRIC_TITLES.get(metric, metric)} ({unit})"


def set_title(section: Section, split: str) -> str:
    return section.split_titles.get(split, split)


def percent(value: float) -> str:
    return f"{value * 100:.2f}"


def signed(value: float) -> str:
    """Percentage points of a fraction, with their sign; a zero has none."""
    return decimals(value * 100, signed=True)


def drop(score: Score) -> str:
    """Percentage points lost; a gain is negative."""
    return MISSING if score.drop is None else decimals(score.drop * 100)


def bounds(found: Interval | None) -> str:
    """A drop's interval, in percentage points."""
    if found is None:
        return MISSING
    return f"{decimals(found.low * 100)} to {decimals(found.high * 100)}"


def verdict(row: Row) -> str:
    """What may be said of a row, and never more."""
    found = row.difference
    if row.winner is None:
        return row.verdict
    within = ""
    if found.negligible and found.margin is not None:
        within = f", by less than {points(100 * found.margin)}"
    return f"{row.winner} is better{within}"


def with_spread(score: Score) -> str:
    spread = "" if score.spread is None else f" ± {percent(score.spread)}"
    return percent(score.value) + spread


def interval(found: Interval | None) -> str:
    if found is None:
        return MISSING
    return f"{percent(found.low)}–{percent(found.high)}".replace("-", "−")


def sparsity(point: Point) -> str:
    """The level asked for, with the achieved one where the two differ visibly."""
    asked, achieved = f"{point.level * 100:.4g}%", point.sparsity
    if abs(achieved - point.level) < 5e-4:
        return asked
    return f"{asked} (achieved {achieved * 100:.2f}%)"


def level_cell(curve: Curve, point: Point) -> str:
    """The level asked for; a cut has none."""
    return MISSING if curve.method.cut else f"{point.level * 100:.4g}%"


def p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _optimal(found: Recommendation) -> str:
    if found.level is None or found.value is None or found.drop is None:
        if found.estimated_level is None:
            return "none"
        return f"none shown ({found.estimated_level * 100:.4g}%)"
    return f"{found.level * 100:.4g}% ({percent(found.value)}, drop {decimals(found.drop)})"

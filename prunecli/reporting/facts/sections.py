"""From finished runs to sections: group what is alike, average over seeds, name the rest."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from prunecli.core.zeros import is_sparse
from prunecli.errors import IntegrityError
from prunecli.evaluation.recorded import class_count
from prunecli.evaluation.statistics import metric_interval
from prunecli.records.runs import BaselineSpec, CutSpec, DerivedSpec, RunRecord, level_key
from prunecli.reporting.facts.answers import Answers
from prunecli.reporting.facts.change import chance, change_of, fragile_examples
from prunecli.reporting.facts.labels import method_labels, method_order
from prunecli.reporting.facts.results import (
    Curve,
    Family,
    Method,
    Point,
    Score,
    Section,
    precision_used,
    sources_of,
    with_twins,
)
from prunecli.reporting.facts.trainings import twins_of
from prunecli.tasks import TASKS
from prunecli.text.numbers import counted
from prunecli.text.places import last_part


def build_sections(
    records: Iterable[RunRecord],
    answers: Answers,
    tasks: Sequence[str] | None = None,
    *,
    judged: bool = True,
) -> list[Section]:
    """One section per family of like runs, in the order of the task table, then by name.

    ``tasks`` keeps only these tasks. Without ``judged`` nothing is told of each point but its mean
    scores: no interval, no evidence for a drop and no change of examples, which take most of the
    time. Raises what loading predictions raises.
    """
    known = {record.name: record for record in records}
    families: dict[Family, list[RunRecord]] = defaultdict(list)
    for record in known.values():
        if tasks is None or {record.task.name, record.task.reference} & set(tasks):
            families[family_of(record, known)].append(record)
    order = {name: place for place, name in enumerate(TASKS.names())}
    ranked = sorted(
        families.items(),
        key=lambda item: (
            order.get(item[0].task, len(order)),
            item[0].task,
            item[0].generated,
            min(run.name for run in item[1]),
        ),
    )
    facts = [_facts(family, runs, known) for family, runs in ranked]
    names = [runs[0].task.title for _, runs in ranked]
    titles = _titles(names, facts)
    return [
        _section(family, runs, answers, title, own, judged)
        for (family, runs), title, own in zip(ranked, titles, facts, strict=True)
    ]


def family_of(record: RunRecord, known: dict[str, RunRecord]) -> Family:
    """What ``record`` may be compared within; ``known`` are all runs by name."""
    spec = record.spec
    origin: BaselineSpec | str
    if isinstance(spec, BaselineSpec):
        origin = spec.model_copy(update={"seed": 0})
    else:
        source = known.get(spec.source)
        origin = spec.source
        if source is not None and isinstance(source.spec, BaselineSpec):
            origin = source.spec.model_copy(update={"seed": 0})
    return Family(
        task=spec.task,
        data=spec.data,
        generated=record.data.generated,
        origin=origin,
        max_seq_length=spec.max_seq_length,
        evaluation=spec.evaluation,
    )


def _section(
    family: Family,
    runs: list[RunRecord],
    answers: Answers,
    title: tuple[str, str],
    facts: dict[str, str],
    judged: bool,
) -> Section:
    task = runs[0].task
    splits = tuple(split for split in task.splits if all(split in run.metrics for run in runs))
    if not splits:
        raise IntegrityError(
            f"runs of {family.task} have no evaluation split in common",
            hint=f"remove those that were scored otherwise, such as {runs[0].name}",
        )
    others = [name for name in runs[0].metrics[splits[0]] if name != task.primary_metric]
    metrics = (task.primary_metric, *others)
    every: dict[tuple[Method | None, float], list[RunRecord]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.spec.seed, run.name)):
        spec = run.spec
        method = Method.of(spec) if isinstance(spec, DerivedSpec) else None
        every[method, level_key(run.level)].append(run)
    twins = {name: other for alike in every.values() for name, other in twins_of(alike).items()}
    groups = {key: [run for run in alike if run.name not in twins] for key, alike in every.items()}
    dense_runs = {run.name: run for run in groups.get((None, 0.0), ())}
    baselines = with_twins(dense_runs, twins)
    scores = _average(groups, baselines, splits, metrics)
    points: dict[Method | None, list[Point]] = defaultdict(list)
    for (method, level), members in sorted(groups.items(), key=lambda item: item[0][1]):
        repeats = tuple(run for run in every[method, level] if run.name in twins)
        found = scores[method, level]
        if not judged:
            points[method].append(Point(level, tuple(members), found, repeats=repeats))
            continue
        dense = sources_of(members, baselines)
        for split in splits:
            found[split][metrics[0]] = _judged(
                found[split][metrics[0]], answers, members, dense, split, metrics[0]
            )
        change = change_of(answers, members, dense, splits[0]) if dense else None
        above = answers.beats_constant(metrics[0], splits[0], members)
        points[method].append(Point(level, tuple(members), found, change, above, repeats))
    methods = sorted((m for m in points if m is not None), key=method_order)
    curves = [
        Curve(method, label, tuple(points[method]))
        for method, label in zip(methods, method_labels(methods), strict=True)
    ]
    zeroed = [run for run in runs if not isinstance(run.spec, CutSpec) and run.name not in twins]
    return Section(
        family=family,
        title=title[0],
        distinction=title[1],
        type=task.type,
        metrics=metrics,
        splits=splits,
        split_titles={split: named for split, named in task.splits.items() if named},
        baselines=tuple(groups.get((None, 0.0), ())),
        baseline=points[None][0] if None in points else None,
        curves=tuple(curve for curve in curves if curve.method.cut is None),
        cuts=tuple(curve for curve in curves if curve.method.cut is not None),
        chance=chance(answers, runs[0], splits[0], metrics[0]),
        fragile=fragile_examples(answers, zeroed, baselines, splits[0]) if judged else (),
        facts=facts,
        twins=twins,
    )


def _average(
    groups: dict[tuple[Method | None, float], list[RunRecord]],
    baselines: dict[str, RunRecord],
    splits: tuple[str, ...],
    metrics: tuple[str, ...],
) -> dict[tuple[Method | None, float], dict[str, dict[str, Score]]]:
    """Mean, spread and mean drop over the seeds of each group, per split and metric."""
    import pandas as pd

    keys = list(groups)
    rows = []
    for number, key in enumerate(keys):
        for run in groups[key]:
            source = run.spec.source if isinstance(run.spec, DerivedSpec) else ""
            dense = baselines.get(source)
            for split in splits:
                for metric in metrics:
                    value = run.metrics[split][metric]
                    drop = dense.metrics[split][metric] - value if dense else math.nan
                    rows.append((number, split, metric, value, drop))
    frame = pd.DataFrame(rows, columns=["group", "split", "metric", "value", "drop"])
    # a mean drop over only some of the seeds would not belong to the mean beside it
    frame["whole"] = frame["drop"].notna()
    means = frame.groupby(["group", "split", "metric"], sort=False).agg(
        value=("value", "mean"),
        spread=("value", "std"),
        drop=("drop", "mean"),
        whole=("whole", "all"),
    )
    scores: dict[tuple[Method | None, float], dict[str, dict[str, Score]]] = {
        key: {split: {} for split in splits} for key in keys
    }
    for row in means.reset_index().itertuples(index=False):
        scores[keys[row.group]][row.split][row.metric] = Score(
            value=float(row.value),
            spread=None if math.isnan(row.spread) else float(row.spread),
            drop=float(row.drop) if row.whole else None,
        )
    return scores


def _judged(
    score: Score,
    answers: Answers,
    runs: Sequence[RunRecord],
    dense: Sequence[RunRecord] | None,
    split: str,
    metric: str,
) -> Score:
    """The score with its interval and, where there are baselines, the evidence for its drop."""
    labels, given = answers.stack(runs, split)
    return replace(
        score,
        interval=metric_interval(metric, labels, given, class_count(runs[0])),
        loss=answers.difference(metric, split, dense, runs) if dense else None,
    )


def _facts(family: Family, runs: list[RunRecord], known: dict[str, RunRecord]) -> dict[str, str]:
    """Model, data and settings of a family, as people read them."""
    origin = family.origin
    first = runs[0]
    if isinstance(first.spec, DerivedSpec) and first.spec.source in known:
        source = known[first.spec.source]
    else:
        source = first
    facts = {
        "Model": last_part(source.model.name),
        "Architecture": source.model.architecture,
        "Data": last_part(first.data.source),
        "Data fingerprint": _short(family.data),
        "Tokens at most": str(family.max_seq_length),
        "Evaluated on": "all examples"
        if family.evaluation.max_eval_samples is None
        else f"at most {counted(family.evaluation.max_eval_samples, 'example')}",
        "Scored in": family.evaluation.precision,
    }
    start = _start_sparsity(source, first)
    if start is not None and is_sparse(start):
        facts["Sparsity before pruning"] = (
            f"{start:.1%}: the baseline is sparse already; where its zeros were kept they count "
            "towards a level, and no such run is less sparse"
        )
    if isinstance(origin, str):
        return facts | {"Pruned from": _short(origin)}
    if origin.model != source.model.name:
        facts["Model identity"] = _short(origin.model)
    if origin.labels:
        facts["Labels of its outputs"] = ", ".join(origin.labels)
    training = origin.training
    if training is None:
        return facts | {"Baseline training": "none, the model was taken as it is"}
    used = precision_used([run for run in runs if isinstance(run.spec, BaselineSpec)], training)
    facts["Baseline training"] = (
        f"{training.epochs:g} epochs, learning rate {training.learning_rate:g}, "
        f"batch {training.batch_size}, weight decay {training.weight_decay:g}, "
        f"warm-up {training.warmup:.0%}, precision {training.precision}"
        + (f" ({used})" if used != training.precision else "")
    )
    if training.max_train_samples is not None:
        facts["Training examples"] = f"limited to {training.max_train_samples:,}"
    elif source.training is not None:
        facts["Training examples"] = f"{source.training.examples:,}"
    return facts


def _start_sparsity(source: RunRecord, run: RunRecord) -> float | None:
    """Of the baseline, or what a run says that it was pruned from where that is not at hand."""
    return source.sparsity if isinstance(source.spec, BaselineSpec) else run.start_sparsity


def _short(identity: str) -> str:
    """Of a long hash its first twelve digits, of anything else all."""
    kind, colon, digits = identity.rpartition(":")
    if len(digits) >= 32 and all(digit in "0123456789abcdef" for digit in digits):
        return f"{kind}{colon}{digits[:12]}"
    return identity


def _titles(names: list[str], facts: list[dict[str, str]]) -> list[tuple[str, str]]:
    """The task's title, numbered when it has several families, and what tells each apart."""
    titles = []
    for place, (name, own) in enumerate(zip(names, facts, strict=True)):
        alike = [other for other, rival in enumerate(names) if rival == name]
        told = [
            f"{key.lower()}: {value}"
            for key, value in own.items()
            if any(facts[other].get(key) != value for other in alike)
        ]
        number = f", {alike.index(place) + 1} of {len(alike)}" if len(alike) > 1 else ""
        titles.append((name + number, "; ".join(told)))
    return titles

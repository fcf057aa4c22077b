"""From finished runs to sections: group what is alike, average over seeds, name the rest."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from prunecli.core.patterns import parse_pattern
from prunecli.errors import IntegrityError
from prunecli.evaluation.predictions import Predictions
from prunecli.evaluation.statistics import Interval, metric_interval
from prunecli.records import BaselineSpec, PrunedSpec, RunRecord
from prunecli.reporting.results import Curve, Family, Method, Point, Score, Section
from prunecli.tasks import TASKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

Load = Callable[[str], dict[str, Predictions]]
"""From a run's name to its predictions by split."""

GROWTH = ("initial_sparsity", "update_every", "settle")
STRATEGY_TITLES = {"layerwise": "layer-wise"}


class Answers:
    """Predicted classes (or scores) of runs, each file read once."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._known: dict[str, dict[str, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]] = {}

    def stack(self, runs: Sequence[RunRecord], split: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Labels [examples] and answers [runs, examples].

        Raises `IntegrityError` when the runs were not scored on the same examples or a file does
        not hold what the run's record says.
        """
        import numpy as np

        parts = [self._of(run, split) for run in runs]
        index, labels, _ = parts[0]
        for run, (other, truth, _) in zip(runs, parts, strict=True):
            if not (np.array_equal(index, other) and np.array_equal(labels, truth)):
                raise IntegrityError(
                    f"runs {runs[0].name} and {run.name} were scored on different examples "
                    f"of {split} though their records say the same data",
                    hint="remove one of them and run its command again",
                )
        return labels, np.stack([answers for _, _, answers in parts])

    def _of(self, run: RunRecord, split: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        if run.name not in self._known:
            found = self._load(run.name)
            for name in run.metrics:
                _check(run, name, found.get(name))
            self._known[run.name] = {
                name: (part.index, part.labels, part.answers) for name, part in found.items()
            }
        return self._known[run.name][split]


def _check(run: RunRecord, split: str, predictions: Predictions | None) -> None:
    """See that a run's predictions are there and give the accuracy that its record states."""
    hint = f"remove the run and run its command again: {run.command}"
    if predictions is None:
        raise IntegrityError(f"run {run.name} has no predictions of {split}", hint=hint)
    recorded = run.metrics[split].get("accuracy")
    if recorded is None or predictions.regression:
        return
    counted = float(predictions.correct.mean())
    if not math.isclose(counted, recorded, abs_tol=1e-6):
        raise IntegrityError(
            f"run {run.name} records accuracy {recorded:.6f} on {split}, "
            f"its predictions give {counted:.6f}",
            hint=hint,
        )


def build_sections(
    records: Iterable[RunRecord], answers: Answers, tasks: Sequence[str] | None = None
) -> list[Section]:
    """One section per family of like runs, in the order of the task table, then by name.

    ``tasks`` keeps only these tasks. Raises what loading predictions raises.
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
        _section(family, runs, known, answers, title, own)
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
    known: dict[str, RunRecord],
    answers: Answers,
    title: tuple[str, str],
    facts: dict[str, str],
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
    baselines = {run.name: run for run in runs if isinstance(run.spec, BaselineSpec)}
    groups: dict[tuple[Method | None, float], list[RunRecord]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.spec.seed, run.name)):
        spec = run.spec
        method = Method.of(spec) if isinstance(spec, PrunedSpec) else None
        groups[method, round(run.level, 9)].append(run)
    scores = _average(groups, baselines, splits, metrics)
    points: dict[Method | None, list[Point]] = defaultdict(list)
    for (method, level), members in sorted(groups.items(), key=lambda item: item[0][1]):
        found = scores[method, level]
        for split in splits:
            primary = found[split][metrics[0]]
            interval = _interval(answers, members, split, metrics[0])
            found[split][metrics[0]] = Score(primary.value, primary.spread, interval, primary.drop)
        points[method].append(Point(level, tuple(members), found))
    methods = sorted((m for m in points if m is not None), key=_method_order)
    labels = method_labels(methods)
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
        curves=tuple(
            Curve(method, label, tuple(points[method]))
            for method, label in zip(methods, labels, strict=True)
        ),
        majority=_majority(answers, runs[0], splits[0]) if metrics[0] == "accuracy" else None,
        facts=facts,
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
            source = run.spec.source if isinstance(run.spec, PrunedSpec) else ""
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


def _interval(answers: Answers, runs: list[RunRecord], split: str, metric: str) -> Interval:
    labels, given = answers.stack(runs, split)
    return metric_interval(metric, labels, given, class_count(runs[0]))


def class_count(run: RunRecord) -> int:
    """How many classes the run's task has; 1 for regression."""
    return len(run.task.label_names) or 1


def _majority(answers: Answers, run: RunRecord, split: str) -> float:
    import numpy as np

    labels, _ = answers.stack([run], split)
    return float(np.bincount(labels).max() / len(labels))


# Names


def _method_order(method: Method) -> tuple[Any, ...]:
    """One-shot first, then by what is removed and how."""
    return (
        method.recovery.epochs if method.recovery else 0.0,
        method.distillation is not None,
        method.pattern != "unstructured",
        method.pattern,
        method.criterion != "magnitude",
        method.criterion,
        method.strategy,
        repr(method),
    )


def method_labels(methods: Sequence[Method]) -> list[str]:
    """A short label for each method; whatever tells two of them apart is in theirs.

    What is said of all is short; other settings are named where two would be called the same.
    """
    several_criteria = len({method.criterion for method in methods}) > 1
    short = [_short_label(method, several_criteria) for method in methods]
    settings = [_flat(_used(method)) for method in methods]
    labels = []
    for label, own in zip(short, settings, strict=True):
        rivals = [other for name, other in zip(short, settings, strict=True) if name == label]
        telling = [key for key in own if any(_tells(key, own, rival) for rival in rivals)]
        labels.append(", ".join([label, *filter(None, (_said(key, own[key]) for key in telling))]))
    return labels


def _used(method: Method) -> dict[str, Any]:
    """Its settings, without those of growth where all goes in one step."""
    unused = GROWTH if method.schedule == "oneshot" else ()
    return {key: value for key, value in method.as_dict().items() if key not in unused}


def _short_label(method: Method, several_criteria: bool) -> str:
    pattern = parse_pattern(method.pattern)
    words = [STRATEGY_TITLES.get(method.strategy, method.strategy)]
    if pattern.fixed_level is not None:  # every group loses as much, so there is nothing to share
        words = [method.pattern]
    elif not pattern.is_unstructured:
        words.append(method.pattern)
    if method.criterion != "magnitude" or several_criteria:
        words.append(method.criterion)
    parts = [" ".join(words)]
    if method.recovery is not None:
        each = " per level, chained" if method.chain else ""
        count = f"{method.recovery.epochs:.3g}"
        parts.append(f"{count} recovery {'epoch' if count == '1' else 'epochs'}{each}")
    if method.distillation is not None:
        parts.append("distilled")
    return ", ".join(parts)


def _tells(key: str, own: dict[str, Any], rival: dict[str, Any]) -> bool:
    if key == "calibration_samples" and None in (own[key], rival[key]):
        return False  # then the criteria differ, of which one learns from no data
    return bool(own[key] != rival.get(key))


def _said(key: str, value: Any) -> str:
    """One setting in words; nothing where it is not set."""
    if value is None or value == "":
        return ""
    if key == "first_criterion":
        return f"{value} first"
    if isinstance(value, tuple):
        value = " ".join(f"{item:g}" for item in value)
    return f"{key.rpartition('.')[2].replace('_', ' ')} {value}"


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _facts(family: Family, runs: list[RunRecord], known: dict[str, RunRecord]) -> dict[str, str]:
    """Model, data and settings of a family, as people read them."""
    origin = family.origin
    first = runs[0]
    if isinstance(first.spec, PrunedSpec) and first.spec.source in known:
        source = known[first.spec.source]
    else:
        source = first
    facts = {
        "Model": source.model.name,
        "Architecture": source.model.architecture,
        "Data": first.data.source,
        "Data fingerprint": _short(family.data),
        "Tokens at most": str(family.max_seq_length),
        "Evaluated on": "all examples"
        if family.evaluation.max_eval_samples is None
        else f"at most {family.evaluation.max_eval_samples:,} examples",
        "Scored in": family.evaluation.precision,
    }
    if isinstance(origin, str):
        return facts | {"Pruned from": _short(origin)}
    if origin.model != source.model.name:
        facts["Model identity"] = _short(origin.model)
    training = origin.training
    if training is None:
        return facts | {"Baseline training": "none, the model was taken as it is"}
    facts["Baseline training"] = (
        f"{training.epochs:g} epochs, learning rate {training.learning_rate:g}, "
        f"batch {training.batch_size}, weight decay {training.weight_decay:g}, "
        f"warm-up {training.warmup:.0%}, precision {training.precision}"
    )
    if training.max_train_samples is not None:
        facts["Training examples"] = f"limited to {training.max_train_samples:,}"
    elif source.training is not None:
        facts["Training examples"] = f"{source.training.examples:,}"
    return facts


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

"""The card of a run's model: ``README.md`` with a YAML header, as the Hugging Face hub reads it.

It is written from records and the predictions beside them, and says nothing that they do not say.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from prunecli.core.patterns import parse_pattern
from prunecli.core.zeros import is_sparse
from prunecli.data.hub import REPOSITORY
from prunecli.data.source import HUB
from prunecli.evaluation.statistics import Interval, wilson
from prunecli.records.runs import (
    GROWTH,
    BaselineSpec,
    CutSpec,
    DerivedSpec,
    PrunedSpec,
    RunRecord,
)
from prunecli.reporting.facts.labels import start_kind
from prunecli.text.markup import code, one_line, text
from prunecli.text.numbers import decimals

if TYPE_CHECKING:
    from huggingface_hub import EvalResult
    from pydantic import BaseModel

    from prunecli.registry import Registry

PIPELINE: Final = "text-classification"
HUB_METRICS: Final[Mapping[str, str]] = {
    "matthews": "matthews_correlation",
    "pearson": "pearsonr",
    "spearman": "spearmanr",
}
"""What the hub calls a metric, where it has another name for it."""

_UNKNOWN = "—"
_DEMO = "demo"
"""The fingerprint of a model that started from nothing (see `BaselineSpec.model`)."""
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_MOST_LABELS = 100
_LONG = 1000

_GENERATED = """\
> **Made on generated data.** A program wrote the examples that this model was scored on. Its scores
> say nothing about any real task."""

_SPARSITY = """\
Sparsity is the fraction of exact zeros among the prunable weights, those of the encoder's linear
layers: {prunable:,} of {parameters:,} parameters. Embeddings, LayerNorms, biases and the classifier
stay dense, so {nonzero:,} parameters ({share}) are not zero. A zero is stored and multiplied like
any other number: **zeros alone make neither the file smaller nor the model faster.** That takes a
format or a kernel that leaves them out."""

_CUT = """\
The heads and neurons are cut out of the weight matrices: of {dense:,} parameters {parameters:,} are
left (dense / left: {times}). The file is smaller by what went, and the matrices that are left are
dense."""

_STRUCTURE = """\
Its layers have other numbers of heads or neurons than a configuration can say. `structure.json` has
them, and **plain `from_pretrained` cannot load it; `prunecli.load` does.**

"""

_LOADING = """\
```python
{imports}

folder = "path/to/this/folder"
model = {load}(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
inputs = tokenizer({texts}, truncation=True, max_length={length}, return_tensors="pt")
logits = model(**inputs).logits[0]
{answer}
```"""


def model_card(
    record: RunRecord,
    baseline: RunRecord | None = None,
    drops: Mapping[str, Interval] | None = None,
    *,
    stock: bool = True,
) -> str:
    """The whole card of a run's model.

    ``baseline`` is the record of the dense run that a pruned one was made from; without it the
    card gives no drop. ``drops`` has, by split, the paired 95% interval of what the primary metric
    lost, a fraction, where it is known. ``stock`` says whether plain ``from_pretrained`` loads the
    folder.
    """
    spec = record.spec
    if isinstance(spec, CutSpec):
        title = f"{record.task.title}, {spec.cut.title} cut out"
        made = ["## How it was pruned", _listed(_what_was_cut(record, spec)), _cut(record)]
    elif isinstance(spec, PrunedSpec):
        title = f"{record.task.title}, pruned to {_percent(spec.level)}"
        made = ["## How it was pruned", _listed(_pruned(record, spec)), _sparsity(record)]
    else:
        title = f"{record.task.title}, {start_kind(record.sparsity)}"
        made = ["## How it was trained", _listed(_trained(record, spec))]
    generated = record.data.generated
    parts = [
        f"---\n{_header(record, baseline)}\n---",
        f"# {text(title)}" + (" (generated data)" if generated else ""),
        *([_GENERATED] if generated else []),
        _listed(_facts(record)),
        "## Scores",
        *_scores(record, baseline, drops or {}),
        *made,
        "## How to load it",
        _loading(record, stock=stock),
        "## Limits",
        _listed(_limits(record, baseline)),
        "## Where it comes from",
        _listed(_provenance(record)),
        code([record.command]),
    ]
    return "\n\n".join(parts) + "\n"


# Header


def _header(record: RunRecord, baseline: RunRecord | None) -> str:
    """The metadata as YAML; ``huggingface_hub`` quotes what YAML would read otherwise."""
    from huggingface_hub import ModelCardData

    hub = _from_hub(record)
    learnt = any(run.training is not None for run in (record, baseline) if run is not None)
    tags = ["prunecli"]
    if isinstance(record.spec, PrunedSpec):
        tags += ["pruning", "sparse", record.spec.pattern]
    elif isinstance(record.spec, CutSpec):
        tags += ["pruning", "structured"]
    if record.data.generated:
        tags.append("generated-data")
    metrics = dict.fromkeys(name for found in record.metrics.values() for name in found)
    data = ModelCardData(
        language="en" if hub else None,  # GLUE is
        library_name="transformers",
        pipeline_tag=PIPELINE,
        base_model=_hub_id(record),
        datasets=[REPOSITORY] if hub and learnt else None,
        tags=tags,
        metrics=[_hub_metric(name) for name in metrics],
        model_name=record.name,
        eval_results=_results(record),
    )
    return data.to_yaml()


def _results(record: RunRecord) -> list[EvalResult]:
    from huggingface_hub import EvalResult

    hub, title = _from_hub(record), one_line(record.task.title, _LONG)
    kind, name = "local", title
    if record.data.generated:
        kind, name = "generated", f"generated data in the shape of {title}"
    elif hub:
        kind, name = REPOSITORY, f"GLUE {title}"
    return [
        EvalResult(
            task_type=PIPELINE,
            dataset_type=kind,
            dataset_name=name,
            dataset_config=record.task.name if hub else None,
            dataset_split=split,
            metric_type=_hub_metric(metric),
            metric_value=value,
        )
        for split, found in record.metrics.items()
        for metric, value in found.items()
    ]


def _from_hub(record: RunRecord) -> bool:
    return record.data.source == HUB


def _hub_metric(name: str) -> str:
    return HUB_METRICS.get(name, name)


def _hub_id(record: RunRecord) -> str | None:
    """The hub's model that it started from; ``None`` for a local folder and the demo's."""
    name, _, _ = record.model.fingerprint.partition("@")
    return name if name != _DEMO and _HUB_ID.fullmatch(name) else None


# Body


def _facts(record: RunRecord) -> dict[str, str]:
    task, model, labels = record.task, record.model, record.task.label_names
    shown = ", ".join(text(label) for label in labels[:_MOST_LABELS])
    if len(labels) > _MOST_LABELS:
        shown += f" and {len(labels) - _MOST_LABELS} more"
    start = f"the local folder {model.name} ({model.fingerprint})"
    if model.fingerprint == _DEMO:
        start = "nothing: a tiny model to try the tools on"
    elif _hub_id(record):
        start = f"{model.fingerprint} on the Hugging Face hub"
    return {
        "Task": text(f"{task.title} ({task.type})"),
        "Model": text(model.architecture),
        "Started from": text(start),
        "Labels": shown + "; `model.config.id2label` has the order of the outputs"
        if labels
        else "none: the one output is a score",
        "Run": text(record.name),
    }


def _scores(
    record: RunRecord, baseline: RunRecord | None, drops: Mapping[str, Interval]
) -> list[str]:
    """The table of scores, and how to read it."""
    pruned = isinstance(record.spec, DerivedSpec)
    columns = ["Split", "Metric", "Examples", "Score", "95% interval"]
    columns += ["Dense", "Drop"] * pruned + ["95% interval of the drop"] * bool(drops)
    rows = [columns, ["---", "---"] + ["---:"] * (len(columns) - 2)]
    for split, found in record.metrics.items():
        count = record.data.evaluation_examples.get(split)
        for metric, value in found.items():
            row = [text(split), text(metric), f"{count:,}" if count else _UNKNOWN, _points(value)]
            row.append(_interval(value, count) if metric == "accuracy" and count else _UNKNOWN)
            if pruned:
                dense = baseline.metrics.get(split, {}).get(metric) if baseline else None
                row += [_UNKNOWN] * 2 if dense is None else [_points(dense), _points(dense - value)]
            if drops:
                known = drops.get(split) if metric == record.task.primary_metric else None
                row.append(_bounds(known) if known else _UNKNOWN)
            rows.append(row)
    note = "Scores are fractions times 100. The interval is Wilson's for an accuracy."
    if pruned:
        note += " The drop is dense minus pruned, in points, on the same examples."
        if baseline is None:
            note += " The record of the dense model was not at hand, so no drop is given."
        if drops:
            note += (
                " Its interval is paired: Tango's for an accuracy, a bootstrap over examples for "
                "another metric."
            )
    return ["\n".join(f"| {' | '.join(row)} |" for row in rows), note]


def _trained(record: RunRecord, spec: BaselineSpec) -> dict[str, str]:
    if spec.training is None:
        facts = {"Training": "none here; the model was taken as it is"}
        if is_sparse(record.sparsity):
            facts["Sparsity"] = f"{record.sparsity:.4%}: it came with these zeros"
        return facts
    return {"Fine-tuning": text(_settings(spec.training)), **_steps(record)}


def _pruned(record: RunRecord, spec: PrunedSpec) -> dict[str, str]:
    from prunecli.core.allocation import ALLOCATIONS
    from prunecli.core.criteria import CRITERIA

    zeros = sum(layer.zeros for layer in record.layers.values())
    start = record.start_sparsity
    sparse = start is not None and is_sparse(start)
    facts = {
        "Start" if sparse else "Dense model": spec.source,
        "Sparsity": f"{_percent(spec.level)} asked for, {record.sparsity:.4%} achieved: "
        f"{zeros:,} of {record.model.prunable:,} prunable weights are zero",
        "Strategy": _explained(spec.strategy, ALLOCATIONS),
        "Criterion": _explained(spec.criterion, CRITERIA),
        "Pattern": spec.pattern,
    }
    if sparse:
        kept = "kept" if spec.keep_zeros else "free to come back"
        facts["Sparsity of the start"] = f"{start:.4%}, its zeros {kept}"
    if parse_pattern(spec.pattern).fixed_level is not None:
        del facts["Strategy"]  # every group loses as much, so there is nothing to share
    if spec.first_criterion is not None:
        facts["First criterion"] = _explained(spec.first_criterion, CRITERIA)
    if spec.calibration_samples is not None:
        facts["Calibration"] = f"{spec.calibration_samples:,} training examples at most"
    if spec.recovery is None:
        facts["Recovery"] = "none: nothing was trained after pruning"
        return {key: text(value, _LONG) for key, value in facts.items()}
    facts["Recovery"] = _settings(spec.recovery)
    grows = {"delay"}
    if spec.schedule != "oneshot":
        grows |= {*GROWTH} - {"first_criterion"}  # which has a row of its own
    facts["Growth of sparsity"] = f"{spec.schedule}, {_settings(spec, grows)}"
    facts["Distillation"] = _teaching(spec)
    if spec.chain:
        levels = ", ".join(map(_percent, spec.chain[1:]))
        before = f" from the weights of {spec.after}" if spec.after else ""
        facts["Chain"] = f"part of one training through {levels}{before}"
    facts["Weights kept"] = spec.keep
    return {key: text(value, _LONG) for key, value in facts.items()} | _steps(record)


def _what_was_cut(record: RunRecord, spec: CutSpec) -> dict[str, str]:
    from prunecli.core.importance import UNIT_CRITERIA

    cut = spec.cut
    facts = {
        "Dense model": spec.source,
        "Cut out": f"{cut.title}, attention heads and feed-forward neurons",
        "Strategy": spec.strategy,
        "Units ranked by": _explained(spec.criterion, UNIT_CRITERIA),
        "Refit": "output layers fitted anew by least squares, without labels"
        if cut.refit
        else "none",
    }
    if spec.calibration_samples is not None:
        facts["Calibration"] = f"{spec.calibration_samples:,} training examples at most"
    facts["Recovery"] = "none: nothing was trained after cutting"
    if spec.recovery is not None:
        facts |= {"Recovery": _settings(spec.recovery), "Distillation": _teaching(spec)}
    return {key: text(value, _LONG) for key, value in facts.items()} | _steps(record)


def _teaching(spec: DerivedSpec) -> str:
    if spec.distillation is None:
        return "none"
    teacher = spec.distillation.teacher or "the dense model"
    return f"from {teacher}, {_settings(spec.distillation)}"


def _steps(record: RunRecord) -> dict[str, str]:
    training = record.training
    if training is None:
        return {}
    kept = f"; those of step {training.kept_step:,} kept" if training.kept_step is not None else ""
    return {
        "Steps": text(
            f"{training.steps:,} on {training.examples:,} examples, {training.precision} on "
            f"{training.device}, mean loss {training.loss:.4g}{kept}"
        )
    }


def _sparsity(record: RunRecord) -> str:
    model = record.model
    return _SPARSITY.format(
        prunable=model.prunable,
        parameters=model.parameters,
        nonzero=model.nonzero_parameters,
        share=f"{model.nonzero_parameters / model.parameters:.1%}",
    )


def _cut(record: RunRecord) -> str:
    model = record.model
    return _CUT.format(
        dense=model.dense_parameters or model.parameters,
        parameters=model.parameters,
        times=f"{decimals(model.compression)}×",
    )


def _loading(record: RunRecord, *, stock: bool) -> str:
    single = record.task.type == "single sentence"
    automatic = "AutoModelForSequenceClassification"
    tokenizer = "from transformers import AutoTokenizer\n\nimport prunecli"
    return ("" if stock else _STRUCTURE) + _LOADING.format(
        imports=f"from transformers import {automatic}, AutoTokenizer" if stock else tokenizer,
        load=f"{automatic}.from_pretrained" if stock else "prunecli.load",
        texts='"A text."' if single else '"The first text.", "The second text."',
        length=record.spec.max_seq_length,
        answer="print(model.config.id2label[int(logits.argmax())])"
        if record.task.label_names
        else "print(float(logits[0]))",
    )


def _limits(record: RunRecord, baseline: RunRecord | None) -> list[str]:
    data, spec = record.data, record.spec
    counts = ", ".join(f"{split} {count:,}" for split, count in data.evaluation_examples.items())
    limits = [f"It was scored on these examples only: {text(counts or 'not recorded', _LONG)}."]
    if spec.evaluation.max_eval_samples is not None:
        limits.append(
            f"At most {spec.evaluation.max_eval_samples:,} were drawn at random from each split."
        )
    if data.generated:
        limits.append("**They are generated: no score here is one on a real task.**")
    if _from_hub(record):
        limits.append("They are GLUE's public validation examples, not its test set.")
    limits += [
        f"Texts were cut at {spec.max_seq_length:,} tokens.",
        "An interval says how far a score could move with other examples of the same kind. This is "
        "one run of one seed, and other seeds and other kinds of text are not in it.",
    ]
    dense = baseline.spec if baseline else spec
    if isinstance(dense, BaselineSpec) and dense.training is None:
        limits.append(
            "The dense model was taken as it is, so under every seed it is the same training: runs "
            "with other seeds are no other trainings of it."
        )
    if isinstance(spec, DerivedSpec):
        limits.append("Pruning can cost some classes far more than the average, which hides it.")
    limits.append("Bias, robustness, size and speed were not measured.")
    limits += [f"Note on the data: {text(note)}" for note in data.notes]
    return limits


def _provenance(record: RunRecord) -> dict[str, str]:
    facts = {
        "Made": f"{record.created:%Y-%m-%d %H:%M} UTC with seed {record.spec.seed}",
        "Data": f"{record.data.source} ({record.data.fingerprint})",
        "Scored in": record.spec.evaluation.precision,
        "Machine": record.machine.hardware,
        "Versions": record.machine.software,
    }
    return {key: text(value, _LONG) for key, value in facts.items()}


# Words


def _listed(items: Mapping[str, str] | Sequence[str]) -> str:
    """A list of facts, or of sentences, that are Markdown already."""
    if isinstance(items, Mapping):
        items = [f"**{key}:** {value}" for key, value in items.items()]
    return "\n".join(f"- {item}" for item in items)


def _settings(spec: BaseModel, only: set[str] | None = None) -> str:
    """What was set, in the words of the settings; the precision that was used is told elsewhere."""
    found = spec.model_dump(include=only, exclude={"precision", "teacher"}, exclude_none=True)
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in found.items())


def _explained(name: str, registry: Registry[Any]) -> str:
    """A name with the title that its entry has in the help, where it still has one."""
    about = inspect.getdoc(registry.get(name)) if name in registry else None
    return f"{name} – {about.splitlines()[0]}" if about else name


def _percent(level: float) -> str:
    return f"{level * 100:.6g}%"


def _points(value: float) -> str:
    return decimals(value * 100)


def _interval(accuracy: float, count: int) -> str:
    found = wilson(round(accuracy * count), count)
    return f"{_points(found.low)}–{_points(found.high)}"


def _bounds(drop: Interval) -> str:
    """A drop's interval: one of its ends may be a gain."""
    return f"{_points(drop.low)} to {_points(drop.high)}"

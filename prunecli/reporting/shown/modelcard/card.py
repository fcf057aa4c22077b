"""The card of a run's model: ``README.md`` with a YAML header, as the Hugging Face hub reads it.

It is written from records and the predictions beside them, and says nothing that they do not say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prunecli.evaluation.statistics import Interval, wilson
from prunecli.records.runs import BaselineSpec, CutSpec, DerivedSpec, PrunedSpec, RunRecord
from prunecli.reporting.facts.labels import start_kind
from prunecli.reporting.shown.markdown import joined, table
from prunecli.reporting.shown.modelcard.header import DEMO, from_hub, header, hub_id
from prunecli.reporting.shown.modelcard.making import (
    about_size,
    about_zeros,
    how_pruned,
    how_trained,
    level_text,
    what_was_cut,
)
from prunecli.reporting.shown.story import Block, Code, Heading
from prunecli.reporting.tables.cells import MISSING, TextTable, bounds, interval
from prunecli.text.markup import text
from prunecli.text.numbers import decimals
from prunecli.text.places import last_part, without_places

_MOST_LABELS = 100
_LONG = 1000

_GENERATED = """\
> **Made on generated data.** A program wrote the examples that this model was scored on. Its scores
> say nothing about any real task."""

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
    made: list[Block | str]
    if isinstance(spec, CutSpec):
        title = f"{record.task.title}, {spec.cut.title} cut out"
        made = [
            Heading(2, "How it was pruned"),
            _listed(what_was_cut(record, spec)),
            about_size(record),
        ]
    elif isinstance(spec, PrunedSpec):
        title = f"{record.task.title}, pruned to {level_text(spec.level)}"
        made = [
            Heading(2, "How it was pruned"),
            _listed(how_pruned(record, spec)),
            about_zeros(record),
        ]
    else:
        title = f"{record.task.title}, {start_kind(record.sparsity)}"
        made = [Heading(2, "How it was trained"), _listed(how_trained(record, spec))]
    generated = record.data.generated
    parts: list[Block | str] = [
        f"---\n{header(record, baseline)}\n---",
        f"# {text(title)}" + (" (generated data)" if generated else ""),
        *([_GENERATED] if generated else []),
        _listed(_facts(record)),
        Heading(2, "Scores"),
        table(_scores(record, baseline, drops or {}), padded=False),
        *made,
        Heading(2, "How to load it"),
        _loading(record, stock=stock),
        Heading(2, "Limits"),
        _listed(_limits(record, baseline)),
        Heading(2, "Where it comes from"),
        _listed(_provenance(record)),
        Code((without_places(record.command),)),
    ]
    return joined(parts)


def _facts(record: RunRecord) -> dict[str, str]:
    task, model, labels = record.task, record.model, record.task.label_names
    shown = ", ".join(text(label) for label in labels[:_MOST_LABELS])
    if len(labels) > _MOST_LABELS:
        shown += f" and {len(labels) - _MOST_LABELS} more"
    start = f"the local folder {last_part(model.name)} ({model.fingerprint})"
    if model.fingerprint == DEMO:
        start = "nothing: a tiny model to try the tools on"
    elif hub_id(record):
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
) -> TextTable:
    """Every metric on every split, with what pruning lost."""
    pruned = isinstance(record.spec, DerivedSpec)
    columns = ["Split", "Metric", "Examples", "Score", "95% interval"]
    columns += ["Dense", "Drop"] * pruned + ["95% interval of the drop"] * bool(drops)
    rows = []
    for split, found in record.metrics.items():
        count = record.data.evaluation_examples.get(split)
        for metric, value in found.items():
            row = [split, metric, f"{count:,}" if count else MISSING, _hundredfold(value)]
            whole = wilson(round(value * count), count) if metric == "accuracy" and count else None
            row.append(interval(whole))
            if pruned:
                dense = baseline.metrics.get(split, {}).get(metric) if baseline else None
                lost = (dense, None if dense is None else dense - value)
                row += [MISSING if one is None else _hundredfold(one) for one in lost]
            if drops:
                row.append(
                    bounds(drops.get(split) if metric == record.task.primary_metric else None)
                )
            rows.append(tuple(row))
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
    return TextTable("", tuple(columns), tuple(rows), note, text_columns=2)


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
    if from_hub(record):
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
        "Data": f"{last_part(record.data.source)} ({record.data.fingerprint})",
        "Scored in": record.spec.evaluation.precision,
        "Machine": record.machine.hardware,
        "Versions": record.machine.software,
    }
    return {key: text(value, _LONG) for key, value in facts.items()}


def _listed(items: Mapping[str, str] | Sequence[str]) -> str:
    """A list of facts, or of sentences, that are Markdown already."""
    if isinstance(items, Mapping):
        items = [f"**{key}:** {value}" for key, value in items.items()]
    return "\n".join(f"- {item}" for item in items)


def _hundredfold(value: float) -> str:
    """A score times 100, or a difference of scores in points."""
    return decimals(value * 100)

"""A compression on one screen, the answer first; and the page that goes with the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.compressions import CompressionRecord, Proof, Targets, Tried
from prunecli.reporting.shown.markdown import joined
from prunecli.reporting.shown.story import Block, Code, Heading
from prunecli.reporting.tables.cells import MISSING, TextTable
from prunecli.text.markup import text
from prunecli.text.numbers import counted, decimals, loses, megabytes, points

_MOST_TRIED: Final = 12
_GENERATED: Final = "Made on generated data: it says nothing about any real task."

_CALLS: Final[Mapping[str, Sequence[str]]] = {
    "onnx": (
        "import onnxruntime; from transformers import AutoTokenizer",
        'tokenizer, session = AutoTokenizer.from_pretrained("model"), '
        'onnxruntime.InferenceSession("model/model.onnx"{session})',
        'logits = session.run(None, dict(tokenizer("some text", return_tensors="np", '
        "truncation=True)))[0]",
    ),
    "openvino": (
        "import openvino; from transformers import AutoTokenizer",
        'tokenizer, model = AutoTokenizer.from_pretrained("model"), '
        'openvino.Core().compile_model("model/model.xml", "CPU", {session})',
        'logits = model(dict(tokenizer("some text", return_tensors="np", truncation=True)))[0]',
    ),
    "packed": (
        "import prunecli; from transformers import AutoTokenizer",
        'model, tokenizer = prunecli.load("packed.safetensors"), '
        'AutoTokenizer.from_pretrained("model")',
        'logits = model(**tokenizer("some text", return_tensors="pt", truncation=True)).logits',
    ),
}
"""Three lines that load what an export format wrote and call it, run in its folder."""


def headline(record: CompressionRecord) -> str:
    """The answer in a sentence: how fast, how small, what it loses, and where that was shown."""
    chosen, proof = record.chosen, record.proof
    if chosen is None or proof is None:
        return "Nothing was found."
    told = [
        f"{decimals(chosen.ratio.value)} times as fast" if chosen.ratio is not None else "",
        f"{decimals(chosen.smaller)} times smaller" if chosen.smaller is not None else "",
        _loses(proof.loss.points, record.task.primary_metric),
    ]
    return (
        f"{', '.join(filter(None, told))} (95% interval of the loss: {decimals(proof.loss.low)} to "
        f"{decimals(proof.loss.high)}) on {counted(proof.loss.examples, 'example')} that it was "
        "not chosen on"
    )


def summary(record: CompressionRecord) -> str:
    """One screen of Markdown."""
    return joined([f"# {text(record.task.title)}, compressed", *_told(record)])


def page(record: CompressionRecord, artefact: ArtefactRecord, header: str) -> str:
    """The page beside the model: the summary, how to call it, and where it comes from.

    ``header`` is metadata in YAML, as the Hugging Face hub reads it.
    """
    labels = ", ".join(text(label) for label in record.task.label_names)
    return joined(
        [
            f"---\n{header}\n---",
            f"# {text(record.task.title)}, compressed",
            *_told(record),
            Heading(2, "How to call it"),
            "In this folder:",
            "```python\n" + "\n".join(calling(artefact)) + "\n```",
            f"One row of logits for each text; the labels, in their order: {labels}."
            if labels
            else "",
            Heading(2, "Where it comes from"),
            "\n".join(
                [
                    f"- Dense model: {text(record.spec.source)}",
                    f"- Artefact: {text(artefact.name)}; read back and scored by "
                    f"{text(artefact.runtime)}",
                    f"- Machine: {text(artefact.machine.hardware)}",
                    f"- Software: {text(artefact.machine.software)}",
                    f"- Made {record.created:%Y-%m-%d} by:",
                ]
            ),
            Code((record.command,)),
        ]
    )


def calling(artefact: ArtefactRecord) -> tuple[str, ...]:
    """Three lines of Python that load the artefact and call it, in its folder."""
    format_name = artefact.spec.format
    kind = "packed" if format_name in ("packed", "torch-int8") else format_name
    said = ""
    if artefact.session is not None and artefact.session.disabled_optimizers:
        said = f", disabled_optimizers={json.dumps(list(artefact.session.disabled_optimizers))}"
    if format_name == "openvino":
        precision = "bf16" if artefact.precision == "bf16" else "f32"
        said = f'{{"INFERENCE_PRECISION_HINT": "{precision}"}}'
    return tuple(line.replace("{session}", said) for line in _CALLS[kind])


def _told(record: CompressionRecord) -> list[Block | str]:
    chosen, proof = record.chosen, record.proof
    told: list[Block | str] = [f"*{_GENERATED}*"] if record.generated else []
    if chosen is None or proof is None:
        return [*told, "Nothing was found."]
    if record.missed:
        told.append(f"**Not met: {'; '.join(record.missed)}.** The nearest: {headline(record)}.")
    else:
        told.append(f"**{headline(record)}.**")
    told += [
        f"It is {text(chosen.title)}. {_claim(proof, record.spec.targets)}",
        _beside(record, chosen, proof),
        f"Tried on {counted(record.parts.chosen_on, 'other example')}, in "
        f"{_minutes(record.seconds)}:",
        _tried(record),
    ]
    if record.passed_over:
        passed = "; ".join(
            f"{text(name)} ({text(why)})" for name, why in record.passed_over.items()
        )
        told.append(f"Passed over: {passed}.")
    return told


def _claim(proof: Proof, targets: Targets) -> str:
    asked = points(targets.max_drop)
    if proof.shown:
        return f"That it loses at most {asked} is shown with 95% confidence."
    if proof.loss.points <= targets.max_drop:
        return (
            f"By the estimate it loses at most {asked}; with 95% confidence these examples do not "
            "show it."
        )
    return f"By the estimate it loses more than {asked}."


def _loses(lost: float, metric: str) -> str:
    return f"{loses(lost)} {'of' if round(lost, 2) else 'in'} {metric}"


def _beside(record: CompressionRecord, chosen: Tried, proof: Proof) -> TextTable:
    spec, speed = record.spec, record.speed
    dense_bytes = None
    if chosen.bytes is not None and chosen.smaller is not None:
        dense_bytes = round(chosen.bytes * chosen.smaller)
    rows = [
        (
            f"{record.task.primary_metric} on {counted(proof.loss.examples, 'example')}",
            decimals(100 * proof.dense_score),
            decimals(100 * proof.score),
        ),
        (
            "bytes (dense: weights in float32; compressed: all files)",
            MISSING if dense_bytes is None else megabytes(dense_bytes),
            MISSING if chosen.bytes is None else megabytes(chosen.bytes),
        ),
    ]
    if speed is not None:
        threads = counted(spec.threads, "thread")
        rows.append(
            (
                f"milliseconds a call ({spec.batch} × {spec.tokens} tokens, {threads}; dense in "
                f"{speed.reference})",
                decimals(speed.reference_milliseconds),
                f"{decimals(speed.milliseconds)}; {decimals(speed.ratio.low)} to "
                f"{decimals(speed.ratio.high)} times as fast",
            )
        )
    return TextTable("", ("", "Dense", "Compressed"), tuple(rows))


def _tried(record: CompressionRecord) -> TextTable:
    chosen = record.chosen
    deployed = [one for one in record.tried if one.artefact is not None]
    deployed.sort(key=lambda one: -(one.ratio.value if one.ratio is not None else 0.0))
    rows = tuple(
        (
            one.title + (" ←" if chosen and one.title == chosen.title else ""),
            MISSING if one.ratio is None else f"{decimals(one.ratio.value)}×",
            MISSING if one.smaller is None else f"{decimals(one.smaller)}×",
            decimals(one.loss.points, signed=True),
            MISSING if one.loss.expected is None else decimals(one.loss.expected, signed=True),
        )
        for one in deployed[:_MOST_TRIED]
    )
    return TextTable("", ("Model", "As fast", "Smaller", "Points lost", "Expected"), rows)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"

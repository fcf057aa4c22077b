"""How a run's model was trained, pruned or cut, in the words of its settings."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from prunecli.core.patterns import parse_pattern
from prunecli.core.zeros import is_sparse
from prunecli.records.cuts import Speed, SpeedFound
from prunecli.records.runs import BaselineSpec, CutSpec, DerivedSpec, PrunedSpec, RunRecord
from prunecli.registry import Registry
from prunecli.settings.listing import GROWTH
from prunecli.text.markup import text
from prunecli.text.numbers import counted, decimals

if TYPE_CHECKING:
    from pydantic import BaseModel

_LONG = 1000

_ZEROS = """\
Sparsity is the fraction of exact zeros among the prunable weights, those of the encoder's linear
layers: {prunable:,} of {parameters:,} parameters. Embeddings, LayerNorms, biases and the classifier
stay dense, so {nonzero:,} parameters ({share}) are not zero. A zero is stored and multiplied like
any other number: **zeros alone make neither the file smaller nor the model faster.** That takes a
format or a kernel that leaves them out."""

_CUT = """\
The heads and neurons are cut out of the weight matrices: of {dense:,} parameters {parameters:,} are
left (dense / left: {times}). The file is smaller by what went, and the matrices that are left are
dense."""


def how_trained(record: RunRecord, spec: BaselineSpec) -> dict[str, str]:
    """Fine-tuning of a dense model, fact by fact; the values are Markdown, as everywhere here."""
    if spec.training is None:
        facts = {"Training": "none here; the model was taken as it is"}
        if is_sparse(record.sparsity):
            facts["Sparsity"] = f"{record.sparsity:.4%}: it came with these zeros"
        return facts
    return {"Fine-tuning": text(_settings(spec.training)), **_steps(record)}


def how_pruned(record: RunRecord, spec: PrunedSpec) -> dict[str, str]:
    """What was removed by what rule, and the recovery after it, fact by fact."""
    # these load torch, which no start of the command line waits for
    from prunecli.core.allocation import ALLOCATIONS
    from prunecli.core.criteria import CRITERIA

    zeros = sum(layer.zeros for layer in record.layers.values())
    start = record.start_sparsity
    sparse = start is not None and is_sparse(start)
    facts = {
        "Start" if sparse else "Dense model": spec.source,
        "Sparsity": f"{level_text(spec.level)} asked for, {record.sparsity:.4%} achieved: "
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
        levels = ", ".join(map(level_text, spec.chain[1:]))
        before = f" from the weights of {spec.after}" if spec.after else ""
        facts["Chain"] = f"part of one training through {levels}{before}"
    facts["Weights kept"] = spec.keep
    return {key: text(value, _LONG) for key, value in facts.items()} | _steps(record)


def what_was_cut(record: RunRecord, spec: CutSpec) -> dict[str, str]:
    """What was cut out by what rule, and the recovery after it, fact by fact."""
    from prunecli.core.importance import UNIT_CRITERIA  # which loads torch

    cut = spec.cut
    facts = {
        "Dense model": spec.source,
        **(_speed(cut.speed, record.speed) if cut.speed and record.speed else _shares(spec)),
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


def _shares(spec: CutSpec) -> dict[str, str]:
    return {
        "Cut out": f"{spec.cut.title}, attention heads and feed-forward neurons",
        "Strategy": spec.strategy,
    }


def _speed(asked: Speed, found: SpeedFound) -> dict[str, str]:
    """Until when heads and neurons went, what was measured then, and what is left."""
    threads = counted(asked.threads, "thread")
    return {
        "Cut out": f"attention heads and feed-forward neurons, until {asked.title}",
        "Measured": f"{found.ratio:.2f} ({found.low:.2f} to {found.high:.2f}) times as fast as the "
        f"dense model in {found.reference}: {found.milliseconds:.3g} ms; {asked.processor}, "
        f"{threads}",
        "Heads left": ", ".join(map(str, found.heads)),
        "Neurons left": ", ".join(map(str, found.neurons)),
    }


def _teaching(spec: DerivedSpec) -> str:
    if spec.distillation is None:
        return "none"
    teacher = spec.distillation.teacher or "the dense model"
    return f"from {teacher}, {_settings(spec.distillation)}"


def _steps(record: RunRecord) -> dict[str, str]:
    training = record.training
    if training is None:
        return {}
    since = training.resumed_from_step
    of = f" of the steps since {since:,}, from which it went on" if since else ""
    kept = f"; those of step {training.kept_step:,} kept" if training.kept_step is not None else ""
    return {
        "Steps": text(
            f"{training.steps:,} on {training.examples:,} examples, {training.precision} on "
            f"{training.device}, mean loss {training.loss:.4g}{of}{kept}"
        )
    }


def about_zeros(record: RunRecord) -> str:
    """What a sparsity is of, and what zeros alone do not do."""
    model = record.model
    return _ZEROS.format(
        prunable=model.prunable,
        parameters=model.parameters,
        nonzero=model.nonzero_parameters,
        share=f"{model.nonzero_parameters / model.parameters:.1%}",
    )


def about_size(record: RunRecord) -> str:
    """What is left of a model whose units were cut out."""
    model = record.model
    return _CUT.format(
        dense=model.dense_parameters or model.parameters,
        parameters=model.parameters,
        times=f"{decimals(model.compression)}×",
    )


def _settings(spec: BaseModel, only: set[str] | None = None) -> str:
    """What was set, in the words of the settings; the precision that was used is told elsewhere."""
    found = spec.model_dump(include=only, exclude={"precision", "teacher"}, exclude_none=True)
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in found.items())


def _explained(name: str, registry: Registry[Any]) -> str:
    """A name with the title that its entry has in the help, where it still has one."""
    about = inspect.getdoc(registry.get(name)) if name in registry else None
    return f"{name} – {about.splitlines()[0]}" if about else name


def level_text(level: float) -> str:
    """A level in percent, with all the digits that were asked for."""
    return f"{level * 100:.6g}%"

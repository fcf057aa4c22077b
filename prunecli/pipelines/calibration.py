"""Calibration: the few training examples from which a criterion learns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prunecli.core.criteria import CRITERIA
from prunecli.data import collator, drawn, tokenise
from prunecli.errors import InputError
from prunecli.models import loading as models
from prunecli.models.padding import OwnLength
from prunecli.pipelines.batching import batching_in_float
from prunecli.pipelines.job import Inputs, Job
from prunecli.records.runs import CutSpec, PrunedSpec, RunRecord
from prunecli.text.numbers import counted

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from prunecli.core.evidence import Batch

_FEW: Final = 8
"""Examples that a model is tried on."""


def calibration_batches(
    inputs: Inputs,
    tokenizer: PreTrainedTokenizerBase,
    spec: PrunedSpec | CutSpec,
    *,
    config: Any,
    outputs: Sequence[int],
    among: Sequence[int],
) -> list[Batch]:
    """The calibration examples of ``spec`` on the device, with labels; padding is marked.

    They are drawn by the run's seed from the training examples at the positions ``among``;
    ``config`` is the model's and ``outputs`` its label order. Where there are fewer than asked for
    all are taken, and a notice says so. Raises `InputError` where there are none.
    """
    batches, _ = calibration_of(
        inputs,
        tokenizer,
        learner=_learner(spec),
        samples=spec.calibration_samples or 0,
        seed=spec.seed,
        config=config,
        outputs=outputs,
        among=among,
        otherwise=" with --no-refit" if isinstance(spec, CutSpec) else "",
    )
    return batches


def calibration_of(
    inputs: Inputs,
    tokenizer: PreTrainedTokenizerBase,
    *,
    learner: str,
    samples: int,
    seed: int,
    config: Any,
    outputs: Sequence[int],
    among: Sequence[int] | None = None,
    otherwise: str = "",
) -> tuple[list[Batch], int]:
    """What `calibration_batches` gives for so many ``samples``, and of how many examples it is.

    All training examples are drawn from unless ``among`` says which. ``learner`` is what an error
    names, and ``otherwise`` what its hint adds.
    """
    train = inputs.data.train
    if train is None:
        raise InputError(
            f"{learner} learns from training examples, and {inputs.source} has none",
            hint="give data that has some, or a criterion of the weights alone such as magnitude"
            + otherwise,
        )
    if among is None:
        among = range(len(train))
    dataset = _drawn(inputs, tokenizer, train, among, samples, seed)
    # Rows that a model adds to its texts by itself would count as words do.
    collate, device = collator(tokenizer, outputs, OwnLength.of(config)), inputs.job.device
    batches: list[Batch] = []
    for places in batching_in_float(config)(list(dataset["length"])):
        batch = collate([dataset[place] for place in places])
        batches.append({key: value.to(device) for key, value in batch.items()})
    return batches, len(dataset)


def few_texts(inputs: Inputs, tokenizer: PreTrainedTokenizerBase, *, config: Any) -> Batch:
    """A batch on the device of the first examples that are scored, to try a model on.

    It has ids and mask alone. ``config`` is the model's.
    """
    part = next(iter(inputs.data.evaluation.values()))
    few = tokenise(
        part.select(range(min(len(part), _FEW))),
        tokenizer,
        max_length=inputs.max_seq_length,
        cache_dir=None,
        key="few",
    )
    batch = collator(tokenizer, length=OwnLength.of(config))(list(few))
    return {key: batch[key].to(inputs.job.device) for key in ("input_ids", "attention_mask")}


def notice_of_silent(subject: str, names: Sequence[str]) -> str:
    """What to tell of weights called ``names``, of which the examples said nothing."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (
        f"{subject}: the calibration examples say nothing of '{names[0]}'{more}, since what is "
        "read there never varies or no answer depends on it: pruned by magnitude, and what stays "
        "keeps its values"
    )


def unlabelled_batches(
    job: Job, run: RunRecord, model: Path, count: int
) -> list[dict[str, NDArray[np.int64]]]:
    """``count`` training examples of a run, without labels, in batches of one length each.

    So there is no padding, which would count for what a model computes as the words do. They are
    drawn by the run's seed; ``model`` is a folder with the tokenizer. Where there are fewer all are
    taken, and a notice says so. Raises `InputError` where there are none.
    """
    inputs = Inputs(
        job,
        run.task.reference,
        data_of=run,
        model=run.model.name,
        max_seq_length=run.spec.max_seq_length,
    )
    train = inputs.data.train
    if train is None:
        raise InputError(
            f"calibration learns from training examples, and {inputs.source} has none",
            hint="give data that has some, or leave out --static",
        )
    tokenizer = models.load_tokenizer(str(model))
    dataset = _drawn(inputs, tokenizer, train, range(len(train)), count, run.spec.seed)
    by_length: dict[int, list[dict[str, Any]]] = {}
    for row in dataset:
        by_length.setdefault(row["length"], []).append(row)
    collate = collator(tokenizer)
    return [
        {name: tensor.numpy() for name, tensor in collate(rows).items() if name != "labels"}
        for _, rows in sorted(by_length.items())
    ]


def _drawn(
    inputs: Inputs,
    tokenizer: PreTrainedTokenizerBase,
    train: Dataset,
    among: Sequence[int],
    count: int,
    seed: int,
) -> Dataset:
    """``count`` of the examples at the positions ``among``, tokenised; all where they are fewer."""
    if len(among) < count:
        inputs.job.progress.notice(
            f"{inputs.task.title} has {counted(len(among), 'training example')} to calibrate on, "
            f"not {count:,}: all are used"
        )
    chosen = train.select([among[place] for place in drawn(len(among), count, seed)])
    return tokenise(
        chosen, tokenizer, max_length=inputs.max_seq_length, cache_dir=None, key="calibration"
    )


def _learner(spec: PrunedSpec | CutSpec) -> str:
    """What of ``spec`` learns from the calibration examples."""
    if isinstance(spec, CutSpec):
        return "the refit" if spec.cut.refit else f"unit criterion {spec.criterion}"
    named = (spec.criterion, spec.first_criterion)
    return "criterion " + next(n for n in named if n and CRITERIA.get(n).needs == "data")


@contextmanager
def as_loaded(model: PreTrainedModel) -> Iterator[None]:
    """Without what training put around ``forward``, such as autocast, so that scores are exact."""
    around = model.__dict__.pop("forward", None)
    try:
        yield
    finally:
        if around is not None:
            model.forward = around

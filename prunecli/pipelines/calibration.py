"""Calibration: the few training examples from which a criterion learns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prunecli.core.criteria import CRITERIA
from prunecli.data import drawn, tokenise
from prunecli.errors import InputError
from prunecli.pipelines.job import Inputs
from prunecli.records import PrunedSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from prunecli.core.evidence import Batch


def calibration_batches(
    inputs: Inputs,
    tokenizer: PreTrainedTokenizerBase,
    spec: PrunedSpec,
    *,
    outputs: Sequence[int],
    among: Sequence[int],
) -> list[Batch]:
    """The calibration examples of ``spec`` on the device, with labels; padding is marked.

    They are drawn by the run's seed from the training examples at the positions ``among``;
    ``outputs`` is the model's label order. Where there are fewer than asked for all are taken, and
    a notice says so. Raises `InputError` where there are none.
    """
    train, wanted = inputs.data.train, spec.calibration_samples or 0
    if train is None:
        raise InputError(
            f"{_learner(spec)} learns from training examples, and {inputs.source} has none",
            hint="give data that has some, or a criterion of the weights alone such as magnitude"
            + (" with --no-refit" if spec.cut else ""),
        )
    if len(among) < wanted:
        inputs.job.progress.notice(
            f"{inputs.task.title} has {len(among):,} training examples to calibrate on, "
            f"not {wanted:,}: all are used"
        )
    chosen = train.select([among[place] for place in drawn(len(among), wanted, spec.seed)])
    dataset = tokenise(
        chosen, tokenizer, max_length=inputs.max_seq_length, cache_dir=None, key="calibration"
    )
    return list(inputs.batches(dataset, tokenizer, outputs))


def _learner(spec: PrunedSpec) -> str:
    """What of ``spec`` learns from the calibration examples."""
    if spec.cut is not None:
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

"""What is told of a model from outside before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from prunecli.core.patterns import parse_pattern
from prunecli.core.scope import left_out
from prunecli.core.zeros import is_sparse
from prunecli.models import loading as models
from prunecli.models.adapters import adapter_notice
from prunecli.models.padding import padding_notice
from prunecli.pipelines.job import Job
from prunecli.records.runs import CutSpec, PrunedSpec, RunRecord
from prunecli.text.numbers import decimals

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def tell_of(job: Job, name: str, *, new_head: bool = False) -> None:
    """Notices of what is unusual about the model folder or hub id ``name``, one line each.

    Raises `InputError` where it cannot be used at all: no configuration, or several labels for a
    text unless it gets a ``new_head``.
    """
    config = models.load_config(name, any_head=new_head)
    for notice in (
        adapter_notice(name),
        padding_notice(name, config, partial(models.load_tokenizer, name)),
    ):
        if notice is not None:
            job.progress.notice(notice)


def tell_of_zeros(job: Job, baseline: RunRecord, specs: Sequence[PrunedSpec | CutSpec]) -> None:
    """A notice of what becomes of the zeros of a sparse baseline that is pruned to ``specs``."""
    zeroed = [spec for spec in specs if isinstance(spec, PrunedSpec)]
    if not is_sparse(baseline.sparsity) or not zeroed:
        return
    there = _percent(baseline.sparsity)
    said = f"{baseline.model.name} is {there} sparse already"
    if not all(spec.keep_zeros for spec in zeroed):
        job.progress.notice(f"{said}: its zeros may come back, as --revive-zeros says")
        return
    below = [f"{spec.level * 100:.6g}%" for spec in zeroed if spec.level < baseline.sparsity]
    pattern = parse_pattern(zeroed[0].pattern)
    how = "and count towards the level" if pattern.is_unstructured else f"beside pattern {pattern}"
    job.progress.notice(
        f"{said}: these zeros stay {how}, unless --revive-zeros is given"
        + (f"; so {', '.join(below)} will be {there} at least" if below else "")
    )


_LEFT_OUT: Final = 0.1
"""Of the matrices in the blocks: where no level speaks of more, that is told."""


def notice_of_left_out(name: str, model: PreTrainedModel) -> str | None:
    """What to tell of a model whose blocks hold much that is not prunable; ``None`` of others."""
    share, names = left_out(model)
    if share <= _LEFT_OUT:
        return None
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (
        f"{name}: {_percent(share)} of the weights in its blocks are in no linear layer and stay, "
        f"as '{names[0]}'{more}; sparsity and compression are of the others"
    )


def tell_of_training(job: Job, name: str, sparsity: float) -> None:
    """A notice where fine-tuning will fill the zeros of a sparse encoder."""
    if is_sparse(sparsity):
        job.progress.notice(
            f"{name} is {_percent(sparsity)} sparse already, and fine-tuning brings these zeros "
            "back; those of a finished classifier stay with --from"
        )


def _percent(fraction: float) -> str:
    """``79.8%``."""
    return f"{decimals(100 * fraction, 1)}%"

"""Layer-wise reconstruction of a model of which one block is in memory at a time.

What `prunecli.core.reconstruction` does, number for number. Between blocks only what the last one
gave is there, for the model as it was given and as pruned so far.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import NoReturn

import torch
from torch import Tensor, nn

from prunecli.core.activations import evaluating
from prunecli.core.evidence import Batch, Evidence
from prunecli.core.layers import along_inputs
from prunecli.core.patterns import Pattern
from prunecli.core.reconstruction import Solver, factors_of, factors_of_uncalled
from prunecli.core.scope import layouts, prunable
from prunecli.core.stopping import instead
from prunecli.core.sublayers import module_lists
from prunecli.core.walk import Answers, Walk
from prunecli.errors import InputError

_ROOM = 2**24
"""Bytes that may be spent on what the parts of the block in memory gave, for each of two models."""

Hold = Callable[[nn.Module], AbstractContextManager[Mapping[str, nn.Parameter]]]
"""Has a block in memory, and gives its prunable weights by full name."""


def blocks_of(model: nn.Module) -> tuple[nn.Module, ...]:
    """The repeated blocks of ``model``, which follow each other and hold all that is prunable.

    Raises `InputError` where they are not one list, where a weight lies in none of them, and where
    one has parameters that others use, too.
    """
    weights = {id(weight) for weight in prunable(model).values()}
    lists = [
        blocks for blocks in module_lists(model) if weights & set(map(id, blocks.parameters()))
    ]
    if len(lists) != 1:
        _refuse(model, "its prunable matrices are in several lists of blocks")
    blocks = tuple(lists[0])
    if not weights <= set(map(id, lists[0].parameters())):
        _refuse(model, "it has prunable matrices beside its blocks")
    uses = Counter(id(p) for module in model.modules() for p in module.parameters(recurse=False))
    if any(uses[id(parameter)] > 1 for parameter in lists[0].parameters()):
        _refuse(model, "its blocks share parameters")
    return blocks


def answer_of_first(model: nn.Module, blocks: Sequence[nn.Module], batch: Batch) -> object:
    """What the first of ``blocks``, which is in memory, gives for ``batch``.

    Raises `InputError` unless ``model`` calls each of them once, in their order.
    """
    answers: list[object] = [None]
    called: list[nn.Module] = []

    def answer(block: nn.Module, *_: object, **__: object) -> object:
        called.append(block)
        return answers[0]

    with evaluating(model), torch.no_grad():
        Walk(model, [batch], answers).finish(blocks[0])
        with ExitStack() as stack:
            for block in blocks:
                stack.enter_context(instead(block, partial(answer, block)))
            model(**batch)
    if called != list(blocks):
        _refuse(model, "it does not call each of its blocks once, in their order")
    return answers[0]


def factors_in_turn(
    blocks: Sequence[nn.Module], evidence: Evidence, *, hold: Hold, answers: Answers
) -> dict[str, Tensor]:
    """What `removal_factors` gives for all ``blocks`` of a model, each held when it is its turn."""
    model, factors = evidence.model, dict[str, Tensor]()
    with evaluating(model), torch.no_grad():
        walk = Walk(model, evidence.batches, answers, _ROOM)
        for block in evidence.visit("scoring", blocks):
            with hold(block) as weights:
                for group in walk.groups(block, weights):
                    factors |= factors_of(group, weights, walk, evidence)
                uncalled = {n: w for n, w in weights.items() if n not in factors}
                factors |= factors_of_uncalled(uncalled, evidence)
                if block is not blocks[-1]:
                    walk.finish(block)
    return along_inputs(factors, prunable(model), layouts(model))


def reconstruct_in_turn(
    blocks: Sequence[nn.Module],
    removals: Mapping[str, int],
    evidence: Evidence,
    pattern: Pattern,
    *,
    hold: Hold,
    take: Callable[[Mapping[str, nn.Parameter], Mapping[str, Tensor]], object],
    answers: tuple[Answers, Answers],
) -> None:
    """Prune ``blocks`` of a model as `reconstruct_` does, each held in memory when it is its turn.

    ``take`` is given what is finished of a block, while it is in memory: its weights, which are
    changed in place as its biases are, and which of them are kept, bool. ``answers`` keep what the
    last block gave, before pruning and after. Raises what `reconstruct_` raises.
    """
    with evaluating(evidence.model), torch.no_grad():
        dense, pruned = (Walk(evidence.model, evidence.batches, own, _ROOM) for own in answers)
        solver = Solver(removals, evidence, pattern, walks=(dense, pruned))
        for block in evidence.visit("reconstructing", blocks):
            with hold(block) as weights:
                kept: dict[str, Tensor] = {}
                for group in dense.groups(block, weights):
                    kept |= solver.solve(group, weights)
                kept |= solver.solve_uncalled({n: w for n, w in weights.items() if n not in kept})
                take(weights, kept)
                if block is not blocks[-1]:
                    solver.finish(block)


def _refuse(model: nn.Module, reason: str) -> NoReturn:
    raise InputError(
        f"{type(model).__name__} cannot be reconstructed block by block: {reason}",
        hint="prune it in memory, without --stream, or by magnitude",
    )

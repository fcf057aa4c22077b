"""Reconstruction block by block, from the files of a model into those of the pruned one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from prunecli.core.activations import layers_of
from prunecli.core.blockwise import factors_in_turn, reconstruct_in_turn
from prunecli.core.criteria.reconstruction import Reconstruction
from prunecli.core.engine import plan, removals_apart, shares_budgets
from prunecli.core.evidence import Evidence
from prunecli.core.flat import count_ones
from prunecli.core.mask import Mask
from prunecli.core.patterns import parse_pattern
from prunecli.core.scope import prunable
from prunecli.core.walk import Answers
from prunecli.pipelines.calibration import notice_of_silent
from prunecli.pipelines.streaming.blocks import Blocks
from prunecli.pipelines.streaming.plan import Learning, Streamed
from prunecli.pipelines.streaming.sink import Sink
from prunecli.pipelines.streaming.spill import Spill
from prunecli.progress import Progress
from prunecli.training.memory import give_back_freed_memory

_Part = TypeVar("_Part")


def changing(made_of: Streamed) -> dict[str, str]:
    """The parameters that reconstruction changes: prunable weights, and biases with their own.

    Each bias by its name, with that of its weight; a weight with its own name.
    """
    model, weights = made_of.model, prunable(made_of.model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {name: name for name in weights}
    for layer, name in layers_of(model, weights).items():
        if layer.bias is not None:
            found[names[id(layer.bias)]] = name
    return found


def reconstruct(
    made_of: Streamed, learning: Learning, sink: Sink, folder: Path, progress: Progress
) -> set[str]:
    """Prune every block into ``sink``; ``folder``, which is made and removed, has hidden states.

    Returns the weights of which the examples said nothing. Raises what `reconstruct_in_turn` and
    the sink raise.
    """
    give_back_freed_memory()
    asked, blocks = made_of.asked, learning.blocks
    parameters = dict(blocks.model.named_parameters())
    biases = [(bias, beside) for bias, beside in changing(made_of).items() if bias != beside]

    def visit(what: str, parts: Sequence[_Part], /) -> Iterator[_Part]:
        with progress.bar(f"{what.capitalize()}, by block", len(parts)) as bar:
            for part in parts:
                yield part
                bar.advance()

    def take(weights: Mapping[str, nn.Parameter], kept: Mapping[str, Tensor]) -> None:
        bits = Mask.of(kept).bits
        for name, weight in weights.items():
            sink.solved(name, weight, bits[name])
        for bias, beside in biases:
            if beside in weights:
                sink.solved(bias, parameters[bias])

    spills = folder / "dense", folder / "pruned"
    for spill in spills:
        spill.mkdir(parents=True)
    evidence = Evidence(blocks.model, learning.calibration.batches, visit=visit)
    removals = _removals(made_of, blocks, evidence, Spill(spills[0]))
    reconstruct_in_turn(
        blocks.all,
        removals,
        evidence,
        parse_pattern(asked.pattern),
        hold=blocks.hold,
        take=take,
        answers=(Spill(spills[0]), Spill(spills[1])),
    )
    if evidence.silent:
        progress.notice(notice_of_silent(asked.criterion, sorted(evidence.silent)))
    return evidence.silent


def _removals(
    made_of: Streamed, blocks: Blocks, evidence: Evidence, answers: Answers
) -> dict[str, int]:
    """How many weights of each tensor go, by the scores of all where these share a budget."""
    asked, model = made_of.asked, blocks.model
    strategy, pattern = asked.strategy, asked.pattern
    if not shares_budgets(model, strategy):
        return removals_apart(model, asked.level, strategy=strategy, pattern=pattern)
    factors = factors_in_turn(blocks.all, evidence, hold=blocks.hold, answers=answers)
    weights = made_of.weights
    scores = Reconstruction(weights, seed=asked.seed, factors=factors)
    planned = plan(model, [asked.level], strategy=strategy, pattern=pattern, scores=scores)
    return {
        name: weights[name].numel() - count_ones(kept)
        for name, kept in planned.one_by_one(asked.level)
    }

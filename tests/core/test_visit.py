"""Layers are gone through one by one, and whoever listens is told how far that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch

from prunecli.core.engine import prune_
from prunecli.core.evidence import Evidence
from prunecli.core.structured import cut_units_

from .test_structured import batches, made

T = TypeVar("T")


class Heard:
    """What was told: for each pass its word, how many parts it has, and how many were done."""

    def __init__(self) -> None:
        self.passes: list[list[object]] = []

    def __call__(self, what: str, parts: Sequence[T], /) -> Iterator[T]:
        told: list[object] = [what, len(parts), 0]
        self.passes.append(told)
        for part in parts:
            yield part
            told[2] = int(str(told[2])) + 1


def test_reconstruction_and_cuts_tell_of_every_layer() -> None:
    """Two blocks have four groups each that read the same: q, k and v, and three by themselves."""
    heard, given = Heard(), batches(4, 4)
    model = made("bert")
    evidence = Evidence(model, given, visit=heard)
    prune_(model, 0.5, strategy="layerwise", criterion="reconstruction", evidence=evidence)
    assert heard.passes == [["reconstructing", 8, 8]]

    heard.passes.clear()
    model = made("bert")
    evidence = Evidence(model, given, visit=heard)
    prune_(model, 0.5, criterion="reconstruction", evidence=evidence)
    assert heard.passes == [["scoring", 8, 8], ["reconstructing", 8, 8]]


def test_cuts_tell_of_the_layer_that_each_sublayer_writes_by() -> None:
    heard, model = Heard(), made("bert")
    evidence = Evidence(model, batches(4, 4), visit=heard)
    cut_units_(model, heads=0.5, neurons=0.5, criterion="reconstruction", evidence=evidence)
    assert heard.passes == [["ranking units", 4, 4], ["refitting", 4, 4]]


def test_silence_changes_nothing() -> None:
    """What is found is the same, told or not."""
    told, silent = made("bert"), made("bert")
    for model, evidence in (
        (told, Evidence(told, batches(4), visit=Heard())),
        (silent, Evidence(silent, batches(4))),
    ):
        prune_(model, 0.5, criterion="reconstruction", evidence=evidence)
    for one, other in zip(told.parameters(), silent.parameters(), strict=True):
        assert torch.equal(one, other)

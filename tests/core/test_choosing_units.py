"""Which heads and neurons go, from the scores, the fractions and the strategy."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from prunecli.core.evidence import Evidence
from prunecli.core.importance import unit_criterion
from prunecli.core.structured import chosen, cut_units_
from prunecli.core.sublayers import Sublayer, sublayers_of
from prunecli.errors import InputError, UsageError

from .test_structured import batches, made
from .test_unit_scores import Off

SILENT = "bert.encoder.layer.0.output.dense.weight"


def scores_of(parts: tuple[Sublayer, ...], seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(part.count, generator=generator, dtype=torch.float64) for part in parts]


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("strategy", ["global", "layerwise"])
def test_the_lowest_of_each_kind_go(strategy: str) -> None:
    parts = sublayers_of(made("bert"))
    scores = scores_of(parts)
    found = chosen(parts, scores, {"heads": 0.5, "neurons": 0.3}, strategy)
    for first, gone in ((0, 2), (1, 14)):  # of 4 heads, and of 48 neurons 14.4
        own = [(value, place, unit) for place in (first, first + 2)
               for unit, value in enumerate(scores[place].tolist())]  # fmt: skip
        pools = [own]
        if strategy == "layerwise":  # of 2 heads 1, of 24 neurons 7.2
            pools, gone = (
                [[x for x in own if x[1] == place] for place in (first, first + 2)],
                gone // 2,
            )
        lost = {x[1:] for pool in pools for x in sorted(pool)[:gone]}
        for place in (first, first + 2):
            wanted = [unit for unit in range(parts[place].count) if (place, unit) not in lost]
            assert found[place].tolist() == wanted
            assert found[place].dtype == torch.int64


@pytest.mark.parametrize(("place", "kind"), [(0, "heads"), (2, "heads"), (3, "neurons")])
def test_scores_that_are_no_numbers_are_refused_by_kind(place: int, kind: str) -> None:
    parts = sublayers_of(made("bert"))
    scores = scores_of(parts)
    scores[place][1] = torch.nan
    with pytest.raises(InputError) as caught:
        chosen(parts, scores, {"heads": 0.5, "neurons": 0.5}, "global")
    assert str(caught.value) == f"the scores of the {kind} are not finite"


def test_what_is_asked_for_must_make_sense() -> None:
    model = made("bert")
    for kind, fraction in (("heads", 1.0), ("heads", -0.1), ("neurons", 1.5)):
        with pytest.raises(UsageError) as caught:
            cut_units_(model, **{kind: fraction})
        assert str(caught.value) == f"{kind} {fraction} is not in [0, 1)"
        assert caught.value.hint == "0.5 removes half of them"
    for criterion, refit, who in (
        ("magnitude", True, "the refit"),
        ("snip", True, "the refit"),
        ("snip", False, "criterion snip"),
    ):
        with pytest.raises(UsageError) as caught:
            cut_units_(model, heads=0.5, criterion=criterion, refit=refit)
        assert str(caught.value) == f"{who} needs examples: there are none"
        assert caught.value.hint == "give a data set, or rank by magnitude without a refit"
    with pytest.raises(UsageError, match="unknown"):
        cut_units_(model, heads=0.5, strategy="sideways", criterion="magnitude", refit=False)
    assert same(model, made("bert"))

    for part in sublayers_of(model)[1::2]:
        part.writer.weight.data[:, ::2] = 0
    sizes = [part.writer.weight.numel() for part in sublayers_of(model)]
    total = 4 * (sizes[0] + sizes[2]) + 2 * (sizes[1] + sizes[3])
    with pytest.raises(InputError) as caught:
        cut_units_(model, heads=0.5, criterion="magnitude", refit=False)
    assert str(caught.value) == (
        f"{(sizes[1] + sizes[3]) / 2 / total:.1%} of the weights are zero already, "
        "and cutting would not keep them"
    )
    assert caught.value.hint == "cut the dense model that it was pruned from"


def test_what_is_not_said_is_the_default() -> None:
    given = batches(6, 5)

    def cut(**options: object) -> nn.Module:
        model = made("bert")
        cut_units_(model, evidence=Evidence(model, given), **options)
        return model

    said = {"strategy": "global", "criterion": "reconstruction", "seed": 42, "refit": True}
    assert same(cut(heads=0.5, neurons=0.5), cut(heads=0.5, neurons=0.5, **said))
    plain = {"criterion": "random", "refit": False}
    assert same(cut(neurons=0.5, **plain), cut(heads=0.0, neurons=0.5, seed=42, **plain))
    assert same(cut(heads=0.5, **plain), cut(heads=0.5, neurons=0.0, seed=42, **plain))
    assert not same(cut(neurons=0.5, **plain), cut(neurons=0.5, seed=43, **plain))
    assert not same(cut(neurons=0.5, **plain), cut(neurons=0.5, criterion="random"))


def test_without_examples_units_can_go_by_their_weights_alone() -> None:
    model, other = made("bert"), made("bert")
    asked = {"heads": 0.5, "neurons": 0.5, "criterion": "magnitude", "refit": False}
    assert sum(cut_units_(model, **asked)["neurons"]) == 24
    cut_units_(other, evidence=Evidence(other, batches(3)), **asked)
    assert same(model, other)


def test_units_of_which_nothing_is_known_go_first_and_by_magnitude() -> None:
    """Of 48 neurons half say nothing."""
    model = made("bert")
    model.bert.encoder.layer[0].output.dropout = Off()
    part = sublayers_of(model)[1]
    norms = (
        part.readers[0].layer.weight.square().sum(1) + part.writer.weight.square().sum(0)
    ).sqrt()
    order = norms.argsort().tolist()
    fisher = unit_criterion("fisher")
    for fraction, gone in ((0.25, 12), (0.5, 24), (0.75, 36)):
        cut, given = copy.deepcopy(model), batches(8)
        evidence = Evidence(cut, given)
        scores = fisher(cut, sublayers_of(cut), seed=0, evidence=evidence)[3]
        before = [each.readers[0].layer.weight.detach().clone() for each in sublayers_of(cut)[1::2]]
        shape = cut_units_(
            cut, neurons=fraction, criterion="fisher", evidence=evidence, refit=False
        )
        assert evidence.silent == {SILENT}
        assert shape["neurons"] == (max(24 - gone, 0), min(48 - gone, 24))
        kept = sorted(order[gone:])
        assert torch.equal(sublayers_of(cut)[1].readers[0].layer.weight, before[0][kept])
        others = sorted(scores.argsort().tolist()[max(gone - 24, 0) :])
        assert torch.equal(sublayers_of(cut)[3].readers[0].layer.weight, before[1][others])


def test_weights_of_zero_are_no_lack_of_evidence() -> None:
    """Magnitudes are known without examples; and these zeros are too few for a pruned model."""
    model, given = made("bert"), batches(4)
    part = sublayers_of(model)[1]
    part.readers[0].layer.weight.data *= 1e-200
    part.writer.weight.data *= 1e-200
    evidence = Evidence(model, given)
    shape = cut_units_(model, neurons=0.5, criterion="magnitude", evidence=evidence, refit=False)
    assert shape["neurons"] == (0, 24)
    assert evidence.silent == set()


def test_a_refit_says_which_layers_stayed_as_they_were() -> None:
    model = made("bert")
    model.bert.encoder.layer[0].intermediate.dense.weight.data *= 1e-12
    evidence = Evidence(model, batches(6, 5))
    cut_units_(model, neurons=0.5, strategy="layerwise", criterion="random", evidence=evidence)
    assert evidence.silent == {SILENT}

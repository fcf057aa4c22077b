"""Exactness of the masks, against brute force and against PyTorch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.utils._python_dispatch import TorchDispatchMode

from prunecli.core import engine
from prunecli.core.allocation import ALLOCATIONS
from prunecli.core.criteria import CRITERIA
from prunecli.core.criteria.stored import StoredScores
from prunecli.core.mask import Mask
from prunecli.core.patterns import parse_pattern
from prunecli.core.reconstruction import reconstruct_
from prunecli.core.scope import prunable
from prunecli.errors import InputError, IntegrityError, UsageError

from . import evidence as examples
from .evidence import evidence
from .models import blocks, kept_by, quick, random_blocks

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
FROM_WEIGHTS = [name for name in CRITERIA if CRITERIA.get(name).needs == "weights"]
LEVELS = st.one_of(st.floats(0, 1, exclude_max=True), st.sampled_from([0.0, 0.5, 0.25, 0.999999]))

small_chunks = mock.patch("prunecli.core.flat.CHUNK", 16)


@st.composite
def models(draw: st.DrawFn) -> nn.Module:
    """One to four matrices, possibly empty, strided, of mixed dtypes and full of ties."""
    weights = []
    one_dtype = draw(st.sampled_from([*DTYPES, None]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    kind = draw(st.sampled_from(["normal", "ties", "zero", "equal", "subnormal", "huge"]))
    for _ in range(draw(st.integers(1, 4))):
        shape = draw(st.integers(0, 9)), draw(st.integers(1, 9))
        dtype = one_dtype or draw(st.sampled_from(DTYPES))
        weight = torch.randn(shape, generator=generator, dtype=torch.float64)
        limits = torch.finfo(dtype)
        weight = {
            "normal": weight,
            "ties": weight.round(),
            "zero": weight * 0,
            "equal": weight * 0 - 0.5,
            "subnormal": weight * limits.tiny / 4,
            "huge": weight.clamp(-1, 1) * limits.max,
        }[kind].to(dtype)
        weights.append(weight.t() if draw(st.booleans()) else weight)
    return blocks(*weights)


def brute_force(
    model: nn.Module,
    level: float,
    strategy: str,
    before: dict[str, list[bool]] | None = None,
    key: Callable[[float], float] = abs,
) -> dict[str, list[bool]]:
    """The definition: a stable sort of all magnitudes of a pool, in float64."""
    weights = {name: p.detach().reshape(-1).double() for name, p in prunable(model).items()}
    before = before or {name: [True] * len(weight) for name, weight in weights.items()}
    pools = [list(weights)] if strategy == "global" else [[name] for name in weights]
    kept = {name: list(flags) for name, flags in before.items()}
    for pool in pools:
        places = [(name, i) for name in pool for i in range(len(weights[name]))]
        open_places = [(name, i) for name, i in places if before[name][i]]
        order = sorted(open_places, key=lambda place: key(float(weights[place[0]][place[1]])))
        to_go = round(level * len(places)) - (len(places) - len(open_places))
        for name, i in order[: max(to_go, 0)]:
            kept[name][i] = False
    return kept


@pytest.mark.parametrize("strategy", ALLOCATIONS)
@quick
@given(model=models(), levels=st.lists(LEVELS, min_size=1, max_size=4))
def test_masks_are_those_of_a_stable_sort(
    strategy: str, model: nn.Module, levels: list[float]
) -> None:
    with small_chunks:
        plan = engine.plan(model, levels, strategy=strategy)
        for level in levels:
            assert kept_by(plan.mask(level)) == brute_force(model, level, strategy)


@pytest.mark.parametrize("strategy", ALLOCATIONS)
@quick
@given(model=models(), first=LEVELS, then=LEVELS, seed=st.integers(0, 5))
def test_a_previous_mask_never_shrinks_and_counts_towards_the_budget(
    strategy: str, model: nn.Module, first: float, then: float, seed: int
) -> None:
    with small_chunks:
        previous = engine.plan(model, [first], criterion="random", seed=seed).mask(first)
        grown = engine.plan(model, [then], strategy=strategy, previous=previous).mask(then)

    assert grown.contains(previous)
    assert kept_by(grown) == brute_force(model, then, strategy, kept_by(previous))
    if strategy == "global" and then <= first:
        assert grown == previous


@pytest.mark.parametrize("criterion", FROM_WEIGHTS)
@pytest.mark.parametrize("strategy", ALLOCATIONS)
@quick
@given(model=models(), levels=st.lists(LEVELS, min_size=2, max_size=4, unique=True))
def test_counts_are_exact_levels_nest_and_plans_agree(
    strategy: str, criterion: str, model: nn.Module, levels: list[float]
) -> None:
    options = {"strategy": strategy, "criterion": criterion, "seed": 7}
    plan = engine.plan(model, levels, **options)
    previous = None
    for level in sorted(levels):
        mask = plan.mask(level)
        if strategy == "global":
            assert sum(mask.removed().values()) == round(level * sum(mask.sizes().values()))
        else:
            expected = {name: round(level * size) for name, size in mask.sizes().items()}
            assert mask.removed() == expected
        with small_chunks:
            assert engine.plan(model, [level], **options).mask(level) == mask
        assert previous is None or mask.contains(previous)
        previous = mask


@pytest.mark.parametrize("strategy", ALLOCATIONS)
@quick
@given(model=models(), levels=st.lists(LEVELS, min_size=1, max_size=3), first=LEVELS)
def test_signed_scores_are_cut_by_value(
    strategy: str, model: nn.Module, levels: list[float], first: float
) -> None:
    # The weights are their own scores, in float32, which is the widest that is not rounded.
    weights = [weight.detach().float().nan_to_num() for weight in model.parameters()]
    signed = blocks(*weights)
    own = {
        name: weight.detach().clone(memory_format=torch.contiguous_format)
        for name, weight in prunable(signed).items()
    }
    scores = StoredScores(prunable(signed), own, signed=True)
    previous = engine.plan(signed, [first], criterion="random").mask(first)
    with small_chunks:
        plan = engine.plan(signed, levels, strategy=strategy, scores=scores)
        after = engine.plan(signed, levels, strategy=strategy, scores=scores, previous=previous)
        for level in levels:
            assert kept_by(plan.mask(level)) == brute_force(signed, level, strategy, key=float)
            assert kept_by(after.mask(level)) == brute_force(
                signed, level, strategy, kept_by(previous), key=float
            )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_grasp_removes_the_most_negative_first(dtype: torch.dtype) -> None:
    given = evidence(4, 3, dtype=dtype)
    weights = prunable(given.model)
    scores = CRITERIA.get("grasp")(weights, seed=0, evidence=given)
    flat = torch.cat([scores.chunk(name, 0, w.numel()) for name, w in weights.items()])
    order = flat.sort(stable=True)
    assert order.values[100] < 0 < order.values[-100]

    for level in (0.3, 0.9):
        mask = engine.plan(given.model, [level], criterion="grasp", evidence=given).mask(level)
        kept = torch.tensor([flag for flags in kept_by(mask).values() for flag in flags])
        gone = order.indices[: round(level * len(flat))]
        assert torch.equal((~kept).nonzero()[:, 0], gone.sort().values)


def distinct(*shapes: tuple[int, int], seed: int = 0) -> list[Tensor]:
    """Weights of distinct magnitudes and random signs."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [math.prod(shape) for shape in shapes]
    values = torch.randperm(sum(sizes), generator=generator) + 1.0
    values *= torch.where(torch.rand(len(values), generator=generator) < 0.5, -1, 1)
    return [part.view(shape) for part, shape in zip(values.split(sizes), shapes, strict=True)]


@pytest.mark.parametrize("level", [0.1, 0.5, 0.77, 0.95])
@pytest.mark.parametrize("strategy", ALLOCATIONS)
def test_masks_equal_those_of_torch_where_there_are_no_ties(strategy: str, level: float) -> None:
    weights = distinct((30, 40), (17, 9), (50, 50))
    model = blocks(*copy.deepcopy(weights))
    linears = [nn.Linear(1, 1, bias=False) for _ in weights]
    for linear, weight in zip(linears, weights, strict=True):
        linear.weight = nn.Parameter(weight)
    if strategy == "global":
        prune.global_unstructured(
            [(linear, "weight") for linear in linears],
            pruning_method=prune.L1Unstructured,
            amount=level,
        )
    else:
        for linear in linears:
            prune.l1_unstructured(linear, "weight", amount=level)

    engine.plan(model, [level], strategy=strategy).mask(level).apply_(model)

    for ours, theirs in zip(prunable(model).values(), linears, strict=True):
        assert torch.equal(ours, theirs.weight)


def test_a_million_weights_in_full_size_chunks_equal_those_of_kthvalue() -> None:
    model = random_blocks((1500, 1100))
    magnitudes = prunable(model)["0.0.weight"].detach().abs()
    cut = magnitudes.view(-1).kthvalue(round(0.8 * magnitudes.numel())).values

    mask = engine.plan(model, [0.8]).mask(0.8)
    mask.apply_(model)

    assert sum(mask.removed().values()) == round(0.8 * magnitudes.numel())
    after = prunable(model)["0.0.weight"]
    assert (after[magnitudes > cut] != 0).all()
    assert (after[magnitudes < cut] == 0).all()


def test_masks_of_a_plan_can_be_applied_in_ascending_order() -> None:
    levels = [0.3, 0.35, 0.4, 0.5, 0.55, 0.8]
    fresh = random_blocks((20, 30), (40, 10))
    with torch.no_grad():
        for weight in prunable(fresh).values():
            weight.round_()  # several levels cut through the same ties
    model = copy.deepcopy(fresh)
    plan = engine.plan(model, levels)
    applied = []
    for level in levels:
        applied.append(plan.mask(level))
        applied[-1].apply_(model)

    again = engine.plan(fresh, levels)
    assert applied == [again.mask(level) for level in levels]


def test_a_plan_ends_when_weights_change() -> None:
    model = random_blocks((20, 20))
    plan = engine.plan(model, [0.5])
    with torch.no_grad():
        prunable(model)["0.0.weight"].add_(1)

    with pytest.raises(IntegrityError, match="weights have changed") as caught:
        plan.mask(0.5)
    assert str(caught.value) == "the weights have changed since the mask was planned"
    assert caught.value.hint == "plan again after every change to the weights"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("levels", [[0.0], [0.5, 0.8]])
@pytest.mark.parametrize("strategy", ALLOCATIONS)
@pytest.mark.parametrize("criterion", FROM_WEIGHTS)
def test_weights_that_are_not_finite_are_refused_by_name(
    criterion: str, strategy: str, levels: list[float], dtype: torch.dtype, bad: float
) -> None:
    weights = [torch.ones(4, 5, dtype=dtype) for _ in range(3)]
    weights[1][2, 3] = bad

    with pytest.raises(InputError, match=r"^'0\.1\.weight' has NaN or infinite weights$") as caught:
        engine.plan(blocks(*weights), levels, strategy=strategy, criterion=criterion)
    assert caught.value.hint == (
        "the model is damaged or its training diverged: use another checkpoint"
    )


@pytest.mark.parametrize("level", [-0.1, 1.0, 80, math.nan, math.inf])
def test_levels_outside_the_unit_interval_are_refused(level: float) -> None:
    with pytest.raises(UsageError) as caught:
        engine.plan(random_blocks((2, 2)), [0.5, level])
    assert str(caught.value) == f"sparsity level {level} is not in [0, 1)"
    assert caught.value.hint == "0.8 removes 80% of the weights"


def test_unknown_names_are_refused_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="strategy 'gobal'") as caught:
        engine.plan(random_blocks((2, 2)), [0.5], strategy="gobal")
    assert caught.value.hint == "did you mean 'global'?"
    with pytest.raises(UsageError, match="criterion 'magnitud'"):
        engine.plan(random_blocks((2, 2)), [0.5], criterion="magnitud")


def test_what_learns_from_data_needs_some() -> None:
    given = evidence(3)
    with pytest.raises(UsageError) as caught:
        engine.plan(given.model, [0.5], criterion="snip")
    assert str(caught.value) == "criterion 'snip' learns from examples, and there are none"
    assert caught.value.hint == (
        "give a data set, or use a criterion of the weights alone such as magnitude"
    )
    with pytest.raises(UsageError) as caught:
        engine.plan(given.model, [0.5], criterion="movement", evidence=given)
    assert str(caught.value) == "'movement' is learnt during training"
    assert caught.value.hint == "give --epochs"

    scores = CRITERIA.get("snip")(prunable(given.model), seed=0, evidence=given)
    known = engine.plan(given.model, [0.5], criterion="snip", scores=scores).mask(0.5)
    assert known == engine.plan(given.model, [0.5], criterion="snip", evidence=given).mask(0.5)


@quick
@given(
    model=models(),
    level=LEVELS,
    first=LEVELS,
    strategy=st.sampled_from([*ALLOCATIONS]),
    pattern=st.sampled_from(["unstructured", "block:1x1"]),
)
def test_prune_applies_the_mask_of_its_plan(
    model: nn.Module, level: float, first: float, strategy: str, pattern: str
) -> None:
    dense = copy.deepcopy(model)
    options = {
        "strategy": strategy,
        "criterion": "random",
        "pattern": pattern,
        "seed": 3,
        "previous": engine.plan(model, [first]).mask(first),
    }

    mask = engine.prune_(model, level, **options)

    assert mask == engine.plan(dense, [level], **options).mask(level)
    mask.apply_(dense)
    for pruned, expected in zip(model.parameters(), dense.parameters(), strict=True):
        assert torch.equal(pruned, expected)


def test_prune_learns_from_evidence_and_takes_known_scores() -> None:
    one, two = evidence(3), evidence(3)
    scores = CRITERIA.get("taylor")(prunable(two.model), seed=0, evidence=two)

    mask = engine.prune_(one.model, 0.5, criterion="taylor", evidence=one)

    assert engine.prune_(two.model, 0.5, scores=scores) == mask
    mask.verify(one.model)
    mask.verify(two.model)


def test_a_criterion_that_repairs_takes_its_counts_from_the_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(examples, "WIDTH", 8)
    monkeypatch.setattr(examples, "HIDDEN", 16)
    one, two, three = evidence(5), evidence(5), evidence(5)
    before = engine.plan(one.model, [0.1], criterion="random").mask(0.1)
    options = {"criterion": "reconstruction", "pattern": "2:4", "previous": before}
    mask = engine.prune_(one.model, 0.25, evidence=one, **options)

    counts = engine.plan(two.model, [0.25], evidence=two, **options).removals(0.25)
    weights = prunable(two.model)
    expected = reconstruct_(weights, counts, two, parse_pattern("2:4"), previous=before)
    assert mask == expected
    for ours, theirs in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)

    dense = copy.deepcopy(three.model)
    scores = CRITERIA.get("reconstruction")(prunable(three.model), seed=0, evidence=three)
    engine.prune_(three.model, 0.25, evidence=three, scores=scores, **options).apply_(dense)
    for ours, theirs in zip(three.model.parameters(), dense.parameters(), strict=True):
        assert torch.equal(ours, theirs)  # with scores that are known nothing is repaired


def test_a_model_that_cannot_be_pruned_is_left_as_it_was() -> None:
    model = random_blocks((4, 4), (4, 6))
    dense = copy.deepcopy(model.state_dict())
    for options in ({"level": 1.0}, {"level": 0.5, "pattern": "2:4"}):
        with pytest.raises(UsageError):
            engine.prune_(model, **options)
    assert all(torch.equal(dense[name], value) for name, value in model.state_dict().items())


def test_a_level_that_was_not_planned_is_a_mistake_of_the_caller() -> None:
    plan = engine.plan(random_blocks((2, 2)), [0.5])
    assert plan.levels == (0.5,)
    with pytest.raises(ValueError, match=r"^level 0\.6 is not in the plan: \(0\.5,\)$"):
        plan.mask(0.6)


def test_what_is_not_said_is_global_magnitude_of_single_weights_and_seed_42() -> None:
    model = random_blocks((8, 8), (4, 12))
    said = {"strategy": "global", "criterion": "magnitude", "pattern": "unstructured"}
    plain = engine.plan(model, [0.5], **said).mask(0.5)
    assert engine.plan(model, [0.5]).mask(0.5) == plain
    assert engine.prune_(copy.deepcopy(model), 0.5) == plain
    for seed, same in ((42, True), (43, False)):
        drawn = engine.plan(model, [0.5], criterion="random", seed=seed).mask(0.5)
        assert (engine.plan(model, [0.5], criterion="random").mask(0.5) == drawn) == same
        assert (engine.prune_(copy.deepcopy(model), 0.5, criterion="random") == drawn) == same


def test_what_is_empty_has_no_zeros() -> None:
    none = engine.Sparsity(sizes={"a": 0}, zeros={"a": 0}, parameters=1, nonzero_parameters=1)
    assert (none.sparsity, none.layer_sparsity, none.model_compression) == (0.0, {"a": 0.0}, 1.0)
    gone = engine.Sparsity(sizes={"a": 1}, zeros={"a": 1}, parameters=1, nonzero_parameters=0)
    assert (gone.sparsity, gone.layer_sparsity) == (1.0, {"a": 1.0})


def test_removals_are_counted_in_whole_units() -> None:
    """Of four groups two have lost a weight before, and one of these two: that one has gone.

    Half of the groups are to go, so one more goes, by two weights of 2:4.
    """
    model = blocks(torch.tensor([[9.0, 9, 9, 9], [1, 2, 9, 9]]), torch.tensor([[5.0] * 8]))
    before = Mask.of(
        {
            "0.0.weight": torch.tensor([[True, False, True, True], [True] * 4]),
            "0.1.weight": torch.tensor([[False, False] + [True] * 6]),
        }
    )
    plan = engine.plan(model, [0.25], pattern="2:4", previous=before)
    assert plan.removals(0.25) == {"0.0.weight": 2, "0.1.weight": 2}
    assert plan.mask(0.25).removed() == {"0.0.weight": 3, "0.1.weight": 2}


class _LargestAllocation(TorchDispatchMode):
    """Notes the largest storage that operations bring forth, besides those known at the start."""

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()
        self.known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self.nbytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage.data_ptr() not in self.known:
                    self.nbytes = max(self.nbytes, storage.nbytes())
        return result


@pytest.mark.parametrize(
    ("strategy", "criterion", "pattern"),
    [
        *(
            (strategy, criterion, "unstructured")
            for strategy in ALLOCATIONS
            for criterion in FROM_WEIGHTS
        ),
        ("global", "magnitude", "1:4"),
        ("global", "magnitude", "4:40"),
        ("global", "magnitude", "block:8x10"),
    ],
)
def test_no_operation_makes_anything_of_the_size_of_the_weights(
    strategy: str, criterion: str, pattern: str
) -> None:
    model = random_blocks((2000, 1000))
    weights = list(prunable(model).values())
    histogram, chunk = 65_536 * 8, 16_384
    options = {"strategy": strategy, "criterion": criterion, "pattern": pattern}

    with (
        mock.patch("prunecli.core.flat.CHUNK", chunk),
        _LargestAllocation([weight.detach() for weight in weights]) as largest,
    ):
        mask = engine.plan(model, [0.5, 0.7], **options).mask(0.7)
        mask.apply_(model)
        mask.verify(model)
        engine.plan(model, [0.75], previous=mask, **options).mask(0.75)

    assert 0 < largest.nbytes <= histogram
    assert sum(weight.nbytes for weight in weights) > 15 * histogram


def test_threads_are_given_back() -> None:
    threads = torch.get_num_threads()
    model = random_blocks((5, 5))
    engine.plan(model, [0.5]).mask(0.5).apply_(model)
    with pytest.raises(InputError):
        engine.plan(blocks(torch.full((2, 2), math.nan)), [0.5])

    assert torch.get_num_threads() == threads


def test_achieved_counts_the_zeros_that_are_really_there() -> None:
    model = nn.Sequential(nn.ModuleList([nn.Linear(4, 5), nn.Linear(5, 2)]), nn.Linear(3, 1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1)
        model[0][0].weight[:2] = torch.tensor([0.0, -0.0, 0.0, 2.0])
        model[0][1].bias.zero_()

    achieved = engine.achieved(model)

    assert achieved.sizes == {"0.0.weight": 20, "0.1.weight": 10}
    assert achieved.zeros == {"0.0.weight": 6, "0.1.weight": 0}
    assert achieved.sparsity == pytest.approx(0.2)
    assert achieved.layer_sparsity == pytest.approx({"0.0.weight": 0.3, "0.1.weight": 0})
    assert (achieved.parameters, achieved.nonzero_parameters) == (41, 33)
    assert achieved.model_compression == pytest.approx(41 / 33)


def test_compression_of_nothing_left_is_infinite() -> None:
    model = blocks(torch.zeros(2, 2))

    assert engine.achieved(model).model_compression == math.inf

"""Patterns of units, against plain sorting of plain numbers."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from prunecli.core import engine, units
from prunecli.core.allocation import ALLOCATIONS
from prunecli.core.criteria import CRITERIA
from prunecli.core.criteria.stored import StoredScores
from prunecli.core.mask import Mask
from prunecli.core.patterns import parse_pattern
from prunecli.core.scope import prunable
from prunecli.core.units import Units
from prunecli.errors import InputError, IntegrityError, UsageError

from . import evidence as examples
from .models import blocks, kept_by, quick, random_blocks

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WITHOUT_TRAINING = [name for name in CRITERIA if CRITERIA.get(name).needs != "training"]
# Rows, columns and weights that stay; the last are sorted instead of compared.
PATTERNS = {
    "2:4": (1, 4, 2),
    "1:3": (1, 3, 1),
    "7:8": (1, 8, 7),
    "block:2x3": (2, 3, 0),
    "block:4x1": (4, 1, 0),
    "block:1x5": (1, 5, 0),
    "11:34": (1, 34, 11),
}
SHARES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 0.25, 1.0]))

small_chunks = mock.patch("prunecli.core.flat.CHUNK", 16)

Flags = dict[str, list[bool]]


@dataclass
class Case:
    """Matrices in a pattern, with scores whose sums no float rounds."""

    model: nn.Module
    pattern: str
    scores: dict[str, Tensor]
    signed: bool

    @property
    def most(self) -> float:
        """The sparsity at which every unit is gone."""
        rows, columns, keeps = PATTERNS[self.pattern]
        return (rows * columns - keeps) / (rows * columns)

    def level(self, share: float) -> float:
        """The sparsity at which a ``share`` of the units goes; 1 cannot be asked for."""
        return min(share * self.most, math.nextafter(1, 0))

    def plan(self, levels: list[float], **options: object) -> engine.Plan:
        scores = {name: score.clone() for name, score in self.scores.items()}
        stored = StoredScores(prunable(self.model), scores, signed=self.signed)
        return engine.plan(self.model, levels, pattern=self.pattern, scores=stored, **options)

    def tiles(self, name: str) -> list[list[int]]:
        """The flat positions of each unit."""
        rows, columns, _ = PATTERNS[self.pattern]
        outputs, inputs = self.scores[name].shape
        return [
            [
                (top + row) * inputs + left + column
                for row in range(rows)
                for column in range(columns)
            ]
            for top in range(0, outputs, rows)
            for left in range(0, inputs, columns)
        ]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """One to three matrices, possibly empty or strided, of any dtype, with many or few ties."""
    text = draw(st.sampled_from([*PATTERNS]))
    rows, columns, _ = PATTERNS[text]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    dtype, bound = draw(st.sampled_from(DTYPES)), draw(st.sampled_from([0, 1, 30]))
    signed = draw(st.booleans())
    weights, scores = [], {}
    for number in range(draw(st.integers(1, 3))):
        shape = rows * draw(st.integers(0, 9)), columns * draw(st.integers(1, 4))
        whole = torch.randint(-bound, bound + 1, shape, generator=generator)
        score = (whole if signed else whole.abs()).to(dtype) / 4
        if signed:
            score[score == 0] *= -1  # -0.0, where the weight is negative too
        scores[f"0.{number}.weight"] = score
        weight = torch.randn(shape, generator=generator).to(dtype)
        weights.append(weight.t().contiguous().t() if draw(st.booleans()) else weight)
    return Case(blocks(*weights), text, scores, signed)


def by_sorting(case: Case, share: float, strategy: str, before: Flags | None = None) -> Flags:
    """The definition: a stable sort within groups, and one of the sums of what would go."""
    rows, columns, keeps = PATTERNS[case.pattern]
    before = before or {name: [True] * score.numel() for name, score in case.scores.items()}
    kept = {name: list(flags) for name, flags in before.items()}
    pools = [list(kept)] if strategy == "global" else [[name] for name in kept]
    for pool in pools:
        gone, left = 0, []
        for name in pool:
            score, flags = case.scores[name].double().view(-1).tolist(), before[name]
            for tile in case.tiles(name):
                goes = sorted(tile, key=lambda i: score[i] if flags[i] else -math.inf)
                goes = goes[: rows * columns - keeps]
                if sum(not flags[i] for i in tile) >= len(goes):
                    gone += 1
                else:
                    left.append((sum(score[i] for i in goes if flags[i]), name, goes))
        left.sort(key=lambda unit: unit[0])
        to_go = round(case.level(share) / case.most * (gone + len(left))) - gone
        for _, name, goes in left[: max(to_go, 0)]:
            for i in goes:
                kept[name][i] = False
    return kept


@pytest.mark.parametrize("strategy", ALLOCATIONS)
@quick
@given(case=cases(), shares=st.lists(SHARES, min_size=1, max_size=3))
def test_masks_are_those_of_plain_sorting(strategy: str, case: Case, shares: list[float]) -> None:
    with small_chunks:
        plan = case.plan([case.level(share) for share in shares], strategy=strategy)
        for share in shares:
            found = kept_by(plan.mask(case.level(share)))
            assert found == by_sorting(case, share, strategy)


@pytest.mark.parametrize("strategy", ALLOCATIONS)
@quick
@given(
    case=cases(),
    share=SHARES,
    first=st.sampled_from([0.0, 0.2, 0.5, 0.9]),
    whole=st.booleans(),
    seed=st.integers(0, 5),
)
def test_a_previous_mask_never_shrinks_and_whole_units_of_it_count(
    strategy: str, case: Case, share: float, first: float, whole: bool, seed: int
) -> None:
    pattern, level = (case.pattern, case.level(first)) if whole else ("unstructured", first)
    previous = engine.plan(
        case.model, [level], criterion="random", pattern=pattern, seed=seed
    ).mask(level)
    with small_chunks:
        plan = case.plan([case.level(share)], strategy=strategy, previous=previous)
        grown = plan.mask(case.level(share))

    assert grown.contains(previous)
    assert kept_by(grown) == by_sorting(case, share, strategy, kept_by(previous))
    if whole and strategy == "global" and share <= first:
        assert grown == previous


@pytest.mark.parametrize("strategy", ALLOCATIONS)
@quick
@given(case=cases(), shares=st.lists(SHARES, min_size=2, max_size=3, unique=True))
def test_counts_are_whole_units_levels_nest_and_chunks_do_not_matter(
    strategy: str, case: Case, shares: list[float]
) -> None:
    removes = parse_pattern(case.pattern).removes
    levels = sorted({case.level(share) for share in shares})
    plan, smaller = case.plan(levels, strategy=strategy), None
    for level in levels:
        mask = plan.mask(level)
        counts = mask.removed()
        assert all(count % removes == 0 for count in counts.values())
        pools = [[name] for name in counts] if strategy == "layerwise" else [list(counts)]
        for pool in pools:
            wanted = level * sum(mask.sizes()[name] for name in pool)
            assert abs(sum(counts[name] for name in pool) - wanted) <= removes / 2 + 1e-6
        assert smaller is None or mask.contains(smaller)
        with small_chunks:
            grown = case.plan([level], strategy=strategy, previous=smaller)
            assert grown.mask(level) == mask
        smaller = mask


@quick
@given(case=cases(), share=SHARES)
def test_one_matrix_in_memory_is_cut_as_by_a_plan(case: Case, share: float) -> None:
    level, pattern = case.level(share), parse_pattern(case.pattern)
    mask = case.plan([level], strategy="layerwise").mask(level)

    for name, removed in mask.removed().items():
        kept = units.select(case.scores[name], removed, pattern)
        assert kept.shape == case.scores[name].shape
        assert kept.view(-1).tolist() == kept_by(mask)[name]
        strided = case.scores[name].t().contiguous().t()
        assert torch.equal(units.select(strided, removed, pattern), kept)


@quick
@given(st.lists(st.integers(-2, 2), min_size=1, max_size=30), st.floats(0, 1))
def test_single_weights_in_memory_are_cut_by_a_stable_sort(scores: list[int], share: float) -> None:
    remove = round(share * len(scores))
    kept = units.select(torch.tensor([scores]).half(), remove, parse_pattern("unstructured"))

    order = sorted(range(len(scores)), key=scores.__getitem__)
    assert (~kept).nonzero()[:, 1].tolist() == sorted(order[:remove])


def test_what_cannot_go_from_one_matrix_is_refused() -> None:
    scores, pattern = torch.zeros(3, 8), parse_pattern("2:4")

    assert units.select(scores, 5, pattern).sum() == 24 - 2 * 2
    for remove in (-2, 14):
        with pytest.raises(ValueError, match=rf"{remove} of 24 weights cannot go in pattern 2:4"):
            units.select(scores, remove, pattern)
    with pytest.raises(UsageError) as caught:
        units.select(torch.zeros(3, 7), 0, pattern)
    assert str(caught.value) == "'scores' has 7 inputs, which pattern 2:4 cannot divide by 4"


def test_the_first_of_equals_go() -> None:
    model = blocks(torch.full((4, 6), -0.5))

    def zeros(pattern: str, level: float) -> list[list[int]]:
        pruned = copy.deepcopy(model)
        engine.prune_(pruned, level, pattern=pattern)
        return (prunable(pruned)["0.0.weight"] == 0).int().tolist()

    assert zeros("1:3", 2 / 3) == [[1, 1, 0, 1, 1, 0]] * 4
    assert zeros("1:3", 1 / 4) == [[1, 1, 0, 1, 1, 0], [1, 1, 0, 0, 0, 0], [0] * 6, [0] * 6]
    assert zeros("block:2x3", 1 / 2) == [[1] * 6, [1] * 6, [0] * 6, [0] * 6]
    assert zeros("block:2x2", 1 / 2) == [[1] * 6, [1] * 6, [0] * 6, [0] * 6]
    assert zeros("block:4x2", 2 / 3) == [[1, 1, 1, 1, 0, 0]] * 4


def left_in_tiles(model: nn.Module, mask: Mask, rows: int, columns: int) -> list[int]:
    """How many weights are kept in each tile of all the tensors."""
    counts: list[int] = []
    for name, flags in kept_by(mask).items():
        kept = torch.tensor(flags).view(prunable(model)[name].shape)
        tiles = kept.unfold(0, rows, rows).unfold(1, columns, columns)
        counts += tiles.sum(dim=(2, 3)).view(-1).tolist()
    return counts


@pytest.mark.parametrize("strategy", ALLOCATIONS)
@pytest.mark.parametrize("criterion", WITHOUT_TRAINING)
def test_every_criterion_keeps_n_of_m_and_whole_blocks(
    criterion: str, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "WIDTH", 8)
    monkeypatch.setattr(examples, "HIDDEN", 16)
    monkeypatch.setattr("prunecli.core.flat.CHUNK", 64)
    given = examples.evidence(3, 2, dtype=torch.float32)
    scores = CRITERIA.get(criterion)(prunable(given.model), seed=0, evidence=given)

    def mask(pattern: str, level: float, previous: Mask | None = None) -> Mask:
        return engine.plan(
            given.model,
            [level],
            strategy=strategy,
            pattern=pattern,
            scores=scores,
            previous=previous,
        ).mask(level)

    for pattern, n, m in (("2:4", 2, 4), ("5:8", 5, 8)):
        level = 1 - n / m
        full, half = mask(pattern, level), mask(pattern, level / 2)
        assert set(left_in_tiles(given.model, full, 1, m)) == {n}
        assert set(left_in_tiles(given.model, half, 1, m)) == {n, m}
        assert full.contains(half)
        assert mask(pattern, level, previous=half) == full
    for level in (0.25, 0.5):
        left = left_in_tiles(given.model, mask("block:4x2", level), 4, 2)
        assert (left.count(0), left.count(8)) == (level * 72, (1 - level) * 72)


@quick
@given(
    text=st.sampled_from([*PATTERNS]),
    cut=st.tuples(st.integers(0, 80), st.integers(0, 80)),
    seed=st.integers(0, 1000),
    previous=st.booleans(),
)
def test_scores_of_units_do_not_depend_on_chunks(
    text: str, cut: tuple[int, int], seed: int, previous: bool
) -> None:
    rows, columns, _ = PATTERNS[text]
    shape = 8 * rows, 10 * columns
    model = random_blocks(shape, seed=seed)
    weights = prunable(model)
    scores = CRITERIA.get("magnitude")(weights, seed=0)
    before = engine.plan(model, [0.3], criterion="random").mask(0.3).bits if previous else None
    grouped = Units(parse_pattern(text), scores, {"0.0.weight": shape}, before)
    start, stop = sorted(cut)

    assert grouped.sizes() == {"0.0.weight": 80}
    whole = grouped.chunk("0.0.weight", 0, 80).clone()
    assert not whole.signbit().any()
    with small_chunks:
        assert torch.equal(grouped.chunk("0.0.weight", start, stop), whole[start:stop])


@pytest.mark.parametrize("text", ["2:4", "block:2x4"])
def test_masks_of_units_can_be_applied_in_ascending_order(text: str) -> None:
    levels = [0.1, 0.15, 0.3, 0.35, 0.45, 0.5]
    fresh = random_blocks((20, 32), (40, 12))
    with torch.no_grad():
        for weight in prunable(fresh).values():
            weight.round_()  # several levels cut through the same ties
    model = copy.deepcopy(fresh)
    plan = engine.plan(model, levels, pattern=text)
    applied = []
    for level in levels:
        applied.append(plan.mask(level))
        applied[-1].apply_(model)

    again = engine.plan(fresh, levels, pattern=text)
    assert applied == [again.mask(level) for level in levels]
    with torch.no_grad():
        prunable(model)["0.0.weight"].fill_(9)
    with pytest.raises(IntegrityError, match="weights have changed"):
        plan.mask(0.3)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("text", ["1:2", "3:4", "block:2x2", "23:40"])
@pytest.mark.parametrize("signed", [False, True])
def test_weights_that_are_not_finite_are_refused_by_name_wherever_they_are(
    signed: bool, text: str, bad: float
) -> None:
    for place in (0, 41, 159):
        weights = [torch.ones(4, 40) for _ in range(3)]
        weights[1].view(-1)[place] = bad
        model = blocks(*weights)
        scores = {name: torch.ones(4, 40) for name in prunable(model)}
        stored = StoredScores(prunable(model), scores, signed=signed)
        with pytest.raises(InputError, match=r"^'0\.1\.weight' has NaN or infinite weights$"):
            engine.plan(model, [0.2], pattern=text, scores=stored)


def test_sums_of_short_floats_are_not_short() -> None:
    weight = torch.full((2, 8), 60_000, dtype=torch.float16)
    weight[0, 3] -= 32
    model = blocks(weight)

    engine.prune_(model, 0.25, pattern="block:1x4")

    expected = weight.clone()
    expected[0, :4] = 0
    assert torch.equal(prunable(model)["0.0.weight"], expected)
    assert torch.equal(units.select(weight, 4, parse_pattern("block:1x4")), expected != 0)


def test_shapes_and_levels_beyond_the_pattern_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^'0\.1\.weight' has 6 inputs, which pattern 2:4 cannot"):
        engine.plan(random_blocks((2, 8), (4, 6)), [0.5], pattern="2:4")
    with pytest.raises(UsageError, match=r"^pattern 2:4 removes at most 0\.5 of the weights"):
        engine.plan(random_blocks((2, 8)), [0.4, 0.6], pattern="2:4")
    with pytest.raises(UsageError, match="unknown pattern 'block'"):
        engine.plan(random_blocks((2, 8)), [0.5], pattern="block")


@pytest.mark.parametrize("kind", ["normal", "ties", "constant", "sorted"])
@quick
@given(st.integers(0, 999), st.integers(1, 40_000), st.floats(0, 1))
def test_the_kth_smallest_is_that_of_sorting(kind: str, seed: int, size: int, share: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(size, generator=generator)
    if kind == "ties":
        values = (values * 2).round()
    elif kind == "constant":
        values[:] = 1.5
    elif kind == "sorted":
        values = values.sort().values
    k = min(int(share * size) + 1, size)
    before, expected = values.clone(), float(values.sort().values[k - 1])
    assert float(units.kth_smallest(values, k)) == expected
    assert float(units.kth_smallest(values.double(), k)) == expected
    assert torch.equal(values, before)

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prunecli.core import engine
from prunecli.core.mask import Mask
from prunecli.core.scope import prunable
from prunecli.errors import IntegrityError

from .models import blocks, quick, random_blocks

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
NAME = "0.0.weight"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunecli.core.flat.CHUNK", 16)


def mask_of(kept: list[bool], shape: tuple[int, ...] | None = None) -> Mask:
    number = sum(1 << position for position, one in enumerate(kept) if one)
    packed = number.to_bytes(math.ceil(len(kept) / 8), "little")
    bits = torch.tensor(list(packed), dtype=torch.uint8)
    return Mask({NAME: shape or (1, len(kept))}, {NAME: bits})


@quick
@given(st.lists(st.booleans(), max_size=60))
def test_counts(kept: list[bool]) -> None:
    mask = mask_of(kept)
    removed = kept.count(False)

    assert mask.sizes() == {NAME: len(kept)}
    assert mask.removed() == {NAME: removed}
    assert mask.sparsity == pytest.approx(removed / max(len(kept), 1))
    assert mask.layer_sparsity() == {NAME: mask.sparsity}


def test_the_mask_of_a_model_costs_a_32nd_of_its_float32_weights() -> None:
    model = random_blocks((64, 64), (64, 256))
    mask = engine.plan(model, [0.5]).mask(0.5)

    assert 32 * sum(bits.nbytes for bits in mask.bits.values()) == sum(
        weight.nbytes for weight in prunable(model).values()
    )


@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_apply_zeroes_the_removed_and_leaves_the_rest_bit_for_bit(
    dtype: torch.dtype, strided: bool
) -> None:
    weight = torch.randn(7, 13).to(dtype)
    if strided:
        weight = weight.t()
    dense = weight.clone()
    model = blocks(weight)
    mask = engine.plan(model, [0.6], criterion="random").mask(0.6)
    kept = torch.tensor([bool(int(mask.bits[NAME][i // 8]) >> i % 8 & 1) for i in range(91)])

    mask.apply_(model)

    after = prunable(model)[NAME].detach()
    assert torch.equal(after, torch.where(kept.view(weight.shape), dense, 0))
    assert not after.reshape(-1)[~kept].signbit().any()
    mask.verify(model)


def test_apply_clears_what_is_not_a_number_and_keeps_the_gradient() -> None:
    model = blocks(torch.tensor([[math.nan, -math.inf, -1.0, 2.0]]))
    weight = prunable(model)[NAME]
    weight.grad = torch.ones(1, 4)

    mask_of([False, False, False, True]).apply_(model)

    assert weight.tolist() == [[0, 0, 0, 2]]
    assert weight.requires_grad
    assert weight.grad.tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_verify_counts_the_weights_that_came_back(dtype: torch.dtype, strided: bool) -> None:
    sound = torch.ones(3, 10, dtype=dtype)
    broken = torch.ones(50, 30, dtype=dtype)
    model = blocks(sound, broken.t() if strided else broken)
    mask = engine.plan(model, [0.5], strategy="layerwise").mask(0.5)
    mask.apply_(model)
    mask.verify(model)

    with torch.no_grad():
        removed = (prunable(model)["0.1.weight"] == 0).nonzero()
        for place, value in zip(removed[[0, 400, -1]], (1e-4, math.nan, -0.0), strict=True):
            prunable(model)["0.1.weight"][tuple(place)] = value

    with pytest.raises(IntegrityError, match=r"^'0\.1\.weight' has 2 non-zero weights that"):
        mask.verify(model)


def test_verify_notices_a_single_weight_that_came_back() -> None:
    mask = mask_of([True, False, True, False])
    mask.verify(blocks(torch.tensor([[1.0, 0.0, 0.0, -0.0]])))

    with pytest.raises(IntegrityError) as caught:
        mask.verify(blocks(torch.tensor([[1.0, 0.0, 0.0, 1e-30]])))
    assert str(caught.value) == "'0.0.weight' has 1 non-zero weights that the mask removed"
    assert caught.value.hint == ("apply the mask after every change to the weights, or prune again")


@quick
@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_contains_means_removing_at_least_as_much(pairs: list[tuple[bool, bool]]) -> None:
    one, other = mask_of([a for a, _ in pairs]), mask_of([b for _, b in pairs])

    assert one.contains(other) == all(b or not a for a, b in pairs)
    assert (one == other) == all(a == b for a, b in pairs)
    assert one.contains(one)


def test_masks_of_other_shapes_are_neither_equal_nor_contained() -> None:
    kept = [True, False, True, False, False, False]

    assert mask_of(kept, (2, 3)) != mask_of(kept, (3, 2))
    assert not mask_of(kept, (2, 3)).contains(mask_of(kept, (3, 2)))
    assert mask_of(kept) != "a mask"


@pytest.mark.parametrize("shapes", [[(3, 4)], [(3, 4), (5, 6), (2, 2)], [(3, 4), (6, 5)]])
def test_a_mask_of_another_model_is_refused(shapes: list[tuple[int, int]]) -> None:
    mask = engine.plan(random_blocks((3, 4), (5, 6)), [0.5]).mask(0.5)
    other = random_blocks(*shapes)

    for use in (mask.apply_, mask.verify, lambda model: engine.plan(model, [0.6], previous=mask)):
        with pytest.raises(IntegrityError, match="the mask does not fit the model"):
            use(other)


@pytest.mark.parametrize(
    ("shapes", "where"),
    [
        ([(3, 4)], "'0.1.weight'"),
        ([(3, 4), (6, 5)], "'0.1.weight'"),
        ([(4, 3), (6, 5)], "'0.0.weight' and 1 more"),
        ([(4, 3), (6, 5), (2, 2)], "'0.0.weight' and 2 more"),
    ],
)
def test_where_a_mask_does_not_fit_is_said(shapes: list[tuple[int, int]], where: str) -> None:
    mask = engine.plan(random_blocks((3, 4), (5, 6)), [0.5]).mask(0.5)
    with pytest.raises(IntegrityError) as caught:
        mask.verify(random_blocks(*shapes))
    assert str(caught.value) == f"the mask does not fit the model: they differ in {where}"
    assert caught.value.hint == "use the mask that was written beside this model"


def test_what_is_empty_has_no_sparsity() -> None:
    assert Mask({}, {}).sparsity == 0.0
    empty = Mask({NAME: (0, 4)}, {NAME: torch.empty(0, dtype=torch.uint8)})
    assert (empty.sparsity, empty.layer_sparsity()) == (0.0, {NAME: 0.0})


def test_a_mask_shows_its_size_and_sparsity() -> None:
    assert repr(mask_of([True, False, True])) == "Mask(1 tensors, sparsity 0.3333)"


def test_the_kept_of_one_tensor_have_its_shape() -> None:
    wanted = torch.rand(3, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    mask = Mask.of({NAME: wanted, "other": ~wanted.t()})
    assert torch.equal(mask.kept(NAME, torch.device("cpu")), wanted)
    assert torch.equal(mask.kept("other", torch.device("cpu")), ~wanted.t())


def test_only_the_tensors_that_are_given_are_zeroed() -> None:
    mask = Mask.of({"a": torch.tensor([[True, False]]), "b": torch.tensor([[False, True]])})
    moments = {"b": torch.tensor([3.0, 4.0], dtype=torch.float16)}
    mask.zero_(moments)
    assert moments["b"].tolist() == [0.0, 4.0]


def test_round_trip_through_tensors() -> None:
    model = random_blocks((3, 5), (0, 4), (7, 7))
    mask = engine.plan(model, [0.4]).mask(0.4)
    tensors, metadata = mask.to_tensors()

    assert all(type(key) is type(value) is str for key, value in metadata.items())
    assert Mask.from_tensors(tensors, metadata) == mask


def _drop(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    del tensors[NAME]


def _truncate(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    tensors[NAME] = tensors[NAME][:-1]


def _retype(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    tensors[NAME] = tensors[NAME].to(torch.int8)


def _reshape(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    tensors[NAME] = tensors[NAME].view(1, -1)


def _set_padding(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    tensors[NAME] = tensors[NAME] | torch.tensor([0, 0x80], dtype=torch.uint8)


def _metadata(**changes: object) -> object:
    def change(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        for key, value in changes.items():
            metadata[key] = value if isinstance(value, str) else json.dumps(value)

    return change


UNLIKE = "its tensors are not those that it lists"
NOT_2, NOT_3 = (f"'0.0.weight' is not {count} bytes of bits" for count in (2, 3))
UNREADABLE = "its shapes cannot be read"


@pytest.mark.parametrize(
    ("corrupt", "said"),
    [
        pytest.param(_drop, UNLIKE, id="missing tensor"),
        pytest.param(_truncate, NOT_2, id="truncated"),
        pytest.param(_retype, NOT_2, id="wrong dtype"),
        pytest.param(_reshape, NOT_2, id="wrong rank"),
        pytest.param(_set_padding, "'0.0.weight' has bits beyond its last weight", id="padding"),
        pytest.param(
            _metadata(format="prune-mask-v0"),
            "its format is 'prune-mask-v0', not 'prune-mask-v1'",
            id="other format",
        ),
        pytest.param(_metadata(shapes="{"), UNREADABLE, id="broken JSON"),
        pytest.param(_metadata(shapes=[1]), UNREADABLE, id="shapes not a mapping"),
        pytest.param(_metadata(shapes={NAME: "1x15"}), UNREADABLE, id="shape not a list"),
        pytest.param(_metadata(shapes={NAME: [-1, -15]}), UNREADABLE, id="negative side"),
        pytest.param(_metadata(shapes={NAME: [1.0, 15]}), UNREADABLE, id="fractional side"),
        pytest.param(_metadata(shapes={NAME: [3, 6]}), NOT_3, id="other size"),
        pytest.param(_metadata(shapes={"other": [3, 5]}), UNLIKE, id="other name"),
        pytest.param(lambda _, metadata: metadata.pop("shapes"), UNREADABLE, id="no shapes"),
        pytest.param(
            lambda _, metadata: metadata.clear(),
            "its format is None, not 'prune-mask-v1'",
            id="no metadata",
        ),
    ],
)
def test_a_corrupt_mask_is_refused(corrupt: object, said: str) -> None:
    tensors, metadata = mask_of([True] * 15, (3, 5)).to_tensors()
    corrupt(tensors, metadata)

    with pytest.raises(IntegrityError) as caught:
        Mask.from_tensors(tensors, metadata)
    assert str(caught.value) == f"the mask is corrupt: {said}"
    assert caught.value.hint == "prune the model again"

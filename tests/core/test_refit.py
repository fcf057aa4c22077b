"""The repair of a cut model, layer by layer against least squares that are written out."""

from __future__ import annotations

import copy
from contextlib import ExitStack

import pytest
import torch
from torch import Tensor, nn

from prunecli.core.cutting import cut_
from prunecli.core.refit import refit_
from prunecli.core.sublayers import sublayers_of
from prunecli.errors import InputError

from .test_structured import batches, made

KEPT = (torch.tensor([1]), torch.arange(0, 24, 3), torch.tensor([0]), torch.arange(5))
WRITERS = (
    "bert.encoder.layer.0.attention.output.dense.weight",
    "bert.encoder.layer.0.output.dense.weight",
    "bert.encoder.layer.1.attention.output.dense.weight",
    "bert.encoder.layer.1.output.dense.weight",
)


class Still(nn.Module):
    """An activation that says nothing."""

    def forward(self, states: Tensor) -> Tensor:
        return torch.ones_like(states)


def writing(model: nn.Module, given: list[dict[str, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """What each writer reads of real tokens, and what its output is added to."""
    places = [
        place
        for block in model.bert.encoder.layer
        for place in (block.attention.output, block.output)
    ]
    read: list[list[Tensor]] = [[] for _ in places]
    beside: list[list[Tensor]] = [[] for _ in places]
    with ExitStack() as stack, torch.no_grad():
        for place, own, other in zip(places, read, beside, strict=True):

            def note(
                _: nn.Module, inputs: tuple[Tensor, ...], own: list[Tensor] = own,
                other: list[Tensor] = other,
            ) -> None:  # fmt: skip
                own.append(inputs[0][real])
                other.append(inputs[1][real])

            stack.callback(place.register_forward_pre_hook(note).remove)
        for batch in given:
            real = batch["attention_mask"].bool()
            model(**batch)
    return [(torch.cat(own), torch.cat(other)) for own, other in zip(read, beside, strict=True)]


def cut(dense: nn.Module, kept: tuple[Tensor, ...] = KEPT) -> nn.Module:
    model = copy.deepcopy(dense)
    cut_(sublayers_of(model), list(kept))
    return model


@pytest.mark.parametrize("bias", [True, False])
def test_every_layer_that_writes_is_fitted_to_what_it_then_reads(bias: bool) -> None:
    """Sums are brought back to those of the dense model, and dropout plays no part."""
    dense, given = made("bert"), batches(9, 6)
    if not bias:
        for part in sublayers_of(dense):
            part.writer.bias = None
    model = cut(dense).train()
    dense.train()
    starts = [part.writer.weight.detach().clone() for part in sublayers_of(model)]

    assert refit_(model, dense, KEPT, given) == set()

    assert model.training
    assert dense.training
    model.eval()
    dense.eval()
    now, then = writing(model, given), writing(dense, given)
    for place, (part, original) in enumerate(
        zip(sublayers_of(model), sublayers_of(dense), strict=True)
    ):
        (read, beside), (dense_read, dense_beside) = now[place], then[place]
        wanted = (original.writer(dense_read) + dense_beside - beside).detach()
        mean, goal = read.mean(0), wanted.mean(0)
        if not bias:
            mean, goal = torch.zeros_like(mean), torch.zeros_like(goal)
        centred = read - mean
        square = centred.T @ centred / len(read)
        damping = 0.01 * square.diagonal().mean()
        cross = (wanted - goal).T @ centred / len(read) + damping * starts[place]
        best = torch.linalg.solve(square + damping * torch.eye(len(square)), cross.T).T
        assert torch.allclose(part.writer.weight, best, atol=1e-8)
        if bias:
            assert torch.allclose(part.writer.bias, goal - best @ mean, atol=1e-8)
        else:
            assert part.writer.bias is None


def test_where_nothing_is_left_the_bias_is_what_is_wanted_in_the_mean() -> None:
    dense, given = made("bert"), batches(7)
    kept = (torch.arange(0), *KEPT[1:])
    model = cut(dense, kept)
    refit_(model, dense, kept, given)
    ((_, beside), *_), ((read, dense_beside), *_) = writing(model, given), writing(dense, given)
    first = sublayers_of(dense)[0].writer
    wanted = first(read) + dense_beside - beside
    assert torch.allclose(sublayers_of(model)[0].writer.bias, wanted.mean(0), atol=1e-9)


def test_a_layer_that_reads_what_never_varies_keeps_its_weights_and_is_named() -> None:
    dense, given = made("bert"), batches(7, 4)
    dense.bert.encoder.layer[0].intermediate.intermediate_act_fn = Still()
    model = cut(dense)
    start = sublayers_of(model)[1].writer.weight.detach().clone()
    assert refit_(model, dense, KEPT, given) == {WRITERS[1]}
    assert torch.allclose(sublayers_of(model)[1].writer.weight, start, rtol=1e-9)


@pytest.mark.parametrize("place", range(4))
def test_a_refit_that_gives_no_numbers_is_refused_by_name(place: int) -> None:
    dense, given = made("bert").float(), batches(7)
    model = cut(dense)
    sublayers_of(dense)[place].writer.weight.data[0] = 3e38
    with pytest.raises(InputError) as caught:
        refit_(model, dense, KEPT, given)
    assert str(caught.value) == f"the refit of '{WRITERS[place]}' is not finite"
    assert caught.value.hint == (
        "its weights or inputs are too large: use another checkpoint, or --no-refit"
    )

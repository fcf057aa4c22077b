"""Visiting layers in the order of the computation, in models small enough to be written out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from prunecli.core.activations import call_with, visit_inputs
from prunecli.core.evidence import Batch
from prunecli.core.walk import Group, Walk, groups
from prunecli.errors import InputError

from . import models
from .evidence import batches, classifier

WIDTH, HIDDEN = 7, 5


class Block(nn.Module):
    """Two layers read the same, and one writes what is added to it."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.gate = nn.Linear(WIDTH, HIDDEN), nn.Linear(WIDTH, HIDDEN)
        self.down = nn.Linear(HIDDEN, WIDTH)
        self.join: Callable[[Tensor, Tensor], Tensor] = torch.add
        self.calls = 0

    def forward(self, states: Tensor) -> Tensor:
        self.calls += 1
        hidden = torch.tanh(self.up(states)) * self.gate(states)
        return self.join(states, self.down(hidden))


class Net(nn.Module):
    """Blocks, of which each is called so many times, and a layer after them."""

    def __init__(self, blocks: int = 2, calls: int = 1) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(blocks))
        self.head = nn.Linear(WIDTH, 3)
        self.times = calls

    def forward(self, vectors: Tensor, **_: Tensor) -> Tensor:
        for block in self.blocks:
            for _ in range(self.times):
                vectors = block(vectors)
        return self.head(vectors)


def net(**options: int) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Net(**options).double().eval()


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: p for name, p in model.named_parameters() if name.endswith("weight")}


def named(found: tuple[Group, ...]) -> list[list[str]]:
    return [[name.removesuffix(".weight") for name in group.layers] for group in found]


def real(batch: Batch) -> Tensor:
    return batch["attention_mask"].bool()


# Groups


def test_layers_that_read_the_same_are_one_group() -> None:
    model = net()
    found = groups(model, weights(model), batches(2)[0])
    assert named(found) == [
        ["blocks.0.up", "blocks.0.gate"],
        ["blocks.0.down"],
        ["blocks.1.up", "blocks.1.gate"],
        ["blocks.1.down"],
        ["head"],
    ]
    assert found[0].layers["blocks.0.gate.weight"] is model.blocks[0].gate
    assert [group.calls for group in found] == [1] * 5
    # A block is finished after its last group; what stands outside belongs to none.
    assert [group.block for group in found] == [
        None, model.blocks[0], None, model.blocks[1], None,
    ]  # fmt: skip


def test_only_the_layers_asked_for_are_there() -> None:
    model = net()
    wanted = {
        n: w for n, w in weights(model).items() if n in ("blocks.1.gate.weight", "head.weight")
    }
    found = groups(model, wanted, batches(2)[0])
    assert named(found) == [["blocks.1.gate"], ["head"]]
    assert [group.block for group in found] == [model.blocks[1], None]


def test_blocks_that_are_called_again_are_never_finished() -> None:
    model = net(calls=3)
    found = groups(model, weights(model), batches(2)[0])
    assert [group.calls for group in found] == [3, 3, 3, 3, 1]
    assert named(found)[:2] == [["blocks.0.up", "blocks.0.gate"], ["blocks.0.down"]]
    assert all(group.block is None for group in found)


def test_layers_of_several_lists_finish_no_block() -> None:
    """And layers that read the same, but not as often, are not one group."""
    model = classifier(shared=True).eval()
    found = groups(model, weights(model), batches(2)[0])
    assert named(found) == [["ups.0"], ["downs.0"], ["poolers.0"], ["head"]]
    assert [group.calls for group in found] == [2, 2, 1, 1]
    assert all(group.block is None for group in found)
    model = classifier().eval()
    assert all(group.block is None for group in groups(model, weights(model), batches(2)[0]))
    # One list is the encoder's where no other has such layers.
    model = net()
    model.more = nn.ModuleList([nn.Dropout()])
    found = groups(model, weights(model), batches(2)[0])
    assert [group.block for group in found][1::2] == list(model.blocks)

    other = net()
    gate = other.blocks[1].gate
    other.blocks[1].join = lambda states, output: states + output + 0 * gate(states).sum()
    assert named(groups(other, weights(other), batches(2)[0]))[2:4] == [
        ["blocks.1.up"],
        ["blocks.1.gate"],
    ]


def test_a_layer_that_is_not_called_is_in_no_group() -> None:
    model = net()
    model.blocks[0].forward = lambda states: states
    assert named(groups(model, weights(model), batches(2)[0])) == [
        ["blocks.1.up", "blocks.1.gate"],
        ["blocks.1.down"],
        ["head"],
    ]


# Inputs


def states_before(model: Net, batch: Batch, block: int) -> Tensor:
    """What a block reads, for real tokens."""
    states = batch["vectors"]
    for each in model.blocks[:block]:
        states = each(states)
    return states[real(batch)]


def test_each_group_is_shown_what_it_reads_of_real_tokens() -> None:
    model, given = net(), batches(3, 2)
    walk, found = Walk(model, given), groups(model, weights(model), given[0])
    with torch.no_grad():
        for number, batch in enumerate(given):
            for block in (0, 1):
                states = states_before(model, batch, block)
                assert torch.equal(walk.inputs(found[2 * block], number), states)
                own = model.blocks[block]
                hidden = torch.tanh(own.up(states)) * own.gate(states)
                read = walk.inputs(found[2 * block + 1], number)
                assert torch.allclose(read, hidden, atol=1e-12)


@pytest.mark.parametrize("calls", [2, 3])
def test_a_shared_block_shows_the_inputs_of_all_its_calls(calls: int) -> None:
    model, given = net(blocks=1, calls=calls), batches(2)
    walk, (first, *_) = Walk(model, given), groups(model, weights(model), given[0])
    states, wanted = given[0]["vectors"], []
    with torch.no_grad():
        for _ in range(calls):
            wanted.append(states[real(given[0])])
            states = model.blocks[0](states)
        assert torch.allclose(walk.inputs(first, 0), torch.cat(wanted), atol=1e-12)


def test_a_model_runs_no_further_than_the_group_and_no_finished_block_again() -> None:
    model, given = net(blocks=3), batches(3, 2)
    walk, found = Walk(model, given), groups(model, weights(model), given[0])

    def calls(action: Callable[[], object]) -> list[int]:
        for block in model.blocks:
            block.calls = 0
        action()
        return [block.calls for block in model.blocks]

    with torch.no_grad():
        wanted = [walk.inputs(found[5], number) for number in range(2)]
        assert calls(lambda: walk.inputs(found[1], 0)) == [1, 0, 0]
        assert calls(lambda: walk.inputs(found[3], 1)) == [1, 1, 0]
        assert calls(lambda: walk.finish(model.blocks[0])) == [2, 0, 0]
        assert calls(lambda: walk.inputs(found[3], 1)) == [0, 1, 0]
        assert calls(lambda: walk.summands(found[3], 1)) == [0, 1, 0]
        assert calls(lambda: walk.finish(model.blocks[1])) == [0, 2, 0]
        assert calls(lambda: walk.summands(found[5], 0)) == [0, 0, 1]
        for number in range(2):
            assert torch.equal(walk.inputs(found[5], number), wanted[number])
    # The model itself still runs as a whole.
    assert calls(lambda: model(**given[0])) == [1, 1, 1]


def test_a_block_with_a_forward_of_its_own_has_it_back() -> None:
    model, given = net(), batches(2)
    own = model.blocks[0].forward
    model.blocks[0].forward = lambda states: own(2 * states)
    before, mine = model(**given[0]), model.blocks[0].forward
    walk, found = Walk(model, given), groups(model, weights(model), given[0])
    with torch.no_grad():
        walk.finish(model.blocks[0])
        read = walk.inputs(found[2], 0)
    assert torch.equal(read, states_before(model, given[0], 1))
    assert model.blocks[0].forward is mine
    assert torch.equal(model(**given[0]), before)


def test_other_parameters_may_stand_in_for_the_models_own() -> None:
    model, given = net(), batches(2, 3)
    name = "blocks.0.down.weight"
    other = {name: torch.zeros_like(model.blocks[0].down.weight)}
    walk, found = Walk(model, given), groups(model, weights(model), given[0])
    with torch.no_grad():
        plain = [walk.inputs(found[2], number) for number in (0, 1)]
        changed = [walk.inputs(found[2], number, other) for number in (0, 1)]
        for number in (0, 1):
            wanted = given[number]["vectors"][real(given[number])] + model.blocks[0].down.bias
            assert torch.allclose(changed[number], wanted, atol=1e-12)
            assert not torch.allclose(plain[number], wanted, atol=1e-3)
        walk.finish(model.blocks[0], other)
        for number in (0, 1):
            assert torch.equal(walk.inputs(found[2], number), changed[number])
    assert torch.equal(dict(model.named_parameters())[name], model.blocks[0].down.weight)
    assert isinstance(call_with(model, other, **given[0]), Tensor)


# Sums


@pytest.mark.parametrize("masked", [True, False])
def test_an_output_comes_with_what_it_is_added_to(masked: bool) -> None:
    model, given = net(), batches(3, 2)
    if not masked:
        given = [{"vectors": batch["vectors"]} for batch in given]
    walk, found = Walk(model, given), groups(model, weights(model), given[0])
    with torch.no_grad():
        for number, batch in enumerate(given):
            read, others = walk.summands(found[3], number)
            assert torch.equal(read, walk.inputs(found[3], number))
            states = model.blocks[0](batch["vectors"])
            states = states[real(batch)] if masked else states.reshape(-1, WIDTH)
            assert others is not None
            assert torch.equal(others, states)


def test_a_shared_block_has_a_sum_at_each_call() -> None:
    model, given = net(blocks=1, calls=2), batches(2)
    found = groups(model, weights(model), given[0])
    with torch.no_grad():
        read, others = Walk(model, given).summands(found[1], 0)
        first = given[0]["vectors"]
        second = model.blocks[0](first)
    wanted = torch.cat([each[real(given[0])] for each in (first, second)])
    assert len(read) == len(wanted)
    assert others is not None
    assert torch.allclose(others, wanted, atol=1e-12)


@pytest.mark.parametrize(
    "join",
    [
        lambda states, output: states * output,
        lambda states, output: states + 2 * output,
        lambda states, output: torch.add(states, output, alpha=2),
        lambda states, output: output + output,
        lambda states, output: states[:, :1] + output,
        lambda states, output: output + 1,
    ],
)  # fmt: skip
def test_an_output_that_is_not_simply_added_has_no_sum(
    join: Callable[[Tensor, Tensor], Tensor],
) -> None:
    model, given = net(blocks=1), batches(3)
    model.blocks[0].join = join
    found = groups(model, weights(model), given[0])
    walk = Walk(model, given)
    with torch.no_grad():
        read, others = walk.summands(found[1], 0)
        assert others is None
        assert torch.equal(read, walk.inputs(found[1], 0))


def test_a_sum_at_some_calls_only_is_none() -> None:
    model, given = net(blocks=1, calls=2), batches(3)
    block = model.blocks[0]
    block.join = lambda states, output: states + output if block.calls % 2 else states * output
    found = groups(model, weights(model), given[0])
    block.calls = 0
    with torch.no_grad():
        read, others = Walk(model, given).summands(found[1], 0)
    assert others is None
    assert len(read) == 2 * int(real(given[0]).sum())


# Numbers that are none


def test_what_is_no_number_is_named_with_its_batch() -> None:
    model, given = net(), batches(2, 2)
    walk, found = Walk(model, given), groups(model, weights(model), given[0])
    given[1]["vectors"][0, 0, 0] = torch.inf
    with torch.no_grad():
        walk.inputs(found[0], 0)
        for ask in (walk.inputs, walk.summands):
            with pytest.raises(InputError) as caught:
                ask(found[2], 1)
            assert str(caught.value) == (
                "the inputs of 'blocks.1.up.weight' are not finite in calibration batch 2"
            )
        model.blocks[0].up.register_forward_pre_hook(lambda _, inputs: (inputs[0].nan_to_num(),))
        model.blocks[0].gate.register_forward_pre_hook(lambda _, inputs: (inputs[0].nan_to_num(),))
        with pytest.raises(InputError) as caught:
            walk.summands(found[1], 1)
        assert str(caught.value) == (
            "the hidden states beside 'blocks.0.down.weight' are not finite in calibration batch 2"
        )


def test_a_model_that_fails_is_left_as_it_was() -> None:
    model, given = net(), batches(2, 2)
    walk, found = Walk(model, given), groups(model, weights(model), given[0])
    before = model(**given[0])

    def fail(*_: object) -> None:
        raise KeyError

    with torch.no_grad():
        walk.finish(model.blocks[0])
        for ask in (
            lambda: walk.inputs(found[3], 0),
            lambda: walk.summands(found[3], 0),
            lambda: walk.finish(model.blocks[1]),
        ):
            handle = model.blocks[1].up.register_forward_pre_hook(fail)
            with pytest.raises(KeyError):
                ask()
            handle.remove()
            assert torch.equal(model(**given[0]), before)


def test_query_key_and_value_are_one_group_and_a_block_is_finished() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = models.classifier("bert").eval()
    batch = {"input_ids": torch.randint(3, 40, (2, 6)), "attention_mask": torch.ones(2, 6).long()}
    layers = model.bert.encoder.layer
    inside = {n: w for n, w in weights(model).items() if "layer." in n and "LayerNorm" not in n}
    found = groups(model, inside, batch)
    assert [len(group.layers) for group in found] == [3, 1, 1, 1] * 2
    assert [group.block for group in found] == [None] * 3 + [layers[0]] + [None] * 3 + [layers[1]]


def test_of_modules_that_share_a_weight_the_inputs_of_all_are_read() -> None:
    model, given = classifier(shared=True).eval(), batches(3, 2)
    shared = {"ups.0.weight": model.ups[0].weight, "downs.0.weight": model.downs[0].weight}
    (up, down) = found = groups(model, shared, given[0])
    assert named(found) == [["ups.0"], ["downs.0"]]
    assert (up.calls, down.calls) == (2, 2)
    assert (up.twins, down.twins) == ((model.ups[1],), ())
    rows: dict[str, list[Tensor]] = {name: [] for name in shared}
    visit_inputs(model, shared, given, lambda name, read: rows[name].append(read))
    walk = Walk(model, given)
    with torch.no_grad():
        for group, name in zip(found, shared, strict=True):
            read = torch.cat([walk.inputs(group, number) for number in range(len(given))])
            assert torch.equal(read, torch.cat(rows[name]))

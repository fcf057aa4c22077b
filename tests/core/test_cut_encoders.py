"""Heads and neurons cut out of every architecture, against zeros written by hand."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import prunecli
from prunecli.core.cutting import cut_, unit_counts
from prunecli.core.evidence import Evidence
from prunecli.core.importance import unit_criterion
from prunecli.core.structured import cut_units_
from prunecli.core.sublayers import sublayers_of
from prunecli.errors import InputError
from prunecli.models.loading import save_model
from prunecli.store.structures import STRUCTURE

from .encoders import COMMON, ENCODERS, LENGTH, made, texts, zeroed_by_hand

TEXTS = texts(LENGTH, 11, 6)
"""A batch with padding, one text longer than every window."""


class Tokenizer:
    """Only what `save_model` asks of one."""

    def save_pretrained(self, folder: Path) -> None:
        pass


def logits(model: nn.Module, batch: dict[str, Tensor] = TEXTS) -> Tensor:
    with torch.no_grad():
        return model(**batch).logits


def expected(name: str, kept: list[list[int]], batch: dict[str, Tensor] = TEXTS) -> Tensor:
    model = made(name)
    zeroed_by_hand(name, model, kept)
    return logits(model, batch)


def cut(name: str, kept: list[list[int]]) -> nn.Module:
    model = made(name)
    cut_(sublayers_of(model), [torch.tensor(units).long() for units in kept])
    return model


def evenly(name: str) -> list[list[int]]:
    """The same half of the heads and quarter of the neurons of each layer."""
    return [
        [unit for unit in range(count) if unit % (2 if size > 1 else 4) == 1]
        for count, size in ENCODERS[name].sizes
    ]


def unevenly(name: str) -> list[list[int]]:
    """Another choice for each layer; the first has no heads, the last no neurons."""
    kept = [
        sorted({(unit * 7 + place) % count for unit in range(1 + place % count)})
        for place, (count, _) in enumerate(ENCODERS[name].sizes)
    ]
    return [[], *kept[1:-1], []]


@pytest.mark.parametrize("name", ENCODERS)
def test_a_cut_model_answers_as_with_zeros_and_comes_back(name: str, tmp_path: Path) -> None:
    for place, kept in enumerate((evenly(name), unevenly(name))):
        wanted, model = expected(name, kept), cut(name, kept)
        assert not torch.allclose(logits(made(name)), wanted, atol=1e-4)
        assert torch.allclose(logits(model), wanted, rtol=0, atol=1e-10)

        counts = unit_counts(model)
        assert counts["heads"] == tuple(map(len, kept[::2]))
        assert counts["neurons"] == tuple(map(len, kept[1::2]))
        for path, units, (_, size) in zip(
            ENCODERS[name].writers, kept, ENCODERS[name].sizes, strict=True
        ):
            assert model.get_submodule(path).weight.shape == (16, len(units) * size)

        folder = tmp_path / str(place)
        save_model(model.float(), Tokenizer(), folder)  # type: ignore[arg-type]
        assert (folder / STRUCTURE).is_file()
        back = prunecli.load(folder)
        assert unit_counts(back) == counts
        assert torch.equal(logits(back), logits(model))


@pytest.mark.parametrize("name", ENCODERS)
@given(data=st.data())
@settings(max_examples=4, deadline=None)
def test_any_units_may_stay(name: str, data: st.DataObject) -> None:
    kept = [
        sorted(data.draw(st.sets(st.integers(0, count - 1)))) for count, _ in ENCODERS[name].sizes
    ]
    assert torch.allclose(logits(cut(name, kept)), expected(name, kept), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_cut_model_learns(name: str) -> None:
    model = cut(name, evenly(name)).train()
    before = {path: p.detach().clone() for path, p in model.named_parameters()}
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    model(**TEXTS).loss.backward()
    optimiser.step()
    for path in ENCODERS[name].writers:
        assert not torch.equal(model.get_submodule(path).weight, before[f"{path}.weight"])


@pytest.mark.parametrize("name", ENCODERS)
def test_half_the_heads_and_three_quarters_of_the_neurons(name: str) -> None:
    """Ranked by reconstruction; and the refit brings the answers nearer."""
    batches = [texts(*range(6, 18), seed=seed) for seed in range(2)]
    heads, neurons = ([count for count, _ in ENCODERS[name].sizes[kind::2]] for kind in (0, 1))
    model = made(name)
    cut_units_(
        model,
        heads=0.5,
        neurons=0.75,
        strategy="layerwise",
        evidence=Evidence(model, batches),
        refit=False,
    )
    assert unit_counts(model) == {
        "heads": tuple(count // 2 for count in heads),
        "neurons": tuple(count // 4 for count in neurons),
    }

    dense, apart = made(name), {}
    for refit in (True, False):
        model = made(name)
        evidence = Evidence(model, batches)
        left = cut_units_(model, heads=0.5, neurons=0.75, evidence=evidence, refit=refit)
        assert not evidence.silent
        assert sum(left["heads"]) == sum(heads) - round(sum(heads) * 0.5)
        assert sum(left["neurons"]) == sum(neurons) - round(sum(neurons) * 0.75)
        apart[refit] = sum(
            float((logits(model, batch) - logits(dense, batch)).square().sum()) for batch in batches
        )
    assert apart[True] < 0.8 * apart[False]


@pytest.mark.parametrize("name", ["modernbert", "eurobert", "deberta", "longformer", "mpnet"])
@pytest.mark.parametrize("criterion", ["fisher", "taylor", "magnitude"])
def test_every_criterion_scores_every_unit(name: str, criterion: str) -> None:
    model = made(name)
    scores = unit_criterion(criterion)(
        model, sublayers_of(model), seed=0, evidence=Evidence(model, [TEXTS])
    )
    assert [len(score) for score in scores] == [count for count, _ in ENCODERS[name].sizes]
    assert all(score.isfinite().all() and score.std() > 0 for score in scores)


def test_rows_of_a_unit_are_where_the_forward_code_has_them() -> None:
    """Norms of units by hand: thirds, halves, groups, and query, key and value side by side."""

    def norms(model: nn.Module) -> list[Tensor]:
        return unit_criterion("magnitude")(model, sublayers_of(model), seed=0, evidence=None)

    def norm(*weights: Tensor) -> float:
        return sum(float(weight.detach().square().sum()) for weight in weights) ** 0.5

    model = made("modernbert")
    block, found = model.model.layers[1], norms(model)
    rows = block.attn.Wqkv.weight
    head = norm(rows[8:12], rows[24:28], rows[40:44], block.attn.Wo.weight[:, 8:12])
    assert float(found[2][2]) == pytest.approx(head)
    neuron = norm(block.mlp.Wi.weight[[5, 29]], block.mlp.Wo.weight[:, 5])
    assert float(found[3][5]) == pytest.approx(neuron)

    model = made("eurobert")
    own, found = model.model.layers[0].self_attn, norms(model)
    group = norm(
        own.q_proj.weight[8:],
        own.k_proj.weight[4:],
        own.v_proj.weight[4:],
        own.o_proj.weight[:, 8:],
    )
    assert float(found[0][1]) == pytest.approx(group)

    model = made("deberta")
    block, found = model.deberta.encoder.layer[0].attention, norms(model)
    own = block.self
    parts = (own.in_proj.weight[12:24], own.pos_proj.weight[4:8], own.pos_q_proj.weight[4:8])
    assert float(found[0][1]) == pytest.approx(norm(*parts, block.output.dense.weight[:, 4:8]))


def test_bigbird_reads_short_and_long_texts_after_a_cut() -> None:
    """It makes its attention anew from the configuration where texts are short."""
    name = "big_bird-sparse"
    kept, short = unevenly(name), texts(8, 5)
    model = cut(name, kept)
    assert model.bert.encoder.layer[1].attention.attention_type == "block_sparse"
    for batch in (TEXTS, short, TEXTS):
        assert torch.allclose(logits(model, batch), expected(name, kept, batch), atol=1e-10)
    assert model.bert.encoder.layer[1].attention.attention_type == "original_full"


def test_longformer_with_other_tokens_that_see_all() -> None:
    seen = torch.zeros_like(TEXTS["input_ids"])
    seen[0, [0, 9, 20]] = 1
    seen[1, 4] = 1
    for batch in (
        TEXTS | {"global_attention_mask": seen},
        TEXTS | {"global_attention_mask": seen * 0},
    ):
        for kept in (evenly("longformer"), unevenly("longformer")):
            found = logits(cut("longformer", kept), batch)
            assert torch.allclose(found, expected("longformer", kept, batch), atol=1e-10)


def test_mpnet_keeps_which_heads_of_the_shared_table_are_left() -> None:
    kept = evenly("mpnet")
    model = cut("mpnet", [[0, 1, 3], *kept[1:]])
    own = model.mpnet.encoder.layer[0].attention.attn
    assert own.kept_heads.tolist() == [0, 1, 3]
    assert model.state_dict()["mpnet.encoder.layer.0.attention.attn.kept_heads"].tolist() == [
        0,
        1,
        3,
    ]
    assert model.mpnet.encoder.relative_attention_bias.weight.shape[1] == 4

    again = copy.deepcopy(model)
    units = [torch.arange(part.count) for part in sublayers_of(again)]
    cut_(sublayers_of(again), [torch.tensor([1, 2]), *units[1:]])
    assert torch.allclose(logits(again), expected("mpnet", [[1, 3], *kept[1:]]), atol=1e-10)
    assert own.kept_heads.tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("mra", {"block_per_row": 2, "max_position_embeddings": 64}),
        ("yoso", {}),
        ("canine", {"num_hash_buckets": 64}),
    ],
)
@pytest.mark.parametrize("left", [0, 1])
def test_few_heads_or_none_in_what_counts_them(
    kind: str, settings: dict[str, object], left: int
) -> None:
    """In float32, which MRA makes of its attention; the rest of the model is whole."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **{**COMMON, **settings})
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    sublayers = sublayers_of(model)
    kept = [torch.arange(part.count) for part in sublayers]
    kept[0] = kept[0][:left]
    other = copy.deepcopy(model)
    sublayers_of(other)[0].writer.weight.data[:, 4 * left :] = 0
    cut_(sublayers, kept)
    assert torch.allclose(logits(model), logits(other), atol=1e-6)


def test_what_is_whole_stays_stock() -> None:
    """Nothing of a model changes where all of its units stay."""
    for name in ("mpnet", "longformer", "big_bird", "deberta"):
        model, stock = made(name), made(name)
        cut_(sublayers_of(model), [torch.arange(part.count) for part in sublayers_of(model)])
        assert [type(part) for part in model.modules()] == [type(part) for part in stock.modules()]
        assert model.state_dict().keys() == stock.state_dict().keys()


@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        ("fnet", {}, "a block has not one attention with queries, keys and values"),
        ("convbert", {}, "nothing is known of 'key_conv_attn_layer.bias' in its attention"),
        ("nystromformer", {}, "nothing is known of 'conv.weight' in its attention"),
        (
            "mobilebert",
            {},
            "a block has linear layers besides its attention and its feed-forward pair",
        ),
        (
            "deberta",
            {"talking_head": True},
            "its attention mixes the heads, so that none stands alone",
        ),
    ],
)
def test_what_cannot_be_cut_is_said(kind: str, settings: dict[str, object], reason: str) -> None:
    config = transformers.AutoConfig.for_model(kind, **{**COMMON, **settings})
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    with pytest.raises(InputError) as caught:
        sublayers_of(model)
    assert (
        str(caught.value) == f"heads and neurons of {type(model).__name__} cannot be cut: {reason}"
    )
    assert "MPNet or ModernBERT" in str(caught.value.hint)

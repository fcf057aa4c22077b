from __future__ import annotations

import pytest
import torch
from torch import nn

from prunecli.core import engine
from prunecli.core.scope import prunable
from prunecli.errors import InputError

from .models import ARCHITECTURES, classifier

_BERT = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
_DEBERTA = (
    "attention.self.query_proj",
    "attention.self.key_proj",
    "attention.self.value_proj",
    "attention.self.pos_key_proj",
    "attention.self.pos_query_proj",
    *_BERT[3:],
)
_DISTILBERT = (
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.out_lin",
    "ffn.lin1",
    "ffn.lin2",
)
_ALBERT = (
    "attention.query",
    "attention.key",
    "attention.value",
    "attention.dense",
    "ffn",
    "ffn_output",
)
_MODERNBERT = ("attn.Wqkv", "attn.Wo", "mlp.Wi", "mlp.Wo")

EXPECTED = {
    "distilbert": (
        ("distilbert.transformer.layer.0", "distilbert.transformer.layer.1"),
        _DISTILBERT,
    ),
    "bert": (("bert.encoder.layer.0", "bert.encoder.layer.1"), _BERT),
    "roberta": (("roberta.encoder.layer.0", "roberta.encoder.layer.1"), _BERT),
    "xlm-roberta": (("roberta.encoder.layer.0", "roberta.encoder.layer.1"), _BERT),
    "electra": (("electra.encoder.layer.0", "electra.encoder.layer.1"), _BERT),
    "albert": (("albert.encoder.albert_layer_groups.0.albert_layers.0",), _ALBERT),
    "deberta-v2": (("deberta.encoder.layer.0", "deberta.encoder.layer.1"), _DEBERTA),
    "modernbert": (("model.layers.0", "model.layers.1"), _MODERNBERT),
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_prunable_are_the_linear_weights_of_the_repeated_blocks(architecture: str) -> None:
    model = classifier(architecture)
    layers, linears = EXPECTED[architecture]
    names = {f"{layer}.{linear}.weight" for layer in layers for linear in linears}

    found = prunable(model)

    parameters = dict(model.named_parameters())
    assert set(found) == names
    assert list(found) == [name for name in parameters if name in names]
    assert all(weight is parameters[name] and weight.ndim == 2 for name, weight in found.items())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_prunes_exactly_and_still_runs(architecture: str) -> None:
    model = classifier(architecture).eval()
    total = sum(weight.numel() for weight in prunable(model).values())
    dense = {name: p.detach().clone() for name, p in model.named_parameters()}

    mask = engine.plan(model, [0.8]).mask(0.8)
    mask.apply_(model)

    mask.verify(model)
    assert sum(mask.removed().values()) == round(0.8 * total)
    assert sum(engine.achieved(model).zeros.values()) == round(0.8 * total)
    for name, parameter in model.named_parameters():
        if name not in mask.sizes():
            assert torch.equal(parameter, dense[name])
    with torch.no_grad():
        assert model(input_ids=torch.tensor([[1, 5, 6, 2]])).logits.isfinite().all()


def test_albert_layers_are_shared_and_counted_once() -> None:
    model = classifier("albert")

    assert model.config.num_hidden_layers == 2
    assert sum(weight.numel() for weight in prunable(model).values()) == 4 * 16 * 16 + 2 * 16 * 24


def test_a_weight_shared_by_two_layers_is_counted_once() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight

    assert list(prunable(nn.Sequential(nn.ModuleList([first, second])))) == ["0.0.weight"]


@pytest.mark.parametrize(
    "model", [nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)), nn.ModuleList()]
)
def test_a_model_without_repeated_linear_layers_is_refused(model: nn.Module) -> None:
    with pytest.raises(InputError) as refused:
        prunable(model)
    assert str(refused.value) == (
        f"{type(model).__name__} has no linear layers in repeated blocks, so nothing to prune"
    )
    assert refused.value.hint == (
        "use a transformer encoder such as DistilBERT, BERT, RoBERTa or DeBERTa"
    )


def test_repeated_layers_outside_the_base_model_stay_dense() -> None:
    """A classification head may be a list of layers, too."""
    model = nn.Module()
    model.base_model = nn.Sequential(nn.Linear(3, 3), nn.ModuleList([nn.Linear(3, 3)]))
    model.heads = nn.ModuleList([nn.Linear(3, 2)])

    assert list(prunable(model)) == ["base_model.1.0.weight"]

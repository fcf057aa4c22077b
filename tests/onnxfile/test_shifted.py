"""What stands in for the way in which mBART and PLBart begin their decoder."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from transformers.models.mbart import modeling_mbart
from transformers.models.plbart import modeling_plbart

from prunecli.onnxfile.shifted import keeping_batch


@pytest.mark.parametrize("module", [modeling_mbart, modeling_plbart])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_it_gives_what_the_library_does_and_only_meanwhile(module: object, batch: int) -> None:
    stock = module.shift_tokens_right
    kind = type("Kind", (), {"__module__": module.__name__})
    model = kind()
    model.config = SimpleNamespace(model_type=module.__name__.rpartition("_")[2])
    ids = torch.randint(3, 9, (batch, 6), generator=torch.Generator().manual_seed(batch))
    for place in range(batch):
        ids[place, 6 - place :] = 1  # padding
    wanted = stock(copy.deepcopy(ids), 1)
    with keeping_batch(model):
        assert module.shift_tokens_right is not stock
        assert torch.equal(module.shift_tokens_right(ids, 1), wanted)
    assert module.shift_tokens_right is stock
    model.config.model_type = "bart"
    with keeping_batch(model):
        assert module.shift_tokens_right is stock

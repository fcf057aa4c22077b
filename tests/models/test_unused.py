"""Weights that a configuration has no place for are told, and heads of other tasks are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import transformers
from folders import classifier, saved, tokenizer
from safetensors.torch import load_file, save_file

from prunecli.errors import InputError
from prunecli.models import loading as models
from prunecli.tasks import get_task

SHAPE = {"num_hidden_layers": 3}
KINDS = {
    "distilbert": "n_layers",
    "bert": "num_hidden_layers",
    "roberta": "num_hidden_layers",
    "electra": "num_hidden_layers",
    "deberta-v2": "num_hidden_layers",
    "mpnet": "num_hidden_layers",
}


def set_in_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def encoder(architecture: str, head: str) -> object:
    base = classifier(architecture, **SHAPE)
    kind = getattr(transformers, f"AutoModel{head}")
    return kind.from_config(base.config)


@pytest.mark.parametrize("architecture", KINDS)
@pytest.mark.parametrize("bare", [False, True])
def test_fewer_layers_than_the_file_has(tmp_path: Path, architecture: str, bare: bool) -> None:
    model = encoder(architecture, "") if bare else classifier(architecture, **SHAPE)
    folder = saved(tmp_path / "model", model)
    sst2 = get_task("sst2")
    models.load_for_training(str(folder), sst2, 0)
    set_in_config(folder, **{KINDS[architecture]: 2})
    with pytest.raises(InputError, match=r"no place for: .*\.2\..* and \d+ more"):
        models.load_for_training(str(folder), sst2, 0)
    if not bare:
        with pytest.raises(InputError, match="no place for"):
            models.load_classifier(str(folder), sst2)


@pytest.mark.parametrize("architecture", ["distilbert", "bert", "roberta", "electra", "deberta-v2"])
@pytest.mark.parametrize("head", ["ForMaskedLM", "ForTokenClassification", "ForQuestionAnswering"])
def test_heads_of_other_tasks_are_left_out(tmp_path: Path, architecture: str, head: str) -> None:
    folder = saved(tmp_path / "model", encoder(architecture, head))
    models.load_for_training(str(folder), get_task("sst2"), 0)


def test_poolers_and_old_tables_are_left_out(tmp_path: Path) -> None:
    import torch

    folder = saved(tmp_path / "model", classifier("roberta"), tokenizer(pad_token="[PAD]"))
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["roberta.pooler.dense.weight"] = torch.zeros(16, 16)
    tensors["roberta.embeddings.position_ids"] = torch.arange(160)[None]
    save_file(tensors, path, metadata={"format": "pt"})
    models.load_any_classifier(str(folder))
    tensors["roberta.extra.weight"] = torch.zeros(16, 16)
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"no place for: roberta\.extra\.weight$"):
        models.load_any_classifier(str(folder))

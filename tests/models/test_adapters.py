"""Adapters of ``peft`` in a model folder: left out and told, or refused where they are alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import folders
import pytest
import torch
from calling import call, refused
from safetensors.torch import save_file

from prunecli.models import loading as models
from prunecli.models.adapters import without_adapter
from prunecli.models.weightfiles import weight_bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folders.saved(tmp_path / "model", folders.classifier("bert", pad_token_id=1))


def adapt(folder: Path) -> None:
    said = {"peft_type": "LORA", "base_model_name_or_path": "someone/base", "r": 4}
    (folder / "adapter_config.json").write_text(json.dumps(said))
    save_file({"lora": torch.ones(4, 4)}, folder / "adapter_model.safetensors")


def test_an_adapter_beside_the_weights_is_left_out_and_told(folder: Path, tmp_path: Path) -> None:
    before = models.load_any_classifier(str(folder)).state_dict()
    size = weight_bytes(folder)
    adapt(folder)
    after = models.load_any_classifier(str(folder)).state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert weight_bytes(folder) == size
    with without_adapter(str(folder)) as place:
        assert {path.name for path in Path(place).iterdir()} == {
            path.name for path in folder.iterdir() if "adapter" not in path.name
        }
    data = tmp_path / "d.csv"
    data.write_text(folders.rows(10))
    done = call("evaluate", folder, "--task", "sst2", "--data", data, "-w", tmp_path / "w")
    assert done.code == 0, done.err
    assert done.err.count("has a peft adapter (adapter_model.safetensors) beside its weights") == 1
    assert "merge_and_unload" in done.err


@pytest.mark.parametrize("with_configuration", [True, False])
@pytest.mark.parametrize("command", ["evaluate", "prune", "train-baseline", "bench"])
def test_an_adapter_alone_is_refused_with_how_to_merge(
    command: str, with_configuration: bool, folder: Path, tmp_path: Path
) -> None:
    base = shutil.copytree(folder, tmp_path / "base")
    adapt(folder)
    (folder / "model.safetensors").unlink()
    if not with_configuration:
        (folder / "config.json").unlink()
    data = tmp_path / "d.csv"
    data.write_text(folders.rows(10))
    arguments = {
        "evaluate": ["evaluate", folder, "--task", "sst2", "--data", data],
        "prune": ["prune", "--from", folder, "--level", "0.5", "--task", "sst2", "--data", data],
        "train-baseline": ["train-baseline", "--model", folder, "--task", "sst2", "--data", data],
        "bench": ["bench", folder, "--against", base],
    }[command]
    done = call(*arguments, "-w", tmp_path / "w")
    refused(done, 3, "holds only a peft adapter", "for someone/base", "merge_and_unload()")

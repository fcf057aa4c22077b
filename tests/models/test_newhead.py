"""A classifier of other labels, or of another kind, as the encoder of a new one."""

from __future__ import annotations

from pathlib import Path

import folders
import pytest
import torch
from calling import call, refused

from prunecli.models import loading as models
from prunecli.records.runs import BaselineSpec
from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task

KINDS = {
    "three labels": {"num_labels": 3},
    "a score": {"num_labels": 1, "problem_type": "regression"},
    "many labels for a text": {"num_labels": 2, "problem_type": "multi_label_classification"},
}


def source(tmp_path: Path, kind: str, architecture: str = "bert") -> Path:
    model = folders.classifier(architecture, pad_token_id=1, **KINDS[kind])
    return folders.saved(tmp_path / "model", model)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["train-baseline", "sweep --levels 0.5", "prune --level 0.5"])
def test_it_takes_to_be_asked_for(kind: str, command: str, tmp_path: Path) -> None:
    folder, data, workspace = source(tmp_path, kind), tmp_path / "d.csv", Workspace(tmp_path / "w")
    data.write_text(folders.rows(40))
    words = [*command.split(), "--model", folder, "--task", "sst2", "--data", data]
    words += ["-w", workspace.root, "--baseline-epochs", "1"]
    refused(call(*words), 3, str(folder), "--new-head")
    assert workspace.names() == []
    done = call(*words, "--new-head")
    assert done.code == 0, done.err
    dense = next(run for run in workspace.runs() if isinstance(run.spec, BaselineSpec))
    assert dense.spec.new_head is True
    made = models.load_any_classifier(str(workspace.run_dir(dense.name) / "model"))
    assert made.config.num_labels == 2
    assert made.config.problem_type == "single_label_classification"
    again = call(*words, "--new-head", "--json")
    assert again.code == 0
    assert len(workspace.names()) == (1 if command == "train-baseline" else 2)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "llama"])
def test_the_encoder_stays_and_the_head_follows_from_the_seed(
    architecture: str, tmp_path: Path
) -> None:
    """All of it is new, also what would have fitted, such as the dense layer of RoBERTa's head."""
    model = folders.classifier(architecture, pad_token_id=1, num_labels=3)
    folder = str(folders.saved(tmp_path / "model", model))
    one, same, other = (
        models.load_for_training(folder, get_task("sst2"), seed, new_head=True)
        for seed in (1, 1, 2)
    )
    prefix, before = f"{model.base_model_prefix}.", model.state_dict()
    heads = 0
    for key, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[key])
        if key.startswith(prefix):
            assert torch.equal(value, before[key])
        elif key.endswith("weight"):
            heads += 1
            assert not torch.equal(value, other.state_dict()[key])
            assert value.shape != before[key].shape or not torch.equal(value, before[key])
        else:
            assert not value.any()  # biases begin at 0
    assert heads


def test_without_it_a_head_that_fits_is_kept(tmp_path: Path) -> None:
    model = folders.classifier("bert", pad_token_id=1)
    folder = str(folders.saved(tmp_path / "model", model))
    kept = models.load_for_training(folder, get_task("sst2"), 1)
    assert torch.equal(kept.classifier.weight, model.classifier.weight)
    drawn = models.load_for_training(folder, get_task("sst2"), 1, new_head=True)
    assert not torch.equal(drawn.classifier.weight, model.classifier.weight)

"""How many tokens a model reads: held against what its ``forward`` takes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import folders
import pytest
import torch
from calling import call, refused

from prunecli.models.positions import check_positions, positions_of
from prunecli.store.workspace import Workspace

OFFSET = (
    "roberta",
    "xlm-roberta",
    "camembert",
    "mpnet",
    "data2vec-text",
    "roberta-prelayernorm",
    "longformer",
)


def reads(model: Any, tokens: int) -> bool:
    """Whether it answers to so many tokens, none of which is padding."""
    try:
        with torch.no_grad():
            model(input_ids=torch.full((2, tokens), 7), attention_mask=torch.ones(2, tokens).long())
    except (IndexError, RuntimeError):
        return False
    return True


@pytest.mark.parametrize("padding", [1, 5])
@pytest.mark.parametrize("architecture", [*OFFSET, "bert", "distilbert", "electra", "bart", "opt"])
def test_the_longest_that_is_told_is_the_longest_that_is_read(
    architecture: str, padding: int
) -> None:
    if architecture == "mpnet" and padding != 1:
        pytest.skip("its padding is always 1")
    model = folders.classifier(architecture, pad_token_id=padding, word_embed_proj_dim=16)
    model.config.eos_token_id = 7  # where BART looks for its answer
    longest = positions_of(model.config)
    assert longest == folders.LENGTH - (padding + 1 if architecture in OFFSET else 0)
    assert reads(model, longest)
    assert not reads(model, longest + 1)


@pytest.mark.parametrize("said", [None, 0, -1, "many"])
def test_a_configuration_that_says_nothing(said: object) -> None:
    config = SimpleNamespace(max_position_embeddings=said)
    assert positions_of(config) is None
    check_positions(config, 10_000)
    assert positions_of(SimpleNamespace(max_position_embeddings=12)) == 12


def test_a_model_of_one_length_alone_is_refused(tmp_path: Path) -> None:
    """Nyströmformer fails in its ``forward`` at any other length than that of its segments."""
    model = folders.classifier("nystromformer", num_landmarks=4, segment_means_seq_len=32)
    assert reads(model, 32)
    assert not reads(model, 30)
    folder = folders.saved(tmp_path / "m", model)
    (tmp_path / "d.csv").write_text(folders.rows(40))
    words = ("--task", "sst2", "--data", tmp_path / "d.csv", "-w", tmp_path / "w")
    for command in (("evaluate", folder), ("sweep", "--levels", "0.5", "--model", folder)):
        refused(call(*command, *words), 3, "reads texts of 32 tokens alone")


def test_the_advice_works(tmp_path: Path) -> None:
    folder = folders.saved(tmp_path / "m", folders.classifier("roberta", pad_token_id=1))
    data = tmp_path / "long.csv"
    data.write_text("sentence,label\n" + f"{'good film ' * 90},1\n{'bad film ' * 90},0\n")
    asked = ("evaluate", folder, "--task", "sst2", "--data", data, "-w", tmp_path / "w")
    longest = folders.LENGTH - 2
    advice = f"give --max-seq-length {longest} or less"
    refused(call(*asked, "--max-seq-length", longest + 1), 3, f"at most {longest} tokens", advice)
    done = call(*asked, "--max-seq-length", longest)
    assert done.code == 0, done.err


def test_what_nobody_asked_for_is_not_refused(tmp_path: Path) -> None:
    """The default is more than this one reads."""
    small = folders.classifier("roberta", pad_token_id=1, max_position_embeddings=42)
    folder = folders.saved(tmp_path / "m", small)
    (tmp_path / "d.csv").write_text(folders.rows(40))
    tail = ("--task", "sst2", "--data", tmp_path / "d.csv", "-w", tmp_path / "w")
    assert call("evaluate", folder, *tail).code == 0
    assert call("train-baseline", "--model", folder, "--epochs", 1, *tail).code == 0
    assert call("prune", "--from", folder, "--level", 0.5, *tail).code == 0
    runs = list(Workspace(tmp_path / "w").runs())
    assert len(runs) == 3
    assert {run.spec.max_seq_length for run in runs} == {40}

"""The same commands in two fresh workspaces leave the same bytes, but for times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from calling import TINY, call
from folders import classifier, rows, saved, tokenizer
from safetensors.torch import load_file, save_file

from prunecli.core.mask import Mask
from prunecli.files import files_in
from prunecli.models.loading import load_tokenizer
from prunecli.store.masks import load_mask, save_mask

BASELINE = [*TINY, "--task", "sst2", "--baseline-epochs", "0.5", "--device", "cpu"]
COMMANDS = [
    ["sweep", *BASELINE, "--levels", "0.5", "0.8"],
    ["prune", *BASELINE, "--level", "0.6", "--recipe", "none", "--epochs", "0.3"],
    ["prune", *BASELINE, "--heads", "0.5"],
    ["export", "sst2-global-magnitude-60", "--format", "packed"],
    ["export", "sst2-global-magnitude-50", "--format", "hf"],
    ["report", "--figures-only"],
]
TIMES = {"created", "seconds", "modified", "model/README.md"}
"""In records: when, how long, when a file was, and the hash of the card, which says when."""
CHILD = """
import sys
sys.path.insert(0, {tests!r})
from calling import call
for words in {commands!r}:
    done = call(*words)
    assert done.code == 0, done.err
"""


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if key not in TIMES}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def content(path: Path) -> Any:
    """All bytes of a file; of a record and a card those that are no times."""
    if path.name == "record.json" or path.parent.name in ("sweeps", "counts"):
        return without_times(json.loads(path.read_text()))
    if path.name == "README.md":
        return [line for line in path.read_text().splitlines() if "**Made:**" not in line]
    return path.read_bytes()


def fresh(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder.mkdir()
    monkeypatch.chdir(folder)
    for words in COMMANDS:
        done = call(*words)
        assert done.code == 0, done.err
    return folder / "workspace"


@pytest.mark.usefixtures("drawn")
def test_two_fresh_workspaces_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One in this process, one in another, whose sets and hashes have another order."""
    one = fresh(tmp_path / "one", monkeypatch)
    (tmp_path / "two").mkdir()
    script = CHILD.format(tests=str(Path(__file__).parents[1]), commands=COMMANDS)
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "two", env=environment, check=True
    )
    other = tmp_path / "two" / "workspace"
    files = {name: path for name, path in files_in(one).items() if ".lock" not in name}
    theirs = {name: path for name, path in files_in(other).items() if ".lock" not in name}
    assert files.keys() == theirs.keys()
    assert sum(name.endswith("mask.safetensors") for name in files) == 3
    assert sum(name.endswith("tokenizer.json") for name in files) >= 6
    differing = [n for n, path in files.items() if content(path) != content(theirs[n])]
    assert differing == []


# What made them differ


def test_a_tokenizer_is_saved_as_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prune: Any
) -> None:
    """Whether its examples were in the cache or were tokenised just now."""
    model = saved(tmp_path / "model", classifier("bert"), tokenizer(pad_token="[PAD]"))
    words = load_tokenizer(str(model))
    words.backend_tokenizer.enable_truncation(max_length=48)
    words.save_pretrained(model)
    before = json.loads((model / "tokenizer.json").read_text())
    assert before["truncation"]["max_length"] == 48
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(rows(40))
    asked = ["--task", "sst2", "--model", "model", "--data", "rows.csv", "--max-seq-length", "16"]
    asked += ["--device", "cpu", "--epochs", "1"]
    for seed in (0, 1):  # the second finds the examples in the cache
        done = prune("train-baseline", *asked, "--seed", seed, "--json")
        assert done.code == 0, done.err
        (run,) = done.json["runs"]
        folder = Path("workspace") / "runs" / run["name"] / "model"
        found = json.loads((folder / "tokenizer.json").read_text())
        assert found["truncation"] == before["truncation"]
        assert found["padding"] == before["padding"]


def test_equal_masks_are_equal_files(tmp_path: Path) -> None:
    import torch

    generator = torch.Generator().manual_seed(0)
    kept = {
        name: torch.rand(side, side, generator=generator) < 0.5
        for name, side in (("a.weight", 3), ('ä\n"b".weight', 8), ("c", 5))
    }
    written = set()
    for place in range(20):
        save_mask(tmp_path / str(place), Mask.of(kept))
        written.add((tmp_path / str(place)).read_bytes())
    assert len(written) == 1
    assert load_mask(tmp_path / "0") == Mask.of(kept)
    assert load_file(tmp_path / "0").keys() == kept.keys()
    save_file(*Mask.of(kept).to_tensors()[:1], tmp_path / "plain", Mask.of(kept).to_tensors()[1])
    assert load_mask(tmp_path / "plain") == load_mask(tmp_path / "0")

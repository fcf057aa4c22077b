"""Weights are counted once for all reports, and what changed since is found all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from prunecli.errors import IntegrityError
from prunecli.store import counting
from prunecli.store.workspace import Workspace


def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose weights are read from now on."""
    found: list[Path] = []
    before = counting._read

    def read(path: Path) -> tuple[dict[str, int], dict[str, int]]:
        found.append(path)
        return before(path)

    monkeypatch.setattr(counting, "_read", read)
    return found


def test_only_what_changed_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, memory = tmp_path / "w.safetensors", tmp_path / "cache" / "w.json"
    tensors = {"a.weight": torch.tensor([0.0, 1.0, -0.0]), "b": torch.ones(2, 2)}
    save_file(tensors, path)
    found = reads(monkeypatch)
    first = counting.counted(path, memory)
    assert first.sizes == {"a.weight": 3, "b": 4}
    assert first.nonzero == {"a.weight": 1, "b": 4}
    assert counting.counted(path, memory) == first
    assert len(found) == 1
    save_file({**tensors, "b": torch.zeros(2, 2)}, path)
    assert counting.counted(path, memory).nonzero == {"a.weight": 1, "b": 0}
    assert counting.counted(path).nonzero == {"a.weight": 1, "b": 0}
    for damaged in ("", "{", "[]", "null", '{"bytes": 1}'):
        memory.write_text(damaged)
        assert counting.counted(path, memory).nonzero == {"a.weight": 1, "b": 0}
    assert len(found) == 3 + 5


def test_a_memory_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.ones(2)}, path)
    (tmp_path / "file").write_text("")
    assert counting.counted(path, tmp_path / "file" / "w.json").nonzero == {"a": 2}


def test_a_second_report_reads_no_weights_and_finds_what_changed(
    workspace: Workspace, baseline: str, pruned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, source = workspace.get(pruned), workspace.get(baseline)
    found = reads(monkeypatch)
    workspace.check_counts(record, source)
    workspace.check_counts(record, source)
    assert len(found) == 1
    raw = json.loads(record.model_dump_json())
    raw["model"]["nonzero_parameters"] -= 1
    with pytest.raises(IntegrityError, match="that are not zero"):
        workspace.check_counts(type(record).model_validate(raw), source)
    path = workspace.run_dir(pruned) / "model" / "model.safetensors"
    tensors = {name: torch.zeros_like(one) for name, one in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(IntegrityError, match="zeros in"):
        workspace.check_counts(record, source)
    workspace.remove(pruned)
    assert not list(workspace.counts_dir.iterdir())

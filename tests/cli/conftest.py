"""Model folders and data files as a user brings them along."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from prunecli.store.workspace import Workspace

ROWS = [(f"a {word} film number {i}", i % 2) for i, word in enumerate(["good", "bad"] * 15)]
CSV = "sentence,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)


@pytest.fixture(scope="session")
def saved(swept: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained classifier as its owner would have saved it, outside any workspace."""
    name = next(name for name in swept.names() if "-baseline-" in name)
    folder = tmp_path_factory.mktemp("saved") / "classifier"
    shutil.copytree(swept.run_dir(name) / "model", folder)
    return folder


@pytest.fixture(scope="session")
def tiny_encoder(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder without a head, as a pretrained checkpoint is."""
    from transformers import AutoModel

    folder = tmp_path_factory.mktemp("encoder") / "plain"
    shutil.copytree(saved, folder)
    AutoModel.from_pretrained(saved).save_pretrained(folder)
    return folder


@pytest.fixture
def data_csv(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(CSV)
    return path

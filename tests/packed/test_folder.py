"""Model folders packed and unpacked, and models loaded from wherever they were kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

import prunecli
from prunecli.errors import InputError, IntegrityError
from prunecli.models.loading import embedding_weights
from prunecli.store.workspace import Workspace


@pytest.fixture
def model(swept: Workspace, pruned: str) -> Path:
    return swept.run_dir(pruned) / "model"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)


def test_a_folder_comes_back_byte_for_byte(model: Path, tmp_path: Path) -> None:
    manifest = prunecli.pack(model, tmp_path / "small.safetensors")
    assert any(entry.nonzero for entry in manifest.tensors)
    folder = prunecli.unpack(tmp_path / "small.safetensors", tmp_path / "out")
    card = {"README.md"}  # it speaks of the run, which this no longer is
    assert content(folder) == {k: v for k, v in content(model).items() if k not in card}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "small.safetensors"]
    assert (tmp_path / "small.safetensors").stat().st_size < sum(map(len, content(model).values()))


@pytest.mark.parametrize("zstd", [False, True])
def test_small_and_close(model: Path, tmp_path: Path, zstd: bool) -> None:
    settings = prunecli.PackSettings(values="int8", embeddings="int4", zstd=zstd)
    prunecli.pack(model, tmp_path / "small.safetensors", settings)
    found = load_file(
        prunecli.unpack(tmp_path / "small.safetensors", tmp_path / "out") / "model.safetensors"
    )
    for name, weights in load_file(model / "model.safetensors").items():
        # half a scale; in int4 up to an eighth of the largest of the other sign
        steps = 4 if "embeddings.weight" in name else 127
        assert ((found[name] - weights).abs() <= weights.abs().max() / steps * 0.501).all(), name
        assert not found[name][weights == 0].any()


def test_load_from_everywhere(swept: Workspace, pruned: str, model: Path, tmp_path: Path) -> None:
    prunecli.pack(model, tmp_path / "small.safetensors")
    shutil.copytree(swept.run_dir(pruned), tmp_path / "copied")
    expected = transformers.AutoModelForSequenceClassification.from_pretrained(model)
    for path in (
        model,
        str(model),
        swept.run_dir(pruned),
        tmp_path / "copied",
        tmp_path / "small.safetensors",
    ):
        loaded = prunecli.load(path)
        assert type(loaded) is type(expected)
        assert not loaded.training
        assert same_weights(loaded, expected)


def test_load_refuses_what_was_changed(swept: Workspace, pruned: str, tmp_path: Path) -> None:
    run = Path(shutil.copytree(swept.run_dir(pruned), tmp_path / "run"))
    (run / "model" / "README.md").write_text("a card may be edited")
    prunecli.load(run)
    (run / "model" / "config.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"config\.json does not match its record"):
        prunecli.load(run)
    (run / "model" / "config.json").unlink()
    with pytest.raises(IntegrityError, match=r"config\.json is missing"):
        prunecli.load(run)
    (run / "record.json").write_text("{")
    with pytest.raises(IntegrityError, match="is corrupt"):
        prunecli.load(run)


def test_load_refuses_what_is_no_model(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model folder"):
        prunecli.load(tmp_path / "none")
    with pytest.raises(IntegrityError, match="no packed model"):
        prunecli.load(model / "model.safetensors")
    with pytest.raises(InputError, match="no model folder"):
        prunecli.pack(tmp_path / "none", tmp_path / "small.safetensors")


def test_unpack_writes_over_nothing(model: Path, tmp_path: Path) -> None:
    prunecli.pack(model, tmp_path / "small.safetensors")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    for there in (tmp_path / "full", tmp_path / "full" / "file"):
        with pytest.raises(InputError, match="is there already"):
            prunecli.unpack(tmp_path / "small.safetensors", there)
    assert (tmp_path / "full" / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    prunecli.unpack(tmp_path / "small.safetensors", tmp_path / "empty")
    assert (tmp_path / "empty" / "config.json").is_file()


def test_pack_replaces_whole_or_not_at_all(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.safetensors"
    path.write_text("before")

    def full(manifest: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("prunecli.packed.writer.header_of", full)
    with pytest.raises(OSError, match="No space left"):
        prunecli.pack(model, path)
    assert path.read_text() == "before"
    monkeypatch.undo()
    prunecli.pack(model, path)
    assert [file.name for file in tmp_path.iterdir()] == ["small.safetensors"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("distilbert", ["embeddings.word_embeddings", "embeddings.position_embeddings"]),
        (
            "bert",
            [
                "embeddings.word_embeddings",
                "embeddings.position_embeddings",
                "embeddings.token_type_embeddings",
            ],
        ),
        (
            "mpnet",
            [
                "embeddings.word_embeddings",
                "embeddings.position_embeddings",
                "encoder.relative_attention_bias",
            ],
        ),
    ],
)
def test_embeddings_are_found_by_structure(tmp_path: Path, kind: str, names: list[str]) -> None:
    sizes = {"hidden_size": 16, "dim": 16, "intermediate_size": 24, "hidden_dim": 24}
    sizes |= {"num_hidden_layers": 1, "n_layers": 1, "num_attention_heads": 2, "n_heads": 2}
    config = transformers.AutoConfig.for_model(kind, vocab_size=40, pad_token_id=0, **sizes)
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    model.save_pretrained(tmp_path)
    found = embedding_weights(str(tmp_path)) & load_file(tmp_path / "model.safetensors").keys()
    prefix = model.base_model_prefix
    assert found == {f"{prefix}.{name}.weight" for name in names}
    getattr(model, prefix).save_pretrained(tmp_path)  # without its head
    found = embedding_weights(str(tmp_path)) & load_file(tmp_path / "model.safetensors").keys()
    assert found == {f"{name}.weight" for name in names}


def test_only_configuration_and_tokenizer_go_along(model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    for name in ("notes.md", "training_args.bin", ".hidden.json", "model.py", "spm.model"):
        (folder / name).write_text("x")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {}}))
    (folder / "sub.json").mkdir()
    manifest = prunecli.pack(folder, tmp_path / "small.safetensors")
    assert {entry.name for entry in manifest.files} == {
        "config.json",
        "spm.model",
        "tokenizer.json",
        "tokenizer_config.json",
    }

"""Weights come from safetensors of the folder alone, and what is read is what is hashed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from calling import Called, refused
from folders import classifier, saved, tokenizer
from safetensors.torch import load_file, save_file

import prunecli
from prunecli.errors import InputError, IntegrityError
from prunecli.models import loading as models
from prunecli.models.weightfiles import INDEX, WEIGHTS, weight_bytes, weight_files
from prunecli.packed.source import Weights
from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]
USES = [
    lambda folder: models.model_fingerprint(str(folder)),
    lambda folder: models.load_any_classifier(str(folder)),
    lambda folder: weight_bytes(folder),
    lambda folder: models.check_folder(str(folder)),
    lambda folder: prunecli.pack(folder, folder.parent / "packed.safetensors"),
    lambda folder: Weights(folder),
]


def sharded(folder: Path, *names: str) -> Path:
    """A classifier whose weights are in files of these names, which an index lists."""
    saved(folder, classifier("distilbert", dim=16, hidden_dim=24, n_layers=2, n_heads=2))
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    keys, index = sorted(tensors), {}
    for place, name in enumerate(names):
        part = {key: tensors[key] for key in keys[place :: len(names)]}
        index |= dict.fromkeys(part, name)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".safetensors"):
            save_file(part, path, metadata={"format": "pt"})
        else:
            torch.save(part, path)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return folder


def touch_weights(path: Path) -> None:
    tensors = load_file(path)
    save_file({name: values + 1 for name, values in tensors.items()}, path, {"format": "pt"})


@pytest.mark.parametrize(
    "names", [("a.safetensors", "b.safetensors"), ("a.safetensors", "parts/b.safetensors")]
)
def test_every_file_that_is_read_is_in_the_fingerprint(tmp_path: Path, names: list[str]) -> None:
    folder = sharded(tmp_path / "model", *names)
    assert weight_files(folder) == [folder / name for name in names]
    assert weight_bytes(folder) == sum((folder / n).stat().st_size for n in names)
    models.load_any_classifier(str(folder))
    for name in names:
        before = models.model_fingerprint(str(folder))
        touch_weights(folder / name)
        assert models.model_fingerprint(str(folder)) != before
    prunecli.pack(folder, tmp_path / "packed.safetensors")
    loaded = models.load_any_classifier(str(folder)).state_dict()
    back = prunecli.load(tmp_path / "packed.safetensors").state_dict()
    assert all(torch.equal(values, back[name]) for name, values in loaded.items())


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "name",
    ["../outside/x.safetensors", "weights.bin", "parts/weights.pt", "parts/../../x.safetensors"],
)
def test_an_index_names_nothing_else(tmp_path: Path, name: str, use: Callable) -> None:
    folder = sharded(tmp_path / "model", "a.safetensors", name)
    assert (folder / name).is_file()
    with pytest.raises(InputError, match=r"not in its folder|from safetensors alone"):
        use(folder)


@pytest.mark.parametrize("use", USES)
def test_an_index_names_no_absolute_path(tmp_path: Path, use: Callable) -> None:
    folder = sharded(tmp_path / "model", "a.safetensors", "b.safetensors")
    outside = (folder / "b.safetensors").rename(tmp_path / "b.safetensors")
    index = (folder / INDEX).read_text()
    (folder / INDEX).write_text(index.replace('"b.safetensors"', json.dumps(str(outside))))
    with pytest.raises(InputError, match="not in its folder"):
        use(folder)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("linked", ["b.safetensors", "parts/b.safetensors", "parts"])
def test_no_link_leads_out(tmp_path: Path, linked: str, use: Callable) -> None:
    name = "parts/b.safetensors" if "parts" in linked else linked
    folder = sharded(tmp_path / "model", "a.safetensors", name)
    outside = (folder / linked).rename(tmp_path / "outside")
    (folder / linked).symlink_to(outside)
    with pytest.raises(InputError, match="a link that leads out of its folder"):
        use(folder)


def test_the_one_file_is_no_link_out(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", classifier("bert"))
    (folder / WEIGHTS).rename(tmp_path / "x.safetensors")
    (folder / WEIGHTS).symlink_to(tmp_path / "x.safetensors")
    for use in USES:
        with pytest.raises(InputError, match="a link that leads out of its folder"):
            use(folder)


def test_a_link_within_the_folder_and_the_cache_of_the_hub_are_read(tmp_path: Path) -> None:
    home = tmp_path / "models--me--mine"
    folder = saved(home / "snapshots" / "abc", classifier("bert"))
    expected = models.model_fingerprint(str(folder))
    (home / "blobs").mkdir()
    for place, path in enumerate(sorted(folder.iterdir())):
        blob = path.rename(home / "blobs" / str(place))
        path.symlink_to(os.path.relpath(blob, folder))
    assert models.model_fingerprint(str(folder)) == expected
    models.load_any_classifier(str(folder))
    prunecli.pack(folder, tmp_path / "packed.safetensors")
    inner = saved(tmp_path / "model", classifier("bert"))
    (inner / WEIGHTS).rename(inner / "real.safetensors")
    (inner / WEIGHTS).symlink_to("real.safetensors")
    models.load_any_classifier(str(inner))


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"weight_map": []}', '{"weight_map": {}}', "[" * 9999]
)
def test_an_index_that_is_none(tmp_path: Path, text: str) -> None:
    folder = sharded(tmp_path / "model", "a.safetensors")
    (folder / INDEX).write_text(text)
    with pytest.raises(IntegrityError, match="cannot be used"):
        models.check_folder(str(folder))


def test_a_packed_file_takes_in_nothing_from_elsewhere(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", classifier("bert"), tokenizer(pad_token="[PAD]"))
    (tmp_path / "secret").write_text("a secret")
    (folder / "notes.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match=r"notes\.txt is a link that leads out of its folder"):
        prunecli.pack(folder, tmp_path / "packed.safetensors")
    assert not (tmp_path / "packed.safetensors").exists()


@pytest.mark.parametrize("form", ["packed", "hf"])
@pytest.mark.parametrize("kept", ["all", "small"])
@pytest.mark.parametrize("link", [True, False])
def test_an_export_ships_what_the_record_lists(
    prune: Prune, workspace: Workspace, baseline: str, tmp_path: Path, form: str, kept: str,
    link: bool,
) -> None:  # fmt: skip
    asked = ("--from", baseline, "--level", 0.9, "--keep-models", kept)
    name = prune("prune", *asked, "-w", workspace.root, "--json").json["runs"][-1]["name"]
    (tmp_path / "secret").write_text("a secret of mine")
    for folder in (workspace.run_dir(name) / "model", workspace.run_dir(baseline) / "model"):
        for left in ("notes.txt", "vocab.txt"):
            if link:
                (folder / left).symlink_to(tmp_path / "secret")
            else:
                shutil.copy(tmp_path / "secret", folder / left)
    done = prune("export", name, "--format", form, "-w", workspace.root, "--json")
    assert done.code == 0, done.err
    made = Path(done.json["folder"])
    if form == "packed":
        made = prunecli.unpack(made / "packed.safetensors", tmp_path / "unpacked")
    found = {path.name for path in made.rglob("*")}
    assert not found & {"notes.txt", "vocab.txt"}
    assert not any(path.is_symlink() for path in made.rglob("*"))
    assert b"a secret" not in b"".join(p.read_bytes() for p in made.rglob("*") if p.is_file())


def test_nothing_is_put_beside_a_run_that_would_be_read(
    prune: Prune, workspace: Workspace, baseline: str
) -> None:
    beside = workspace.run_dir(baseline) / "model" / "adapter_config.json"
    beside.write_text("{}")
    for command in (f"evaluate {baseline}", f"prune --from {baseline} --level 0.9"):
        done = prune(*command.split(), "-w", workspace.root)
        refused(done, 4, f"{beside} is not in its record")

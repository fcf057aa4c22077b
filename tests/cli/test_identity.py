"""A run is its folder: what was copied, renamed, linked or edited does not pass for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calling import Called, passed_over, refused

import prunecli
from prunecli.errors import IntegrityError
from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]

REMOVE = "runs remove {0} --yes"
COMMANDS = (
    "evaluate {0}",
    "runs show {0}",
    "export {0} --format packed",
    "export {0} --format hf",
    "prune --from {0} --level 0.9",
    "bench {0}",
)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.fixture
def copied(workspace: Workspace, pruned: str) -> Path:
    """A copy of a run under another name, whose weights are no longer those of the run."""
    copy = shutil.copytree(workspace.run_dir(pruned), workspace.run_dir("mine"))
    weights = copy / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\1\2\3\4")
    return copy


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("by_path", [False, True], ids=["name", "path"])
def test_a_copy_is_not_the_run(
    prune: Prune, workspace: Workspace, pruned: str, copied: Path, command: str, by_path: bool
) -> None:
    before = contents(workspace.run_dir(pruned))
    words = command.format(copied if by_path else "mine").split()
    done = prune(*words, "-w", workspace.root)
    refused(done, 4, f"{copied} holds the record of {pruned}", "prune runs remove mine")
    assert contents(workspace.run_dir(pruned)) == before
    assert copied.is_dir()


@pytest.mark.parametrize("by_path", [False, True], ids=["name", "path"])
def test_removing_a_copy_removes_the_copy(
    prune: Prune, workspace: Workspace, pruned: str, copied: Path, by_path: bool
) -> None:
    before = contents(workspace.run_dir(pruned))
    named = copied if by_path else "mine"
    assert prune("runs", "remove", named, "--yes", "-w", workspace.root).code == 0
    assert not copied.exists()
    assert contents(workspace.run_dir(pruned)) == before


def test_what_does_not_pass_is_found_by_verify(
    prune: Prune, workspace: Workspace, baseline: str, pruned: str, copied: Path
) -> None:
    assert prune("export", baseline, "--format", "packed", "-w", workspace.root).code == 0
    (artefact,) = workspace.artefacts()
    edit(workspace.artefact_dir(artefact.name) / "record.json",
         lambda record: record.update(dense_bytes=1))  # fmt: skip
    edit(workspace.run_dir(pruned) / "record.json", more("nonzero_parameters"))
    done = prune("runs", "verify", "-w", workspace.root, "--json")
    assert done.code == 4
    for told in (
        f"{copied} holds the record of {pruned}",
        f"the record of {artefact.name} says 1 bytes of the dense model",
        f"the record of {pruned} says",
    ):
        assert told in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_a_renamed_run_is_told(
    prune: Prune, workspace: Workspace, pruned: str, command: str
) -> None:
    renamed = workspace.run_dir(pruned).rename(workspace.run_dir("mine"))
    done = prune(*command.format("mine").split(), "-w", workspace.root)
    refused(done, 4, f"holds the record of {pruned}", "was renamed")
    assert renamed.is_dir()


@pytest.mark.parametrize("command", ["report", "compare", "runs show @best"])
def test_a_copy_counts_for_nothing(
    prune: Prune, workspace: Workspace, copied: Path, command: str
) -> None:
    done = prune(*command.split(), "-w", workspace.root)
    if "@best" in command:  # it is called as no run, so it could not be meant
        assert done.code == 0, done.err
        assert done.json["name"] in workspace.names()
    else:
        passed_over(done, "mine", f"{copied} holds the record of")
    listed = prune("runs", "list", "-w", workspace.root, "--json")
    assert listed.code == 0
    assert "passed over mine: " in listed.err
    assert len(listed.json) == 5


@pytest.mark.parametrize("command", ["runs show {0}", "evaluate {0}"])
def test_a_copied_artefact_is_told(
    prune: Prune, workspace: Workspace, pruned: str, command: str
) -> None:
    made = prune("export", pruned, "--format", "packed", "-w", workspace.root, "--json")
    name = made.json["name"]
    copy = shutil.copytree(workspace.artefact_dir(name), workspace.artefact_dir("mine"))
    done = prune(*command.format("mine").split(), "-w", workspace.root)
    refused(done, 4, f"{copy} holds the record of {name}")
    assert workspace.artefact_names() == sorted(["mine", name])


def test_a_measurement_is_its_file(workspace: Workspace) -> None:
    from tests.reporting.fabricate import bench, contender

    record = bench(contender("dense", dense=True))
    workspace.write_bench(record)
    assert workspace.find_bench(record.name) == record
    path = workspace.bench_path(record.name)
    shutil.copy(path, workspace.bench_path("bench-00000000"))
    with pytest.raises(IntegrityError, match="holds the record of bench-"):
        workspace.find_bench("bench-00000000")
    with pytest.raises(IntegrityError, match="holds the record of bench-"):
        list(workspace.benches())
    workspace.bench_path("bench-00000000").unlink()
    edit(path, lambda own: own["spec"].update(threads=1))
    with pytest.raises(IntegrityError, match="was edited: its specification is that of bench-"):
        list(workspace.benches())


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["spec"].update(level=0.5),
        lambda record: record["spec"].update(seed=7),
        lambda record: record["spec"].update(strategy="layerwise"),
        lambda record: record["spec"].update(source="sst2-baseline-s42-00000000"),
        lambda record: record.update(name="sst2-global-magnitude-50-s42-00000000"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate {0}", "runs show {0}", "report", "compare"])
def test_an_edited_specification_is_found(
    prune: Prune, workspace: Workspace, pruned: str, change: Any, command: str
) -> None:
    edit(workspace.run_dir(pruned) / "record.json", change)
    done = prune(*command.format(pruned).split(), "-w", workspace.root)
    if "{0}" in command:
        refused(done, 4)
    else:
        passed_over(done, pruned)
    assert "was edited" in done.err or "holds the record of" in done.err


def more(field: str) -> Callable[[dict[str, Any]], object]:
    return lambda record: record["model"].update({field: record["model"][field] + 8})


def zeros(record: dict[str, Any]) -> None:
    next(iter(record["layers"].values()))["zeros"] += 8


def sizes(record: dict[str, Any]) -> None:
    next(iter(record["layers"].values()))["size"] += 8


COUNTS = {
    "parameters": more("parameters"),
    "nonzero": more("nonzero_parameters"),
    "prunable": more("prunable"),
    "zeros": zeros,
    "sizes": sizes,
}


@pytest.mark.parametrize("kept", ["all", "small"])
@pytest.mark.parametrize("change", COUNTS.values(), ids=COUNTS)
@pytest.mark.parametrize("command", ["report", "evaluate {0}"])
def test_an_edited_count_is_found(
    prune: Prune, workspace: Workspace, baseline: str, pruned: str, change: Any, kept: str,
    command: str,
) -> None:  # fmt: skip
    if kept == "small":
        workspace.remove(pruned)
        made = ("prune", "--from", baseline, "--level", 0.8, "--keep-models", "small")
        assert prune(*made, "-w", workspace.root).code == 0
        assert workspace.get(pruned).kept == "mask"
    edit(workspace.run_dir(pruned) / "record.json", change)
    done = prune(*command.format(pruned).split(), "-w", workspace.root)
    said = (f"the record of {pruned} says", "its files give")
    if command == "report":
        passed_over(done, pruned, *said)
    else:
        refused(done, 4, *said)


@pytest.mark.parametrize("change", COUNTS.values(), ids=COUNTS)
def test_an_edited_count_of_a_baseline_is_found(
    prune: Prune, workspace: Workspace, baseline: str, change: Any
) -> None:
    edit(workspace.run_dir(baseline) / "record.json", change)
    said = (f"the record of {baseline} says", "its files give")
    passed_over(prune("report", "-w", workspace.root), baseline, *said)
    for command in (f"evaluate {baseline}", f"prune --from {baseline} --level 0.9"):
        done = prune(*command.split(), "-w", workspace.root)
        refused(done, 4, *said)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["ledger"].update(artefact=1),
        lambda record: record["files"]["packed.safetensors"].update(bytes=1),
        lambda record: record.update(dense_bytes=1 << 30),
    ],
)
def test_an_edited_byte_count_is_found(
    prune: Prune, workspace: Workspace, pruned: str, change: Any
) -> None:
    made = prune("export", pruned, "--format", "packed", "-w", workspace.root, "--json")
    edit(workspace.artefact_dir(made.json["name"]) / "record.json", change)
    done = prune("report", "-w", workspace.root)
    name = made.json["name"]
    passed_over(done, name, f"the record of {name} says", "bytes", "its files give")


# Links


@pytest.fixture
def linked(workspace: Workspace, pruned: str, tmp_path: Path) -> Path:
    """A run's folder that lies elsewhere, and a link where it was."""
    elsewhere = workspace.run_dir(pruned).rename(tmp_path / pruned)
    workspace.run_dir(pruned).symlink_to(elsewhere)
    return elsewhere


@pytest.mark.parametrize("command", [*COMMANDS, REMOVE])
@pytest.mark.parametrize("by_path", [False, True], ids=["name", "path"])
def test_a_linked_run_is_told_and_never_followed(
    prune: Prune, workspace: Workspace, pruned: str, linked: Path, command: str, by_path: bool
) -> None:
    before = contents(linked)
    named = workspace.run_dir(pruned) if by_path else pruned
    done = prune(*command.format(named).split(), "-w", workspace.root)
    refused(done, 3, f"{workspace.run_dir(pruned)} is a link, to {linked}")
    assert contents(linked) == before
    assert workspace.run_dir(pruned).is_symlink()


def test_a_link_in_a_workspace_to_another_run_is_told(
    prune: Prune, workspace: Workspace, pruned: str
) -> None:
    link = workspace.run_dir("mine")
    link.symlink_to(workspace.run_dir(pruned))
    before = contents(workspace.run_dir(pruned))
    for name in ("mine", link):
        done = prune("runs", "remove", name, "--yes", "-w", workspace.root)
        refused(done, 3, f"{link} is a link")
    assert contents(workspace.run_dir(pruned)) == before


def test_a_workspace_may_be_reached_through_a_link(
    prune: Prune, workspace: Workspace, pruned: str, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(workspace.root)
    assert prune("runs", "show", pruned, "-w", tmp_path / "link").code == 0
    folder = tmp_path / "link" / "runs" / pruned
    assert prune("runs", "show", folder, "-w", workspace.root).code == 0


@pytest.mark.parametrize("file", ["model/config.json", "mask.safetensors", "model"])
def test_a_linked_file_of_a_run_is_told(workspace: Workspace, pruned: str, file: str) -> None:
    path = workspace.run_dir(pruned) / file
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))
    record = workspace.get(pruned)
    reached = next(name for name in record.files if name.startswith(file))
    with pytest.raises(IntegrityError, match="is a link or outside of its folder"):
        workspace.verify_file(record, reached)


def test_a_deployed_folder_may_have_any_name(
    workspace: Workspace, pruned: str, tmp_path: Path
) -> None:
    """Outside of a workspace nothing is found by the name of a folder."""
    copy = shutil.copytree(workspace.run_dir(pruned), tmp_path / "deployed")
    prunecli.load(copy)
    edit(copy / "record.json", lambda record: record["spec"].update(level=0.5))
    with pytest.raises(IntegrityError, match="was edited"):
        prunecli.load(copy)

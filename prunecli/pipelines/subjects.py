"""What a command was given to work on: a run, an artefact, a folder, a file or a hub id."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prunecli.errors import InputError
from prunecli.files import expanded
from prunecli.models import loading as models
from prunecli.models.hub import downloaded, is_cached
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import RunRecord
from prunecli.runtimes.opening import model_folder
from prunecli.store.folders import MODEL
from prunecli.store.workspace import Workspace

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Place:
    """A model that the workspace does not know: a folder, a packed file, or one on the hub."""

    name: str
    """The path, or the hub id."""

    @property
    def on_hub(self) -> bool:
        return not models.is_local(self.name)

    @contextmanager
    def opened(self) -> Iterator[str]:
        """What `prunecli.models.loading` reads it by, for the time of the block.

        Raises what `model_folder` raises.
        """
        if self.on_hub:
            yield self.name
            return
        with model_folder(Path(self.name)) as folder:
            yield str(folder)

    def on_disk(self) -> Path:
        """Its folder or file; what is on the hub is fetched into the cache. Raises `InputError`."""
        return downloaded(self.name) if self.on_hub else Path(self.name)


def find_subject(
    workspace: Workspace, text: str, task: str | None = None
) -> RunRecord | ArtefactRecord | Place:
    """What ``text`` names: an artefact, a run, a path, what a run is called for short, or a hub id.

    A hub id has an owner, unless the cache has it. ``task`` is what a word such as ``@last`` is of,
    if not all. Raises `InputError` for anything else.
    """
    artefact = workspace.artefact_meant(text, task)
    if artefact is not None:
        return artefact
    run, path = workspace.named_by(text), expanded(text)
    if run is None and path.name == MODEL:
        run = _kept_otherwise(workspace, str(path.parent))
    if run is None:
        if models.is_local(text) or models.is_local(str(path)):  # a path loses its "./"
            if not path.exists():
                raise InputError(
                    f"no model folder {text}",
                    hint="a run by its name, or a folder with config.json and model.safetensors",
                )
            return Place(str(path))
        if _HUB_ID.fullmatch(text) or is_cached(text):
            return Place(text)
    try:
        return workspace.get(run or text, task)
    except InputError as error:
        hint = f"{error.hint}; a folder is given by its path, and a model of the hub as OWNER/NAME"
        raise InputError(str(error), hint=hint) from None


def _kept_otherwise(workspace: Workspace, text: str) -> str | None:
    """The run that ``text`` names, where its own ``model/`` is not whole."""
    name = workspace.named_by(text)
    return name if name is not None and workspace.get(name).kept is not None else None


def run_of_artefact(workspace: Workspace, artefact: ArtefactRecord) -> RunRecord:
    """The run that an artefact was made of, which says on what it is scored; or `InputError`."""
    run = workspace.find(artefact.run)
    if run is None:
        raise InputError(f"{artefact.name} was made of run {artefact.run}, which is not here")
    return run


def called(found: RunRecord | ArtefactRecord) -> str:
    """``run X`` or ``artefact X``, for a message."""
    return f"{'run' if isinstance(found, RunRecord) else 'artefact'} {found.name}"


def check_task(run: RunRecord, task: str | None) -> None:
    """Raise `InputError` where ``task`` is given and a run is of another."""
    if task is not None and task not in (run.task.name, run.task.reference):
        raise InputError(
            f"run {run.name} is of task {run.task.name}, not {task}",
            hint="leave --task out, or name another run",
        )

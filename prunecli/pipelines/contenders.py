"""What `prune bench` measures: what was named, the dense model it is held against, and peers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prunecli.bench.defaults import MOST_AT_ONCE
from prunecli.bench.measure import Measured
from prunecli.bench.protocol import Model
from prunecli.errors import InputError, UsageError
from prunecli.machine.extras import ONNX, compiler, installed
from prunecli.machine.hardware import pinned
from prunecli.models import loading as models
from prunecli.models.ends import end_of
from prunecli.models.madeup import MadeUp
from prunecli.models.padding import class_of
from prunecli.models.segments import reads_segments
from prunecli.models.weightfiles import weight_bytes
from prunecli.pipelines.entering import tell_of
from prunecli.pipelines.exports import EXPORTS
from prunecli.pipelines.exports.onnx import TOLERANCE
from prunecli.pipelines.job import Job
from prunecli.pipelines.reading import (
    tell_of_batches,
    tell_of_bound,
    tell_of_overflow,
    tell_of_session,
)
from prunecli.pipelines.subjects import Place, find_subject
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import (
    BaselineSpec,
    CutSpec,
    DerivedSpec,
    RunRecord,
    points_lost,
    primary_score,
)
from prunecli.runtimes.opening import load, model_folder
from prunecli.store.folders import PACKED
from prunecli.store.unread import Unread

COMPILED = "torch-compiled"
_READERS = {
    "ONNX Runtime": (ONNX, "onnx", ("onnxruntime", "onnxruntime-unfused")),
    "OpenVINO": ((*ONNX, "openvino"), "openvino", ("openvino",)),
}
"""What computes an ONNX file: by name the modules it takes, their extra, and its runtimes."""


@dataclass(frozen=True)
class Subject:
    """One model on disk, and what its record says of it."""

    name: str
    run: RunRecord | None
    runtime: str
    path: Path
    file_bytes: int
    score: float | None = None
    drop: float | None = None
    dense: bool = False
    peer: bool = False
    vocabulary: int | None = None
    """Its tokens, where they are fewer than the dense model's."""
    end: int | None = None
    """The token at which it answers, if at any, where its tokens have other ids than the dense
    model's."""
    held: object = field(default=None, repr=False, compare=False)
    """What keeps its files there, where they were made for this."""

    @property
    def title(self) -> str:
        return f"{self.name} ({self.runtime})"


def opened_alike(
    subjects: Sequence[Subject], config: Any, *, threads: int, dense: Path | None = None
) -> list[tuple[str, Model]]:
    """What workers open to answer with each of ``subjects``, by its title.

    ``config`` is that of the dense model, whose folder is ``dense`` where it has a tokenizer. All
    get the same made-up tokens, which the smallest vocabulary among them has, but for the one that
    ends a text. On one thread times are the processor's, which do not count waiting for a core; of
    several the time is that of all together.
    """
    kind = class_of(config)
    numbered = kind is not None and reads_segments(kind, config, dense)
    usual = MadeUp.of(config, segments=numbered)
    words = min([usual.vocabulary, *(one.vocabulary for one in subjects if one.vocabulary)])
    return [
        (
            one.title,
            Model(
                runtime=one.runtime,
                path=str(one.path.resolve()),
                threads=threads,
                cores=pinned(threads),
                made_up=usual.model_copy(
                    update={"vocabulary": words, "end": one.end if one.vocabulary else usual.end}
                ),
                once=one.runtime == COMPILED,
                processor_time=threads == 1,
            ),
        )
        for one in subjects
    ]


def subject_of(job: Job, name: str) -> Subject:
    """What is measured under ``name``: an artefact, a run or a folder."""
    workspace = job.workspace
    found = find_subject(workspace, name)
    if isinstance(found, ArtefactRecord):
        artefact = found
        tell_of_overflow(job, artefact)
        tell_of_batches(job, artefact)
        tell_of_bound(job, artefact)
        tell_of_session(job, artefact)
        folder, format_ = workspace.verified_artefact(artefact), EXPORTS.get(artefact.spec.format)
        end = None
        if artefact.vocabulary:
            with format_.model_folder(folder) as own:
                end = end_of(models.load_config(str(own)))
        return Subject(
            name=artefact.name,
            run=workspace.find(artefact.run),
            runtime=format_.runtime,
            path=format_.opens(folder),
            file_bytes=artefact.ledger.artefact,
            score=primary_score(artefact.task, artefact.metrics),
            drop=artefact.drop,
            vocabulary=artefact.vocabulary.tokens if artefact.vocabulary else None,
            end=end,
        )
    if isinstance(found, Place):
        return _of_place(job, found)
    run, held = found, ExitStack()
    folder = held.enter_context(model_folder(workspace.run_dir(run.name)))
    models.load_config(str(folder))
    dense = workspace.find(run.spec.source) if isinstance(run.spec, DerivedSpec) else None
    return Subject(
        name=run.name,
        run=run,
        runtime="torch",
        path=folder,
        file_bytes=weight_bytes(folder),
        score=primary_score(run.task, run.metrics),
        drop=points_lost(dense, run.metrics),
        held=held,
    )


def _of_place(job: Job, found: Place) -> Subject:
    path = found.on_disk()
    with model_folder(path) as folder:
        tell_of(job, str(folder))
        models.check_folder(str(folder))
        if folder.is_relative_to(path):
            return Subject(found.name, None, "torch", folder, weight_bytes(folder))
        config = models.load_config(str(folder))
    packed = path if path.is_file() else path / PACKED
    size, words = packed.stat().st_size, MadeUp.of(config)
    return Subject(
        found.name, None, "torch", path, size, vocabulary=words.vocabulary, end=words.end
    )


def dense_of(job: Job, subjects: Sequence[Subject], against: str | None) -> Subject:
    """The dense model of all ``subjects``, or the one that was named."""
    if against is not None:
        return _named_dense(job, against)
    names = set()
    for one in subjects:
        if one.run is None:
            raise UsageError(
                f"{one.name} is no run: which dense model is it held against?",
                hint="say so, as --against RUN",
            )
        spec = one.run.spec
        names.add(one.run.name if isinstance(spec, BaselineSpec) else spec.source)
    if len(names) > 1:
        raise UsageError(
            f"these come from {len(names)} baselines: {', '.join(sorted(names))}",
            hint="measure them apart, or name one with --against",
        )
    (name,) = names
    if job.workspace.find(name) is None:
        raise InputError(f"the baseline {name} is not here", hint="name another with --against")
    return subject_of(job, name)


def _named_dense(job: Job, name: str) -> Subject:
    found = subject_of(job, name)
    pruned = found.run is not None and isinstance(found.run.spec, DerivedSpec)
    if pruned or not found.path.is_dir():
        raise UsageError(
            f"{found.name} is not dense", hint="--against takes a baseline or a model folder"
        )
    return found


def all_of(job: Job, against: str | None, *, gated: bool = False) -> list[str]:
    """Names of what was made of one baseline, `MOST_AT_ONCE` at most, and told where it is more.

    The baseline is the one that ``against`` means, or the only one of which there is anything.
    Artefacts come first, then runs that are cut: what is only sparse takes the dense one's time.
    What cannot be read is passed over and told; where all are ``gated``, its error is raised, for
    nothing is known of one of them.
    """
    workspace = job.workspace
    unread: list[Unread] = []
    made = workspace.readable_runs(unread.append)
    runs = [run for run in made if isinstance(run.spec, DerivedSpec)]
    artefacts = workspace.readable_artefacts(unread.append)
    for lost in unread:
        if gated and lost.may_be_missed and not (lost.of_run and lost.of_baseline):
            raise lost.error
        job.notice_once(lost)
    dense_of = {run.name: run.spec.source for run in runs if isinstance(run.spec, DerivedSpec)}
    found: dict[str, list[list[str]]] = {}
    for artefact in artefacts:
        kinds = found.setdefault(dense_of.get(artefact.run, artefact.run), [[], [], []])
        kinds[0].append(artefact.name)
    for run in runs:
        kinds = found.setdefault(dense_of[run.name], [[], [], []])
        kinds[1 if isinstance(run.spec, CutSpec) else 2].append(run.name)
    if against is None and len(found) > 1:
        raise UsageError(
            f"--all is of one baseline, and there are {len(found)} of which something was made",
            hint=f"say of which: --against {' or '.join(sorted(found)[:5])}",
        )
    name = next(iter(found), None) if against is None else workspace.get(against).name
    if name is None or name not in found:
        raise InputError(
            f"there is nothing to measure in {workspace.root}"
            if name is None
            else f"nothing was made of {name}",
            hint="make some first: prune sweep, prune export",
        )
    names = [one for kind in found[name] for one in kind]
    if len(names) > MOST_AT_ONCE:
        job.progress.notice(
            f"--all: the first {MOST_AT_ONCE} of {len(names)} are measured, artefacts before cut "
            "runs and these before sparse ones, because each has a process of its own; name others "
            "to measure them"
        )
    return names[:MOST_AT_ONCE]


def peers_of(job: Job, dense: Subject, named: Sequence[Subject]) -> list[Subject]:
    """The artefacts of the dense model in int8 or bf16, less those that were ``named``."""
    known = {one.name for one in named}
    found = [
        replace(subject_of(job, artefact.name), peer=True)
        for artefact in job.workspace.readable_artefacts(job.notice_once)
        if artefact.spec.source == dense.name
        and artefact.precision != "float32"
        and artefact.name not in known
    ]
    if not found:
        job.progress.notice(
            f"--peers: {dense.name} was exported in no other arithmetic; for some: prune export "
            f"{dense.name} --format onnx --int8"
        )
    return found


@contextmanager
def references_of(job: Job, dense: Subject, compiled: bool) -> Iterator[list[Subject]]:
    """The dense model in all that may compute it in float32.

    What ONNX Runtime and OpenVINO read is written for the time of the block.
    """
    found = [dense]
    if compiled and compiler() is None:
        job.progress.notice(
            "the dense model is measured without torch.compile: it needs a C++ compiler"
        )
    elif compiled:
        found.append(replace(dense, runtime=COMPILED))
    runtimes: list[str] = []
    for name, (modules, extra, those) in _READERS.items():
        if installed(*modules):
            runtimes += those
        else:
            job.progress.notice(
                f"{name} is not installed, so the dense model is measured without it; "
                f"with it: pip install 'prunecli[{extra}]'"
            )
    if not runtimes:
        yield found
        return
    from prunecli.onnxfile.write import write_onnx

    with tempfile.TemporaryDirectory(prefix="prune-", ignore_cleanup_errors=True) as temporary:
        path = Path(temporary) / "model.onnx"
        try:
            write_onnx(load(dense.path), path, dense.path)
        except InputError as error:
            job.progress.notice(f"the dense model is measured in PyTorch alone: {error}")
            yield found
            return
        size = path.stat().st_size
        yield found + [
            replace(dense, runtime=runtime, path=path, file_bytes=size) for runtime in runtimes
        ]


def keeping(
    subjects: Sequence[Subject], measured: Sequence[Measured | InputError]
) -> list[Measured | InputError]:
    """What was measured, but an `InputError` for a dense model that answers unlike PyTorch's.

    So none is held against others that is fast because it computes something else.
    """
    import numpy as np

    usual = next(
        (
            found.answer
            for one, found in zip(subjects, measured, strict=True)
            if one.dense and one.runtime == "torch" and not isinstance(found, InputError)
        ),
        None,
    )
    kept = list(measured)
    for place, (one, found) in enumerate(zip(subjects, measured, strict=True)):
        if usual is None or not one.dense or isinstance(found, InputError):
            continue
        far = float(np.abs(np.subtract(usual, found.answer)).max(initial=0.0))
        if not far <= TOLERANCE:
            kept[place] = InputError(
                f"{one.title}: a logit differs by {far:.2g} from PyTorch's, more than {TOLERANCE:g}"
            )
    return kept

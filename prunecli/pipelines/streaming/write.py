"""Writing a pruned model part by part, into a folder that is whole or absent."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from prunecli.core import engine
from prunecli.core.criteria import CRITERIA
from prunecli.core.flat import Packer, packed_size, spans
from prunecli.core.scope import prunable
from prunecli.core.zeros import is_sparse
from prunecli.errors import BusyError, InputError, IntegrityError, UsageError
from prunecli.files import assembled, expanded, file_sha256, files_in, write_atomically
from prunecli.machine.hardware import free_disk, machine
from prunecli.models.loading import model_fingerprint
from prunecli.models.weightfiles import check_inside
from prunecli.packed.shards import Shard, Survey, survey
from prunecli.pipelines.stopwatch import Stopwatch
from prunecli.pipelines.streaming.plan import Streamed
from prunecli.pipelines.streaming.reconstruct import changing, reconstruct
from prunecli.pipelines.streaming.sink import Sink
from prunecli.progress import Bar, Progress
from prunecli.records.runs import LayerSparsity
from prunecli.records.streamed import StreamedCalibration, StreamedRecord, StreamedSource
from prunecli.store.folders import MODEL
from prunecli.store.locks import held
from prunecli.text.numbers import megabytes

SUMMARY: Final = "summary.json"
_BESIDE: Final = (".json", ".txt", ".model", ".jinja")
"""Endings of what is copied beside the weights: configuration and tokenizer."""
SPILL: Final = "spill"
"""Where hidden states are meanwhile."""
_LEFT_OUT: Final = ("adapter_config.json",)


def check_output(output: Path, source: Path) -> Path:
    """Where the folder is made; `InputError` where anything is there, or it is in the source."""
    place, other = expanded(output).resolve(), "give another folder with --output DIR"
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise InputError(f"{output} is there already", hint=other)
    if place.is_relative_to(source.resolve()):
        raise InputError(f"{output} is within the model that is read", hint=other)
    return place


def stream(made_of: Streamed, output: Path, command: str, progress: Progress) -> StreamedRecord:
    """Prune ``made_of`` into the new folder ``output``: model, mask and summary, whole or not.

    What an earlier call left unfinished is removed first. Raises `InputError` where ``output`` is
    there, another process is making it or the disk has too little room; what `plan` of the engine
    raises; and `IntegrityError` where what was written does not read back as it should.
    """
    place = check_output(output, made_of.folder)
    partial = place.with_name(f".{place.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(held(partial / "lock", place.parent, place.name))
        except BusyError:
            raise BusyError(
                f"{output} is being made by another prune process",
                hint="wait for it, or give another folder with --output DIR",
            ) from None
        try:
            for left in ("made", SPILL):
                shutil.rmtree(partial / left, ignore_errors=True)
            check_output(output, made_of.folder)  # another process may have made it meanwhile
            _check_room(made_of, place)
            with assembled(place, partial / "made") as folder:
                record = _write(made_of, folder, command, progress)
                write_atomically(folder / SUMMARY, record.model_dump_json(indent=2) + "\n")
                check_output(output, made_of.folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return record


def _check_room(made_of: Streamed, place: Path) -> None:
    needed, free = made_of.bytes + made_of.spilled, free_disk(place.parent)
    if needed > free:
        raise InputError(
            f"the pruned model and its mask{_with_spill(made_of)} will take {megabytes(needed)}, "
            f"and the disk of {place.parent} has {megabytes(free)} free",
            hint="free some space, or give another disk with --output DIR",
        )


def _with_spill(made_of: Streamed) -> str:
    return f", with {megabytes(made_of.spilled)} of hidden states," if made_of.spilled else ""


def _write(made_of: Streamed, folder: Path, command: str, progress: Progress) -> StreamedRecord:
    asked, watch, names = made_of.asked, Stopwatch(), made_of.names
    beside = _beside(made_of)
    with watch.phase("read"):
        before = _surveyed(made_of.shards, "Reading", progress)
    start = _sparsity(made_of, before)
    stays_zero = is_sparse(start) and not asked.revive_zeros
    if stays_zero and (asked.pattern != "unstructured" or asked.criterion != "magnitude"):
        raise UsageError(
            f"{made_of.folder} is {100 * start:.1f}% sparse already, and --stream keeps its zeros "
            "by magnitude alone, unstructured",
            hint="give --revive-zeros, or leave out --criterion and --pattern",
        )
    if stays_zero:
        progress.notice(
            f"{made_of.folder} is {100 * start:.1f}% sparse already: these zeros stay and count "
            "towards the level, unless --revive-zeros is given"
            + (
                f"; so {asked.level:.4g} will be {start:.4g} at least"
                if asked.level < start
                else ""
            )
        )
    silent: set[str] = set()
    if made_of.learning is None:
        sink = _by_scores(made_of, folder, watch, progress, stays_zero=stays_zero)
    else:
        with watch.phase("write"):
            sink = Sink(made_of, folder, changing(made_of))
        spill = folder.with_name(SPILL)  # beside what is kept
        with watch.phase("reconstruct"):
            silent = reconstruct(made_of, made_of.learning, sink, spill, progress)
        shutil.rmtree(spill)
    files = sink.files
    for path in beside:
        shutil.copyfile(path, folder / MODEL / path.name)
    with watch.phase("verify"):
        written = tuple(Shard.of(files[shard.path]) for shard in made_of.shards)
        after = _surveyed(written, "Reading back", progress)
    found = _zeros(after)
    for name, zeros in (_zeros(before) | sink.zeros).items():
        if found[name] != zeros:
            raise IntegrityError(
                f"'{name}' has {found[name]:,} zeros on disk where {zeros:,} were written",
                hint="the disk or the source changed meanwhile: run it again",
            )
    hashes = {path: one.sha256 for path, one in (before | after).items()}
    return StreamedRecord(
        command=command,
        created=datetime.now(timezone.utc),
        source=StreamedSource(
            path=str(made_of.folder),
            fingerprint=model_fingerprint(
                str(made_of.folder), lambda path: hashes.get(path) or file_sha256(path)
            ),
            sparsity=start,
        ),
        strategy=asked.strategy,
        criterion=asked.criterion,
        pattern=asked.pattern,
        level=asked.level,
        seed=asked.seed,
        architecture=type(made_of.model).__name__,
        stored=sorted({made_of.places[names[name]][1].dtype for name in made_of.prunable}),
        parameters=sum(p.numel() for p in made_of.model.parameters()),
        nonzero_parameters=sum(
            p.numel() - found[names[name]] for name, p in made_of.model.named_parameters()
        ),
        layers={
            name: LayerSparsity(zeros=found[names[name]], size=p.numel())
            for name, p in prunable(made_of.model).items()
        },
        removed=sink.removed,
        calibration=_calibration(made_of, silent),
        seconds=watch.seconds,
        machine=machine("cpu"),
        files={
            name: hashes.get(path) or file_sha256(path) for name, path in files_in(folder).items()
        },
    )


def _by_scores(
    made_of: Streamed, folder: Path, watch: Stopwatch, progress: Progress, *, stays_zero: bool
) -> Sink:
    """Remove what scores least, and of a sparse model what is zero already."""
    asked, weights = made_of.asked, made_of.weights
    with watch.phase("rank"), CRITERIA.blaming(asked.criterion):
        scores = CRITERIA.get(asked.criterion)(weights, seed=asked.seed)
        plan = engine.plan(
            made_of.model,
            [asked.level],
            strategy=asked.strategy,
            pattern=asked.pattern,
            scores=scores,
        )
    with watch.phase("write"), progress.bar("Writing", len(weights)) as bar:
        sink = Sink(made_of, folder, list(weights))
        for name, kept in plan.one_by_one(asked.level):
            if stays_zero:
                kept &= _nonzero(weights[name])
            sink.masked(name, weights[name], kept)
            bar.advance()
    return sink


def _calibration(made_of: Streamed, silent: set[str]) -> StreamedCalibration | None:
    if made_of.learning is None:
        return None
    given = made_of.learning.calibration
    return StreamedCalibration(
        task=given.task,
        data=given.data,
        examples=given.examples,
        tokens=given.tokens,
        max_seq_length=given.max_seq_length,
        spilled=made_of.spilled,
        silent=sorted(silent),
    )


def _surveyed(shards: tuple[Shard, ...], title: str, progress: Progress) -> dict[Path, Survey]:
    with progress.bar(title, len(shards)) as bar:
        return {shard.path: _advanced(survey(shard), bar) for shard in shards}


def _advanced(found: Survey, bar: Bar) -> Survey:
    bar.advance()
    return found


def _zeros(surveys: Mapping[Path, Survey]) -> dict[str, int]:
    return {name: count for one in surveys.values() for name, count in one.zeros.items()}


def _sparsity(made_of: Streamed, surveys: Mapping[Path, Survey]) -> float:
    sizes = {name: p.numel() for name, p in prunable(made_of.model).items()}
    zeros = _zeros(surveys)
    return sum(zeros[made_of.names[name]] for name in sizes) / max(sum(sizes.values()), 1)


def _nonzero(weight: Tensor) -> Tensor:
    """Packed bits of the weights that are not zero."""
    flat, pack = weight.view(-1), Packer()
    bits = flat.new_empty(packed_size(flat.numel()), dtype=torch.uint8)
    for start, stop in spans(flat.numel()):
        pack(flat[start:stop] != 0, out=bits[start // 8 : packed_size(stop)])
    return bits


def _beside(made_of: Streamed) -> list[Path]:
    """What is copied as it is. Raises what `check_inside` raises of a link."""
    found = [
        path
        for path in sorted(made_of.folder.iterdir())
        if path.is_file() and path.suffix in _BESIDE and path.name not in _LEFT_OUT
    ]
    for path in found:
        check_inside(made_of.folder, path)
    return found

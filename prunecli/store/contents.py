"""Whether what a record counts is what is in its files: zeros, parameters and bytes.

This is without torch, and reads a mask, which is small, and the weights where they are a file. Of
weights that are kept in another form it holds what follows from the mask and the baseline.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunecli.errors import IntegrityError
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import ModelInfo, PrunedSpec, RunRecord
from prunecli.store.counting import Counted, counted
from prunecli.store.folders import MASK, MODEL, PACKED, PREDICTIONS


def check_run(
    folder: Path,
    record: RunRecord,
    baseline: RunRecord | None = None,
    *,
    given_back: Path | None = None,
    memory: Path | None = None,
) -> None:
    """Raise `IntegrityError` where the counts of a run are not those of its mask and weights.

    ``folder`` is where it lies, ``baseline`` the run that it was made from, where that is at hand,
    ``given_back`` its file of weights where that was made of what is kept instead of it, ``memory``
    what `counted` takes. Files that are missing or cannot be read are for others to tell.
    """
    _check_listed(record)
    model, layers = record.model, record.layers
    _same(record, "prunable weights", model.prunable, sum(one.size for one in layers.values()))
    removed = _removed(folder / MASK) if MASK in record.files else {}
    for name, count in removed.items():
        if name not in layers or not count <= layers[name].zeros <= layers[name].size:
            told = f"{layers[name].zeros:,} zeros" if name in layers else "nothing"
            raise _edited(record, f"{told} in '{name}'", f"{count:,} by its mask")
    weights = given_back or folder / MODEL / "model.safetensors"
    if (given_back or record.kept is None) and weights.is_file():
        _check_weights(record, removed, counted(weights, memory))
    elif baseline is not None and isinstance(record.spec, PrunedSpec):
        _check_masked(record, removed, baseline)


def _check_listed(record: RunRecord) -> None:
    """What a record does not list is held to nothing, so each lists what its kind of run has."""
    listed = [PREDICTIONS]
    listed += [MASK] if isinstance(record.spec, PrunedSpec) else []
    listed += [PACKED] if record.kept == "packed" else []
    for name in listed:
        if name not in record.files:
            raise IntegrityError(
                f"the record of {record.name} lists no {name}",
                hint=f"remove it and run its command again: {record.command}",
            )


def check_artefact(folder: Path, record: ArtefactRecord, run: RunRecord | None = None) -> None:
    """The same for the bytes of an artefact, and for what it has from ``run``, its source."""
    for name, info in record.files.items():
        path = folder / name
        if path.is_file():
            _same(record, f"bytes of {name}", info.bytes, path.stat().st_size)
    used = sum(info.bytes for name, info in record.files.items() if name != PREDICTIONS)
    _same(record, "bytes", record.ledger.artefact, used)
    if run is None:
        return
    dense = 4 * (run.model.dense_parameters or run.model.parameters)
    if record.dense_bytes is not None:
        _same(record, "bytes of the dense model", record.dense_bytes, dense)
    if record.counted == "source" and record.spec.source == run.name:
        for what, told, counted in _totals(record.model, run.model):
            _same(record, what, told, counted)
        if not math.isclose(record.sparsity, run.sparsity, abs_tol=1e-12):
            raise _edited(record, f"sparsity {record.sparsity:.6f}", f"{run.sparsity:.6f}")


def _totals(one: ModelInfo, other: ModelInfo) -> list[tuple[str, int, int]]:
    return [
        ("parameters", one.parameters, other.parameters),
        (
            "parameters that are not zero",
            one.nonzero_parameters,
            other.nonzero_parameters,
        ),
        ("prunable weights", one.prunable, other.prunable),
    ]


def _check_weights(record: RunRecord, removed: Mapping[str, int], found: Counted) -> None:
    for name, layer in record.layers.items():
        if name in found.sizes:
            _same(record, f"weights in '{name}'", layer.size, found.sizes[name])
            zeros = found.sizes[name] - found.nonzero[name]
            back = removed.get(name, 0) - zeros
            if back > 0:
                raise IntegrityError(
                    f"'{name}' of {record.name} has {back:,} non-zero weights that the mask "
                    "removed",
                    hint=f"remove the run and run its command again: {record.command}",
                )
            _same(record, f"zeros in '{name}'", layer.zeros, zeros)
    for what, told, counts in (
        ("parameters", record.model.parameters, found.sizes),
        ("parameters that are not zero", record.model.nonzero_parameters, found.nonzero),
    ):
        most = sum(counts.values())
        if not most - sum(counts[name] for name in found.apart) <= told <= most:
            raise _edited(record, f"{told:,} {what}", f"{most:,}")


def _check_masked(record: RunRecord, removed: Mapping[str, int], baseline: RunRecord) -> None:
    """What follows for weights whose file is not there, from what they were before."""
    before, own = baseline.model, record.model
    _same(record, "parameters", own.parameters, before.parameters)
    zeros = sum(layer.zeros for layer in record.layers.values())
    if record.kept != "mask":
        if own.nonzero_parameters > own.parameters - zeros:
            most = own.parameters - zeros
            told = f"{own.nonzero_parameters:,} parameters that are not zero"
            raise _edited(record, told, f"at most {most:,}")
        return
    known = {name: layer.zeros for name, layer in baseline.layers.items()}
    for name, count in removed.items():
        most = count + known.get(name, 0)
        if record.layers[name].zeros > most:
            told = f"{record.layers[name].zeros:,} zeros in '{name}'"
            raise _edited(record, told, f"at most {most:,}")
    left = before.nonzero_parameters - zeros + sum(known.values())
    _same(record, "parameters that are not zero", own.nonzero_parameters, left)


def _removed(path: Path) -> dict[str, int]:
    """Removed weights by tensor; empty for a mask that cannot be read."""
    import numpy as np
    from safetensors import safe_open

    try:
        with safe_open(path, framework="np") as file:
            shapes = json.loads((file.metadata() or {})["shapes"])
            return {
                name: math.prod(shape) - int(np.unpackbits(file.get_tensor(name)).sum())
                for name, shape in shapes.items()
            }
    except Exception:  # safetensors raises its own, unexported type; `load_mask` tells of it
        return {}


def _same(record: RunRecord | ArtefactRecord, what: str, told: int, counted: int) -> None:
    if told != counted:
        raise _edited(record, f"{told:,} {what}", f"{counted:,}")


def _edited(record: Any, told: str, counted: str) -> IntegrityError:
    return IntegrityError(
        f"the record of {record.name} says {told}, its files give {counted}",
        hint=f"remove it and run its command again: {record.command}",
    )

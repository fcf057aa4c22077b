"""What a configuration claims, held against what the weight files hold, before anything is built.

A ``config.json`` of a few bytes can ask for any number of labels, layers and parameters. What is
built of it is bounded by the weights that are there, which somebody had to store.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, Final

from prunecli.errors import InputError
from prunecli.files import read_bounded
from prunecli.models.weightfiles import weight_files

MOST_LABELS: Final = 100_000
"""Of a classifier, each of which has a name in its configuration."""
MOST_LAYERS: Final = 1_000
"""Unless there are more tensors in the weight files: only some models share those of layers."""
_MOST_CONFIG: Final = 1 << 24
"""Bytes of a configuration; one with 100,000 labels has a third of it."""
_MOST_HEADER: Final = 1 << 23
"""Bytes of the header of one weight file: 100,000 tensors."""
_FRESH: Final = 1 << 22
"""Parameters that no file need have, such as those of a new head and a pooler."""
_SHARE: Final = 4
"""One part in so many may be missing beside those."""
_VOCABULARY: Final = 1 << 23
"""Bytes of a ``tokenizer.json`` of any model; it takes some 25 times of that in memory."""
_WORD: Final = 160
"""Bytes of it for each word that the weights have a row for; 134 in Gemma's, with its merges."""
_LAYERS: Final = re.compile(r"(?:^|_)(?:layers|(?:n|num)_layer|depth|blocks)$")
"""Keys that say how many layers there are, and not which one is meant, as ``output_layer: -1``."""
_HINT: Final = "its files are of different models: copy the whole folder again"


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration in a folder; `InputError` where it is none or claims too much."""
    path = folder / "config.json"
    try:
        config = json.loads(read_bounded(path, _MOST_CONFIG).decode())
        if not isinstance(config, dict) or "model_type" not in config:
            raise ValueError("no model_type")
    except RecursionError:
        raise InputError(f"{path} cannot be used: it is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{path} cannot be used: {str(error)[:200]}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    _check_labels(path, config)
    _check_layers(path, config, folder)
    return config


def _check_labels(path: Path, config: dict[str, Any]) -> None:
    named = (config.get(key) for key in ("id2label", "label2id"))
    counts = [config.get("num_labels"), *(len(one) for one in named if isinstance(one, dict))]
    most = max((one for one in counts if isinstance(one, (int, float))), default=0)
    if most > MOST_LABELS:
        raise InputError(f"{path} claims {most:,} labels, and {MOST_LABELS:,} are the most")


def _check_layers(path: Path, config: dict[str, Any], folder: Path) -> None:
    counts = {
        key: value
        for key, value in config.items()
        if isinstance(value, (int, float)) and _LAYERS.search(key)
    }
    claimed = {key: value for key, value in counts.items() if value > MOST_LAYERS}
    if not claimed:
        return
    held = len(shapes(folder))
    for key, value in claimed.items():
        if value > held:
            raise InputError(
                f"{path} claims {value:,} of '{key}', and its weight files hold {held:,} tensors",
                hint=_HINT,
            )


def shapes(folder: Path) -> list[tuple[int, ...]]:
    """The shape of every tensor in the weight files of a folder; `InputError` at a broken one."""
    found: list[tuple[int, ...]] = []
    for path in weight_files(folder):
        try:
            found += _shapes(path)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from None
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
            raise InputError(
                f"the model in {folder} cannot be loaded: {path.name} is no whole safetensors file",
                hint="copy it again",
            ) from None
    return found


def _shapes(path: Path) -> list[tuple[int, ...]]:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > min(_MOST_HEADER, path.stat().st_size - 8):
            raise ValueError("its header does not fit")
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    found = []
    for entry in header.values():
        begin, end = entry["data_offsets"]
        shape = tuple(entry["shape"])
        if math.prod(shape) > 8 * (end - begin) or not 0 <= begin <= end:
            raise ValueError("a tensor claims more than it has")
        found.append(shape)
    if max((entry["data_offsets"][1] for entry in header.values()), default=0) > (
        path.stat().st_size - 8 - length
    ):
        raise ValueError("it is cut short")
    return found


def check_tokenizer_file(folder: Path) -> None:
    """Raise `InputError` where the vocabulary in a folder is out of proportion to its weights."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return
    weights = sum(file.stat().st_size for file in weight_files(folder))
    tables = (shape for shape in shapes(folder) if len(shape) == 2)
    rows = max((min(shape[0], math.prod(shape)) for shape in tables), default=0)
    most = _VOCABULARY + max(weights // _SHARE, rows * _WORD)
    if path.stat().st_size > most:
        raise InputError(
            f"{path} has {path.stat().st_size:,} bytes, and beside weights of {weights:,} bytes "
            f"{most:,} are the most",
            hint=_HINT,
        )


def check_size(folder: Path, model: Any) -> None:
    """Raise `InputError` where ``model``, a skeleton, is larger than the weights of its folder."""
    held = sum(map(math.prod, shapes(folder)))
    asked = sum(parameter.numel() for parameter in model.parameters())
    # GPT-Neo has a table of truth values for all pairs of 2,048 places in each of its layers
    tables = sum(buffer.nbytes for buffer in model.buffers()) // 4
    for what, count in (("parameters", asked), ("numbers in tables", tables)):
        if count > held + held // _SHARE + _FRESH:
            raise InputError(
                f"{folder}/config.json asks for {count:,} {what}, and its weight files hold "
                f"{held:,}",
                hint=_HINT,
            )

"""Mutated packed files: each is refused, or gives exactly the original.

    python -m tests.packed.fuzzing --files 100000
    python -m tests.packed.fuzzing --files 20000 --forged

With ``--forged`` the manifest is changed and its digest made to fit, as somebody would who means
harm: then each is refused, or gives no more than its size allows.
"""

from __future__ import annotations

import argparse
import copy
import random
import re
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from prunecli.errors import InputError, IntegrityError
from prunecli.packed.manifest import MOST
from prunecli.packed.settings import PackSettings

from .making import contents, forged, packed

_SETTINGS = [
    PackSettings(),
    PackSettings(zstd=True),
    PackSettings(values="int8", embeddings="int4", zstd=True),
    PackSettings(values="float16", embeddings="int4", group=32),
]
_EXTREMES = [-1, 0, 1, 2, 7, 31, 255, 2**31, 2**32 + 1, 10**15, 2**63, 10**40, 1.5, "1", None, True]
_WORDS = [
    "",
    "..",
    "../x",
    "/etc/passwd",
    "a\0b",
    "\u202e",
    "config.json",
    "F32",
    "F64",
    "U8",
    "BF16",
]
_WORDS += ["int8", "int4", "float16", "exact", "zstd", "zlib", "none", "mask", "values", "scales"]


def tiny_model(folder: Path, settings: PackSettings) -> bytes:
    """A packed file with a tensor of every kind."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(6, 40, generator=generator)
    weights[torch.rand(6, 40, generator=generator) < 0.8] = 0
    tensors = {
        "layer.weight": weights,
        "layer.bias": torch.randn(6, generator=generator),
        "embeddings.weight": torch.randn(5, 33, generator=generator),
        "ids": torch.arange(4),
    }
    path, _ = packed(folder, tensors, settings, embeddings=["embeddings.weight"])
    return path.read_bytes()


def mutated(data: bytes, chance: random.Random) -> bytes:
    """``data`` after one or a few accidents."""
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        chance.choice(_ACCIDENTS)(changed, chance)
    return bytes(changed)


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _set(data: bytearray, chance: random.Random) -> None:
    if data:
        data[_place(data, chance)] = chance.choice([0, 255, 32, 34, 48, chance.randrange(256)])


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _drop(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    del data[start : start + chance.choice([1, 1, 8, 100])]


def _insert(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    data[start:start] = chance.randbytes(chance.choice([1, 1, 8, 100]))


def _append(data: bytearray, chance: random.Random) -> None:
    data += chance.choice([b"\0", b" ", data[-8:], chance.randbytes(50)])


def _move(data: bytearray, chance: random.Random) -> None:
    size = chance.choice([1, 8, 32])
    start, goal = chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)
    data[goal : goal + size] = data[start : start + size]


def _length(data: bytearray, chance: random.Random) -> None:
    size = chance.choice([0, 1, 2**63, 2**64 - 1, 2**25, chance.randrange(2 * len(data) + 2)])
    data[:8] = size.to_bytes(8, "little")


def _place(data: bytearray, chance: random.Random) -> int:
    """Anywhere, more often in front, where the lengths are."""
    return chance.randrange(min(len(data), chance.choice([8, 200, *[len(data)] * 6])))


_ACCIDENTS: list[Callable[[bytearray, random.Random], None]] = [
    *[_flip] * 4,
    *[_set] * 2,
    _cut,
    _drop,
    _insert,
    _append,
    _move,
    _length,
]


def mischief(chance: random.Random) -> Callable[[Any], None]:
    """A change of a manifest that its maker might try."""

    def change(manifest: Any) -> None:
        for _ in range(chance.choice([1, 1, 2, 4])):
            holder, key = chance.choice(list(_leaves(manifest)))
            kind = chance.randrange(6)
            if kind == 0:
                holder[key] = chance.choice(_EXTREMES)
            elif kind == 1:
                holder[key] = chance.choice(_WORDS)
            elif kind == 2 and isinstance(holder[key], int):
                holder[key] += chance.choice([-8, -1, 1, 8])
            elif kind == 3:
                del holder[key]
            elif kind == 4 and isinstance(holder, list):
                holder.append(holder[key])
            else:
                other_holder, other = chance.choice(list(_leaves(manifest)))
                holder[key] = copy.deepcopy(other_holder[other])

    return change


def _leaves(node: Any) -> Any:
    """Every place in nested lists and tables."""
    if not isinstance(node, (dict, list)):
        return
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        yield from _leaves(node[key])


def judge(path: Path, data: bytes, original: Any) -> str:
    """How reading ``data`` ends, in words; anything that must not be is an ``AssertionError``."""
    path.write_bytes(data)
    try:
        found = contents(path)
    except IntegrityError as error:
        said = str(error).partition(": ")[2]
        return re.sub(r"'[^']*'|\d+", "…", said.partition(" (")[0].partition(" read: ")[0])
    except InputError as error:
        if original is not None or "layout" not in str(error):
            raise
        return "a later layout"
    if original is None:
        size = sum(len(content) for part in found for content in part.values())
        assert size <= MOST * len(data)
        return "read, and no larger than it may be"
    assert found == original, "other content than the original's"
    return "read, and exactly the original"


def fuzz(files: int, seed: int, *, forge: bool) -> Counter[str]:
    """Judge so many files, of four packed models by turns; returns how often each end was met."""
    chance, ends = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory(dir=_in_memory()) as folder:
        models = [
            tiny_model(Path(folder) / f"{number}", settings)
            for number, settings in enumerate(_SETTINGS)
        ]
        path = Path(folder) / "mutated"
        originals = []
        for data in models:
            path.write_bytes(data)
            originals.append(contents(path))
        for number in range(files):
            data = models[number % len(models)]
            if forge:
                ends[judge(path, forged(data, mischief(chance)), None)] += 1
            else:
                changed = mutated(data, chance)
                end = judge(path, changed, originals[number % len(models)])
                ends["accidents that cancel out" if changed == data else end] += 1
    return ends


def _in_memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000, help="how many (100000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--forged", action="store_true", help="with digests that fit")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tracemalloc.start()
    started = time.perf_counter()
    ends = fuzz(options.files, options.seed, forge=options.forged)
    peak = tracemalloc.get_traced_memory()[1]
    for end, count in ends.most_common():
        sys.stdout.write(f"{count:>9,}  {end}\n")
    sys.stdout.write(
        f"{ends.total():>9,}  files in {time.perf_counter() - started:.0f} s, none read wrongly, "
        f"no other error; at most {peak / 1e6:.1f} MB in use\n"
    )


if __name__ == "__main__":
    main()

"""Pruning a model that is larger than the memory it may have, and what was made of it, checked.

    python benchmarks/stream.py                      # 3.2 billion parameters, 13 GB of disk
    python benchmarks/stream.py --billions 0.5 --strategy layerwise
    python benchmarks/stream.py --reconstruction     # 0.5 billion: see stream_reconstruction.py

A Llama classifier with random bfloat16 weights is written to disk, shard by shard, and pruned by
``prune prune --stream`` to 50% in a process whose address space (RLIMIT_AS) is limited to a third
of the bytes of the weights, libraries included, or to 1.5 GB if that is more. The peak is the
largest resident set of that process (VmHWM); extra is what it is above the resident set after the
same was done to a model of a million weights. Seconds are elapsed and of the processor.

What was written is then read in another way, by numpy, and must be the source but for zeros:
exactly as many as asked, none larger than a weight that stays, and of those equal to the largest
removed the first ones by name and position.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import stream_reconstruction
from masking import cpu, peak, reset_peak, status

LEVEL = 0.5
LEAST = 1_500_000_000
"""Bytes of address space that Python, torch and transformers take, and something over."""
Sides = tuple[int, ...]


@dataclass(frozen=True)
class Shape:
    """A Llama classifier of two labels; unless told otherwise as wide as that of 3 billion."""

    layers: int
    width: int = 3072
    words: int = 128_256

    @property
    def inner(self) -> int:
        return self.width * 8 // 3

    @property
    def heads(self) -> int:
        return self.width // 128

    @property
    def groups(self) -> int:
        return self.heads // 3

    @property
    def tensors(self) -> dict[str, Sides]:
        """Names and shapes, in the order of the model."""
        width, inner, keys = self.width, self.inner, 128 * self.groups
        found: dict[str, Sides] = {"model.embed_tokens.weight": (self.words, width)}
        for layer in range(self.layers):
            at = f"model.layers.{layer}"
            found[f"{at}.self_attn.q_proj.weight"] = (width, width)
            found[f"{at}.self_attn.k_proj.weight"] = (keys, width)
            found[f"{at}.self_attn.v_proj.weight"] = (keys, width)
            found[f"{at}.self_attn.o_proj.weight"] = (width, width)
            found[f"{at}.mlp.gate_proj.weight"] = (inner, width)
            found[f"{at}.mlp.up_proj.weight"] = (inner, width)
            found[f"{at}.mlp.down_proj.weight"] = (width, inner)
            found[f"{at}.input_layernorm.weight"] = (width,)
            found[f"{at}.post_attention_layernorm.weight"] = (width,)
        return found | {"model.norm.weight": (width,), "score.weight": (2, width)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--billions", type=float, help="parameters (3.2; of --reconstruction 0.5)")
    parser.add_argument("--reconstruction", action="store_true", help="reconstruct by blocks")
    parser.add_argument("--strategy", choices=("global", "layerwise"), default="global")
    parser.add_argument("--folder", type=Path, help="where to write; by default temporary files")
    parser.add_argument("--measure", nargs=3, metavar="X", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        model, out, limit = Path(options.measure[0]), Path(options.measure[1]), options.measure[2]
        if options.reconstruction:
            found = stream_reconstruction.measure(model, out, int(limit), out.parent / "small")
        else:
            found = measure(model, out, int(limit), options.strategy)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.reconstruction:
            reconstruct(Path(folder), options.billions or 0.5)
        else:
            compare(Path(folder), options.billions or 3.2, options.strategy)


def reconstruct(folder: Path, billions: float) -> None:
    """Write, prune by blocks, check, and print."""
    shape = Shape(1, stream_reconstruction.WIDTH, stream_reconstruction.VOCABULARY)
    size = write_model(folder / "model", sized(billions, shape))
    tiny(folder / "small", words=stream_reconstruction.WORDS + 2)
    for place in ("model", "small"):
        stream_reconstruction.write_texts(folder / place)
    how = ["--reconstruction"]
    done = in_own_process(folder / "model", folder / "out", size, how)
    stream_reconstruction.compare(folder / "model", folder / "out", size, done)


def sized(billions: float, like: Shape) -> Shape:
    """With so many layers that there are about so many parameters."""
    ends, block = (sum(map(math.prod, replace(like, layers=n).tensors.values())) for n in (0, 1))
    return replace(like, layers=max(round((billions * 1e9 - ends) / (block - ends)), 1))


def compare(folder: Path, billions: float, strategy: str) -> None:
    """Write, prune, check, and print."""
    size = write_model(folder / "model", sized(billions, Shape(1)))
    limit = max(size // 3, LEAST)
    done = in_own_process(folder / "model", folder / "out", limit, ["--strategy", strategy])
    record = json.loads((folder / "out" / "summary.json").read_text())
    print(
        f"{record['parameters']:,} parameters, {sum(record['removed'].values()):,} of "
        f"{sum(layer['size'] for layer in record['layers'].values()):,} prunable removed, "
        f"{strategy}, {record['stored'][0]}, {size / 1e9:.2f} GB in "
        f"{len(list((folder / 'model').glob('*.safetensors')))} files | torch {done['torch']}, "
        f"1 thread, {cpu()}"
    )
    print(f"  address space limited to {limit / 1e9:.2f} GB, peak of it {done['mapped'] / 1e9:.2f}")
    print(f"  peak resident {done['peak'] / 1e6:.0f} MB, extra {done['extra'] / 1e6:.0f} MB")
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in record["seconds"].items())
    print(
        f"  {done['elapsed']:.1f} s elapsed ({parts}), {done['processor']:.1f} s of processor time"
    )
    print(f"  {check(folder / 'model', folder / 'out', record, strategy)}")


def write_model(folder: Path, shape: Shape, shard: int = 1_000_000_000) -> int:
    """A sharded folder of random weights, a piece in memory at a time; returns its bytes."""
    import torch
    import transformers

    from prunecli.packed.container import render_header

    config = transformers.LlamaConfig(
        vocab_size=shape.words,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.groups,
        tie_word_embeddings=False,
        num_labels=2,
        pad_token_id=0,
    )
    config.architectures, config.dtype = ["LlamaForSequenceClassification"], "bfloat16"
    config.save_pretrained(folder)
    parts: list[list[tuple[str, Sides]]] = [[]]
    for tensor in shape.tensors.items():
        if parts[-1] and 2 * sum(math.prod(s) for _, s in (*parts[-1], tensor)) > shard:
            parts.append([])
        parts[-1].append(tensor)
    placed, total = dict[str, str](), 0
    torch.manual_seed(0)
    for number, part in enumerate(parts, 1):
        file = f"model-{number:05}-of-{len(parts):05}.safetensors"
        with (folder / file).open("wb") as stream:
            header = [(name, "BF16", sides) for name, sides in part]
            stream.write(render_header(header, {"format": "pt"}))
            for name, sides in part:
                for start in range(0, sides[0], 4096):
                    rows = (min(4096, sides[0] - start), *sides[1:])
                    values = torch.empty(rows, dtype=torch.bfloat16).normal_(std=0.02)
                    stream.write(values.view(torch.int16).numpy().data)
                placed[name] = file
            total += stream.tell()
    index = {"metadata": {"total_size": total}, "weight_map": placed}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return total


def in_own_process(model: Path, out: Path, limit: int, how: list[str]) -> dict[str, Any]:
    words = [*how, "--measure", str(model), str(out), str(limit)]
    done = subprocess.run(
        [sys.executable, __file__, *words],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(model: Path, out: Path, limit: int, strategy: str) -> dict[str, Any]:
    """Prune within ``limit`` bytes of address space."""
    import torch

    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        prune(tiny(Path(folder) / "model"), Path(folder) / "out", strategy)
    before = reset_peak()
    started, elapsed = time.process_time(), time.perf_counter()
    prune(model, out, strategy)
    return {
        "elapsed": time.perf_counter() - elapsed,
        "processor": time.process_time() - started,
        "peak": peak(),
        "extra": peak() - before,
        "mapped": status("VmPeak"),
        "torch": torch.__version__,
    }


def prune(model: Path, out: Path, strategy: str) -> None:
    from prunecli.cli import main as command

    words = ["prune", "--stream", "--from", str(model), "--output", str(out), "--quiet"]
    with contextlib.redirect_stdout(io.StringIO()):
        code = command([*words, "--sparsity", str(LEVEL), "--strategy", strategy])
    if code:
        sys.exit(code)


def tiny(folder: Path, words: int = 100) -> Path:
    """The same architecture with about a million weights."""
    import torch
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=words,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=1,
        num_attention_heads=8,
        num_labels=2,
        pad_token_id=0,
    )
    model = transformers.LlamaForSequenceClassification(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    return folder


def check(model: Path, out: Path, record: dict[str, Any], strategy: str) -> str:
    """What was found by comparing both folders number by number; ends the script at a fault."""
    import numpy as np

    source, made = opened(model), opened(out / "model")
    names = list(record["layers"])
    for name in source.keys() - set(names):
        expect(np.array_equal(source[name], made[name]), f"{name} is not as it was")
    pools = [names] if strategy == "global" else [[name] for name in names]
    ties = 0
    for pool in pools:
        size, gone, highest, lowest = 0, 0, -1, 1 << 15
        for before, after in spans(source, made, pool):
            went = after == 0
            expect(np.array_equal(before[~went], after[~went]), "a weight that stays has changed")
            size, gone = size + len(before), gone + int(went.sum())
            magnitude = before & 0x7FFF
            highest = max(highest, int(magnitude[went].max(initial=0)))
            lowest = min(lowest, int(magnitude[~went].min(initial=1 << 15)))
        expect(gone == round(LEVEL * size), f"{gone:,} of {size:,} are zero")
        expect(highest <= lowest, "one that went is larger than one that stays")
        one_stays = False
        for before, after in spans(source, made, pool):
            tied = after[(before & 0x7FFF) == highest] == 0
            expect(not (one_stays and tied.any()), "of equal ones not the first went")
            first = tied.argmin() if len(tied) else 0
            expect(not tied[first:].any() or tied.all(), "of equal ones not the first went")
            one_stays = one_stays or not tied.all()
            ties += len(tied)
    return (
        f"checked by numpy: {sum(record['removed'].values()):,} zeros, the lowest magnitudes of "
        f"{len(pools)} pool{'s' * (len(pools) > 1)}; {ties:,} weights at the thresholds, of which "
        "the first went"
    )


def expect(holds: bool, fault: str) -> None:
    if not holds:
        sys.exit(f"wrong: {fault}")


def opened(folder: Path) -> dict[str, Any]:
    """The bits of every tensor in a folder, flat, as numpy maps them."""
    import numpy as np

    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        content = np.memmap(path, np.uint8, "r")
        for name, entry in header.items():
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            found[name] = content[begin:end].view(np.uint16)
    return found


def spans(source: dict[str, Any], made: dict[str, Any], names: list[str]) -> Iterator[Any]:
    step = 1 << 22
    for name in names:
        for start in range(0, len(source[name]), step):
            yield source[name][start : start + step], made[name][start : start + step]


if __name__ == "__main__":
    main()

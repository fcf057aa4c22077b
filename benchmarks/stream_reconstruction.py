"""Reconstructing a model that is larger than the memory it may have: `stream.py --reconstruction`.

    python benchmarks/stream.py --reconstruction                  # 0.5 billion parameters
    python benchmarks/stream.py --reconstruction --billions 0.1

A Llama classifier with random bfloat16 weights, 640 wide and with 256,000 words, as Gemma has, and
made-up texts of random words are written to disk. ``prune prune --stream --criterion
reconstruction`` prunes it to 50% in a process whose address space (RLIMIT_AS) is limited to what it
had after it did the same to a model of a million weights, and a third of the bytes of the weights
besides. A third of them alone is less than Python, torch and transformers take, which is printed
beside it. Extra is what is resident (VmHWM) above the resident set after the small model.

What was written is then read in another way, by numpy: every matrix of a block has exactly as many
zeros as asked, those that the mask removes, and the others were changed; and all that is no matrix
of a block is as it was.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from masking import cpu, peak, reset_peak, status

LEVEL = 0.5
WIDTH, VOCABULARY = 640, 256_000
WORDS, EXAMPLES, LENGTHS = 1000, 64, (16, 32)
"""Of the texts: different words, how many texts are learnt from, and words of the shortest and the
longest."""


def compare(model: Path, out: Path, size: int, done: dict[str, Any]) -> None:
    """Print what a run of `measure` on ``model``, of so many bytes of weights, was and left."""
    record = json.loads((out / "summary.json").read_text())
    learnt = record["calibration"]
    print(
        f"{record['parameters']:,} parameters, {sum(record['removed'].values()):,} of "
        f"{sum(layer['size'] for layer in record['layers'].values()):,} prunable removed, "
        f"layerwise reconstruction, {record['stored'][0]}, {size / 1e6:,.0f} MB in "
        f"{len(list(model.glob('*.safetensors')))} files | torch {done['torch']}, 1 thread, {cpu()}"
    )
    print(
        f"  {learnt['examples']} texts, {learnt['tokens']:,} tokens; hidden states on the disk "
        f"{learnt['spilled'] / 1e6:.1f} MB"
    )
    print(
        f"  address space limited to {done['limit'] / 1e6:,.0f} MB: {done['before'] / 1e6:,.0f} "
        f"before, and {size / 3e6:,.0f}, a third of the weights; peak of it "
        f"{done['mapped'] / 1e6:,.0f}"
    )
    print(
        f"  peak resident {done['peak'] / 1e6:.0f} MB, extra {done['extra'] / 1e6:.0f} MB, "
        f"{done['extra'] / size:.2f} of the weights"
    )
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in record["seconds"].items())
    print(
        f"  {done['elapsed']:.1f} s elapsed ({parts}), {done['processor']:.1f} s of processor time"
    )
    print(f"  {check(model, out, record)}")


def write_texts(folder: Path) -> None:
    """A tokenizer beside the model in ``folder``, and texts of its words in ``texts.csv``."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<unk>", *(f"w{number}" for number in range(WORDS))]
    plain = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    plain.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=plain, unk_token="<unk>", pad_token="<pad>"
    ).save_pretrained(folder)
    draw = random.Random(0)
    lines = ["sentence,label"]
    for number in range(2 * EXAMPLES):
        text = " ".join(draw.choices(words[2:], k=draw.randint(*LENGTHS)))
        lines.append(f"{text},{('negative', 'positive')[number % 2]}")
    (folder / "texts.csv").write_text("\n".join(lines) + "\n")


def measure(model: Path, out: Path, size: int, small: Path) -> dict[str, Any]:
    """Prune ``model`` within a third of ``size``, after ``small``, which is of the same kind."""
    import torch

    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        prune(small, Path(folder) / "out")
    before = status("VmSize")
    limit = before + size // 3
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resident = reset_peak()
    started, elapsed = time.process_time(), time.perf_counter()
    prune(model, out)
    return {
        "elapsed": time.perf_counter() - elapsed,
        "processor": time.process_time() - started,
        "peak": peak(),
        "extra": peak() - resident,
        "before": before,
        "limit": limit,
        "mapped": status("VmPeak"),
        "torch": torch.__version__,
    }


def prune(model: Path, out: Path) -> None:
    from prunecli.cli import main as command

    words = ["prune", "--stream", "--from", str(model), "--output", str(out), "--quiet"]
    words += ["--criterion", "reconstruction", "--strategy", "layerwise", "--sparsity", str(LEVEL)]
    words += ["--task", "sst2", "--data", str(model / "texts.csv")]
    words += ["--calibration-samples", str(EXAMPLES)]
    with contextlib.redirect_stdout(io.StringIO()):
        code = command(words)
    if code:
        sys.exit(code)


def check(model: Path, out: Path, record: dict[str, Any]) -> str:
    """What was found by comparing both folders number by number; ends the script at a fault."""
    import numpy as np
    from stream import expect, opened

    source, made, names = opened(model), opened(out / "model"), list(record["layers"])
    for name in source.keys() - set(names):
        expect(np.array_equal(source[name], made[name]), f"{name} is not as it was")
    mask, stay = masks(out / "mask.safetensors"), 0
    for name in names:
        went, size = made[name] == 0, len(made[name])
        expect(int(went.sum()) == round(LEVEL * size), f"{name} has {went.sum():,} zeros")
        kept = np.unpackbits(mask[name], count=size, bitorder="little").astype(bool)
        expect(np.array_equal(kept, ~went), f"the mask of {name} is not what is zero")
        stay += int((made[name][kept] == source[name][kept]).sum())
    total = sum(len(made[name]) for name in names) - sum(record["removed"].values())
    return (
        f"checked by numpy: half of each of {len(names)} matrices is zero, by the mask; of what is "
        f"left {1 - stay / total:.1%} has changed; all else is as it was"
    )


def masks(path: Path) -> dict[str, Any]:
    """The packed bits of each tensor in a file of masks."""
    import numpy as np

    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    content = np.memmap(path, np.uint8, "r")[8 + length :]
    return {name: content[slice(*entry["data_offsets"])] for name, entry in header.items()}

"""Time and extra memory of a global magnitude mask, against PyTorch's own and quicker ways.

    python benchmarks/masking.py
    python benchmarks/masking.py --sizes distilbert --repeats 5

All sides remove 80% of the same random weights: `torch.nn.utils.prune.global_unstructured`, which
is the usual way in PyTorch and its slowest; all magnitudes side by side and their k-th smallest by
`torch.kthvalue` or `numpy.partition`, with masks of bool; and `prunecli.core.engine`. Each finds
the threshold, makes the mask and zeroes the weights. Each measurement has a
process of its own. Extra memory is the peak of the resident set while the work runs, less what was
resident before it, after a warm-up on a small model. Times are the best of the repeats, memory is
the largest. The masks are compared weight by weight, but for weights whose magnitude is exactly
that of the threshold, among which any side may choose.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LEVEL = 0.8
SHAPES = {"distilbert": (6, 768, 3072), "bert-large": (24, 1024, 4096)}
"""Blocks, width and feed-forward width of the encoders."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--repeats", type=int, default=3, help="processes per side (3)")
    parser.add_argument("--threads", type=int, default=2, help="torch threads (2)")
    parser.add_argument("--measure", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.sizes[0], options.threads)))
        return
    for size in options.sizes:
        compare(size, options.repeats, options.threads)


def compare(size: str, repeats: int, threads: int) -> None:
    """Measure all sides at one size and print the ratios."""
    best: dict[str, dict[str, Any]] = {}
    for side in SIDES:
        runs = [in_own_process(side, size, threads) for _ in range(repeats)]
        best[side] = runs[0] | {key: pick(run[key] for run in runs) for key, pick in PICK.items()}
    ours = best["prunecli"]
    print(
        f"{size}: {ours['weights'] / 1e6:.1f} M weights, {LEVEL:.0%} removed | torch "
        f"{ours['torch']}, {threads} threads, {cpu()} | best of {repeats}"
    )
    for side, run in best.items():
        line = f"  {side:<20} {run['seconds']:9.3f} s {run['extra_mb']:9.1f} MB extra"
        if run is not ours:
            line += (
                f": prunecli {run['seconds'] / ours['seconds']:.1f}x as fast "
                f"in 1/{run['extra_mb'] / ours['extra_mb']:.0f} of the memory"
            )
        print(line)
    same = all(
        ours[key] == run[key] for run in best.values() for key in ("digest", "removed", "tied")
    )
    print(
        f"  masks {'equal' if same else 'DIFFER'}: {ours['removed']:,} removed by all, "
        f"threshold {ours['threshold']:.9g}, {ours['tied']} weights tied at it"
    )
    if not same:
        sys.exit("the masks differ")


PICK: dict[str, Callable[[Iterator[float]], float]] = {"seconds": min, "extra_mb": max}


def in_own_process(side: str, size: str, threads: int) -> dict[str, Any]:
    """The measurement of one side in a fresh interpreter."""
    command = [sys.executable, __file__, "--measure", side, "--sizes", size]
    done = subprocess.run(
        [*command, "--threads", str(threads)], check=True, stdout=subprocess.PIPE, text=True
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def measure(side: str, size: str, threads: int) -> dict[str, Any]:
    """Time and peak extra memory of one side, and a digest of the mask that it made."""
    import torch

    torch.set_num_threads(threads)
    work = SIDES[side]
    work(encoder(1, 256, 1024))
    model = encoder(*SHAPES[size])
    before = reset_peak()
    started = time.perf_counter()
    masks = work(model)
    seconds = time.perf_counter() - started
    extra = peak() - before
    return {
        "seconds": seconds,
        "extra_mb": extra / 1e6,
        "torch": torch.__version__,
        **fingerprint(model, masks(), encoder(*SHAPES[size])),
    }


def encoder(blocks: int, width: int, inner: int) -> Any:
    """The linear layers of a transformer encoder, normal weights, the same at every call."""
    import torch
    from torch import nn

    sides = [(width, width)] * 4 + [(width, inner), (inner, width)]
    with torch.device("meta"):
        layers = nn.ModuleList(
            nn.ModuleList(nn.Linear(*side, bias=False) for side in sides) for _ in range(blocks)
        )
    model = nn.Sequential(layers).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.02, generator=generator)
    return model


def prunecli(model: Any) -> Callable[[], Iterator[Any]]:
    """Plan, mask and zero; returns how to get at the kept weights, tensor by tensor."""
    from prunecli.core import engine
    from prunecli.core.flat import Unpacker

    mask = engine.plan(model, [LEVEL]).mask(LEVEL)
    mask.apply_(model)

    def kept() -> Iterator[Any]:
        unpack = Unpacker()
        for name, weight in model.named_parameters():
            bits = unpack(mask.bits[name], 0, weight.numel(), weight.device)
            yield (bits != 0).view(weight.shape)

    return kept


def global_unstructured(model: Any) -> Callable[[], Iterator[Any]]:
    """The same by PyTorch's own pruning."""
    from torch import nn
    from torch.nn.utils import prune

    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    prune.global_unstructured(
        [(linear, "weight") for linear in linears],
        pruning_method=prune.L1Unstructured,
        amount=LEVEL,
    )
    return lambda: (linear.get_buffer("weight_mask").bool() for linear in linears)


def kthvalue(model: Any) -> Callable[[], Iterator[Any]]:
    """The threshold by `torch.kthvalue`."""

    def smallest(values: Any, k: int) -> Any:
        return values.kthvalue(k).values

    return by_threshold(model, smallest)


def partition(model: Any) -> Callable[[], Iterator[Any]]:
    """The threshold by `numpy.partition`, in place."""

    def smallest(values: Any, k: int) -> Any:
        found = values.numpy()
        found.partition(k - 1)
        return values[k - 1]

    return by_threshold(model, smallest)


def by_threshold(model: Any, smallest: Callable[[Any, int], Any]) -> Callable[[], Iterator[Any]]:
    """Masks by the k-th smallest of all magnitudes; the first of equal ones go."""
    import torch

    with torch.no_grad():
        weights = list(model.parameters())
        sizes = torch.cat([weight.abs().view(-1) for weight in weights])
        remove = round(LEVEL * len(sizes))
        threshold = smallest(sizes, remove).clone()
        del sizes
        kept = [weight.abs() > threshold for weight in weights]
        spare = sum(int((~mask).sum()) for mask in kept) - remove
        for weight, mask in zip(reversed(weights), reversed(kept), strict=True):
            ties = (weight.abs() == threshold).nonzero()
            back = ties[max(len(ties) - spare, 0) :]
            mask[tuple(back.T)] = True
            spare -= len(back)
            weight.mul_(mask)
    return lambda: iter(kept)


SIDES = {
    "global_unstructured": global_unstructured,
    "kthvalue": kthvalue,
    "partition": partition,
    "prunecli": prunecli,
}


def fingerprint(model: Any, masks: Iterator[Any], dense: Any) -> dict[str, Any]:
    """What the masks removed, outside the weights tied at the threshold; checks the zeroing."""
    import torch

    kept = list(masks)
    linears = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    sizes = [weight.detach().abs() for weight in dense.parameters()]
    threshold = max(float(size[~mask].max()) for size, mask in zip(sizes, kept, strict=True))
    digest = hashlib.sha256()
    for linear, size, mask in zip(linears, sizes, kept, strict=True):
        assert torch.equal(linear.weight != 0, mask), "a removed weight is not zero"
        digest.update((mask & (size != threshold)).numpy().tobytes())
    return {
        "weights": sum(mask.numel() for mask in kept),
        "removed": sum(int((~mask).sum()) for mask in kept),
        "threshold": threshold,
        "tied": sum(int((size == threshold).sum()) for size in sizes),
        "digest": digest.hexdigest(),
    }


def reset_peak() -> int:
    """Forget the peak so far; returns the bytes resident now."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def peak() -> int:
    """Peak bytes resident since `reset_peak`."""
    return status("VmHWM")


def status(key: str) -> int:
    """A figure of this process, in bytes."""
    found = re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    if found is None:
        sys.exit(f"/proc/self/status does not give {key}: this benchmark needs Linux")
    return int(found[1]) * 1024


def cpu() -> str:
    """The processor's name."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()

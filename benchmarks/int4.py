"""Which int4: what each way to make four bits of a weight does to the answers and to the bytes.

python benchmarks/int4.py MODEL [MODEL ...] --data DEV.tsv

Every matrix of a classifier's folder is rounded in groups of 64, by each way, and the model answers
the sentences of a file in GLUE's SST-2 layout. Bytes are those of the numbers, each matrix by zstd
as packed files have it, of scales and zero points, and of what is no matrix.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
import zstandard
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer

GROUP = 64
SHRUNK = [1 - 0.02 * step for step in range(20)]
Way = Callable[[Tensor], tuple[Tensor, Tensor, float]]
"""From groups [n, 64] to what is read back, the numbers 0 to 15, and bytes of a group's scale."""


def rounded(groups: Tensor, scale: Tensor, low: int) -> tuple[Tensor, Tensor]:
    scale = scale.half().float()
    scale[scale == 0] = 1
    numbers = (groups / scale).round().clamp(low, 7)
    return numbers * scale, numbers + 8


def symmetric(groups: Tensor, shrink: float = 1.0) -> tuple[Tensor, Tensor, float]:
    return *rounded(groups, groups.abs().amax(1, keepdim=True) / 7 * shrink, -7), 2


def signed(groups: Tensor, shrink: float = 1.0) -> tuple[Tensor, Tensor, float]:
    largest = groups.gather(1, groups.abs().argmax(1, keepdim=True))
    return *rounded(groups, largest / -8 * shrink, -8), 2


def zero_point(groups: Tensor, shrink: float = 1.0) -> tuple[Tensor, Tensor, float]:
    low = groups.amin(1, keepdim=True).clamp(max=0) * shrink
    high = groups.amax(1, keepdim=True).clamp(min=0) * shrink
    scale = ((high - low) / 15).half().float()
    scale[scale == 0] = 1
    zero = (-low / scale).round()
    numbers = ((groups / scale).round() + zero).clamp(0, 15)
    return (numbers - zero) * scale, numbers, 2.5


def searched(way: Callable[..., tuple[Tensor, Tensor, float]]) -> Way:
    """The scale of each group that is the nearest in squares, of twenty."""

    def best(groups: Tensor) -> tuple[Tensor, Tensor, float]:
        found, numbers, scale = way(groups)
        for shrink in SHRUNK[1:]:
            other, others, _ = way(groups, shrink)
            nearer = ((other - groups) ** 2).sum(1) < ((found - groups) ** 2).sum(1)
            found[nearer], numbers[nearer] = other[nearer], others[nearer]
        return found, numbers, scale

    return best


WAYS: dict[str, Way] = {
    "largest / 7": symmetric,
    "largest / 7, searched": searched(symmetric),
    "largest / -8": signed,
    "largest / -8, searched": searched(signed),
    "zero point": zero_point,
    "zero point, searched": searched(zero_point),
}


@torch.inference_mode()
def logits(
    model: torch.nn.Module, tokenizer: Callable[..., dict[str, Tensor]], texts: list[str]
) -> Tensor:
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    found = torch.empty(len(texts), 2)
    for start in range(0, len(order), 64):
        places = order[start : start + 64]
        batch = tokenizer([texts[place] for place in places], padding=True, return_tensors="pt")
        found[places] = model(**batch).logits
    return found


def measure(folder: Path, texts: list[str], labels: Tensor) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    own, dense = logits(model, tokenizer, texts), dict(model.state_dict())
    dense = {name: weight.clone() for name, weight in dense.items()}
    right = (own.argmax(1) == labels).float().mean().item()
    print(f"{folder.parent.name}: {100 * right:.2f} as it is", flush=True)
    for title, way in WAYS.items():
        count, wrong, whole = 0, 0.0, 0.0
        for name, weight in model.named_parameters():
            if weight.dim() < 2:
                count += 4 * weight.numel()
                continue
            wanted = dense[name]
            padded = torch.nn.functional.pad(wanted, (0, -wanted.shape[1] % GROUP))
            found, numbers, scale = way(padded.reshape(-1, GROUP))
            weight.data.copy_(found.reshape(padded.shape)[:, : wanted.shape[1]])
            pairs = numbers.to(torch.uint8).reshape(-1, 2)
            raw = (pairs[:, 0] | pairs[:, 1] << 4).numpy().tobytes()
            count += min(len(zstandard.compress(raw, 1)), len(raw)) + round(scale * len(found))
            wrong += float(((weight - wanted) ** 2).sum())
            whole += float((wanted**2).sum())
        given = logits(model, tokenizer, texts)
        right = (given.argmax(1) == labels).float().mean().item()
        changed = int((given.argmax(1) != own.argmax(1)).sum())
        apart = float(((given - own) ** 2).mean() ** 0.5)
        print(
            f"  {title:23} error {wrong / whole:.5f}  logits {apart:.3f}  changed {changed:3}  "
            f"accuracy {100 * right:.2f}  bytes {count:,}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--data", required=True, type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = given.data.read_text(encoding="utf-8").rstrip("\n").split("\n")[1:]
    texts, labels = zip(*(row.rsplit("\t", 1) for row in rows), strict=True)
    for folder in given.models:
        measure(folder, list(texts), torch.tensor([int(label) for label in labels]))


if __name__ == "__main__":
    main()

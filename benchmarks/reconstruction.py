"""Time and extra memory of layer-wise reconstruction, by size of the encoder.

    python benchmarks/reconstruction.py
    python benchmarks/reconstruction.py --sizes bert-large --blocks 2

A BERT classifier with random weights is pruned to 80%, layer-wise and without labels, on random
examples of 16 to 64 tokens. Extra memory is the peak of the resident set while the work runs, less
what was resident before it. Both come from one block after the other, so that with ``--blocks``
fewer than the model has, memory stays what it is and time is in proportion.
"""

from __future__ import annotations

import argparse
import time

from masking import SHAPES, cpu, peak, reset_peak

LEVEL = 0.8


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--blocks", type=int, help="blocks to build (all)")
    parser.add_argument("--examples", type=int, default=512, help="calibration examples (512)")
    parser.add_argument("--threads", type=int, default=2, help="torch threads (2)")
    options = parser.parse_args()
    for size in options.sizes:
        measure(size, options.blocks or SHAPES[size][0], options.examples, options.threads)


def measure(size: str, blocks: int, examples: int, threads: int) -> None:
    """Prune one model and print what it took."""
    import torch
    import transformers

    from prunecli.core import engine
    from prunecli.core.evidence import Evidence

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    _, width, inner = SHAPES[size]
    model = transformers.BertForSequenceClassification(
        transformers.BertConfig(
            hidden_size=width,
            intermediate_size=inner,
            num_hidden_layers=blocks,
            num_attention_heads=width // 64,
        )
    )
    batches = []
    for start in range(0, examples, 32):
        tokens = 16 + 48 * start // examples
        ids = torch.randint(1, 30_000, (min(32, examples - start), tokens))
        batches.append({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    before = reset_peak()
    started = time.perf_counter()
    mask = engine.prune_(
        model,
        LEVEL,
        strategy="layerwise",
        criterion="reconstruction",
        evidence=Evidence(model, batches),
    )
    seconds = time.perf_counter() - started
    extra = (peak() - before) / 1e6
    mask.verify(model)
    print(
        f"{size}, {blocks} of {SHAPES[size][0]} blocks: {sum(mask.sizes().values()) / 1e6:.1f} M "
        f"weights to {mask.sparsity:.1%} on {examples} examples: {seconds:.1f} s, "
        f"{seconds / blocks:.1f} s a block, {extra:.0f} MB extra | torch {torch.__version__}, "
        f"{threads} threads, {cpu()}",
        flush=True,
    )


if __name__ == "__main__":
    main()

"""One call that trains a classifier, dense or under a growing mask."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.trainer_utils import get_last_checkpoint

from prunecli.errors import InputError
from prunecli.records import TrainingInfo, TrainingSpec
from prunecli.training.masking import CHECKPOINT_MASK, GradualPruning, Grow, MaskCallback

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers import PreTrainedModel

    from prunecli.core.mask import Mask
    from prunecli.progress import Bar, Progress

CHECKPOINT_EVERY = 500
"""Optimiser steps between checkpoints: a minute or two of work on a small machine."""


class _EpochSampler(LengthGroupedSampler):  # type: ignore[misc]  # transformers is untyped here
    """Length-grouped order that depends on seed and epoch alone.

    Trainer's own draws from the global generator, so a resumed epoch would be another one.
    """

    def __init__(self, batch_size: int, lengths: list[int], seed: int) -> None:
        super().__init__(batch_size, lengths=lengths)
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        import torch

        self.generator = torch.Generator().manual_seed(self._seed * 100_003 + self._epoch)
        return iter(super().__iter__())


class _Trainer(Trainer):  # type: ignore[misc]
    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> _EpochSampler:
        data = self.train_dataset if train_dataset is None else train_dataset
        return _EpochSampler(self.args.train_batch_size, list(data["length"]), self.args.seed)


class _BarCallback(TrainerCallback):  # type: ignore[misc]
    """Moves the bar, and stops at a loss that is no number instead of training on."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.advance(1)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            raise InputError(
                f"the training loss is {loss} at step {state.global_step}",
                hint="lower --learning-rate, or train with --precision float32",
            )
        self._bar.advance(0, f"loss {loss:.3f}")


def train(
    model: PreTrainedModel,
    dataset: Dataset,
    collate: Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]],
    spec: TrainingSpec,
    *,
    seed: int,
    device: str,
    precision: str,
    checkpoints: Path,
    title: str,
    progress: Progress,
    pruning: tuple[GradualPruning, Grow] | None = None,
    checkpoint_every: int = CHECKPOINT_EVERY,
) -> tuple[TrainingInfo, Mask | None]:
    """Train ``model`` in place and return what was done and the final mask.

    Goes on from the last whole checkpoint under ``checkpoints``. Raises `InputError` when the
    loss stops being finite and `IntegrityError` when a removed weight is not zero at a save.
    """
    steps = math.ceil(math.ceil(len(dataset) / spec.batch_size) * spec.epochs)
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=steps,
        per_device_train_batch_size=spec.batch_size,
        learning_rate=spec.learning_rate,
        weight_decay=spec.weight_decay,
        warmup_steps=round(spec.warmup * steps),
        bf16=precision == "bf16",
        use_cpu=device == "cpu",
        seed=seed,
        save_strategy="steps",
        save_steps=checkpoint_every,
        save_total_limit=1,
        logging_steps=max(1, min(50, steps // 20)),
        logging_nan_inf_filter=False,
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=device == "cuda",
        remove_unused_columns=False,
    )
    resume = _last_whole_checkpoint(checkpoints, masked=pruning is not None)
    start = int(resume.name.rpartition("-")[2]) if resume else 0
    if start:
        progress.notice(f"going on from step {start} of {steps}")
    masks = MaskCallback(*pruning, resume) if pruning else None
    with progress.bar(title, steps, done=start) as bar:
        trainer = _Trainer(
            model=model,
            args=arguments,
            train_dataset=dataset,
            data_collator=collate,
            callbacks=[_BarCallback(bar), *([masks] if masks else [])],
        )
        # It would write the log lines to standard output.
        trainer.remove_callback(PrinterCallback)
        result = trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    info = TrainingInfo(
        steps=result.global_step,
        examples=len(dataset),
        loss=float(result.training_loss),
        precision=precision,
        device=device,
        resumed_from_step=start,
    )
    return info, masks.mask if masks else None


def _last_whole_checkpoint(folder: Path, *, masked: bool) -> Path | None:
    """The newest checkpoint that was written to its end; unfinished ones are removed."""
    last_file = CHECKPOINT_MASK if masked else "trainer_state.json"
    while folder.is_dir() and (last := get_last_checkpoint(str(folder))) is not None:
        if (Path(last) / last_file).is_file():
            return Path(last)
        shutil.rmtree(last)
    return None

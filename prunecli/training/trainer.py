"""One call that trains a classifier, dense or under a growing mask."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import get_last_checkpoint

from prunecli.errors import InputError
from prunecli.records import TrainingInfo, TrainingSpec
from prunecli.training.masking import CHECKPOINT_MASK, GradualPruning, Grow, MaskCallback
from prunecli.training.order import training_order

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers import PreTrainedModel

    from prunecli.core.mask import Mask
    from prunecli.progress import Bar, Progress

CHECKPOINT_EVERY = 500
"""Optimiser steps between checkpoints: a minute or two of work on a small machine."""


class _EpochSampler(Sampler[int]):
    """Length-grouped order that depends on seed and epoch alone, so a resumed epoch is the same."""

    def __init__(self, batch_size: int, lengths: list[int], seed: int) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(
            training_order(
                self._lengths, batch_size=self._batch_size, seed=self._seed, epoch=self._epoch
            )
        )


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
        if state.global_step >= state.max_steps:
            control.should_save = False  # the finished run is written next

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
        save_total_limit=2,  # the older goes before the newer one has its mask
        logging_steps=max(1, min(50, steps // 20)),
        logging_nan_inf_filter=False,
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=device == "cuda",
        remove_unused_columns=False,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several would multiply the batch size
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
        # Takes the autocast off `forward`, in which float32 evaluation would silently be bf16.
        trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
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
    while folder.is_dir() and (last := get_last_checkpoint(str(folder))) is not None:
        if _whole(Path(last), masked=masked):
            return Path(last)
        shutil.rmtree(last)
    return None


def _whole(checkpoint: Path, *, masked: bool) -> bool:
    """Whether the files that are written last are there: Trainer's state, then the mask."""
    try:
        json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return not masked or (checkpoint / CHECKPOINT_MASK).is_file()

"""One call that trains a classifier, dense or under a growing mask."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from prunecli.errors import InputError
from prunecli.machine import ranks
from prunecli.models.answering import answering
from prunecli.records.runs import TrainingInfo, TrainingSpec
from prunecli.training.best import BestCallback
from prunecli.training.checkpoints import (
    BEST,
    MarkCallback,
    checkpoint_step,
    last_whole_checkpoint,
)
from prunecli.training.distillation import Answered, Collate, Distillation, Teacher
from prunecli.training.dropout import dropout_of
from prunecli.training.durations import steps_in, steps_of
from prunecli.training.gradients import clip_gradients
from prunecli.training.masking import MaskCallback, Pruning
from prunecli.training.memory import keep_freed_memory
from prunecli.training.order import training_order
from prunecli.training.rates import ramps, rate_factor

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
    lr_scheduler: LambdaLR | None

    def __init__(
        self,
        *,
        lengths: list[int],
        rate: Callable[[int], float],
        masks: MaskCallback | None,
        distillation: Distillation | None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._lengths = lengths
        self._rate = rate
        self._masks = masks
        self._distillation = distillation
        # The only place between the backward pass and the norm of the gradients.
        self.accelerator.clip_grad_norm_ = self._clip

    def _get_train_sampler(self, train_dataset: Any = None) -> _EpochSampler:
        batch = self.args.train_batch_size * ranks.size()  # which the processes share
        return _EpochSampler(batch, self._lengths, self.args.seed)

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> LambdaLR:
        if self.lr_scheduler is None:
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, self._rate)
        return self.lr_scheduler

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, **settings: Any
    ) -> Any:
        if self._distillation is None:
            with answering(self.model):
                return super().compute_loss(model, inputs, return_outputs, **settings)
        loss, outputs = self._distillation.loss(model, inputs)
        return (loss, outputs) if return_outputs else loss

    def _clip(self, parameters: Any, max_norm: float, norm_type: float = 2.0) -> torch.Tensor:
        if self._masks is not None:
            self._masks.clear_gradients(self.model)
        return clip_gradients(self.model, max_norm, step=self.state.global_step + 1)


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
                hint="lower the learning rate, or train with --precision float32",
            )
        self._bar.advance(0, f"loss {loss:.3f}")


def train(
    model: PreTrainedModel,
    dataset: Dataset,
    collate: Collate,
    spec: TrainingSpec,
    *,
    seed: int,
    device: str,
    precision: str,
    checkpoints: Path,
    title: str,
    progress: Progress,
    pruning: Pruning | None = None,
    teacher: Teacher | None = None,
    checkpoint_every: int = CHECKPOINT_EVERY,
    callbacks: Sequence[TrainerCallback] = (),
) -> tuple[TrainingInfo, Mask | None]:
    """Train ``model`` in place and return what was done and the final mask.

    With ``pruning`` to ``keep`` the best, the model ends with those weights and not with the last.
    ``callbacks`` are told of the training, after ours.
    Goes on from the last checkpoint under ``checkpoints`` that is as it was written; of a damaged
    one is told. Raises `InputError` when the
    loss or a gradient stops being finite and for a teacher that does not fit, and `IntegrityError`
    when a removed weight is not zero at a save or at the end.
    """
    if device == "cpu":
        keep_freed_memory()
    steps_per_epoch = math.ceil(len(dataset) / spec.batch_size)
    steps = steps_in(spec.epochs, steps_per_epoch=steps_per_epoch)
    resume = _resumed_from(checkpoints, progress.notice)
    start = checkpoint_step(resume) if resume else 0
    if start:
        progress.notice(f"going on from step {start} of {steps}")
    masks = best = distillation = None
    final_from = 0
    if pruning is not None:
        growth = pruning.gradual.over(steps, steps_per_epoch=steps_per_epoch)
        final_from = growth.last
        masks = MaskCallback(pruning, growth, resume)
        # Of several processes the first one scores: its weights are kept, and all have the same.
        if pruning.keep == "best" and pruning.score is not None and ranks.place() == 0:
            best = BestCallback(
                pruning.score,
                checkpoints,
                final_from=final_from,
                steps_per_epoch=steps_per_epoch,
                resuming=resume is not None,
            )
    examples: Dataset | Answered = dataset
    if teacher is not None:
        distillation = Distillation(teacher, model, device=device, precision=precision)
        examples, collate = distillation.ask(dataset, collate, title=title, progress=progress)
    with progress.bar(title, steps, done=start) as bar:
        trainer = _Trainer(
            lengths=list(dataset["length"]),
            rate=_rate(spec, steps, steps_per_epoch=steps_per_epoch, final_from=final_from),
            masks=masks,
            distillation=distillation,
            model=model,
            args=_arguments(spec, steps, seed, device, precision, checkpoints, checkpoint_every),
            train_dataset=examples,
            data_collator=collate,
            # What is best is put back before it is verified; the mark comes last.
            callbacks=[
                callback
                for callback in (_BarCallback(bar), best, masks, MarkCallback(checkpoints / BEST))
                if callback is not None
            ]
            + [*callbacks],
        )
        # It would write the log lines to standard output.
        trainer.remove_callback(PrinterCallback)
        with dropout_of(model, spec.dropout), attention_on(device):
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
        kept_step=best.step if best else None,
        hidden_states=distillation.compared if distillation else None,
    )
    return info, masks.mask if masks else None


def _resumed_from(checkpoints: Path, tell: Callable[[str], object]) -> Path | None:
    """The checkpoint to go on from: the first process looks, and all take the same."""

    def last() -> str | None:
        found = last_whole_checkpoint(checkpoints, tell)
        if found is None:
            return None
        processes = max(len(list(found.glob("rng_state_*.pth"))), 1)
        if processes != ranks.size():
            tell(
                f"training was begun in {processes} and goes on in {ranks.size()} processes: "
                "its weights will be others than without the interruption"
            )
        return found.name

    name = ranks.shared(last)
    return None if name is None else checkpoints / name


def attention_on(device: str) -> AbstractContextManager[None]:
    """On a CPU, attention in plain steps, as torch computes it anyway where there is dropout.

    Without dropout it would take its fused kernel, whose backward pass is slow there
    (``benchmarks/throughput.py``).
    """
    return sdpa_kernel(SDPBackend.MATH) if device == "cpu" else nullcontext()


def _rate(
    spec: TrainingSpec, steps: int, *, steps_per_epoch: int, final_from: int
) -> Callable[[int], float]:
    """The fraction of the peak learning rate as a function of the optimiser step."""
    every = None
    if spec.rewind_every is not None:
        every = steps_of(spec.rewind_every, steps_per_epoch=steps_per_epoch, total=steps)
    return partial(
        rate_factor,
        schedule=spec.lr_schedule,
        bounds=ramps(steps, every=every, through=final_from),
        warmup=spec.warmup,
    )


def _arguments(
    spec: TrainingSpec,
    steps: int,
    seed: int,
    device: str,
    precision: str,
    checkpoints: Path,
    checkpoint_every: int,
) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=steps,
        per_device_train_batch_size=ranks.share_of(spec.batch_size),
        learning_rate=spec.learning_rate,
        weight_decay=spec.weight_decay,
        bf16=precision == "bf16",
        use_cpu=device == "cpu",
        seed=seed,
        save_strategy="steps",
        save_steps=checkpoint_every,
        save_total_limit=2,  # the older goes before the newer one is marked as whole
        logging_steps=max(1, min(50, steps // 20)),
        logging_nan_inf_filter=False,
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=device == "cuda",
        remove_unused_columns=False,
        average_tokens_across_devices=False,  # a loss here is a mean over texts, never over tokens
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several would multiply the batch size
    return arguments

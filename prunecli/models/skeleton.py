"""A classifier as its configuration describes it, without memory for its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from prunecli.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MOST_MODULES: Final = 50_000
"""Parts of a model: one of 1,000 layers has some 16,000."""


def skeleton(config: Any) -> PreTrainedModel:
    """The classifier of ``config`` in float32, its parameters on the meta device.

    Raises whatever the library raises for a configuration that it can make nothing of, and
    `InputError` once it has `MOST_MODULES` parts.
    """
    import torch
    from transformers import AutoModelForSequenceClassification
    from transformers.initialization import no_init_weights

    with _counted(), torch.device("meta"), no_init_weights():
        model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    model.tie_weights()  # which comes with drawing them: T5 and BART share their embeddings
    return model


def check_tables(model: PreTrainedModel, most: int, name: str) -> None:
    """Raise `InputError` where the buffers of a skeleton would take more than ``most`` bytes."""
    if sum(buffer.nbytes for buffer in model.buffers()) > most:
        raise InputError(
            f"{name}: its config.json asks for tables larger than all of its weights",
            hint="its files are of different models: copy the whole folder again",
        )


def fill_tables_(model: PreTrainedModel) -> None:
    """Compute the buffers that no file holds, such as position ids, where they have memory."""
    import torch

    with torch.random.fork_rng(), torch.no_grad():
        for module in model.modules():
            if module._non_persistent_buffers_set:
                model._init_weights(module)


@contextmanager
def _counted() -> Iterator[None]:
    from torch.nn.modules.module import register_module_module_registration_hook

    count = 0

    def one_more(*_: object) -> None:
        nonlocal count
        count += 1
        if count > MOST_MODULES:
            raise InputError(f"its config.json asks for more than {MOST_MODULES:,} modules")

    handle = register_module_module_registration_hook(one_more)
    try:
        yield
    finally:
        handle.remove()

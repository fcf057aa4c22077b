"""The token that ends a text, where a classifier answers at it.

BART, T5 and their like answer at the last such token, and ask that the texts of a batch have
equally many. An ONNX file of one asks nothing, and mixes the texts up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from prunecli.errors import InputError
from prunecli.models.padding import (
    agree_on_padding,
    class_of,
    looks_for_padding,
    reads_in_forward,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def answers_at_end(kind: type) -> bool:
    """Whether a model of this class answers at the token that ends a text."""
    return reads_in_forward(kind, "eos_token_id")


def end_of(config: Any) -> int | None:
    """The id of the token at which models of a configuration answer; ``None`` for any other."""
    kind, end = class_of(config), getattr(config, "eos_token_id", None)
    return end if kind is not None and answers_at_end(kind) and isinstance(end, int) else None


@dataclass(frozen=True)
class End:
    """The token at which a model answers, and its tokenizer."""

    id: int
    text: str
    """As it stands in a text; its id where the tokenizer does not know it."""
    added: bool
    """Whether the tokenizer adds it to a text."""

    @classmethod
    def of(cls, config: Any, tokenizer: PreTrainedTokenizerBase) -> End | None:
        """That of models of a configuration; ``None`` where they do not answer at one."""
        end = end_of(config)
        if end is None:
            return None
        words = {number: f"'{word}'" for word, number in tokenizer.get_vocab().items()}
        return cls(end, words.get(end, f"id {end}"), end in tokenizer("")["input_ids"])

    def check(self, ids: Any, who: str) -> None:
        """Raise `InputError` unless each text of a batch has this token, and equally often.

        ``ids`` are an array or tensor [batch, tokens]; ``who`` answers.
        """
        counts = Counter((ids == self.id).sum(1).tolist())
        if len(counts) == 1 and 0 not in counts:
            return
        at = f"{who} answers at the token that ends a text, {self.text}, and"
        if not self.added:
            raise InputError(
                f"{at} its tokenizer adds none",
                hint="take the tokenizer that it was trained with, which ends each text with it",
            )
        others = len(ids) - counts.most_common(1)[0][1]
        raise InputError(
            f"{at} a batch of {len(ids)} texts has {others} with more or fewer of them than the "
            "others",
            hint=f"take {self.text} out of the texts of the data, where it stands as a word",
        )


def agree_on_tokens_(model: PreTrainedModel, load: Callable[[], PreTrainedTokenizerBase]) -> None:
    """Fit a model to the tokenizer that ``load`` gives, where it answers at a special token.

    It takes the tokenizer's padding, and whenever it is asked looks for the end of each text.
    Raises what `agree_on_padding` raises.
    """
    if not looks_for_padding(type(model)) and not answers_at_end(type(model)):
        return
    tokenizer = load()
    agree_on_padding(model, tokenizer)
    end = End.of(model.config, tokenizer)
    if end is not None:
        model.register_forward_pre_hook(partial(_look, end=end), with_kwargs=True)


def _look(model: PreTrainedModel, given: Sequence[Any], named: dict[str, Any], *, end: End) -> None:
    import torch

    ids = named.get("input_ids", given[0] if given else None)
    if ids is not None and not torch.compiler.is_compiling():  # a trace has no texts
        end.check(ids, type(model).__name__)

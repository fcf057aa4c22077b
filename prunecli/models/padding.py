"""The padding token: which one it is where nobody said, and that model and tokenizer agree.

Models such as Llama and GPT-2 answer at the last token that is not padding, and find it by the id
in their configuration. Many come without one. As in the library's own examples, the token that ends
a text then stands in, and the tokenizer decides what is padding.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunecli.errors import InputError
from prunecli.models.positions import fewest_tokens
from prunecli.models.switching import is_sparse, longest_full

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def give_padding(tokenizer: PreTrainedTokenizerBase, config: Any) -> None:
    """Where ``tokenizer`` has no padding token: that of ``config``, else the one that ends texts.

    Where there is neither it stays without.
    """
    if tokenizer.pad_token_id is not None:
        return
    said = padding_of(config)
    names = {number: word for word, number in tokenizer.get_vocab().items()}
    token = names.get(said) if said is not None else None
    token = token or tokenizer.eos_token
    if token is not None:
        tokenizer.pad_token = token


def agree_on_padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Make ``model`` look for the padding that ``tokenizer`` gives, where it looks for any.

    Raises `InputError` where it does and the tokenizer gives none.
    """
    if not looks_for_padding(type(model)):
        return
    if tokenizer.pad_token_id is None:
        raise InputError(
            f"{type(model).__name__} looks for padding, and its tokenizer has no padding token nor "
            "one that ends a text",
            hint="set tokenizer.pad_token to a token it knows, and save it beside the model",
        )
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id


def padding_notice(
    name: str, config: Any, load: Callable[[], PreTrainedTokenizerBase]
) -> str | None:
    """What to tell of the padding of a model called ``name``; ``None`` where nothing was chosen.

    ``config`` is as it was loaded; ``load`` gives the tokenizer, with what `give_padding` gave it,
    and is called only for a model that looks for padding.
    """
    kind = class_of(config)
    if kind is None or not looks_for_padding(kind):
        return None
    tokenizer = load()
    said, used = padding_of(config), tokenizer.pad_token_id
    if used is None or said == used:
        return None
    token = f"'{tokenizer.pad_token}' (id {used})"
    if said is None:
        what = ", which ends a text," if used == tokenizer.eos_token_id else ""
        return (
            f"{name} has no padding token: {token}{what} stands in, and is saved with what is made "
            "of it"
        )
    return f"{name} takes token {said} for padding, and its tokenizer gives {token}: that is used"


def padding_of(config: Any) -> int | None:
    """The id of the padding token in a configuration; ``None`` where it has none."""
    said = getattr(config.get_text_config(), "pad_token_id", None)
    return said if isinstance(said, int) and said >= 0 else None


def class_of(config: Any) -> type | None:
    """The library's class of classifiers of a configuration; ``None`` where it has none."""
    from transformers import AutoModelForSequenceClassification

    found: type | None = AutoModelForSequenceClassification._model_mapping.get(type(config), None)
    return found


def looks_for_padding(kind: type) -> bool:
    """Whether the answer of a model of this class depends on the padding token's id."""
    return reads_in_forward(kind, "pad_token_id")


def reads_in_forward(kind: type, setting: str) -> bool:
    """Whether a class of models reads a setting when it answers.

    There is no mark for it but the source: it stands in ``forward``, and not only where the
    embeddings are made.
    """
    try:
        return setting in inspect.getsource(kind.forward)  # type: ignore[attr-defined]
    except (OSError, TypeError):
        return False


def padding_shows(config: Any) -> bool:
    """Whether answers of models of this configuration depend on how far their texts are padded.

    FNet transforms all tokens together and has no mask; YOSO hashes padding, too, and
    Nyströmformer's convolution reads it; XLNet answers at the last token, also where that is
    padding; and of BigBird's sparse attention the last block, which every token sees, is another.
    """
    config = config.get_text_config()
    return config.model_type in _READ_PADDING or is_sparse(config)


_READ_PADDING = {"fnet", "nystromformer", "xlnet", "yoso"}


@dataclass(frozen=True)
class OwnLength:
    """The length to which a model pads texts by itself: the next multiple of a window or block.

    Where texts are padded so beforehand, the mask says of every row in the model whether it is
    padding. Texts of fewer tokens than it reads are padded to as many.
    """

    multiple: int = 1
    beyond: int = 0
    """Texts of so many tokens and fewer are not padded."""
    least: int = 1

    @classmethod
    def of(cls, config: Any) -> OwnLength:
        """That of models of this configuration."""
        config = config.get_text_config()
        window = getattr(config, "attention_window", None)
        if window:  # Longformer
            return cls(window if isinstance(window, int) else max(window))
        if is_sparse(config):  # BigBird
            return cls(config.block_size, longest_full(config))
        return cls(least=fewest_tokens(config))

    def __call__(self, tokens: int) -> int:
        """That of texts of so many tokens."""
        if tokens <= self.beyond:
            return tokens
        return max(self.least, -(-tokens // self.multiple) * self.multiple)

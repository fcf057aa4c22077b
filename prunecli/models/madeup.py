"""Texts without meaning that a classifier can answer, where only speed or shapes count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prunecli.records.base import Frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SEED: Final = 20
_LEAST_ID: Final = 5
"""Ids below it are padding and other special tokens in most vocabularies."""
_UNTOLD: Final = 2
"""Tokens of a vocabulary of which nothing is said: id 1 alone is drawn."""


class MadeUp(Frozen):
    """Draws token ids, the same ones every time. It goes to other processes as JSON."""

    vocabulary: int
    """Ids are drawn below this number."""
    segments: bool = False
    """Whether ``token_type_ids`` are given, all 0."""
    end: int | None = None
    """The token with which each text ends, once, where the model answers at it."""

    @classmethod
    def of(cls, config: Any, *, segments: bool = False) -> MadeUp:
        """Those for models of a configuration.

        Segments are given where there is a table of them, else where ``segments`` says so.
        """
        from prunecli.models.ends import end_of

        return cls(
            vocabulary=getattr(config.get_text_config(), "vocab_size", _UNTOLD),
            segments=segments or getattr(config, "type_vocab_size", 0) > 0,
            end=end_of(config),
        )

    def __call__(self, batch: int, tokens: int) -> dict[str, NDArray[np.int64]]:
        """``batch`` texts of exactly ``tokens`` tokens, all of them real: int64 [batch, tokens]."""
        import numpy as np

        low = min(_LEAST_ID, self.vocabulary - 1)
        ids = np.random.default_rng(SEED).integers(low, self.vocabulary, (batch, tokens), np.int64)
        if self.end is not None:
            ids[ids == self.end] = low - (low == self.end)  # any other
            ids[:, -1] = self.end
        found = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        return found | {"token_type_ids": np.zeros_like(ids)} if self.segments else found

"""Random: the control that every criterion has to beat."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from prunecli.core.criteria.base import CRITERIA, Needs

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from prunecli.core.evidence import Evidence

# Multipliers of SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators",
# OOPSLA 2014), as the signed 64-bit integers that torch computes with. The last step of its
# finaliser is left out, since it does not touch the 24 highest bits.
_STEP = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)


@CRITERIA.register("random")
class Random:
    """Remove weights at random, reproducibly: the control.

    A score is a hash of (seed, parameter name, flat position), uniform on [0, 1) with 24 bits.
    There is no generator state: chunks can be asked for in any order, and the order of the
    weights is the same at every level, so that masks of rising sparsity are nested.
    """

    needs: ClassVar[Needs] = "weights"
    repairs: ClassVar[bool] = False
    signed: ClassVar[bool] = False

    def __init__(
        self, weights: Mapping[str, Tensor], *, seed: int, evidence: Evidence | None = None
    ) -> None:
        import torch

        from prunecli.core.flat import ScratchBuffer

        self._weights = weights
        self._seed = seed
        self._hash, self._shifted, self._out = ScratchBuffer(), ScratchBuffer(), ScratchBuffer()
        self.dtype: torch.dtype = torch.float32

    def chunk(self, name: str, start: int, stop: int) -> Tensor:
        """Uniform float32 numbers; NaN where the weight is NaN or infinite."""
        import torch

        from prunecli.core.flat import read

        values = read(self._weights[name], start, stop)
        state = self._hash.like(values, torch.int64)
        shifted = self._shifted.like(values, torch.int64)
        torch.arange(start, stop, out=state)
        state.mul_(_STEP).add_(_key(self._seed, name))
        for shift, multiplier in ((30, _MIX_1), (27, _MIX_2)):
            # The hash shifts in zeros; torch shifts in copies of the sign.
            torch.bitwise_right_shift(state, shift, out=shifted)
            shifted.bitwise_and_((1 << 64 - shift) - 1)
            state.bitwise_xor_(shifted).mul_(multiplier)
        uniform = self._out.like(values, self.dtype)
        uniform.copy_(state.bitwise_right_shift_(40).bitwise_and_(0xFFFFFF)).mul_(2.0**-24)
        return uniform.add_(values * 0).abs_()


def _key(seed: int, name: str) -> int:
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)

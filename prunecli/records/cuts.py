"""What goes of the heads and neurons: so many, or until a speed is reached; and how fast it is."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from prunecli.records.base import Frozen, Growing

BY_LATENCY: Final = "latency"
"""The strategy of a cut to a speed: what goes of which layer follows from what it saves."""


class Speed(Frozen):
    """A speed that is asked for: of what, where, and at which shape of inputs."""

    faster: float | None = None
    """Times as fast as the dense model is in the fastest float32 runtime at hand."""
    milliseconds: float | None = None
    """The most that one answer may take, where no ``faster`` is asked for."""
    deployment: str
    """As what it is measured: a runtime and its numbers, as ``onnx-int8``."""
    batch: int
    tokens: int
    threads: int
    allocations: int
    """Ways to share what goes among the layers that are tried on the calibration examples."""
    processor: str
    """The machine's, by its name: on another one other units would go."""

    @property
    def where(self) -> str:
        """As what and at which shape."""
        return f"{self.deployment} at {self.batch} × {self.tokens}"

    @property
    def title(self) -> str:
        """``3× as fast, onnx-int8 at 1 × 128``: what is asked, and where."""
        asked = f"{self.milliseconds:g} ms" if self.faster is None else f"{self.faster:g}× as fast"
        return f"{asked}, {self.where}"

    @property
    def words(self) -> tuple[str, ...]:
        """For names: ``x3``, ``onnx-int8``, ``1x128``."""
        asked = f"{self.milliseconds:g}ms" if self.faster is None else f"x{self.faster:g}"
        return asked, self.deployment, f"{self.batch}x{self.tokens}"


class Cut(Growing):
    """What of the attention heads and feed-forward neurons goes, and what then happens.

    Either fractions of all, or so many that a speed is reached.
    """

    heads: float = 0.0
    neurons: float = 0.0
    refit: bool = True
    """Whether the output layers were fitted anew to what is left."""
    speed: Speed | None = None
    later: ClassVar[frozenset[str]] = frozenset({"speed"})

    @property
    def title(self) -> str:
        """``heads 50%, neurons 75%``, or what speed was asked for."""
        if self.speed is not None:
            return self.speed.title
        parts = (("heads", self.heads), ("neurons", self.neurons))
        return ", ".join(f"{kind} {share * 100:.6g}%" for kind, share in parts if share)

    @property
    def words(self) -> tuple[str, ...]:
        """The same for names."""
        if self.speed is not None:
            return self.speed.words
        return f"h{self.heads * 100:.6g}", f"n{self.neurons * 100:.6g}"


class SpeedFound(Frozen):
    """What was kept to reach a speed, and what was measured of it before anything was refitted."""

    heads: tuple[int, ...]
    """Left in each layer, in the order of the layers."""
    neurons: tuple[int, ...]
    of_heads: int
    """In the dense model, in all layers together."""
    of_neurons: int
    ratio: float = Field(gt=0)
    """Times as fast as the reference, median over rounds."""
    low: float = Field(gt=0)
    """Of its 95% interval."""
    high: float = Field(gt=0)
    milliseconds: float = Field(gt=0)
    """Of one answer, median over rounds."""
    reference: str
    """Runtime in which the dense model was the fastest, which is what ``ratio`` is against."""
    reference_milliseconds: float = Field(gt=0)
    table: str
    """Name of the table of times that the choice was made by."""
    tries: int = Field(ge=1)
    """Models that were written and measured until one was as fast as asked."""

    @property
    def heads_cut(self) -> float:
        """The share of all heads that went."""
        return 1 - sum(self.heads) / self.of_heads

    @property
    def neurons_cut(self) -> float:
        """The share of all neurons that went."""
        return 1 - sum(self.neurons) / self.of_neurons

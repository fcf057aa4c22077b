"""What an export asked for (its specification) and what it made (the record of the artefact).

As with runs, the specification alone decides the name, and only settings that differ from their
defaults enter it.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import AwareDatetime, Field

from prunecli.records.base import Frozen, Growing
from prunecli.records.runs import (
    RECORD_FORMAT,
    DataInfo,
    MachineInfo,
    ModelInfo,
    TaskInfo,
    digits_of,
)
from prunecli.text.numbers import points

Setting = str | int | float | bool

SKIP_LAYER_NORM: Final = "SkipLayerNormFusion"
"""ONNX Runtime's name of what makes one operator of a sum and the LayerNorm after it."""


class VocabularySpec(Frozen):
    """That only the tokens of some texts are kept."""

    texts: str = ""
    """The first 16 hex digits of the sha256 of a file of texts; empty for the training texts."""


class ArtefactSpec(Growing):
    """A run or artefact, what to make of it, and how."""

    source: str
    """Name of the run, or of the artefact."""
    format: str
    """As `prune export --format` takes it."""
    settings: dict[str, Setting] = Field(default_factory=dict)
    """Those of the format that differ from their defaults."""
    vocabulary: VocabularySpec | None = None
    """``None`` where the whole vocabulary is kept."""
    later: ClassVar[frozenset[str]] = frozenset({"vocabulary"})

    @property
    def title(self) -> str:
        """The format and its settings in words: ``onnx (int8, static)``."""
        said = [
            key.replace("_", " ") if value is True else f"{key.replace('_', ' ')} {value}"
            for key, value in self.settings.items()
        ]
        if self.vocabulary is not None:
            said.append("vocabulary trimmed")
        return f"{self.format} ({', '.join(said)})" if said else self.format


def artefact_name(spec: ArtefactSpec) -> str:
    """The source, the format and eight hex digits of the specification."""
    return f"{spec.source}-{spec.format}-{digits_of(spec)}"


class FileInfo(Frozen):
    """One file of an artefact."""

    sha256: str
    bytes: int


class TensorBytes(Frozen):
    """Bytes of one tensor: as it was, its share of the gzip of the weight file, and packed."""

    part: str
    """To what it belongs: ``prunable``, ``embeddings`` or ``other``."""
    dense: int
    gzip: int
    packed: int


class Ledger(Frozen):
    """What the weights of the source take, and what the artefact takes."""

    dense: int
    """Bytes of the weight file of the source."""
    gzip: int | None = None
    """Bytes of the gzip of that file, where it was made."""
    artefact: int
    """Bytes of the file or files that are needed to use the artefact."""
    tensors: dict[str, TensorBytes] = Field(default_factory=dict)
    """Empty where a format has no bytes of its own for each."""
    beside: int = 0
    """Bytes within ``artefact`` of configuration and tokenizer."""

    @property
    def ratio(self) -> float:
        """Bytes of the source's weights over those of the artefact, everything in it counted."""
        return self.dense / self.artefact


class BatchSpread(Frozen):
    """What batches make of answers that depend on them, on one split."""

    low: float
    """The lowest primary metric in any of the batchings that were tried, a fraction."""
    high: float
    changed: int | None
    """The most answers of another class than alone, in any of them; ``None`` for a regression."""
    batchings: int
    """How many were tried."""


class SessionInfo(Frozen):
    """How ONNX Runtime opens an ONNX file, chosen by measuring; the file itself says it, too.

    The answers are the same either way. Which is faster is a fact of one processor and one version.
    """

    disabled_optimizers: tuple[Literal["SkipLayerNormFusion"], ...] = ()
    """What ONNX Runtime is told not to do; empty where it is opened as by default."""
    runtime: str
    """Name and version of the library with which it was measured."""
    processor: str
    """On which it was measured."""


class UnknownTokens(Frozen):
    """What a trimmed vocabulary makes of the texts of one split, as far as the model reads them."""

    tokens_before: float
    """Share of the tokens that are unknown with the whole vocabulary; special ones do not count."""
    tokens: float
    """The same with the trimmed one."""
    texts_before: float
    """Share of the texts with an unknown token, with the whole vocabulary."""
    texts: float
    otherwise: float
    """Share of the texts that the trimmed one makes other tokens of than the whole one."""


class VocabularyInfo(Frozen):
    """A vocabulary of which only the tokens of some texts were kept."""

    tokens: int
    tokens_before: int
    texts: int
    """How many texts they are from."""
    splits: dict[str, UnknownTokens]


class PairedLoss(Frozen):
    """What an artefact lost against its source on one split, example by example."""

    points: float
    """Source minus artefact in the primary metric, percentage points: a gain is negative."""
    low: float
    """Ends of the 95% interval of that."""
    high: float
    changed: int | None
    """Answers of another class than the source's; ``None`` for a regression."""
    examples: int


class ArtefactRecord(Frozen):
    """Everything about one artefact; its presence is the mark of completion."""

    format: Literal[1] = RECORD_FORMAT
    name: str
    spec: ArtefactSpec
    run: str
    """The run that it was made from, if through other artefacts."""
    task: TaskInfo
    command: str
    created: AwareDatetime
    data: DataInfo
    model: ModelInfo
    sparsity: float
    counted: Literal["artefact", "source"] = "artefact"
    """In what ``model`` and ``sparsity`` were counted: the weights that were read back, or those
    of the source, where a format has the weights in another form."""
    metrics: dict[str, dict[str, float]]
    """Of what was read back: split to metric to value, as fractions.

    Where answers depend on their batch, of each example asked by itself; see `scored_in_batches`.
    """
    source_metrics: dict[str, dict[str, float]]
    difference: float
    """The most that the primary metric of any split differs from the source's, in points."""
    drop: float | None
    """Points that the primary metric lost against the dense baseline, if that is at hand."""
    exact: bool
    """Whether the format promises the very answers of its source, which it then gave."""
    runtime: str = ""
    """What computed the answers: name and version of the library; empty in older records."""
    ledger: Ledger
    seconds: dict[str, float]
    precision: str
    """Of the arithmetic that gave the answers: ``float32``, ``bf16`` or ``int8``."""
    weight_bits: Literal[7, 8] | None = None
    """Of matrices in an int8 file that was fitted to the processor of ``machine``.

    ``None`` for any other file and in older records.
    """
    max_seq_length: int
    machine: MachineInfo
    files: dict[str, FileInfo]
    batched: dict[str, BatchSpread] = Field(default_factory=dict)
    """By split what batches make of the answers; empty where answers do not depend on them, and in
    older records."""
    session: SessionInfo | None = None
    """How an ONNX file is opened; ``None`` for any other and in older records."""
    vocabulary: VocabularyInfo | None = None
    """Of what has a trimmed vocabulary, also where the source had it already; else ``None``."""
    lost: dict[str, PairedLoss] = Field(default_factory=dict)
    """By split what it lost against its source; empty in older records."""
    over: float | None = None
    """The points that it may lose and is shown to lose more than: it was kept by ``--keep``.

    ``None`` for what is within its bound, and in older records.
    """
    dense_bytes: int | None = Field(default=None, ge=1)
    """Of the parameters of the dense model in float32; ``None`` in older records."""

    @property
    def mark(self) -> str:
        """What is said beside it wherever it is shown: that it is over its bound; else nothing."""
        return "" if self.over is None else f"over its bound of {points(self.over)}"

    @property
    def scored_in_batches(self) -> bool:
        """Whether answers that depend on their batch were scored in batches, as older records are.

        In int8 they all do but those with ranges that are fixed.
        """
        return self.precision == "int8" and "static" not in self.spec.settings and not self.batched

    @property
    def file_ratio(self) -> float:
        """*File (×)*: bytes of the dense model's weights over those of the artefact.

        Those are its parameters in float32, 4 bytes each, whatever was cut out or trimmed before;
        in older records of what was not cut, the file that the artefact was made of.
        """
        if self.dense_bytes is not None:
            return self.dense_bytes / self.ledger.artefact
        if self.model.dense_parameters is None:
            return self.ledger.ratio
        return 4 * self.model.dense_parameters / self.ledger.artefact

    @property
    def hashes(self) -> dict[str, str]:
        """The sha256 of each file."""
        return {file: info.sha256 for file, info in self.files.items()}

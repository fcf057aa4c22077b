"""The forms in which a model may be deployed, and which of them this machine has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from prunecli.errors import InputError
from prunecli.machine.extras import installed
from prunecli.machine.hardware import native_bf16
from prunecli.pipelines.deployments import DEPLOYMENTS
from prunecli.pipelines.exports import EXPORTS
from prunecli.pipelines.vocabulary import Trim
from prunecli.records.artefacts import Setting, VocabularySpec

ENOUGH_TEXTS = 5_000
"""Training texts from which on a vocabulary is trimmed to them without being asked for bytes."""


@dataclass(frozen=True)
class Form:
    """One way to write a model: a format with its options, its vocabulary trimmed or not."""

    name: str
    format_name: str
    given: Mapping[str, Any] = field(default_factory=dict)
    fast: bool = True
    """Whether it answers by itself; else it is a small file that gives back the model."""
    trim: bool = False

    @property
    def title(self) -> str:
        return f"{self.name}, vocabulary trimmed" if self.trim else self.name

    @property
    def settings(self) -> dict[str, Setting]:
        return EXPORTS.get(self.format_name).settings(self.given)

    @property
    def vocabulary(self) -> Trim:
        return Trim(VocabularySpec()) if self.trim else Trim(None)

    def trimmed(self) -> Form:
        """The same with the tokens alone that the training texts use."""
        return replace(self, trim=True)


def fast_forms() -> list[Form]:
    """Those that answer by themselves in int8 or bf16 here, the likeliest to be the fastest first.

    Without ONNX Runtime that is PyTorch's own int8.
    """
    names = ["onnx-int8", "openvino-int8"]
    if native_bf16("cpu"):
        names.append("openvino-bf16")
    return _at_hand(names) or _at_hand(["torch-int8"])


def _at_hand(names: Sequence[str]) -> list[Form]:
    found = []
    for name in names:
        deployment = DEPLOYMENTS.get(name)
        with suppress(InputError):
            deployment.check()
            found.append(Form(name, deployment.format_name, deployment.given))
    return found


def packed_form() -> Form:
    """The smallest file that loses little: int8 with embeddings in int4."""
    given: dict[str, Any] = {"values": "int8", "embeddings": "int4"}
    if installed("zstandard"):
        given["zstd"] = True
    return Form("packed", "packed", given, fast=False)

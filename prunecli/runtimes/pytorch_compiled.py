"""Answers by PyTorch in float32, compiled by ``torch.compile``."""

from __future__ import annotations

from pathlib import Path

from prunecli.errors import InputError
from prunecli.machine.extras import compiler
from prunecli.runtimes.base import Classifier, version_of
from prunecli.runtimes.pytorch import TorchClassifier


class PyTorchCompiled:
    """Whatever `prunecli.load` takes; ``threads`` are those of the whole process.

    The first answer at a shape may take a minute, in which it is compiled; PyTorch keeps what it
    compiled in a folder for temporary files. Raises `InputError` without a C++ compiler, too.
    """

    def open(self, path: Path, *, threads: int | None = None) -> Classifier:
        import torch

        from prunecli.runtimes.opening import load

        model = load(path)
        if compiler() is None:
            raise InputError(
                "torch.compile needs a C++ compiler, and there is none",
                hint="install one, such as g++",
            )
        if threads is not None:
            torch.set_num_threads(threads)
        model.compile()
        return TorchClassifier(model)

    def version(self) -> str:
        return version_of("torch")

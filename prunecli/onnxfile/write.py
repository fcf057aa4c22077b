"""A classifier that is in memory as an ONNX file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prunecli.errors import InputError
from prunecli.machine.extras import needed
from prunecli.models.positions import positions_of
from prunecli.models.segments import SEGMENTS, reads_segments
from prunecli.onnxfile.longformer import without_windows
from prunecli.onnxfile.quiet import without_logs
from prunecli.onnxfile.shifted import keeping_batch

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

OUTPUT: Final = "logits"
MOST_BYTES: Final = 2**31 - 1
"""What one ONNX file can hold: it is a protobuf message."""

_EXAMPLES, _TOKENS = 2, 8
"""Of the batch that is traced; a size of 1 would be taken for a constant."""


def input_names(model: PreTrainedModel, folder: Path | None = None) -> list[str]:
    """What the model reads: ids, mask and, where its answers depend on them, numbers of segments.

    ``folder`` has its tokenizer; see `reads_segments`.
    """
    names = ["input_ids", "attention_mask"]
    return [*names, SEGMENTS] if reads_segments(type(model), model.config, folder) else names


def write_onnx(model: PreTrainedModel, path: Path, folder: Path | None = None) -> None:
    """Write a classifier to one ONNX file, of whatever shape its layers are.

    Its inputs are those of `input_names`, int64 [batch, tokens], its output is ``logits``, float32
    [batch, outputs]; both dimensions of an input are free. Attention is written as plain products
    and softmax, which ONNX Runtime computes faster than what PyTorch's fused attention becomes.
    Raises `InputError` where a package is missing, where the weights are too large for one file,
    and where PyTorch cannot write the model for any number of tokens.
    """
    needed("onnxscript", extra="onnx", purpose="an ONNX file")
    onnx = needed("onnx", extra="onnx", purpose="an ONNX file")
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    if size > MOST_BYTES:
        raise InputError(
            f"the weights take {size / 1e9:.1f} GB, and one ONNX file holds at most 2.1",
            hint="export a smaller model, or --format hf",
        )
    import torch
    from torch.export import Dim

    names = input_names(model, folder)
    longest = positions_of(model.config)
    batch, tokens = Dim("batch"), Dim("tokens", max=longest)
    ids = torch.ones((_EXAMPLES, min(_TOKENS, longest or _TOKENS)), dtype=torch.int64)
    try:
        with (
            _as_it_was(model),
            _plain_attention(model),
            without_windows(model),
            keeping_batch(model),
            _without_empty(model),
            _silence(),
            torch.no_grad(),
        ):
            program = torch.onnx.export(
                _logits(model, names),
                tuple(ids.clone() for _ in names),
                dynamo=True,
                verbose=False,
                input_names=names,
                output_names=[OUTPUT],
                dynamic_shapes={"inputs": tuple({0: batch, 1: tokens} for _ in names)},
            )
    except torch.onnx.OnnxExporterError as error:
        first: BaseException = error
        while first.__cause__ is not None:  # what comes after it speaks of steps and files
            first = first.__cause__
        reason = str(first).strip().partition("\n")[0]
        raise InputError(
            f"PyTorch cannot write a {type(model).__name__} as ONNX: {reason[:200]}"
        ) from None
    assert program is not None  # it is what ``dynamo`` returns
    proto = program.model_proto
    fixed = [
        dimension.dim_value
        for entry in proto.graph.input
        for dimension in entry.type.tensor_type.shape.dim
        if dimension.dim_value
    ]
    if fixed:  # where ``forward`` counts tokens in Python, the trace has the count of its example
        raise InputError(
            f"PyTorch can write a {type(model).__name__} as ONNX for texts of {fixed[0]} tokens "
            "alone, since its forward computes with their number",
            hint="use --format packed or hf",
        )
    for node in proto.graph.node:
        del node.metadata_props[:]  # lines and paths of the code that was traced
    onnx.save(proto, path)


def _logits(model: PreTrainedModel, names: list[str]) -> nn.Module:
    """The model as a function of tensors in the order of ``names``."""
    from torch import Tensor, nn

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: Tensor) -> Any:
            return self.model(**dict(zip(names, inputs, strict=True))).logits

    return Logits().eval()


@contextmanager
def _as_it_was(model: nn.Module) -> Iterator[None]:
    """Afterwards every module has the attributes that it had, and those alone.

    A ``forward`` may keep what it computed, as long rotary positions do, or make its attention
    anew, as BigBird does: in a trace these are tensors without numbers, which would stay behind.
    """
    tables = ("_parameters", "_buffers", "_modules")
    before = [
        (module, dict(vars(module)), {name: dict(vars(module)[name]) for name in tables})
        for module in model.modules()
    ]
    try:
        yield
    finally:
        for module, attributes, entries in before:
            vars(module).clear()
            vars(module).update(attributes | entries)


@contextmanager
def _plain_attention(model: PreTrainedModel) -> Iterator[None]:
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def _without_empty(model: nn.Module) -> Iterator[None]:
    """Layers that lost all heads or neurons give their bias, so that nothing is computed for it.

    Products with empty matrices are refused by some of the libraries that read the file.
    """
    import torch
    from torch import Tensor, nn

    class Bias(nn.Module):
        def __init__(self, linear: nn.Linear) -> None:
            super().__init__()
            bias = torch.zeros(linear.out_features) if linear.bias is None else linear.bias
            self.bias = nn.Parameter(bias.detach(), requires_grad=False)

        def forward(self, rows: Tensor) -> Tensor:
            return self.bias.expand(*rows.shape[:-1], -1)

    empty = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear) and not child.in_features
    ]
    for parent, name, child in empty:
        setattr(parent, name, Bias(child))
    try:
        yield
    finally:
        for parent, name, child in empty:
            setattr(parent, name, child)


@contextmanager
def _silence() -> Iterator[None]:
    """Without what the exporter prints, warns and logs of its own doings."""
    heard = io.StringIO()
    with without_logs(), warnings.catch_warnings(), redirect_stdout(heard), redirect_stderr(heard):
        warnings.simplefilter("ignore")
        yield

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunecli.core.flat import Packer, Unpacker, common_dtype, packed_size, read, spans, write
from prunecli.errors import InputError

from .models import quick

CPU = torch.device("cpu")


@quick
@given(st.lists(st.booleans(), max_size=90))
def test_packing_is_little_bit_order_and_pads_with_zeros(kept: list[bool]) -> None:
    bits = torch.full((packed_size(len(kept)),), 255, dtype=torch.uint8)

    Packer()(torch.tensor(kept, dtype=torch.bool), out=bits)

    number = sum(1 << position for position, one in enumerate(kept) if one)
    assert bytes(bits.tolist()) == number.to_bytes(len(bits), "little")
    unpacked = Unpacker()(bits, 0, len(kept), CPU)
    assert unpacked.tolist() == [-one for one in kept]


def test_buffers_are_reused_without_traces_of_earlier_calls() -> None:
    pack, unpack = Packer(), Unpacker()
    for size in (61, 5, 0, 8, 3):
        kept = torch.rand(size) < 0.5
        bits = torch.empty(packed_size(size), dtype=torch.uint8)
        pack(kept, out=bits)
        assert torch.equal(unpack(bits, 0, size, CPU) != 0, kept)


@quick
@given(st.integers(0, 12), st.integers(0, 100))
def test_unpacking_from_the_middle(byte: int, length: int) -> None:
    bits = torch.arange(40, 60, dtype=torch.uint8)
    whole = Unpacker()(bits, 0, 160, CPU).clone()
    start = 8 * byte
    stop = min(start + length, 160)

    assert torch.equal(Unpacker()(bits, start, stop, CPU), whole[start:stop])


def test_spans_cover_the_range_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunecli.core.flat.CHUNK", 8)

    assert list(spans(20)) == [(0, 8), (8, 16), (16, 20)]
    assert list(spans(0)) == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_strided_tensors_are_read_and_written_in_row_major_order(dtype: torch.dtype) -> None:
    strided = torch.arange(24, dtype=dtype).view(4, 6).t()
    flat = strided.reshape(-1)

    part = read(strided, 5, 17)
    assert torch.equal(part, flat[5:17])
    write(strided, 5, -part)

    assert torch.equal(strided.reshape(-1), torch.cat([flat[:5], -flat[5:17], flat[17:]]))


def test_a_contiguous_tensor_is_read_as_a_view() -> None:
    weight = torch.zeros(3, 4)
    read(weight, 2, 4).fill_(1)

    assert weight.sum() == 2


def test_common_dtype_loses_nothing() -> None:
    half, brain = torch.zeros(1, dtype=torch.float16), torch.zeros(1, dtype=torch.bfloat16)

    assert common_dtype({"a": half}) == torch.float16
    assert common_dtype({"a": half, "b": brain}) == torch.float32


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.float8_e4m3fn, torch.complex64])
def test_common_dtype_refuses_what_is_no_ordinary_float(dtype: torch.dtype) -> None:
    with pytest.raises(InputError, match=r"'a\.weight' is stored as torch\."):
        common_dtype({"a.weight": torch.zeros(1).to(dtype)})

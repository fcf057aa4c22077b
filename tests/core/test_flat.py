from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunecli.core.flat import (
    Packer,
    ScratchBuffer,
    Unpacker,
    common_dtype,
    count_ones,
    idle_cores,
    idle_threads,
    packed_size,
    read,
    spans,
    write,
)
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


@pytest.mark.filterwarnings("error")  # PyTorch warns where a buffer was too small
@pytest.mark.parametrize("size", [8, 64, 72, 640])
def test_buffers_are_as_large_as_what_is_packed(size: int) -> None:
    kept = torch.arange(size) % 3 == 0
    bits = torch.empty(packed_size(size), dtype=torch.uint8)
    Packer()(kept, out=bits)
    assert torch.equal(Unpacker()(bits, 0, size, CPU) != 0, kept)


def test_packing_is_done_where_the_values_are() -> None:
    """On a device without numbers, where a tensor of the CPU would be refused."""
    pack, unpack = Packer(), Unpacker()
    for size in (16, 19):
        kept = torch.empty(size, dtype=torch.bool, device="meta")
        bits = torch.empty(packed_size(size), dtype=torch.uint8, device="meta")
        pack(kept, out=bits)
        found = unpack(bits, 0, size, torch.device("meta"))
        assert (found.device.type, found.shape, found.dtype) == ("meta", (size,), torch.int8)
    strided = torch.empty(4, 6, device="meta").t()
    part = read(strided, 3, 9)
    assert (part.device.type, part.shape) == ("meta", (6,))
    write(strided, 3, part)


def test_a_buffer_is_the_same_memory_until_more_or_another_device_is_asked_for() -> None:
    buffer = ScratchBuffer()
    first = buffer.take(6, torch.float32, CPU)
    assert (first.shape, first.dtype, first.device) == ((6,), torch.float32, CPU)
    for size, dtype in ((6, torch.int32), (3, torch.float64), (24, torch.bool), (1, torch.int16)):
        again = buffer.take(size, dtype, CPU)
        assert (again.shape, again.dtype) == ((size,), dtype)
        assert again.data_ptr() == first.data_ptr()
    assert buffer.take(7, torch.float32, CPU).data_ptr() != first.data_ptr()
    like = buffer.like(torch.empty(2, 5, dtype=torch.int8, device="meta"), torch.float64)
    assert (like.shape, like.dtype, like.device.type) == ((10,), torch.float64, "meta")
    assert buffer.take(3, torch.bool, CPU).device == CPU


@quick
@given(st.binary(max_size=40))
def test_ones_are_counted(data: bytes) -> None:
    bits = torch.tensor(list(data), dtype=torch.uint8)
    assert count_ones(bits) == bin(int.from_bytes(data, "little")).count("1")


def told(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """What the system says of its load stands at ``place``."""
    real = builtins.open

    def opened(path: Any, *args: Any, **options: Any) -> Any:
        return real(place if path == "/proc/loadavg" else path, *args, **options)

    monkeypatch.setattr(builtins, "open", opened)


def test_cores_that_others_use_are_not_idle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "loadavg"
    told(monkeypatch, place)
    # Running threads, of which this is one, and all there are: the fourth field.
    for running, idle in ((1, 8), (3, 6), (8, 1), (20, 1)):
        place.write_text(f"0.50 0.25 7.00 {running}/412 1234\n")
        assert idle_cores(8) == idle
    for nonsense in ("", "0.50 0.25", "0.50 0.25 0.00 many/412 1234"):
        place.write_text(nonsense)
        assert idle_cores(8) == 1
    place.unlink()
    assert idle_cores(8) == 1


def test_torch_has_the_idle_threads_for_a_while(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "loadavg"
    place.write_text("0.50 0.25 7.00 3/412 1234\n")
    told(monkeypatch, place)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        with idle_threads():
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 4
        with pytest.raises(KeyError), idle_threads():
            raise KeyError
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


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
    with pytest.raises(InputError) as caught:
        common_dtype({"a.weight": torch.zeros(1).to(dtype)})
    assert str(caught.value) == f"'a.weight' is stored as {dtype}, which cannot be pruned"
    assert caught.value.hint == "load the model in float32, float16, bfloat16 or float64"

"""Round trips: exact to the last bit, or within the error that is stated."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prunecli.errors import InputError
from prunecli.packed.settings import PackSettings

from .making import FILES, as_bytes, contents, packed, read_back, source

quick = settings(max_examples=25, deadline=None)

DTYPES = [
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float64,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
    torch.float8_e4m3fn,
]
SHAPES = st.lists(st.integers(0, 9), max_size=4).map(tuple)
MATRICES = st.tuples(st.integers(1, 40), st.integers(1, 150))
SPARSITIES = st.sampled_from([0.0, 0.03, 0.5, 0.8, 0.97, 1.0]) | st.floats(0, 1)
SEEDS = st.integers(0, 2**32 - 1)


def random_bits(shape: tuple[int, ...], dtype: torch.dtype, sparsity: float, seed: int) -> Tensor:
    """Any bit patterns at all, NaN with payload among them, but zero in ``sparsity`` of places."""
    random = np.random.default_rng(seed)
    size = math.prod(shape)
    raw = random.integers(0, 256, (size, dtype.itemsize), np.uint8)
    if dtype == torch.bool:
        raw &= 1
    raw[random.random(size) < sparsity] = 0
    return torch.from_numpy(raw.reshape(-1)).view(dtype).reshape(shape)


def normal(shape: tuple[int, ...], dtype: torch.dtype, sparsity: float, seed: int) -> Tensor:
    """Weights as they are, some rows much larger than others, and as many zeros as asked for."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(shape, generator=generator)
    sizes = 3 * torch.randn(shape[0], *[1] * (len(shape) - 1), generator=generator)
    weights *= torch.exp(sizes.clamp(-9, 6))
    weights[torch.rand(shape, generator=generator) < sparsity] = 0
    return weights.to(dtype)


@quick
@given(
    st.lists(st.tuples(SHAPES, st.sampled_from(DTYPES), SPARSITIES, SEEDS), min_size=1, max_size=4),
    st.booleans(),
)
def test_everything_comes_back_bit_for_bit(
    given_tensors: list[tuple[Any, torch.dtype, float, int]], zstd: bool
) -> None:
    tensors = {f"t{i}": random_bits(*spec) for i, spec in enumerate(given_tensors)}
    with TemporaryDirectory() as folder:
        path, _ = packed(Path(folder), tensors, PackSettings(zstd=zstd))
        found, files = contents(path)
        read_back(path, Path(folder) / "out")
        whole = (Path(folder) / "out" / "model.safetensors").read_bytes()
        assert whole == (Path(folder) / "model.safetensors").read_bytes()
    assert found == {name: as_bytes(tensor) for name, tensor in tensors.items()}
    assert files == FILES


@pytest.mark.parametrize("sparsity", [0.0, 0.9])
def test_special_values_come_back(tmp_path: Path, sparsity: float) -> None:
    payloads = np.array([0x7FC00001, 0xFFC12345, 0x7F800001, 0x80000000, 0x7F800000, 0xFF800000, 1])
    bits = np.tile(payloads.astype(np.uint32), 64)
    bits[np.random.default_rng(0).random(bits.size) < sparsity] = 0
    tensor = torch.from_numpy(bits.view(np.float32)).reshape(8, -1)
    path, manifest = packed(tmp_path, {"w": tensor})
    (entry,) = manifest.tensors
    assert entry.nonzero == (np.count_nonzero(bits) if sparsity else None)  # -0.0 counts
    assert contents(path)[0]["w"] == bits.tobytes()


@pytest.mark.parametrize("size", [1, 7, 8, 9, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 600_001])
def test_sizes_around_the_chunks(tmp_path: Path, size: int) -> None:
    tensors = {"w": normal((size,), torch.float32, 0.8, size)}
    path, _ = packed(tmp_path, tensors)
    assert torch.equal(read_back(path, tmp_path / "out")["w"], tensors["w"])


def test_a_tensor_is_sparse_only_where_that_is_smaller(tmp_path: Path) -> None:
    weights = torch.ones(3200)
    tensors = {}
    for zeros in range(90, 112):
        tensors[f"{zeros:03}"] = weights.clone()
        tensors[f"{zeros:03}"][:zeros] = 0
    _, manifest = packed(tmp_path, tensors)
    for entry in manifest.tensors:
        zeros = int(entry.name)  # a bit for each of 3200 numbers is worth 100 numbers
        assert (entry.nonzero == 3200 - zeros) if zeros > 100 else (entry.nonzero is None)
        assert entry.packed_bytes == min(12800, 400 + 4 * (3200 - zeros))


# What is rounded


@quick
@given(MATRICES, st.sampled_from([torch.float32, torch.float64]), SPARSITIES, SEEDS, st.booleans())
def test_int8_is_within_half_a_scale(
    shape: tuple[int, int], dtype: torch.dtype, sparsity: float, seed: int, zstd: bool
) -> None:
    weights = normal(shape, dtype, sparsity, seed)
    with TemporaryDirectory() as folder:
        path, _ = packed(Path(folder), {"w": weights}, PackSettings(values="int8", zstd=zstd))
        found = read_back(path, Path(folder) / "out")["w"]
    scales = weights.abs().amax(dim=1, keepdim=True) / 127
    assert found.dtype == dtype
    assert ((found - weights).abs() <= scales * 0.5001).all()
    assert not found[weights == 0].any()


@quick
@given(
    MATRICES,
    st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
    st.sampled_from([32, 64]),
    SEEDS,
    st.booleans(),
)
def test_int4_is_within_half_a_scale(
    shape: tuple[int, int], dtype: torch.dtype, group: int, seed: int, whole: bool
) -> None:
    weights = normal(shape, dtype, 0.1, seed)
    chosen = PackSettings(**{"values" if whole else "embeddings": "int4"}, group=group)  # type: ignore[arg-type]
    with TemporaryDirectory() as folder:
        path, manifest = packed(Path(folder), {"w": weights}, chosen, embeddings=["w"])
        found = read_back(path, Path(folder) / "out")["w"]
    padded = torch.zeros(shape[0], -(-shape[1] // group) * group)
    padded[:, : shape[1]] = weights.float()
    grouped = padded.view(shape[0], -1, group)
    most = grouped.abs().amax(dim=2, keepdim=True)
    # scales are float16, rounded up: by a thousandth, or by its smallest number
    scales = most / 8 * (1 + 2**-10) + 2**-24
    # of the largest's sign there are 8 steps, of the other 7
    signs = torch.where(grouped.amax(dim=2, keepdim=True) == most, 1.0, -1.0)
    beyond = (-signs * grouped - 7.5 * most / 8).clamp(min=0)
    allowed = (scales * 0.5001 + beyond).reshape(padded.shape)[:, : shape[1]]
    rounding = torch.finfo(dtype).eps * weights.float().abs()
    error = (found.float() - weights.float()).abs()
    assert (error <= allowed + rounding).all()
    zeros = found[weights == 0]
    assert not zeros.any()
    assert not torch.signbit(zeros).any()
    assert manifest.tensors[0].packed_bytes == padded.numel() * (16 / group + 4) / 8


@quick
@given(MATRICES, st.sampled_from(["float16", "bfloat16"]), SPARSITIES, SEEDS)
def test_halves_are_the_nearest(
    shape: tuple[int, int], values: str, sparsity: float, seed: int
) -> None:
    weights = normal(shape, torch.float32, sparsity, seed)
    chosen = PackSettings(values=values)  # type: ignore[arg-type]
    with TemporaryDirectory() as folder:
        path, _ = packed(Path(folder), {"w": weights, "b": weights[0].clone()}, chosen)
        found = read_back(path, Path(folder) / "out")
    half = getattr(torch, values)
    assert torch.equal(found["w"], weights.to(half).float())
    assert torch.equal(found["b"], weights[0].to(half).float())


def test_what_is_half_already_stays_as_it_is(tmp_path: Path) -> None:
    weights = random_bits((6, 50), torch.bfloat16, 0.1, 0)
    path, _ = packed(tmp_path, {"w": weights}, PackSettings(values="bfloat16"))
    assert contents(path)[0]["w"] == as_bytes(weights)


@pytest.mark.parametrize("numbers", ["int8", "int4"])
def test_only_floating_matrices_become_whole_numbers(tmp_path: Path, numbers: Any) -> None:
    tensors = {
        "bias": torch.randn(50),
        "scalar": torch.tensor(3.14159),
        "empty": torch.zeros(0, 5),
        "ids": torch.arange(12).reshape(3, 4),
        "kernel": torch.randn(3, 4, 5),
    }
    path, manifest = packed(tmp_path, tensors, PackSettings(values=numbers))
    assert {e.name for e in manifest.tensors if e.numbers != "exact"} == {"kernel"}
    found = read_back(path, tmp_path / "out")
    assert all(torch.equal(found[name], tensors[name]) for name in tensors if name != "kernel")


def test_embeddings_have_a_setting_of_their_own(tmp_path: Path) -> None:
    tensors = {"embedding": torch.randn(20, 64), "linear": torch.randn(20, 64)}
    for chosen, numbers in [
        (PackSettings(embeddings="int4"), ["int4", "exact"]),
        (PackSettings(embeddings="int8", values="float16"), ["int8", "float16"]),
        (PackSettings(values="int8"), ["int8", "int8"]),
        (PackSettings(values="int4"), ["int4", "int4"]),
        (PackSettings(values="int4", embeddings="int8"), ["int8", "int4"]),
    ]:
        _, manifest = packed(tmp_path, tensors, chosen, embeddings=["embedding"])
        assert [entry.numbers for entry in manifest.tensors] == numbers


@pytest.mark.parametrize("tiny", [1e-45, 1e-40, 1e-30, 1e-12])
@pytest.mark.parametrize("numbers", ["int8", "int4"])
def test_tiny_weights_have_scales_too(tmp_path: Path, tiny: float, numbers: str) -> None:
    weights = torch.full((4, 64), tiny)
    chosen = PackSettings(embeddings=numbers)  # type: ignore[arg-type]
    path, _ = packed(tmp_path, {"w": weights}, chosen, embeddings=["w"])
    found = read_back(path, tmp_path / "out")["w"]
    scale = max(tiny / 127, 1e-45) if numbers == "int8" else 6e-8
    assert ((found - weights).abs() <= 0.501 * scale).all()


@pytest.mark.parametrize(
    ("value", "chosen"),
    [
        (math.nan, {"values": "int8"}),
        (math.inf, {"values": "int8"}),
        (-3e38, {"values": "int8"}),
        (math.nan, {"embeddings": "int4"}),
        (-6e5, {"embeddings": "int4"}),
        (7e4, {"values": "float16"}),
        (3.4e38, {"values": "bfloat16"}),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, value: float, chosen: dict[str, Any]
) -> None:
    weights = torch.zeros(5, 64)
    weights[3, 40] = value
    with pytest.raises(InputError, match=r"'w' has weights that .* cannot hold"):
        packed(tmp_path, {"w": weights}, PackSettings(**chosen), embeddings=["w"])
    assert not (tmp_path / "packed.safetensors").exists()


@pytest.mark.parametrize("name", ["n" * 501, "a\nb", "\u202eb"])
def test_names_that_no_packed_file_has_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be packed"):
        packed(tmp_path, {name: torch.ones(2)})


@pytest.mark.parametrize("values", ["float16", "bfloat16"])
def test_halves_keep_what_is_not_finite(tmp_path: Path, values: str) -> None:
    weights = torch.tensor([[math.inf, -math.inf, math.nan, -0.0, 0.0]])
    path, _ = packed(tmp_path, {"w": weights}, PackSettings(values=values))  # type: ignore[arg-type]
    found = read_back(path, tmp_path / "out")["w"]
    assert torch.equal(found.nan_to_num(7.0), weights.nan_to_num(7.0))
    assert torch.equal(found.signbit()[0, :2], weights.signbit()[0, :2])
    assert bool(found.signbit()[0, 3])


def test_a_very_sparse_model_stays_within_what_a_reader_believes(tmp_path: Path) -> None:
    weights = torch.zeros(1000, 1000)
    weights[0, 0] = 1
    path, manifest = packed(tmp_path, {"w": weights}, PackSettings(zstd=True))
    assert {part.codec for part in manifest.tensors[0].parts} == {"none"}
    assert torch.equal(read_back(path, tmp_path / "out")["w"], weights)
    path, _ = packed(tmp_path, {"w": weights}, files={"vocab.txt": b"a" * 1_000_000})
    assert contents(path)[1] == {"vocab.txt": b"a" * 1_000_000}


def test_any_safetensors_reader_can_look_into_it(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    weights = normal((40, 64), torch.float32, 0.8, 0)
    path, _ = packed(tmp_path, {"w": weights})
    parts = load_file(path)
    assert torch.equal(parts["tensor/w/values"], weights[weights != 0])
    bits = np.unpackbits(parts["tensor/w/mask"].numpy(), bitorder="little")
    assert np.array_equal(bits.reshape(40, 64), weights != 0)
    assert parts["file/config.json"].numpy().tobytes() == FILES["config.json"]


def test_sources_in_several_files(tmp_path: Path) -> None:
    import json

    from prunecli.packed.source import Weights

    first, second = {"a": torch.randn(5, 5)}, {"b": torch.randn(3)}
    source(tmp_path, first).rename(tmp_path / "model-00001-of-00002.safetensors")
    source(tmp_path, second).rename(tmp_path / "model-00002-of-00002.safetensors")
    index = {
        "weight_map": {
            "a": "model-00001-of-00002.safetensors",
            "b": "model-00002-of-00002.safetensors",
        }
    }
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    weights = Weights(tmp_path)
    assert {name: weights.bits(name).tobytes() for name in weights.tensors} == {
        name: as_bytes(tensor) for name, tensor in {**first, **second}.items()
    }
    index["weight_map"]["b"] = "../elsewhere.safetensors"
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="has no weights"):
        Weights(tmp_path)

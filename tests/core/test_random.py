from __future__ import annotations

import hashlib

import torch

from prunecli.core import engine
from prunecli.core.criteria import CRITERIA

from .models import random_blocks


def uniform(name: str, seed: int, size: int = 200_000) -> torch.Tensor:
    return CRITERIA.get("random")({name: torch.zeros(size)}, seed=seed).chunk(name, 0, size).clone()


def test_scores_are_uniform_and_without_serial_correlation() -> None:
    scores = uniform("a", seed=3).double()

    counts = torch.histc(scores, bins=100, min=0, max=1)
    chi_squared = float(((counts - 2000) ** 2 / 2000).sum())
    assert chi_squared < 148.2  # 99 degrees of freedom, p = 0.001
    for lag in (1, 2, 8, 768):
        pair = torch.corrcoef(torch.stack([scores[:-lag], scores[lag:]]))
        assert abs(float(pair[0, 1])) < 4 / 200_000**0.5


def test_scores_are_those_of_splitmix64_in_plain_integers() -> None:
    key = int.from_bytes(hashlib.blake2b(b"3:a", digest_size=8).digest(), "little")
    wrap = (1 << 64) - 1
    expected = []
    for position in range(500):
        state = (position * 0x9E3779B97F4A7C15 + key) & wrap
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & wrap
        state = (state ^ state >> 27) * 0x94D049BB133111EB & wrap
        expected.append(((state ^ state >> 31) >> 40) / 2**24)

    assert uniform("a", seed=3, size=500).tolist() == expected


def test_seeds_and_names_give_unrelated_scores() -> None:
    reference = uniform("a", seed=3)

    assert torch.equal(uniform("a", seed=3), reference)
    for other in (uniform("a", seed=4), uniform("b", seed=3)):
        correlation = torch.corrcoef(torch.stack([reference, other]).double())[0, 1]
        assert abs(float(correlation)) < 4 / 200_000**0.5


def test_random_masks_do_not_look_at_the_weights() -> None:
    one, two = (
        engine.plan(random_blocks((40, 50), (30, 20), seed=seed), [0.6], criterion="random")
        for seed in (0, 1)
    )
    assert one.mask(0.6) == two.mask(0.6)


def test_random_removes_every_part_alike() -> None:
    mask = engine.plan(random_blocks((300, 300), (300, 300)), [0.7], criterion="random").mask(0.7)

    for sparsity in mask.layer_sparsity().values():
        assert abs(sparsity - 0.7) < 4 * (0.7 * 0.3 / 90_000) ** 0.5

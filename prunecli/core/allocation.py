"""Allocations: how the budget of a sparsity level is shared among tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prunecli.registry import Registry


@dataclass(frozen=True)
class Pool:
    """Tensors that compete with each other for one budget."""

    names: tuple[str, ...]
    remove: int
    """How many weights of the pool go, those of the lowest scores."""


Allocation = Callable[[Mapping[str, int], float], tuple[Pool, ...]]
"""From the tensors' sizes and a level to pools, each tensor in exactly one.

The first line of an entry's docstring is its title in the help.
"""

ALLOCATIONS: Registry[Allocation] = Registry("strategy")


@ALLOCATIONS.register("global")
def one_pool(sizes: Mapping[str, int], level: float) -> tuple[Pool, ...]:
    """Rank all weights together: exactly round(level × n) of the model go."""
    return (Pool(tuple(sizes), round(level * sum(sizes.values()))),)


@ALLOCATIONS.register("layerwise")
def pool_per_tensor(sizes: Mapping[str, int], level: float) -> tuple[Pool, ...]:
    """Rank each matrix by itself: exactly round(level × nᵢ) of each go."""
    return tuple(Pool((name,), round(level * size)) for name, size in sizes.items())

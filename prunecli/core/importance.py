"""How important each attention head and feed-forward neuron is, by a name that users type.

Any criterion for weights that needs no training serves for units, too: a unit's score is then the
sum of those of its weights. Those made for units stand before them, and take their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from prunecli.core.criteria import CRITERIA
from prunecli.core.criteria.base import Needs
from prunecli.errors import UsageError
from prunecli.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunecli.core.evidence import Evidence
    from prunecli.core.sublayers import Sublayer


class UnitCriterion(Protocol):
    """Ranks units. The first line of an entry's docstring is its title in the help."""

    @property
    def needs(self) -> Needs:
        """What the scores are made from: weights or data."""

    @property
    def cumulative(self) -> bool:
        """Whether a score is what is lost when the unit has gone and all of lower scores before it.

        Otherwise it is what the unit is worth by itself, and losses add up.
        """

    def __call__(
        self,
        model: nn.Module,
        sublayers: Sequence[Sublayer],
        *,
        seed: int,
        evidence: Evidence | None,
    ) -> list[Tensor]:
        """Scores of the units of each of ``sublayers``, float64 [units]; the lowest go.

        ``evidence`` is there wherever ``needs`` is ``"data"``.
        """


UNIT_CRITERIA: Registry[UnitCriterion] = Registry("unit criterion")


class UnitReconstruction:
    """Remove what the output of each part misses least when the rest makes up for it.

    The least-squares error of `prunecli.core.elimination` at the step at which a unit goes, after
    ZipLM (Kurtic, Frantar & Alistarh, NeurIPS 2023), in what it does to the logits, so that layers
    can be compared. No labels are needed. The seed draws signs in `prunecli.core.sensitivity`.
    """

    needs: ClassVar[Needs] = "data"
    cumulative: ClassVar[bool] = True

    def __call__(
        self,
        model: nn.Module,
        sublayers: Sequence[Sublayer],
        *,
        seed: int,
        evidence: Evidence | None,
    ) -> list[Tensor]:
        from prunecli.core.elimination import unit_errors

        assert evidence is not None
        return unit_errors(sublayers, evidence, seed=seed)


class GateFisher:
    """Remove the units whose gates have the least diagonal Fisher information.

    Kwon et al., "A fast post-training pruning framework for transformers", NeurIPS 2022; see
    `prunecli.core.gates`. The seed is not used.
    """

    needs: ClassVar[Needs] = "data"
    cumulative: ClassVar[bool] = False

    def __call__(
        self,
        model: nn.Module,
        sublayers: Sequence[Sublayer],
        *,
        seed: int,
        evidence: Evidence | None,
    ) -> list[Tensor]:
        from prunecli.core.gates import gate_fisher

        assert evidence is not None
        return gate_fisher(sublayers, evidence)


class UnitMagnitude:
    """Remove the units whose weights have the smallest norm.

    The Euclidean norm of all weights of a unit, in the layers that read and the one that writes:
    Li, Kadav, Durdanovic, Samet & Graf, "Pruning filters for efficient ConvNets", ICLR 2017, with
    its norm of order 1 replaced by that of order 2. The seed is not used.
    """

    needs: ClassVar[Needs] = "weights"
    cumulative: ClassVar[bool] = False

    def __call__(
        self,
        model: nn.Module,
        sublayers: Sequence[Sublayer],
        *,
        seed: int,
        evidence: Evidence | None,
    ) -> list[Tensor]:
        squares = {
            id(weight): weight.detach().double().square()
            for sublayer in sublayers
            for weight in _weights(sublayer)
        }
        return [total.sqrt() for total in _sums(sublayers, squares)]


class SummedWeights:
    """Remove the units whose weights have the lowest scores in all."""

    cumulative: ClassVar[bool] = False

    def __init__(self, criterion: str) -> None:
        self.criterion = criterion
        self.needs: Needs = CRITERIA.get(criterion).needs

    def __call__(
        self,
        model: nn.Module,
        sublayers: Sequence[Sublayer],
        *,
        seed: int,
        evidence: Evidence | None,
    ) -> list[Tensor]:
        from prunecli.core.scope import prunable

        weights = prunable(model)
        scores = CRITERIA.get(self.criterion)(weights, seed=seed, evidence=evidence)
        values = {
            id(weight): scores.chunk(name, 0, weight.numel()).double().view(weight.shape)
            for name, weight in weights.items()
        }
        return _sums(sublayers, values)


UNIT_CRITERIA.register("reconstruction")(UnitReconstruction())
UNIT_CRITERIA.register("fisher")(GateFisher())
UNIT_CRITERIA.register("magnitude")(UnitMagnitude())
for _name in CRITERIA.built_in():
    if CRITERIA.get(_name).needs != "training" and _name not in UNIT_CRITERIA:
        UNIT_CRITERIA.register(_name)(SummedWeights(_name))


def unit_criterion(name: str) -> UnitCriterion:
    """The criterion called ``name``; raises `UsageError` with a suggestion."""
    if name not in CRITERIA or name in UNIT_CRITERIA:
        return UNIT_CRITERIA.get(name)
    found = SummedWeights(name)
    if found.needs == "training":
        raise UsageError(
            f"criterion {name} learns from training, and units are cut before any",
            hint=f"choose one of {', '.join(UNIT_CRITERIA)}",
        )
    return found


def _weights(sublayer: Sublayer) -> list[Tensor]:
    return [*(reader.layer.weight for reader in sublayer.readers), sublayer.writer.weight]


def _sums(sublayers: Sequence[Sublayer], values: Mapping[int, Tensor]) -> list[Tensor]:
    """Of ``values`` for weights, by their id, the sum over each unit: on the CPU [units]."""
    totals = []
    for sublayer in sublayers:
        total = values[id(sublayer.writer.weight)].sum(0).view(-1, sublayer.size).sum(1)
        for reader in sublayer.readers:
            total = total + reader.by_unit(values[id(reader.layer.weight)].sum(1))
        totals.append(total.cpu())
    return totals

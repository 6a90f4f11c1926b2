"""The numbers behind a choice: for every unit its options, each with what it costs and what it loses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quant_engine.assignment.rules import fitting
from quant_engine.assignment.units import Unit
from quant_engine.errors import QuantError

if TYPE_CHECKING:
    from quant_engine.checkpoint import LinearInfo
    from quant_engine.result import Measurement, Objective
    from quant_engine.uses import Use

Cost = Callable[["LinearInfo", "Use"], int]


@dataclass(frozen=True)
class LayerMeasurements:
    """What the budget needs of one layer: signal Σ‖y‖², the candidates' measurements by label, and what their loss is."""

    signal: float
    candidates: Mapping[str, Measurement]
    objective: Objective = "noise"

    def loss(self, label: str) -> float:
        """Relative noise, or KL divergence in nats for each token (not a number where none could be predicted)."""
        if self.objective == "noise":
            return self.relative_noise(label)
        predicted = self.candidates[label].predicted_kl
        return math.nan if predicted is None else predicted

    def has(self, label: str) -> bool:
        """Whether the candidate was measured, and its loss is a number."""
        return label in self.candidates and not math.isnan(self.loss(label))

    def relative_noise(self, label: str) -> float:
        """Noise energy over signal energy; a layer without signal has nothing to lose."""
        return self.candidates[label].noise / self.signal if self.signal > 0 else 0.0

    def sqnr_db(self, label: str) -> float:
        """In dB; infinite without noise or without signal."""
        found = self.candidates[label].sqnr_db
        return math.inf if found is None else found


@dataclass(frozen=True)
class Option:
    """A candidate (its index in the recipe) on a unit. cost: bits or bytes; loss: summed over its layers; sqnr_db: of
    the unit's worst layer."""

    cost: int
    loss: float
    candidate: int
    sqnr_db: float = math.inf


Table = Sequence[Option]


def tables(
    units: Sequence[Unit], candidates: Sequence[Use], measurements: Mapping[str, LayerMeasurements], cost: Cost
) -> list[list[Option]]:
    """Every unit's options in the recipe's order.

    Raises QuantError(code="group-size") for a candidate that does not fit a layer, ("budget-unreachable") without
    candidates, ("not-finite") for a unit on which no candidate's noise is a number.
    """
    if not candidates:
        raise QuantError(
            "a budget needs candidates to choose among",
            code="budget-unreachable",
            advice="Add `candidates`.",
            key=("quantize", "budget"),
        )
    return [_options(unit, candidates, measurements, cost) for unit in units]


def _options(
    unit: Unit, candidates: Sequence[Use], measurements: Mapping[str, LayerMeasurements], cost: Cost
) -> list[Option]:
    measured = [measurements[layer.name] for layer in unit]
    options = []
    for index, use in enumerate(candidates):
        for layer in unit:
            fitting(layer, use, ("candidates", index))
        loss = math.fsum(one.loss(use.label) for one in measured)
        if math.isfinite(loss):
            sqnr = min(one.sqnr_db(use.label) for one in measured)
            options.append(Option(sum(cost(layer, use) for layer in unit), loss, index, sqnr))
    if not options:
        raise QuantError(
            f"the noise of every candidate on {unit[0].name} is infinite or no number",
            code="not-finite",
            advice="The checkpoint overflows in its dtype or is damaged: check its weights, or use bfloat16.",
        )
    return options


def efficient(options: Table) -> tuple[Option, ...]:
    """Those that no other beats, cheapest first and ever less lossy; of equal ones the first in the recipe."""
    kept: list[Option] = []
    for option in sorted(options, key=lambda option: (option.cost, option.loss, option.candidate)):
        if not kept or option.loss < kept[-1].loss:
            kept.append(option)
    return tuple(kept)

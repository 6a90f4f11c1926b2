"""The three kinds of budget, each as the choice that keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from quant_engine.assignment.solver import solve
from quant_engine.assignment.storage import Storage, weights
from quant_engine.assignment.tables import Cost, LayerMeasurements, Option, efficient, tables
from quant_engine.assignment.units import Unit
from quant_engine.errors import QuantError

if TYPE_CHECKING:
    from quant_engine.checkpoint import LinearInfo
    from quant_engine.recipe import Budget
    from quant_engine.uses import Use


@dataclass(frozen=True)
class Problem:
    """units: layers to choose for; fixed: those that rules quantize; measurements of the units' layers by name."""

    units: Sequence[Unit]
    fixed: Sequence[tuple[LinearInfo, Use]]
    candidates: Sequence[Use]
    measurements: Mapping[str, LayerMeasurements]
    storage: Storage

    def tables(self, cost: Cost) -> list[list[Option]]:
        return tables(self.units, self.candidates, self.measurements, cost)

    def fixed_cost(self, cost: Cost) -> int:
        return sum(cost(layer, use) for layer, use in self.fixed)

    @property
    def weights(self) -> int:
        """Of all layers that will be quantized."""
        return sum(weights(layer) for unit in self.units for layer in unit) + sum(weights(layer) for layer, _ in self.fixed)


def within(budget: Budget, problem: Problem) -> list[int]:
    """For each unit the candidate: the least summed loss under the budget; for `min_sqnr` the smallest size.

    Raises QuantError(code="budget-unreachable") naming what can be reached.
    """
    if budget.min_sqnr is not None:
        return _least_size(problem, budget.min_sqnr)
    if budget.size_bytes is not None:
        capacity = budget.size_bytes - problem.storage.tensor_bytes
        return _least_loss(problem, problem.storage.added_bytes, capacity, partial(_refuse_size, budget, problem))
    assert budget.bits_per_weight is not None
    # As written: 4.6 is no binary fraction, and a choice of exactly 4.6 bits keeps it.
    capacity = int(Fraction(repr(budget.bits_per_weight)) * problem.weights)
    return _least_loss(problem, problem.storage.bits, capacity, partial(_refuse_bits, budget, problem))


def _least_loss(
    problem: Problem, cost: Cost, capacity: int, refuse: Callable[[int, int], QuantError]
) -> list[int]:
    """refuse: the error for the least and the most that all quantized layers can cost together."""
    options = problem.tables(cost)
    fixed = problem.fixed_cost(cost)
    kept = [efficient(table) for table in options]
    choice = solve(kept, capacity - fixed)
    if choice is None:
        least = fixed + sum(min(option.cost for option in table) for table in options)
        most = fixed + sum(max(option.cost for option in table) for table in options)
        raise refuse(least, most)
    return [table[index].candidate for table, index in zip(kept, choice, strict=True)]


def _refuse_bits(budget: Budget, problem: Problem, least: int, most: int) -> QuantError:
    count = problem.weights
    return _unreachable("bits_per_weight", f"{budget.bits_per_weight:g} bits per weight", f"{least / count:.3f} to {most / count:.3f}")


def _refuse_size(budget: Budget, problem: Problem, least: int, most: int) -> QuantError:
    original = problem.storage.tensor_bytes
    return _unreachable("size", str(budget.size), f"{original + least:,} to {original + most:,} bytes")


def _unreachable(key: str, budget: str, reach: str) -> QuantError:
    return QuantError(
        f"the budget of {budget} cannot be kept: candidates and rules reach {reach}",
        code="budget-unreachable",
        advice="Raise the budget, or add a candidate with fewer bits.",
        key=("quantize", "budget", key),
    )


def _least_size(problem: Problem, limit: float) -> list[int]:
    """No layer weighs on another: each unit takes its smallest candidate that reaches the limit on all of its layers."""
    chosen = []
    for options in problem.tables(problem.storage.added_bytes):
        reached = [option for option in options if option.sqnr_db >= limit]
        if not reached:
            raise _refuse_sqnr(problem, limit)
        chosen.append(min(reached, key=lambda option: (option.cost, option.loss, option.candidate)).candidate)
    return chosen


def _refuse_sqnr(problem: Problem, limit: float) -> QuantError:
    every = zip(problem.units, problem.tables(problem.storage.added_bytes), strict=True)
    best = [(max(options, key=lambda option: option.sqnr_db), unit) for unit, options in every]
    option, unit = min(best, key=lambda entry: entry[0].sqnr_db)
    label = problem.candidates[option.candidate].label
    worst = min(unit, key=lambda layer: problem.measurements[layer.name].sqnr_db(label))
    return QuantError(
        f"the budget of at least {limit:g} dB cannot be kept: {worst.name} reaches {option.sqnr_db:.2f} dB at most, with {label}",
        code="budget-unreachable",
        advice="Lower the limit, add a candidate with more bits, or keep that layer with a rule.",
        key=("quantize", "budget", "min_sqnr"),
    )

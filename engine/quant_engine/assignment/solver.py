"""The exact choice under a budget: a multiple-choice knapsack, min Σ loss subject to Σ cost ≤ capacity, one option for each table."""

from __future__ import annotations

from collections.abc import Sequence

from quant_engine.assignment.hull import Choice, cost_of, relax
from quant_engine.assignment.program import Program
from quant_engine.assignment.tables import Table


def solve(tables: Sequence[Table], capacity: int) -> Choice | None:
    """The choice with the least summed loss, of equally good ones the cheapest; None when not even the cheapest fits.

    tables: `efficient`. Equal input gives equal output: of equal tables the earlier gets the costlier option.
    """
    cheapest = tuple(0 for _ in tables)
    if cost_of(tables, cheapest) > capacity:
        return None
    best = tuple(len(table) - 1 for table in tables)
    if cost_of(tables, best) <= capacity:
        return best
    relaxed = relax(tables, capacity)
    return _settle(tables, Program(tables, relaxed).solve() if relaxed.gap > 0 else relaxed.feasible)


def _settle(tables: Sequence[Table], choice: Choice) -> Choice:
    """The same cost and loss, whatever the solver's order: of tables with equal numbers the earlier takes the costlier option."""
    alike: dict[tuple[tuple[int, float], ...], list[int]] = {}
    for unit, table in enumerate(tables):
        alike.setdefault(tuple((option.cost, option.loss) for option in table), []).append(unit)
    settled = list(choice)
    for members in alike.values():
        indices = sorted((choice[unit] for unit in members), reverse=True)
        for unit, index in zip(members, indices, strict=True):
            settled[unit] = index
    return tuple(settled)

"""The choice between the hull's vertices as a mixed-integer program.

The hull gives a choice just below the capacity (the reference) with its multiplier λ, a feasible choice, and a bound on how much
better another can be: the gap. With s ≥ 0 the unused capacity, every choice's loss is the bound plus Σ r + λ·s, where
r = Δloss + λ·Δcost ≥ 0 against the reference. An option with r above the gap is in no better choice and is dropped; what is left
goes to HiGHS in terms of r and s. Losses are scaled by the gap and costs by the largest difference, so that whatever their magnitudes,
the solver's absolute tolerances are some ten orders below what matters. What it returns is checked in whole numbers and exact
fractions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from quant_engine.assignment.hull import Choice, Relaxed, cost_of, loss_of
from quant_engine.assignment.quiet import stdout_to_stderr
from quant_engine.assignment.tables import Table

_SCALE = 1e4
"""The gap in the program's units."""


class Program:
    """The options that can still be part of a better choice, as columns x ∈ {0, 1}, and the unused capacity s ≥ 0."""

    def __init__(self, tables: Sequence[Table], relaxed: Relaxed) -> None:
        self._tables, self._relaxed = tables, relaxed
        self._columns: list[tuple[int, int]] = []
        """(table, option); the reference's own option is the case that all of a table's columns are 0."""
        reduced: list[Fraction] = []
        for unit, (table, at) in enumerate(zip(tables, relaxed.reference, strict=True)):
            for index, option in enumerate(table):
                more = Fraction(option.loss) - Fraction(table[at].loss)
                r = more + relaxed.slope * (option.cost - table[at].cost)
                if index != at and r <= relaxed.gap:
                    self._columns.append((unit, index))
                    reduced.append(r)
        costs = [tables[unit][index].cost - tables[unit][relaxed.reference[unit]].cost for unit, index in self._columns]
        grain = math.gcd(*costs) or 1
        self._slack = relaxed.slack // grain * grain
        """Unused capacity of the reference, without what no column can use."""
        self._cost_unit = max(map(abs, costs), default=1)
        self._costs = [cost / self._cost_unit for cost in costs]
        scale = Fraction(_SCALE) / relaxed.gap
        self._reduced = [float(r * scale) for r in reduced]
        self._slack_price = float(relaxed.slope * self._cost_unit * scale)
        self._excluded: list[frozenset[int]] = []

    def solve(self) -> Choice:
        """The least reduced loss; then, at that loss, the most unused capacity."""
        objective = [*self._reduced, self._slack_price]
        best = self._better(self._relaxed.feasible, self._feasible(objective, None))
        tie = [0.0] * len(self._columns) + [-1.0]
        limit = self._value(best) + 1e-9 * _SCALE
        return self._better(best, self._feasible(tie, (objective, limit)))

    def _feasible(self, objective: list[float], below: tuple[list[float], float] | None) -> Choice | None:
        """A solution that keeps the capacity exactly: one that tolerances let through is excluded, and only that one."""
        while True:
            chosen = self._run(objective, below)
            if chosen is None:
                return None
            choice = self._choice(chosen)
            over = cost_of(self._tables, choice) - cost_of(self._tables, self._relaxed.reference) > self._relaxed.slack
            if not over:
                return choice
            self._excluded.append(chosen)

    def _better(self, one: Choice, other: Choice | None) -> Choice:
        if other is None:
            return one
        return min(one, other, key=lambda choice: (loss_of(self._tables, choice), cost_of(self._tables, choice)))

    def _choice(self, chosen: frozenset[int]) -> Choice:
        choice = list(self._relaxed.reference)
        for column in chosen:
            unit, index = self._columns[column]
            choice[unit] = index
        return tuple(choice)

    def _value(self, choice: Choice) -> float:
        """The objective, exact up to its last rounding."""
        relaxed = self._relaxed
        bound = loss_of(self._tables, relaxed.reference) - relaxed.slope * self._slack
        return float((loss_of(self._tables, choice) - bound) * Fraction(_SCALE) / relaxed.gap)

    def _run(self, objective: list[float], below: tuple[list[float], float] | None) -> frozenset[int] | None:
        """One call of HiGHS: the columns that are 1; None when nothing is feasible."""
        import numpy as np
        from scipy.optimize import Bounds, LinearConstraint, milp

        count = len(self._columns)
        rows, low, high = self._rows(below)
        # scipy's own types know only single numbers here.
        least, most = np.zeros(count + 1), np.array([1.0] * count + [math.inf])
        bounds: Any = Bounds(least, most)  # pyright: ignore[reportArgumentType]
        constraints: Any = LinearConstraint(rows, low, high)  # pyright: ignore[reportArgumentType]
        with stdout_to_stderr():
            found: Any = milp(
                c=np.array(objective),
                integrality=np.array([1] * count + [0]),
                bounds=bounds,
                constraints=constraints,
                options={"mip_rel_gap": 0.0},
            )
        if found.status == 2:
            return None
        if found.x is None:
            raise RuntimeError(f"HiGHS found no assignment: {found.message}")
        return frozenset(int(column) for column in np.flatnonzero(found.x[:count] > 0.5))

    def _rows(self, below: tuple[list[float], float] | None) -> tuple[Any, list[float], list[float]]:
        """Capacity; at most one column of each table; the limit on the objective; what is excluded."""
        from scipy.sparse import lil_array

        width = len(self._columns) + 1
        units = list(dict.fromkeys(unit for unit, _ in self._columns))
        matrix = lil_array((1 + len(units) + (below is not None) + len(self._excluded), width))
        matrix[0, :] = [*self._costs, 1.0]
        low, high = [self._slack / self._cost_unit], [self._slack / self._cost_unit]
        place = {unit: row for row, unit in enumerate(units, 1)}
        for column, (unit, _) in enumerate(self._columns):
            matrix[place[unit], column] = 1.0
        low += [-math.inf] * len(units)
        high += [1.0] * len(units)
        if below is not None:
            matrix[len(low), :] = below[0]
            low.append(-math.inf)
            high.append(below[1])
        for chosen in self._excluded:
            # Every other choice lacks a column of this one or has another.
            row = len(low)
            for column in range(width - 1):
                matrix[row, column] = 1.0 if column in chosen else -1.0
            low.append(-math.inf)
            high.append(len(chosen) - 1.0)
        return matrix.tocsr(), low, high

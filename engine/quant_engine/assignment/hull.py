"""The lower convex hull of all choices: walking every unit's own hull, the best saving first, passes through its vertices.

A choice on the hull has the least loss + λ·cost for some λ > 0, and is therefore beaten by no other (Everett 1963). Slopes are compared as
exact fractions, so that rounding cannot put a choice beside the hull.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from quant_engine.assignment.tables import Option, Table

Choice = tuple[int, ...]
"""For each table the index of an option."""


def cost_of(tables: Sequence[Table], choice: Choice) -> int:
    return sum(table[index].cost for table, index in zip(tables, choice, strict=True))


def loss_of(tables: Sequence[Table], choice: Choice) -> Fraction:
    return sum((Fraction(table[index].loss) for table, index in zip(tables, choice, strict=True)), Fraction(0))


@dataclass(frozen=True)
class Step:
    """Unit `unit` goes on to its option `option`: `cost` more, `saved` less lost."""

    unit: int
    option: int
    cost: int
    saved: Fraction

    @property
    def slope(self) -> Fraction:
        """Loss saved for each unit of cost."""
        return self.saved / self.cost


def steps(tables: Sequence[Table]) -> list[Step]:
    """All steps from every efficient table's first option to its last, the steepest first; equal ones in the order of the units."""
    every = [step for unit, table in enumerate(tables) for step in _unit_steps(unit, table)]
    return sorted(every, key=lambda step: -step.slope)


def _unit_steps(unit: int, table: Table) -> list[Step]:
    """The lower convex hull of one efficient table (Andrew's chain: a corner that is not convex is passed over)."""
    corners = [0]
    for index in range(1, len(table)):
        while len(corners) > 1 and not _is_convex(table[corners[-2]], table[corners[-1]], table[index]):
            corners.pop()
        corners.append(index)
    return [_step(unit, table, a, b) for a, b in zip(corners, corners[1:], strict=False)]


def _step(unit: int, table: Table, a: int, b: int) -> Step:
    return Step(unit, b, table[b].cost - table[a].cost, Fraction(table[a].loss) - Fraction(table[b].loss))


def _is_convex(a: Option, b: Option, c: Option) -> bool:
    first = (Fraction(a.loss) - Fraction(b.loss)) * (c.cost - b.cost)
    second = (Fraction(b.loss) - Fraction(c.loss)) * (b.cost - a.cost)
    return first > second


@dataclass(frozen=True)
class Relaxed:
    """reference: the hull's choice just below the capacity; slope: λ, of the step that does not fit; slack: capacity
    that the reference leaves; feasible: a choice found by filling it; gap: by how much `feasible` is above the bound."""

    reference: Choice
    slope: Fraction
    slack: int
    feasible: Choice
    gap: Fraction


def relax(tables: Sequence[Table], capacity: int) -> Relaxed:
    """The hull just below a capacity that is less than the cost of all tables' last options, and not less than that of the first."""
    every = steps(tables)
    choice, left = [0] * len(tables), capacity - cost_of(tables, (0,) * len(tables))
    broken = next(place for place, total in enumerate(_running(every)) if total > left)
    for step in every[:broken]:
        choice[step.unit] = step.option
        left -= step.cost
    reference, slack, slope = tuple(choice), left, every[broken].slope
    stopped: set[int] = set()
    for step in every[broken:]:
        if step.unit not in stopped and step.cost <= left:
            choice[step.unit] = step.option
            left -= step.cost
        else:
            stopped.add(step.unit)
    bound = loss_of(tables, reference) - slope * slack
    feasible = tuple(choice)
    return Relaxed(reference, slope, slack, feasible, loss_of(tables, feasible) - bound)


def _running(every: Sequence[Step]) -> list[int]:
    totals, total = [], 0
    for step in every:
        total += step.cost
        totals.append(total)
    return totals

"""Choices from the cheapest to the best, each of which no other beats in both cost and loss."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from quant_engine.assignment.hull import Choice, Step, cost_of, steps
from quant_engine.assignment.solver import solve
from quant_engine.assignment.tables import Table


def front(tables: Sequence[Table], wanted: int) -> list[Choice]:
    """At most `wanted` (2 or more) Pareto-optimal choices of efficient tables, cheapest first, spread over the range of costs.

    First vertices of the hull, which cost nothing to find; where there are too few of them, what lies between them is
    found by the exact solver. Fewer than `wanted` are all that there are.
    """
    every = steps(tables)
    first = cost_of(tables, (0,) * len(tables))
    costs = [first, *accumulate((step.cost for step in every), initial=first)][1:]
    if len(costs) >= wanted:
        return _prefixes(len(tables), every, _spread(costs, wanted))
    found = dict(zip(costs, _prefixes(len(tables), every, range(len(costs))), strict=True))
    return _fill(tables, found, wanted)


def _spread(costs: Sequence[int], wanted: int) -> list[int]:
    """Indices of `wanted` of the ascending costs, first and last among them: always the one nearest the middle of the
    widest gap that has any."""
    taken = [0, len(costs) - 1]
    while len(taken) < wanted:
        gaps = [(costs[b] - costs[a], -a, b) for a, b in zip(taken, taken[1:], strict=False) if b - a > 1]
        _, negative, b = max(gaps)
        a = -negative
        middle = (costs[a] + costs[b]) / 2
        after = bisect_left(costs, middle, a + 1, b - 1)
        nearest = min((max(after - 1, a + 1), after), key=lambda index: abs(costs[index] - middle))
        taken.insert(bisect_right(taken, nearest), nearest)
    return taken


def _prefixes(count: int, every: Sequence[Step], lengths: Sequence[int]) -> list[Choice]:
    """The choices that the first `n` steps lead to, for each n of the ascending lengths."""
    choice, done, choices = [0] * count, 0, []
    for length in lengths:
        for step in every[done:length]:
            choice[step.unit] = step.option
        done = length
        choices.append(tuple(choice))
    return choices


def _fill(tables: Sequence[Table], found: dict[int, Choice], wanted: int) -> list[Choice]:
    """More choices by cost, in the widest gap first, until there are enough or every gap is known to be empty."""
    empty: set[tuple[int, int]] = set()
    while len(found) < wanted:
        costs = sorted(found)
        gaps = [(b - a, -a) for a, b in zip(costs, costs[1:], strict=False) if (a, b) not in empty and b - a > 1]
        if not gaps:
            break
        width, negative = max(gaps)
        low, high = -negative, width - negative
        # The best choice below the middle; when that is the gap's lower end, the best one below its upper end.
        for capacity in ((low + high) // 2, high - 1):
            choice = solve(tables, capacity)
            assert choice is not None
            cost = cost_of(tables, choice)
            if cost > low:
                found[cost] = choice
                break
        else:
            empty.add((low, high))
    return [found[cost] for cost in sorted(found)]

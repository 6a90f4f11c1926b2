"""Every layer's assignment, and the front of all assignments that no other beats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from quant_engine.assignment.budget import Problem, within
from quant_engine.assignment.front import front
from quant_engine.assignment.hull import loss_of
from quant_engine.assignment.rules import Assigned, decide
from quant_engine.assignment.storage import Storage, weights
from quant_engine.assignment.tables import LayerMeasurements, efficient, tables
from quant_engine.assignment.units import Unit, units_of
from quant_engine.result import ParetoFront, ParetoPoint

if TYPE_CHECKING:
    from quant_engine.checkpoint import LinearInfo
    from quant_engine.recipe import Quantize
    from quant_engine.uses import Use

FRONT_POINTS = 24


def assign(
    linears: Sequence[LinearInfo],
    section: Quantize,
    candidates: Sequence[Use] = (),
    measurements: Mapping[str, LayerMeasurements] | None = None,
    storage: Storage | None = None,
    fused: Sequence[Unit] = (),
) -> dict[str, Assigned]:
    """Every layer's assignment by name, in the order of `linears`.

    The first matching rule decides; layers without one get the budget's choice among `candidates` when the section has
    a budget (then `measurements` is required), else the default. What is left of a set in `fused` gets one candidate.
    lm_head is a target only when a rule names it. Raises QuantError(code="group-size") naming layer, width and the
    recipe key, ("budget-unreachable") naming the reachable range.
    """
    decided, left = decide(linears, section, leave_open=section.budget is not None)
    if section.budget is not None and left:
        if measurements is None:
            raise ValueError("a budget needs measurements")
        problem = Problem(
            units_of(left, fused), _fixed(linears, decided), candidates, measurements, storage or Storage()
        )
        for unit, index in zip(problem.units, within(section.budget, problem), strict=True):
            decided.update({layer.name: Assigned(candidates[index], "budget") for layer in unit})
    return {linear.name: decided[linear.name] for linear in linears}


def pareto_front(
    linears: Sequence[LinearInfo],
    section: Quantize,
    candidates: Sequence[Use],
    measurements: Mapping[str, LayerMeasurements],
    storage: Storage,
    fused: Sequence[Unit] = (),
    wanted: int = FRONT_POINTS,
) -> ParetoFront | None:
    """Assignments from the smallest to the best, none of which another beats in both stored bits and loss.

    Rules are kept, and their layers count in loss and SQNR as far as what they ask for was measured; every other layer of the
    blocks is free, with or without a budget. At most `wanted` points; fewer only when there are no more. None when there is
    nothing to choose.
    """
    decided, left = decide(linears, section, leave_open=True)
    if not candidates or not left or any(layer.name not in measurements for layer in left):
        return None
    units, fixed = units_of(left, fused), _fixed(linears, decided)
    options = [efficient(table) for table in tables(units, candidates, measurements, storage.bits)]
    count = sum(map(weights, left)) + sum(weights(layer) for layer, _ in fixed)
    counted = [(measurements[layer.name], use.label) for layer, use in fixed if _is_measured(layer, use, measurements)]
    fixed_loss = math.fsum(measured.loss(label) for measured, label in counted)
    fixed_worst = min((measured.sqnr_db(label) for measured, label in counted), default=math.inf)
    fixed_bits = sum(storage.bits(layer, use) for layer, use in fixed)
    fixed_bytes = storage.tensor_bytes + sum(storage.added_bytes(layer, use) for layer, use in fixed)
    points = []
    for choice in front(options, wanted):
        chosen = [table[index] for table, index in zip(options, choice, strict=True)]
        worst = min(fixed_worst, *(option.sqnr_db for option in chosen))
        uses = [candidates[option.candidate] for option in chosen]
        added = sum(
            storage.added_bytes(layer, use) for unit, use in zip(units, uses, strict=True) for layer in unit
        )
        points.append(
            ParetoPoint(
                bits_per_weight=(fixed_bits + sum(option.cost for option in chosen)) / count,
                bytes=fixed_bytes + added,
                predicted_loss=float(loss_of(options, choice)) + fixed_loss,
                min_sqnr_db=worst if math.isfinite(worst) else None,
                assignment=[option.candidate for option in chosen],
            )
        )
    return ParetoFront(
        objective=measurements[left[0].name].objective,
        units=[[layer.name for layer in unit] for unit in units],
        unmeasured=[layer.name for layer, use in fixed if not _is_measured(layer, use, measurements)],
        points=points,
    )


def _is_measured(layer: LinearInfo, use: Use, measurements: Mapping[str, LayerMeasurements]) -> bool:
    return layer.name in measurements and measurements[layer.name].has(use.label)


def _fixed(linears: Sequence[LinearInfo], decided: Mapping[str, Assigned]) -> list[tuple[LinearInfo, Use]]:
    """The quantized layers that rules decide."""
    return [(layer, entry.use) for layer in linears if (entry := decided.get(layer.name)) and entry.use is not None]

"""Which layer is quantized how: rules, then the budget, then the default."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from quant_engine.errors import QuantError
from quant_engine.recipe import matches
from quant_engine.uses import resolve

if TYPE_CHECKING:
    from quant_engine.checkpoint import LinearInfo
    from quant_engine.recipe import Quantize
    from quant_engine.result import Measurement
    from quant_engine.uses import Use


@dataclass(frozen=True)
class LayerMeasurements:
    """What the budget needs of one layer: signal Σ‖y‖² and the candidates' measurements by label."""

    signal: float
    candidates: Mapping[str, Measurement]


@dataclass(frozen=True)
class Assigned:
    """use None: the layer stays as it is. rule: index of the deciding rule, `default`, `budget`; None: not a target
    (lm_head unnamed)."""

    use: Use | None
    rule: int | Literal["default", "budget"] | None


def assign(
    linears: Sequence[LinearInfo],
    section: Quantize,
    candidates: Sequence[Use] = (),
    measurements: Mapping[str, LayerMeasurements] | None = None,
    scale_bits: int = 16,
) -> dict[str, Assigned]:
    """Every layer's assignment by name, in the order of `linears`.

    The first matching rule decides; layers without one get the budget's choice among `candidates` when the section has
    a budget (then `measurements` is required), else the default. lm_head is a target only when a rule names it. Raises
    QuantError(code="group-size") naming layer, width and the recipe key, ("budget-unreachable") naming the reachable
    range.
    """
    assigned: dict[str, Assigned] = {}
    open_layers: list[LinearInfo] = []
    for linear in linears:
        rule = next((index for index, rule in enumerate(section.rules) if matches(rule.patterns, linear.name)), None)
        if rule is not None:
            assigned[linear.name] = Assigned(
                _fitting(linear, section.rules[rule].resolved, ("quantize", "rules", rule, "use")), rule
            )
        elif linear.block is None:
            assigned[linear.name] = Assigned(None, None)
        elif section.budget is None:
            assigned[linear.name] = Assigned(
                _fitting(linear, resolve(section.default), ("quantize", "default")), "default"
            )
        else:
            open_layers.append(linear)
    if section.budget is not None and open_layers:
        if measurements is None:
            raise ValueError("a budget needs measurements")
        fixed = [(linear, entry.use) for linear in linears if (entry := assigned.get(linear.name)) and entry.use]
        chosen = _within_budget(
            open_layers, fixed, section.budget.bits_per_weight, candidates, measurements, scale_bits
        )
        assigned.update({name: Assigned(use, "budget") for name, use in chosen.items()})
    return {linear.name: assigned[linear.name] for linear in linears}


def _fitting(linear: LinearInfo, use: Use | None, key: tuple[str | int, ...]) -> Use | None:
    if use is not None and not use.fits(linear.inputs):
        raise QuantError(
            f"group size {use.group_width} does not divide the input width {linear.inputs} "
            f"of {linear.name}",
            code="group-size",
            advice="Choose a group size that divides it, or `channel`.",
            key=key,
        )
    return use


@dataclass(frozen=True)
class _Option:
    """A candidate on a layer: stored bits, and its noise relative to the layer's signal."""

    bits: float
    noise: float
    use: Use


def _within_budget(
    layers: Sequence[LinearInfo],
    fixed: Sequence[tuple[LinearInfo, Use]],
    bits_per_weight: float,
    candidates: Sequence[Use],
    measurements: Mapping[str, LayerMeasurements],
    scale_bits: int,
) -> dict[str, Use]:
    """The candidates for `layers` with the least sum of relative noise such that all quantized layers keep to the
    budget on average.

    Every layer starts at its cheapest candidate; then the move with the most noise saved for each bit spent is made as
    long as it fits. That walks the lower convex hull of every layer (the Lagrangian optimum) until the first move that
    does not fit, and fills what is left of the budget with smaller moves; the sum never exceeds the budget.
    """
    options = {layer.name: _options(layer, candidates, measurements[layer.name], scale_bits) for layer in layers}
    weights = sum(_weights(layer) for layer in [*layers, *(linear for linear, _ in fixed)])
    spent = sum(_bits(linear, use, scale_bits) for linear, use in fixed)
    least = spent + sum(entries[0].bits for entries in options.values())
    left = bits_per_weight * weights - least
    if left < 0:
        most = spent + sum(max(option.bits for option in entries) for entries in options.values())
        raise QuantError(
            f"the budget of {bits_per_weight:g} bits per weight cannot be kept: "
            f"candidates and rules reach {least / weights:.3f} to {most / weights:.3f}",
            code="budget-unreachable",
            advice="Raise the budget, or add a candidate with fewer bits.",
            key=("quantize", "budget", "bits_per_weight"),
        )
    chosen = {name: entries[0] for name, entries in options.items()}
    moves = [
        move for place, name in enumerate(options) if (move := _best_move(place, chosen[name], options[name], left))
    ]
    heapq.heapify(moves)
    names = list(options)
    while moves:
        best = heapq.heappop(moves)
        name, option = names[best.place], best.option
        if option.bits - chosen[name].bits <= left:
            left -= option.bits - chosen[name].bits
            chosen[name] = option
        move = _best_move(best.place, chosen[name], options[name], left)
        if move:
            heapq.heappush(moves, move)
    return {name: option.use for name, option in chosen.items()}


@dataclass(frozen=True, order=True)
class _Move:
    """Ordered by noise saved for each bit (most first), then by the layer's place: equal recipes give equal results."""

    slope: float
    """Change of noise for each bit, negative."""
    place: int
    option: _Option = field(compare=False)


def _best_move(place: int, current: _Option, options: Sequence[_Option], left: float) -> _Move | None:
    possible = [
        _Move((option.noise - current.noise) / (option.bits - current.bits), place, option)
        for option in options
        if option.bits > current.bits and option.noise < current.noise and option.bits - current.bits <= left
    ]
    return min(possible, default=None)


def _options(
    layer: LinearInfo, candidates: Sequence[Use], measured: LayerMeasurements, scale_bits: int
) -> list[_Option]:
    """The candidates that fit the layer, cheapest first; of equally large ones the less noisy first, then in recipe
    order."""
    options = []
    for index, use in enumerate(candidates):
        _fitting(layer, use, ("candidates", index))
        noise = measured.candidates[use.label].noise
        options.append(
            _Option(_bits(layer, use, scale_bits), noise / measured.signal if measured.signal > 0 else 0.0, use)
        )
    if not options:
        raise QuantError(
            "a budget needs candidates to choose among",
            code="budget-unreachable",
            advice="Add `candidates`.",
            key=("quantize", "budget"),
        )
    return sorted(options, key=lambda option: (option.bits, option.noise))


def _weights(layer: LinearInfo) -> int:
    return layer.outputs * layer.inputs


def _bits(layer: LinearInfo, use: Use, scale_bits: int) -> float:
    return use.weight_format.bits_per_weight(layer.inputs, scale_bits, layer.outputs) * _weights(layer)

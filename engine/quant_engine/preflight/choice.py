"""Which layer will be quantized how, as far as that is known before a measurement, and what a budget leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quant_engine.assignment import LayerMeasurements, Storage, assign, fused_layers
from quant_engine.assignment.rules import decide
from quant_engine.assignment.storage import weights
from quant_engine.assignment.units import units_of
from quant_engine.errors import QuantError
from quant_engine.protocol import SizeBound

if TYPE_CHECKING:
    from quant_engine.assignment.tables import Cost
    from quant_engine.uses import Use
    from quant_engine.walk import MeasuredLayer
    from quant_engine.work import Work


def choice(work: Work, kinds: Mapping[int, list[int]], measured: Mapping[int, Sequence[MeasuredLayer]]) -> dict[str, Use | None]:
    """By layer. For a budget a likely one: every block is taken for what the first of its kind was measured to be on a few tokens."""
    section, linears = work.recipe.quantize, work.linears
    storage, fused = Storage.of(work.checkpoint, linears), fused_layers(linears, work.checkpoint.architecture)
    known: dict[str, LayerMeasurements] = {}
    for first, blocks in kinds.items():
        for layer in measured.get(first, ()):
            before, _, after = layer.name.partition(f".{first}.")
            known |= {f"{before}.{block}.{after}": LayerMeasurements(layer.signal, layer.candidates) for block in blocks}
    try:
        assigned = assign(linears, section, work.candidates, known, storage, fused)
    except QuantError:  # a smallest SQNR that a few tokens do not show: the best that there is
        best = max(work.candidates, key=lambda use: use.weight_format.stored_bits)
        decided, left = decide(linears, section, leave_open=True)
        return {name: one.use for name, one in decided.items()} | {linear.name: best for linear in left}
    return {name: one.use for name, one in assigned.items()}


@dataclass(frozen=True)
class Range:
    least: SizeBound
    most: SizeBound


def reach(work: Work) -> Range | None:
    """The smallest and the largest that candidates and rules make possible; None without a budget."""
    section, linears = work.recipe.quantize, work.linears
    if section.budget is None or not work.candidates:
        return None
    storage, fused = Storage.of(work.checkpoint, linears), fused_layers(linears, work.checkpoint.architecture)
    decided, left = decide(linears, section, leave_open=True)
    by_name = {linear.name: linear for linear in linears}
    fixed = [(by_name[name], one.use) for name, one in decided.items() if one.use is not None]
    units = units_of(left, fused)
    count = sum(map(weights, left)) + sum(weights(layer) for layer, _ in fixed)

    def totals(cost: Cost) -> tuple[int, int]:
        own = sum(cost(layer, use) for layer, use in fixed)
        table = [[sum(cost(layer, use) for layer in unit) for use in work.candidates] for unit in units]
        return own + sum(map(min, table)), own + sum(map(max, table))

    (fewest, many), (small, large) = totals(storage.bits), totals(storage.added_bytes)
    total = storage.tensor_bytes
    return Range(
        SizeBound(tensor_bytes=total + small, bits_per_weight=fewest / count),
        SizeBound(tensor_bytes=total + large, bits_per_weight=many / count),
    )

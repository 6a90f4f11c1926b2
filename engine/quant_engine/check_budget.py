"""What the shapes alone tell of a budget: that no choice of candidates keeps it, or that every one does. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from quant_engine.assignment.storage import Storage, weights
from quant_engine.assignment.units import Unit, units_of
from quant_engine.check_layers import LayerCheck
from quant_engine.recipe import LIMITS, parse_size
from quant_engine.right_values import RightValues
from quant_engine.structure import Finding
from quant_engine.uses import Use
from quant_engine.yaml_source import Key, Span

if TYPE_CHECKING:
    from quant_engine.assignment.tables import Cost
    from quant_engine.checkpoint import LinearInfo

_BUDGET: Key = ("quantize", "budget")
_RULES: Key = ("quantize", "rules")
_UNKNOWN = object()


def budget(values: RightValues, layers: LayerCheck, storage: Storage, fused: Sequence[Unit]) -> Iterator[Finding]:
    """A budget that cannot be kept, or that has no effect: neither should cost a measurement first."""
    written = next((node for name in LIMITS if (node := values.node((*_BUDGET, name))) is not None), None)
    if written is None or values.is_wrong(("candidates",)):
        return
    if values.count(("candidates",)) == 0:
        yield Finding("budget-unreachable", "a budget chooses among the candidates, and there are none", written.span)
        return
    left = [linear for linear in layers.linears if linear.block is not None and linear.name not in layers.ruled]
    if not left and layers.linears and values.is_written(_RULES) and values.is_wholly_right(_RULES):
        yield _idle("rules decide about every layer: the budget chooses nothing", written.span)
        return
    choices = _choices(values, layers, left, fused)
    if choices is None:
        return
    bits, size = values.scalar((*_BUDGET, "bits_per_weight"), float), values.scalar((*_BUDGET, "size"), str)
    found = _bits(*bits, choices, storage) if bits else _size(*size, choices, storage) if size else iter(())
    # A second limit may be the one that was meant.
    right = values.is_wholly_right(_BUDGET)
    yield from (finding for finding in found if right or finding.code != "budget-idle")


def _idle(message: str, span: Span) -> Finding:
    return Finding("budget-idle", message, span, "warning")


@dataclass(frozen=True)
class _Choices:
    """What a budget chooses about, beside what rules quantize."""

    units: Sequence[Unit]
    fixed: Sequence[tuple[LinearInfo, Use]]
    candidates: Sequence[Use]

    def bounds(self, cost: Cost) -> tuple[int, int]:
        """The cost with every unit at its smallest candidate, and with every one at its largest."""
        rest = sum(cost(layer, use) for layer, use in self.fixed)
        costs = [[sum(cost(layer, use) for layer in unit) for use in self.candidates] for unit in self.units]
        return rest + sum(min(each) for each in costs), rest + sum(max(each) for each in costs)

    @property
    def weights(self) -> int:
        return sum(weights(layer) for unit in self.units for layer in unit) + sum(weights(layer) for layer, _ in self.fixed)


def _choices(values: RightValues, layers: LayerCheck, left: list[LinearInfo], fused: Sequence[Unit]) -> _Choices | None:
    """None: there is nothing to choose, or not everything that counts is known."""
    uses = layers.offered
    fixed = [(linear, layers.assignment.get(linear.name, _UNKNOWN)) for linear in layers.linears if linear.name in layers.ruled]
    if len(uses) < values.count(("candidates",)) or not left or any(use is _UNKNOWN for _, use in fixed):
        return None
    return _Choices(units_of(left, fused), [(linear, use) for linear, use in fixed if isinstance(use, Use)], uses)


def _bits(asked: float, span: Span, choices: _Choices, storage: Storage) -> Iterator[Finding]:
    smallest, largest = choices.bounds(storage.bits)
    least, most = f"{smallest / choices.weights:.3f}", f"{largest / choices.weights:.3f}"
    limit = Fraction(repr(asked))
    if limit < Fraction(smallest, choices.weights):
        message = f"no choice of candidates needs only {asked:g} bits per weight; the smallest needs {least}"
        yield Finding("budget-unreachable", message + (f", the largest {most}" if smallest < largest else ""), span)
    elif limit >= Fraction(largest, choices.weights):
        differ = f"the smallest needs {least} bits per weight, the largest {most}"
        yield _kept(differ if smallest < largest else f"all need {least} bits per weight", span)


def _size(asked: str, span: Span, choices: _Choices, storage: Storage) -> Iterator[Finding]:
    smallest, largest = (storage.tensor_bytes + added for added in choices.bounds(storage.added_bytes))
    if parse_size(asked) < smallest:
        message = f"no choice of candidates needs only {asked}; the smallest needs {smallest:,} bytes"
        yield Finding("budget-unreachable", message + (f", the largest {largest:,}" if smallest < largest else ""), span)
    elif parse_size(asked) >= largest:
        differ = f"the smallest needs {smallest:,} bytes, the largest {largest:,}"
        yield _kept(differ if smallest < largest else f"all need {smallest:,} bytes", span)


def _kept(need: str, span: Span) -> Finding:
    return _idle(f"every choice of candidates keeps the budget: {need}", span)

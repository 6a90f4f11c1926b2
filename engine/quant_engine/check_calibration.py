"""What needs calibration data in a recipe that has none. No checkpoint, no torch."""

from __future__ import annotations

from collections.abc import Iterator

from quant_engine.recipe import Budget
from quant_engine.right_values import RightValues
from quant_engine.structure import Finding
from quant_engine.uses import Use
from quant_engine.yaml_source import Key, Mapping

_BUDGET: Key = ("quantize", "budget")
_OBJECTIVE: Key = (*_BUDGET, "objective")


def missing_calibration(values: RightValues) -> Iterator[Finding]:
    """Methods, schemes that store a scale of inputs, and a budget's objective."""
    if values.is_written(("calibration",)):
        return
    for key in values.use_places():
        use, node = values.use(key), values.node(key)
        if not isinstance(use, Use) or node is None or (part := use.needs_calibration) is None:
            continue
        entry = node.get(part) if isinstance(node, Mapping) else None
        what = f"{use.method} needs" if part == "method" else f"{use.scheme} stores a scale of its inputs, which needs"
        yield Finding("calibration-missing", f"{what} calibration data, and the recipe has none", entry.value.span if entry else node.span)
    yield from _objective(values)


def _objective(values: RightValues) -> Iterator[Finding]:
    limit = next((node for name in ("bits_per_weight", "size") if (node := values.node((*_BUDGET, name)))), None)
    written = values.scalar(_OBJECTIVE, str)
    if limit is None or (written is None and values.is_written(_OBJECTIVE)):
        return
    objective, span = written or (Budget.model_fields["objective"].default, limit.span)
    if objective == "importance":
        message = "the objective importance needs calibration data, and the recipe has none"
        yield Finding("calibration-missing", message, span, advice="Write objective: noise into the budget, or add a section calibration.")

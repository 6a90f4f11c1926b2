"""Layers of AWQ and SmoothQuant that got no scale, because no operation before them can take one over: what was really applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quant_engine.methods.rounding import NOT_SCALED
from quant_engine.stack import MULTIPLIED, instead

if TYPE_CHECKING:
    from quant_engine.layers import QuantizedLayer
    from quant_engine.methods.types import Report
    from quant_engine.uses import Use


def applied_label(name: str, use: Use, report: Report) -> str:
    """Of what a layer got. Without its scale a method is the rounding that follows it, and `(clip)` where AWQ cut off ranges; with it, it
    is the method with the rounding that was done."""
    if report.note is None or NOT_SCALED not in report.note:
        if report.applied is not None:
            return instead(use, report.applied).label
        return use.label if report.rounding is None else use.model_copy(update={"rounding": report.rounding}).label
    rounding: Any = report.applied or getattr(use.arguments, "rounding", "rtn")
    own = {} if isinstance(rounding, str) else rounding.model_dump(exclude={"method"})
    label = instead(use, rounding if isinstance(rounding, str) else rounding.method, **own).label
    queries = name.rpartition(".")[2] in MULTIPLIED
    if not getattr(use.arguments, "clip", False) or queries:
        return label
    return f"{label[:-1]}, clip)" if label.endswith(")") else f"{label}(clip)"


def is_unscaled(layer: QuantizedLayer) -> bool:
    return layer.note is not None and NOT_SCALED in layer.note

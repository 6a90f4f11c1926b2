"""Schemes whose weights are bfloat16 once they are loaded, for a checkpoint of another dtype. No torch."""

from __future__ import annotations

from collections.abc import Iterator

from quant_engine.right_values import RightValues
from quant_engine.structure import Finding
from quant_engine.uses import Use

_BFLOAT16 = "bfloat16"


def bfloat16_only(values: RightValues, dtype: str) -> Iterator[Finding]:
    """compressed-tensors decompresses 4-bit floats into bfloat16 whatever the model's dtype is (docs/decisions/0009-number-formats.md)."""
    if dtype == _BFLOAT16:
        return
    for key in values.use_places():
        use, node = values.use(key), values.node(key)
        if isinstance(use, Use) and use.weight_format.scale in ("float8", "power") and node is not None:
            message = f"{use.scheme} loads as bfloat16 and the model's dtype is {dtype}"
            message += ": transformers runs it with dtype=torch.bfloat16 alone"
            yield Finding("bfloat16-only", message, node.span, "warning")

"""Schemes whose weights are bfloat16 once they are loaded, for a checkpoint of another dtype. No torch."""

from __future__ import annotations

from collections.abc import Iterator

from quant_engine.right_values import RightValues
from quant_engine.structure import Finding
from quant_engine.uses import Use

_BFLOAT16 = "bfloat16"


def bfloat16_only(values: RightValues, dtype: str) -> Iterator[Finding]:
    """compressed-tensors decompresses 4-bit floats into bfloat16 whatever the model's dtype is (docs/decisions/0009-number-formats.md)."""
    for key in values.use_places():
        use, node = values.use(key), values.node(key)
        message = loads_as_bfloat16(use, dtype) if isinstance(use, Use) else None
        if message and node is not None:
            yield Finding("bfloat16-only", message, node.span, "warning")


def loads_as_bfloat16(use: Use, dtype: str) -> str | None:
    """What a person should know; None: the scheme loads in every dtype, or in the checkpoint's."""
    if dtype == _BFLOAT16 or use.weight_format.scale not in ("float8", "power"):
        return None
    return f"{use.scheme} loads as bfloat16 and the model's dtype is {dtype}: transformers runs it with dtype=torch.bfloat16 alone"

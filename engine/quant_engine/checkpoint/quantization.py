"""`quantization_config` of config.json, in compressed-tensors' words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quant_engine.uses import Use


def quantization_config(layers: dict[str, Use | None]) -> dict[str, Any] | None:
    """compressed-tensors' `quantization_config` for every linear layer by module name; None when nothing is quantized.

    `layers` has every linear layer of the model (lm_head too, also when it is tied), None for those that stay as they are.
    One format for all: class target `Linear` and an ignore list. Several: one group for each distinct format with explicit module names.
    """
    raise NotImplementedError

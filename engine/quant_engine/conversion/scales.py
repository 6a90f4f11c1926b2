"""Scales of another dtype for a layout that stores float16 ones, and what that changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from quant_engine.errors import QuantError
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from quant_engine.conversion.layer import Layer


@dataclass
class Rounding:
    """Over all layers so far. largest: |stored − exact| / |exact|."""

    scales: int = 0
    rounded: int = 0
    largest: float = 0.0

    def halved(self, layer: Layer) -> Layer:
        """The layer with float16 scales; codes and zero points stay. Raises QuantError(code="scale-overflow")."""
        exact = layer.scales.double()
        stored = layer.scales.to(torch.float16)
        change = (stored.double() - exact).abs()
        self.rounded += int((change != 0).sum())
        if not bool(torch.isfinite(stored).all()):
            largest = float(exact.abs().max())
            raise QuantError(
                f"{layer.format.name} cannot be converted: its largest scale is {largest:g}, float16 ends at 65504",
                code="scale-overflow",
                advice="Keep it in compressed-tensors, which stores bfloat16 and float32 scales.",
            )
        relative = torch.where(change == 0, 0.0, change / exact.abs())
        self.largest = max(self.largest, float(relative.max()))
        return replace(layer, scales=stored)

"""What a choice weighs: stored bits of a layer, and bytes of the whole written checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from quant_engine.preflight import dtype_bytes

if TYPE_CHECKING:
    from quant_engine.checkpoint import Checkpoint, LinearInfo
    from quant_engine.uses import Use


@dataclass(frozen=True)
class Storage:
    """tensor_bytes: all tensors of the original checkpoint; weight_bytes: of these, each linear layer's weight, by
    name. scale_bits: a stored scale."""

    scale_bits: int = 16
    tensor_bytes: int = 0
    weight_bytes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, checkpoint: Checkpoint, linears: Iterable[LinearInfo]) -> Storage:
        weights = {linear.name: checkpoint.tensors.get(f"{linear.name}.weight") for linear in linears}
        return cls(
            8 * dtype_bytes(checkpoint.dtype),
            checkpoint.bytes,
            {name: weight.bytes for name, weight in weights.items() if weight is not None},
        )

    def bits(self, linear: LinearInfo, use: Use) -> int:
        """Codes, scales and zero points of a layer: a whole number, so that budgets can be kept to the bit."""
        bits = use.weight_format.bits_per_weight(linear.inputs, self.scale_bits, linear.outputs)
        return round(bits * weights(linear))

    def added_bytes(self, linear: LinearInfo, use: Use) -> int:
        """By how many bytes the written checkpoint differs from the original when this layer is quantized: negative."""
        scale_bytes = self.scale_bits // 8
        stored = use.weight_format.stored_bytes(linear.outputs, linear.inputs, scale_bytes)
        if use.input_format is not None:
            stored += use.input_format.stored_bytes(scale_bytes)
        return stored - self.weight_bytes.get(linear.name, 0)


def weights(linear: LinearInfo) -> int:
    return linear.outputs * linear.inputs

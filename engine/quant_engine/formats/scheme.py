"""Quantization schemes by compressed-tensors' names, for example W4A16: 4-bit weights, 16-bit activations.

Importing this module must stay cheap (no torch): recipe checking and the schema need it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

GROUP_SIZES = (32, 64, 128, 256)
DEFAULT_GROUP_SIZE = 128


@dataclass(frozen=True)
class WeightFormat:
    """How the weights of a linear layer (out × in) are stored; the fields are compressed-tensors' quantization
    arguments."""

    num_bits: int
    symmetric: bool = True
    group_size: int | None = DEFAULT_GROUP_SIZE
    """Consecutive input columns that share a scale; None: one scale for each output row (channel)."""
    type: Literal["int"] = "int"

    @property
    def strategy(self) -> Literal["group", "channel"]:
        return "channel" if self.group_size is None else "group"

    @property
    def code_range(self) -> tuple[int, int]:
        """Smallest and largest signed code, −2^(b−1) and 2^(b−1)−1."""
        half = 1 << (self.num_bits - 1)
        return -half, half - 1

    def groups(self, columns: int) -> int:
        """Number of scales in one row of `columns` weights."""
        return 1 if self.group_size is None else columns // self.group_size

    def fits(self, columns: int) -> bool:
        return self.group_size is None or columns % self.group_size == 0

    def bits_per_weight(self, columns: int, scale_bits: int = 16) -> float:
        """Stored bits for each weight: codes, scales and, when asymmetric, zero points."""
        overhead = scale_bits + (0 if self.symmetric else self.num_bits)
        return self.num_bits + overhead * self.groups(columns) / columns

    def arguments(self) -> dict[str, Any]:
        """compressed-tensors' `QuantizationArgs` as JSON."""
        return {
            "num_bits": self.num_bits,
            "type": self.type,
            "symmetric": self.symmetric,
            "strategy": self.strategy,
            "group_size": self.group_size,
            "dynamic": False,
        }

    def with_group_size(self, group_size: int | None) -> WeightFormat:
        return replace(self, group_size=group_size)


@dataclass(frozen=True)
class Scheme:
    """A named scheme: its weight format and a sentence for completion and hover."""

    name: str
    weights: WeightFormat
    description: str


def _weight_only(bits: int) -> Scheme:
    return Scheme(
        name=f"W{bits}A16",
        weights=WeightFormat(num_bits=bits),
        description=(f"{bits}-bit integer weights, symmetric, a scale for each {DEFAULT_GROUP_SIZE} inputs; 16-bit activations."),
    )


SCHEMES: dict[str, Scheme] = {scheme.name: scheme for scheme in map(_weight_only, range(2, 9))}
"""Only schemes whose checkpoints load in transformers unchanged (docs/decisions/0004-no-zero-points.md)."""

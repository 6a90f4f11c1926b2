"""A quantized linear layer in no layout: what every layout is read into and written from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LayerFormat:
    """What headers and config tell of a layer, weight (outputs × inputs). group_size None: one scale for each output."""

    name: str
    outputs: int
    inputs: int
    bits: int
    group_size: int | None
    symmetric: bool
    ordered: bool = False
    """Whether columns belong to other groups than their place says (GPTQ's desc_act with groups made in that order)."""

    @property
    def groups(self) -> int:
        """Scales along a row; the last group may be narrower."""
        return 1 if self.group_size is None else -(-self.inputs // self.group_size)

    @property
    def kind(self) -> tuple[int, int | None, bool]:
        """What layers share that one entry of a config can describe: bits, group size, symmetric or not."""
        return self.bits, self.group_size, self.symmetric

    def with_(self, *, symmetric: bool, ordered: bool) -> LayerFormat:
        return replace(self, symmetric=symmetric, ordered=ordered)


@dataclass(frozen=True)
class Layer:
    """w[r, c] = (codes[r, c] − zeros[r, g]) · scales[r, g], g = order[c], or c // group size without an order.

    codes: int8 (out × in), signed, −2^(b−1) … 2^(b−1)−1. scales: (out × groups), a floating dtype. zeros: int8 (out × groups), signed as
    the codes; None: all 0. order: int32 (in,), or None. A bias is no part of it: it is never quantized and stays where it is.
    """

    format: LayerFormat
    codes: Tensor
    scales: Tensor
    zeros: Tensor | None = None
    order: Tensor | None = None

    def stored_zeros(self) -> Tensor:
        """Zero points for a layout that stores them always."""
        return torch.zeros_like(self.scales, dtype=torch.int8) if self.zeros is None else self.zeros

    def decoded(self, dtype: torch.dtype) -> Tensor:
        """The weight (out × in), as a loader that computes in `dtype` has it."""
        group_of = (plain_order(self.format) if self.order is None else self.order).long()
        values = self.codes.to(dtype)
        if self.zeros is not None:
            values = values - self.zeros.to(dtype)[:, group_of]
        return values * self.scales.to(dtype)[:, group_of]


def plain_order(layer: LayerFormat) -> Tensor:
    """The group of each column where groups are consecutive, int32 (in,)."""
    return torch.arange(layer.inputs, dtype=torch.int32) // (layer.group_size or layer.inputs)

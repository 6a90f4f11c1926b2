"""Integer grids of compressed-tensors: scales and zero points from the range of each group, then codes.

Notation: W (out × in), groups of consecutive input columns of one row, b bits, signed codes −2^(b−1) … 2^(b−1)−1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.scheme import WeightFormat


def compute_dtype(weight: Tensor) -> torch.dtype:
    """float32 for everything a checkpoint holds; float64 stays, for the tests' twins."""
    return torch.float64 if weight.dtype == torch.float64 else torch.float32


def find_grid(weight: Tensor, weight_format: WeightFormat, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Min-max grid of every group: scales (out × groups, `dtype`) and zeros (out × groups, int8) or None when
    symmetric.

    Symmetric: s = max|w| / ((2^b − 1)/2). Asymmetric, 0 always inside: s = (hi − lo)/(2^b − 1), z = round(−2^(b−1) −
    lo/s). The scale is rounded to `dtype`, the one the checkpoint stores, before anything is quantized with it; zero
    becomes dtype's epsilon.
    """
    rows, columns = weight.shape
    groups = weight_format.groups(columns)
    grouped = weight.to(compute_dtype(weight)).reshape(rows, groups, columns // groups)
    lowest, highest = weight_format.code_range
    steps = highest - lowest
    if weight_format.symmetric:
        scales = _storable(grouped.abs().amax(-1) / (steps / 2), dtype)
        return scales, None
    low, high = grouped.amin(-1).clamp(max=0), grouped.amax(-1).clamp(min=0)
    scales = _storable((high - low) / steps, dtype)
    zeros = (lowest - low / scales.to(low.dtype)).clamp(lowest, highest).round()
    return scales, zeros.to(torch.int8)


def _storable(scales: Tensor, dtype: torch.dtype) -> Tensor:
    stored = scales.to(dtype)
    return torch.where(stored == 0, torch.finfo(dtype).eps, stored)


def encode(weight: Tensor, scales: Tensor, zeros: Tensor | None, weight_format: WeightFormat) -> Tensor:
    """Codes (out × in, int8): clamp(round(w/s + z)), ties to even."""
    rows, columns = weight.shape
    groups = scales.shape[1]
    kind = compute_dtype(weight)
    scaled = weight.to(kind).reshape(rows, groups, columns // groups) / scales.to(kind).unsqueeze(-1)
    if zeros is not None:
        scaled += zeros.to(kind).unsqueeze(-1)
    return scaled.round_().clamp_(*weight_format.code_range).to(torch.int8).reshape(rows, columns)

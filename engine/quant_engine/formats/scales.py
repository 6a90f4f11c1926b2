"""Symmetric scales from the largest magnitude of what shares them, as each scale format stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quant_engine.formats.scheme import LARGEST_FLOAT
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.scheme import WeightFormat


def scales_of(
    largest: Tensor, weight_format: WeightFormat, dtype: torch.dtype, factor: Tensor | None = None
) -> tuple[Tensor, None, Tensor | None]:
    """Scales, no zero points, and the factor of NVFP4: the one given, else of the layers that are served as one, else of `largest`.
    largest: max|w| (float32 or float64), any shape."""
    if weight_format.scale == "power":
        return powers(largest), None, None
    if weight_format.scale == "float8":
        if factor is None:
            fused = weight_format.fused_largest
            factor = factor_of(largest if fused is None else torch.tensor(fused, dtype=largest.dtype, device=largest.device))
        return under_factor(largest.float() / LARGEST_FLOAT[4], factor), None, factor
    half = LARGEST_FLOAT[weight_format.num_bits] if weight_format.type == "float" else ((1 << weight_format.num_bits) - 1) / 2
    return storable(largest / half, weight_format, dtype), None, None


def storable(scales: Tensor, weight_format: WeightFormat, dtype: torch.dtype) -> Tensor:
    """Scales in `dtype` as the checkpoint will hold them, so that codes are made for what a loader multiplies with."""
    stored = rounded(scales, weight_format, dtype)
    # compressed-tensors' choice for what is all zero.
    return torch.where(stored == 0, torch.finfo(torch.float16 if weight_format.scale == "half" else dtype).eps, stored)


def rounded(scales: Tensor, weight_format: WeightFormat, dtype: torch.dtype) -> Tensor:
    """In `dtype`; of GPTQ's layout then to what float16 has too: readers take its scales in either dtype, and get the same number."""
    stored = scales.to(dtype)
    return stored.to(torch.float16).to(dtype) if weight_format.scale == "half" else stored


def factor_of(largest: Tensor) -> Tensor:
    """NVFP4's float32 factor (1,), which takes the largest of all scales to 448. largest: max|w| of each group, any shape."""
    tiny = torch.finfo(torch.float32).tiny
    factor = (LARGEST_FLOAT[8] * LARGEST_FLOAT[4] / largest.amax().float().clamp(min=tiny)).reshape(1)
    return torch.nan_to_num(factor, nan=1.0, posinf=1.0)


def under_factor(steps: Tensor, factor: Tensor) -> Tensor:
    """E4M3 scales, decoded in float32, for steps (largest magnitude / 6) that are multiplied by `factor` (1,)."""
    local = (steps * factor).clamp(max=LARGEST_FLOAT[8]).to(torch.float8_e4m3fn).float()
    # compressed-tensors' choice for what is all zero.
    return torch.where(local == 0, 0.125, local)


def powers(largest: Tensor) -> Tensor:
    """MX: the power of two under max|w|, taken up where E2M1 would round to the next one, divided by 4 (the exponent of 6)."""
    # 1.75 is half-way, in E2M1's one-bit mantissa, between 1.5 and the next power: compressed-tensors rounds up from there.
    mantissa, exponent = torch.frexp(largest.float())
    exponent = exponent - 1 + (mantissa * 2 >= 1.75)
    exponent = torch.where(largest == 0, -127, exponent - 2).clamp(-127, 127)
    return torch.ldexp(torch.ones_like(largest, dtype=torch.float32), exponent)

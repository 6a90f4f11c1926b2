"""The values that codes can take: integers, E4M3 and E2M1 floating-point numbers; rounding to them, storing and reading them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.scheme import InputFormat, WeightFormat


def compute_dtype(weight: Tensor) -> torch.dtype:
    """float32 for everything a checkpoint holds; float64 stays, for the tests' twins."""
    return torch.float64 if weight.dtype == torch.float64 else torch.float32


def ordered_sizes(values: Tensor) -> Tensor:
    """|x| as something that torch orders fast, and that `view(x.dtype)` makes |x| again: without its sign bit a 16-bit number orders as the
    whole number of the same bits does, and that takes a tenth of the time. What is no number is above all others."""
    return values.view(torch.int16) & 0x7FFF if values.element_size() == 2 else values.abs()


def largest(values: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    """max|x| along a dimension, in the values' dtype."""
    return ordered_sizes(values).amax(dim, keepdim).view(values.dtype)


def round_(values: Tensor, number: WeightFormat | InputFormat) -> Tensor:
    """Round in place to the nearest value of the format, ties to even, what lies outside to its ends."""
    if number.type == "int":
        half = 1 << (number.num_bits - 1)
        return values.round_().clamp_(-half, half - 1)
    if number.num_bits == 8:
        # A cast alone makes NaN of what lies beyond the largest number.
        return values.copy_(values.clamp_(-448.0, 448.0).to(torch.float8_e4m3fn))
    return values.copy_(round_e2m1(values))


def round_e2m1(values: Tensor) -> Tensor:
    """Nearest of 0, ½, 1, 1½, 2, 3, 4, 6 and their negatives, ties to the even mantissa (OCP MX specification 1.0, section 5.3.3)."""
    magnitude = values.abs()
    step = torch.where(magnitude < 2, 0.5, torch.where(magnitude < 4, 1.0, 2.0)).to(values.dtype)
    return torch.copysign((magnitude / step).round_().mul_(step).clamp_(max=6.0), values)


def store(values: Tensor, weight_format: WeightFormat) -> Tensor:
    """Rounded values as codes: int8; float8_e4m3fn; E2M1 as int8 of twice the value, so that every code is a whole number."""
    if weight_format.type == "int":
        return values.to(torch.int8)
    return values.to(torch.float8_e4m3fn) if weight_format.num_bits == 8 else (values * 2).to(torch.int8)


def nearest_codes(values: Tensor, weight_format: WeightFormat) -> Tensor:
    """`store` of `round_`, which overwrites `values`; of E4M3 the cast that rounds is the one that stores."""
    if weight_format.type == "float" and weight_format.num_bits == 8:
        return values.clamp_(-448.0, 448.0).to(torch.float8_e4m3fn)
    return store(round_(values, weight_format), weight_format)


def read(codes: Tensor, weight_format: WeightFormat, dtype: torch.dtype) -> Tensor:
    """The inverse of `store`, in `dtype`."""
    values = _widened(codes, dtype) if codes.dtype == torch.float8_e4m3fn and codes.device.type == "cpu" else codes.to(dtype)
    return values / 2 if weight_format.type == "float" and weight_format.num_bits == 4 else values


def _widened(codes: Tensor, dtype: torch.dtype) -> Tensor:
    """E4M3 in a wider dtype, as `to` gives it and thirty times as fast on a CPU: its bits are those of a float16 that is 256 times
    smaller, subnormal numbers too; only NaN is another pattern."""
    bits = codes.view(torch.int8)
    if not codes.numel() or int((bits & 0x7F).amax()) == 0x7F:
        return codes.to(dtype)
    # The sign, extended by the cast, stands in the two highest bits after the shift; only the highest is float16's.
    smaller = bits.to(torch.int16).bitwise_left_shift_(7).bitwise_and_(-0x4001).view(torch.float16)
    # By float32, because torch casts float16 to bfloat16 one by one.
    return smaller.to(compute_dtype(smaller)).mul_(256).to(dtype)

"""8-bit floating point: E4M3 weights, and inputs that are rounded to E4M3 when the layer runs (Micikevicius et al., 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quant_engine.formats.grid import encode, find_grid
from quant_engine.formats.scheme import FLOAT8_SCHEMES
from quant_engine.methods.registry import Arguments, Paper, method
from quant_engine.methods.types import Quantized, Report

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.methods.types import Statistics


class Fp8Arguments(Arguments):
    pass


_PAPER = Paper("FP8 Formats for Deep Learning", "https://arxiv.org/abs/2209.05433")


@method("fp8", title="FP8", arguments=Fp8Arguments, schemes=FLOAT8_SCHEMES, needs_calibration=False, rank=40, paper=_PAPER)
def fp8(weight: Tensor, statistics: Statistics | None, weight_format: WeightFormat, arguments: Fp8Arguments) -> Quantized:
    """Stores weights as 8-bit floating-point numbers and rounds inputs to them at run time; half the size, nearly the original's quality.

    weight: W (out × in); the scale takes the largest magnitude of what shares it to 448. statistics is not looked at: only the scheme FP8
    has a scale of inputs to calibrate, and that is not the weight's.
    """
    grid = find_grid(weight, weight_format, weight.dtype)
    return Quantized(encode(weight, grid), grid, Report())

"""Round to nearest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quant_engine.formats.grid import encode, find_grid
from quant_engine.formats.scheme import OTHER_SCHEMES
from quant_engine.methods.registry import Arguments, method
from quant_engine.methods.types import Quantized, Report

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.methods.types import Statistics


class RtnArguments(Arguments):
    pass


@method("rtn", title="Round to nearest", arguments=RtnArguments, schemes=OTHER_SCHEMES, needs_calibration=False, rank=900)
def rtn(weight: Tensor, statistics: Statistics | None, weight_format: WeightFormat, arguments: RtnArguments) -> Quantized:
    """Rounds every weight to the nearest point of its group's min-max grid. No calibration; the baseline of all others.

    weight: W (out × in); its dtype is that of the scales. statistics is not looked at.
    """
    grid = find_grid(weight, weight_format, weight.dtype)
    return Quantized(encode(weight, grid), grid, Report())

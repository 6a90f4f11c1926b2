"""Round to nearest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quant_engine.methods.registry import Arguments, method

if TYPE_CHECKING:
    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.methods.types import Quantized, Statistics
    from torch import Tensor


class RtnArguments(Arguments):
    pass


@method("rtn", title="Round to nearest", arguments=RtnArguments, needs_calibration=False)
def rtn(weight: Tensor, statistics: Statistics, weight_format: WeightFormat, arguments: RtnArguments) -> Quantized:
    """Rounds every weight to the nearest point of its group's min-max grid. No calibration; the baseline of all others."""
    raise NotImplementedError

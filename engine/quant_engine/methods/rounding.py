"""The rounding that follows a change of scale: one of the other methods, on the scaled weights and inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from quant_engine.formats.grid import encode, find_grid
from quant_engine.methods.gptq import GptqArguments, gptq_on_grid
from quant_engine.methods.types import Quantized, Report

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.methods.types import Statistics

Rounding = Literal["rtn", "gptq"]
NOT_SCALED = "rounded without a scale: no operation before the layer can take one"


def round_scaled(
    weight: Tensor,
    statistics: Statistics,
    weight_format: WeightFormat,
    rounding: Rounding,
    scale: Tensor | None,
    clip: Tensor | None = None,
) -> Quantized:
    """W·diag(scale) (out × in) rounded on the statistics of X / scale. scale: (in,) float32; None: W itself, and the report says so.

    clip: of the ranges (out × groups), as of `find_grid`. Codes stand for W·diag(scale); scales are stored in W's dtype.
    """
    seen = statistics if scale is None else statistics.scaled(scale)
    scaled = weight if scale is None else weight.float() * scale
    if rounding == "gptq":
        done = gptq_on_grid(scaled, seen, weight_format, GptqArguments(), weight.dtype, clip)
    else:
        grid = find_grid(scaled, weight_format, weight.dtype, clip=clip)
        done = Quantized(encode(scaled, grid), grid, Report())
    note = NOT_SCALED if scale is None else None
    return replace(done, scale=scale, report=replace(done.report, note=note))

"""Round to nearest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from quant_engine.formats.grid import Grid, decode, encode, find_grid
from quant_engine.formats.numbers import compute_dtype
from quant_engine.formats.scheme import OTHER_SCHEMES
from quant_engine.lazy import torch
from quant_engine.methods.registry import Arguments, Paper, method
from quant_engine.methods.types import Quantized, Report

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.methods.types import Statistics


_STEPS = 80
_EXPONENT = 2.4


_RANGES: Any = {
    "minmax": "Each group's grid covers its whole range.",
    "mse": "Of ranges shrunk to 99, 98 … 21 %, each group takes the one with the least Σ|ŵ − w|^2.4.",
}


class RtnArguments(Arguments):
    range: Literal["minmax", "mse"] = Field(
        default="minmax",
        description=(
            "`minmax`: each group's grid covers its whole range. `mse`: ranges shrunk to 99, 98 … 21 % are tried for each group too, and "
            "the one with the least Σ|ŵ − w|^2.4 is taken. Default: minmax."
        ),
        json_schema_extra={"enumDescriptions": _RANGES},
    )


_PAPER = Paper("A White Paper on Neural Network Quantization", "https://arxiv.org/abs/2106.08295")


@method("rtn", title="Round to nearest", arguments=RtnArguments, schemes=OTHER_SCHEMES, needs_calibration=False, rank=900, paper=_PAPER)
def rtn(weight: Tensor, statistics: Statistics | None, weight_format: WeightFormat, arguments: RtnArguments) -> Quantized:
    """Rounds every weight to the nearest point of its group's grid. No calibration; the baseline of all others.

    weight: W (out × in); its dtype is that of the scales. statistics is not looked at.
    """
    grid = find_grid(weight, weight_format, weight.dtype)
    if arguments.range == "mse":
        grid = find_grid(weight, weight_format, weight.dtype, search_range(weight, grid, weight.dtype))
    return Quantized(encode(weight, grid), grid, Report())


def search_range(weight: Tensor, whole: Grid, dtype: torch.dtype, clip: Tensor | None = None) -> Tensor:
    """The share of its range for each scale (shaped like the scales) that rounds best (the range search of GPTQ's reference code).

    dtype, clip: as of `find_grid`, which made the grid `whole`.
    """
    W = weight.to(compute_dtype(weight))
    best = torch.full(whole.scales.shape, float("inf"), dtype=W.dtype, device=W.device)
    share = torch.ones_like(best)
    for step in range(_STEPS):
        ratio = 1 - step / 100
        grid = find_grid(weight, whole.weight_format, dtype, ratio, clip)
        error = whole.gather((decode(encode(weight, grid), grid).to(W.dtype) - W).abs_().pow_(_EXPONENT))
        better = error < best
        best = torch.where(better, error, best)
        share[better] = ratio
    return share

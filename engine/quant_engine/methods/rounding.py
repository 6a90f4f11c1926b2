"""The rounding that follows a change of scale: one of the other methods, on the scaled weights and inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field
from typing_extensions import TypeAliasType

from quant_engine.formats.grid import encode, find_grid
from quant_engine.methods.gptq import GptqArguments, gptq_on_grid
from quant_engine.methods.hqq import HqqArguments, fit
from quant_engine.methods.rtn import RtnArguments, search_range
from quant_engine.methods.types import Quantized, Report

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.methods.types import Statistics

_METHOD = "The method that rounds the scaled weights."


class RtnRounding(RtnArguments):
    method: Literal["rtn"] = Field(description=_METHOD, title="Round to nearest")


class GptqRounding(GptqArguments):
    method: Literal["gptq"] = Field(description=_METHOD, title="GPTQ")
    actorder: Literal["weight", "none"] = Field(
        default="weight",
        description="`weight`: columns with the largest scaled inputs are quantized first. `none`: left to right. Default: weight.",
    )


class HqqRounding(HqqArguments):
    method: Literal["hqq"] = Field(description=_METHOD, title="HQQ")


LongRounding = RtnRounding | GptqRounding | HqqRounding
_BY_NAME: dict[str, type[LongRounding]] = {"rtn": RtnRounding, "gptq": GptqRounding, "hqq": HqqRounding}
ShortRounding = Literal["rtn", "gptq", "hqq"]


def _shortest(value: ShortRounding | LongRounding) -> ShortRounding | LongRounding:
    """Two ways to write the same are one value, and one label."""
    return value if isinstance(value, str) or value != _BY_NAME[value.method](method=value.method) else value.method


Rounding = TypeAliasType(
    "Rounding", Annotated[ShortRounding | Annotated[LongRounding, Field(discriminator="method")], AfterValidator(_shortest)]
)
ROUNDING = (
    "How the scaled weights are rounded: `rtn`, `gptq` or `hqq`, or one of them with its own arguments, such as "
    "`{ method: gptq, damping: 0.05 }`. Default: rtn."
)
NOT_SCALED = "rounded without a scale: no operation before the layer can take one"


def round_scaled(
    weight: Tensor,
    statistics: Statistics,
    weight_format: WeightFormat,
    rounding: ShortRounding | LongRounding,
    scale: Tensor | None,
    clip: Tensor | None = None,
) -> Quantized:
    """W·diag(scale) (out × in) rounded on the statistics of X / scale. scale: (in,) float32; None: W itself, and the report says so.

    clip: of the ranges (out × groups), as of `find_grid`; a rounding that searches for ranges or grids begins there. Codes stand for W·diag(scale); scales are stored in W's dtype.
    """
    seen = statistics if scale is None else statistics.scaled(scale)
    scaled = weight if scale is None else weight.float() * scale
    how = _BY_NAME[rounding](method=rounding) if isinstance(rounding, str) else rounding  # type: ignore[arg-type]
    if isinstance(how, GptqRounding):
        done = gptq_on_grid(scaled, seen, weight_format, how, weight.dtype, clip)
    else:
        grid = find_grid(scaled, weight_format, weight.dtype, clip=clip)
        if isinstance(how, HqqRounding):
            grid = fit(scaled, grid, how.norm, how.iterations)
        elif how.range == "mse":
            grid = find_grid(scaled, weight_format, weight.dtype, search_range(scaled, grid, weight.dtype, clip), clip)
        done = Quantized(encode(scaled, grid), grid, Report())
    note = NOT_SCALED if scale is None else None
    return replace(done, scale=scale, report=replace(done.report, note=note))

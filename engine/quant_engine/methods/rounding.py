"""The rounding that follows a change of scale: one of the other methods, with its own arguments, on the scaled weights and inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field
from typing_extensions import TypeAliasType

from quant_engine.formats.grid import encode, find_grid
from quant_engine.methods.gptq import GptqArguments, gptq_on_grid
from quant_engine.methods.hqq import HqqArguments, fit
from quant_engine.methods.registry import NEEDS_SCHEME, registered
from quant_engine.methods.rtn import RtnArguments, search_range
from quant_engine.methods.types import Quantized, Report

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.methods.types import Statistics


def _named(name: str) -> Any:
    """The key that says which method rounds; what is known of the method goes with it."""
    method = registered()[name]
    return Field(description=f"**{method.title}**. {method.summary}", json_schema_extra=_needing(name))


def _needing(*names: str) -> dict[str, Any]:
    """Methods that have only some of the schemes that rounding to nearest has."""
    all_schemes = set(registered()["rtn"].schemes)
    partial = {name: list(registered()[name].schemes) for name in names if not all_schemes <= set(registered()[name].schemes)}
    return {NEEDS_SCHEME: partial} if partial else {}


class _Named(BaseModel):
    """Its key is the first one, as in a way to quantize."""

    method: Any


_ACTORDERS: Any = {"weight": "Columns with the largest scaled inputs first.", "none": "Columns from left to right."}


class RtnRounding(RtnArguments, _Named):
    method: Literal["rtn"] = _named("rtn")


class GptqRounding(GptqArguments, _Named):
    method: Literal["gptq"] = _named("gptq")
    # What AWQ clips are groups of columns that stand together, and `group` makes others.
    actorder: Literal["weight", "none"] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default="weight",
        description="`weight`: columns with the largest scaled inputs are quantized first. `none`: left to right. Default: weight.",
        json_schema_extra={"enumDescriptions": _ACTORDERS},
    )


class HqqRounding(HqqArguments, _Named):
    method: Literal["hqq"] = _named("hqq")


LongRounding = RtnRounding | GptqRounding | HqqRounding
_BY_NAME: dict[str, type[LongRounding]] = {"rtn": RtnRounding, "gptq": GptqRounding, "hqq": HqqRounding}
for _name, _model in _BY_NAME.items():
    _model.__doc__ = registered()[_name].summary
ShortRounding = Literal["rtn", "gptq", "hqq"]
_HELP: Any = {name: f"{registered()[name].title}. {registered()[name].summary}" for name in _BY_NAME}


def _shortest(value: ShortRounding | LongRounding) -> ShortRounding | LongRounding:
    """Two ways to write the same are one value, and one label."""
    return value if isinstance(value, str) or value != _default(value.method) else value.method


def _default(name: ShortRounding) -> LongRounding:
    return _BY_NAME[name].model_validate({"method": name})


Rounding = TypeAliasType(
    "Rounding",
    Annotated[
        Annotated[ShortRounding, Field(json_schema_extra={"enumDescriptions": _HELP})]
        | Annotated[LongRounding, Field(discriminator="method")],
        AfterValidator(_shortest),
    ],
)
NOT_SCALED = "rounded without a scale: no operation before the layer can take one"


def rounding_field() -> Any:
    """The argument `rounding` of a method that scales."""
    description = (
        "How the scaled weights are rounded: `rtn`, `gptq` or `hqq`, or one of them with its own arguments, such as "
        "`{ method: gptq, damping: 0.05 }`. Default: rtn."
    )
    return Field(default="rtn", description=description, json_schema_extra=_needing(*_BY_NAME))


def round_scaled(
    weight: Tensor,
    statistics: Statistics,
    weight_format: WeightFormat,
    rounding: ShortRounding | LongRounding,
    scale: Tensor | None,
    clip: Tensor | None = None,
) -> Quantized:
    """W·diag(scale) (out × in) rounded on the statistics of X / scale. scale: (in,) float32; None: W itself, and the report says so.

    clip: of the ranges (out × groups), as of `find_grid`; a rounding that searches for ranges or grids begins there. Codes stand for
    W·diag(scale); scales are stored in W's dtype.
    """
    seen = statistics if scale is None else statistics.scaled(scale)
    scaled = weight if scale is None else weight.float() * scale
    how = _default(rounding) if isinstance(rounding, str) else rounding
    if isinstance(how, GptqRounding):
        done = gptq_on_grid(scaled, seen, weight_format, how, weight.dtype, clip)
    else:
        grid = find_grid(scaled, weight_format, weight.dtype, clip=clip)
        if isinstance(how, HqqRounding):
            grid = fit(scaled, grid, how.norm, how.iterations)
        elif how.range == "mse":
            grid = find_grid(scaled, weight_format, weight.dtype, search_range(scaled, grid, weight.dtype, clip), clip)
        done = Quantized(encode(scaled, grid), grid, Report())
    if scale is None:
        return replace(done, report=replace(done.report, note=NOT_SCALED))
    return replace(done, scale=scale, report=replace(done.report, applied=None, rounding=done.report.applied))

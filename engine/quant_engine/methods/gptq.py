"""GPTQ: column by column, each column's rounding error is made up for by the columns after it (Frantar et al., ICLR
2023)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from quant_engine.formats.grid import encode, find_grid
from quant_engine.formats.numbers import compute_dtype
from quant_engine.formats.scheme import OTHER_SCHEMES
from quant_engine.lazy import torch
from quant_engine.linalg.columns import quantize_columns
from quant_engine.linalg.factor import factor
from quant_engine.methods.registry import NEEDS_OUTPUT, Arguments, Paper, method
from quant_engine.methods.types import Quantized, Report

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.methods.types import Statistics


_ACTORDERS: Any = {
    "weight": "Columns with the largest activations first; groups stay where they are, and nothing extra is stored.",
    "group": "Groups, too, of columns whose activations are about as large; takes `output_format: gptq` or `gptq_v2`.",
    "none": "Columns from left to right.",
}
_GROUPS: Any = {
    "static": "Each group's scale is found before anything is quantized.",
    "dynamic": "Each group's scale is found when its first column is reached, from the weights as they are then.",
}


class GptqArguments(Arguments):
    damping: float = Field(
        default=0.01,
        gt=0,
        le=1,
        description=(
            "Added to the Gram matrix's diagonal, relative to its mean, before it is inverted. "
            "Doubled as often as the factorisation fails; what was used is recorded for each layer. Default: 0.01."
        ),
    )
    actorder: Literal["weight", "group", "none"] = Field(
        default="weight",
        description=(
            "`weight`: columns with the largest activations are quantized first, groups stay where they are, nothing "
            "extra is stored (llm-compressor's `static`). `group`: groups too are made in that order, of columns whose activations are "
            "about as large (GPTQModel's `desc_act`, llm-compressor's `dynamic`); which group a column belongs to is stored, which takes "
            "`output_format: gptq` or `gptq_v2`. `none`: left to right. Default: weight."
        ),
        json_schema_extra={NEEDS_OUTPUT: {"group": ["gptq", "gptq_v2"]}, "enumDescriptions": _ACTORDERS},
    )
    groups: Literal["static", "dynamic"] = Field(
        default="static",
        description=(
            "`static`: each group's scale is found before anything is quantized. `dynamic`: when its first column is reached, from the "
            "weights as they are then; with actorder `weight` the columns of a group then stay together, groups with the largest "
            "activations first. "
            "Default: static."
        ),
        json_schema_extra={"enumDescriptions": _GROUPS},
    )
    block_size: int = Field(
        default=128,
        ge=1,
        le=8192,
        description="Columns after which the remaining ones are updated; changes speed, not the result. Default: 128.",
    )

    @property
    def orders_groups(self) -> bool:
        return self.actorder == "group"


_PAPER = Paper(
    "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers",
    "https://arxiv.org/abs/2210.17323",
)


@method("gptq", title="GPTQ", arguments=GptqArguments, schemes=OTHER_SCHEMES, rank=10, paper=_PAPER)
def gptq(weight: Tensor, statistics: Statistics, weight_format: WeightFormat, arguments: GptqArguments) -> Quantized:
    """Quantizes column by column and makes up for each column's error in the columns after it, by second-order
    statistics of the inputs.

    weight: W (out × in); its dtype is that of the scales. Rows of several layers that read the same input can be
    stacked: each row's result depends on the row and the statistics alone. Columns that calibration never excited become
    0. When no damping up to 1 makes the Gram matrix invertible, the result is RTN's and the report says so.
    """
    return gptq_on_grid(weight, statistics, weight_format, arguments, weight.dtype)


def gptq_on_grid(
    weight: Tensor,
    statistics: Statistics,
    weight_format: WeightFormat,
    arguments: GptqArguments,
    dtype: torch.dtype,
    clip: Tensor | None = None,
) -> Quantized:
    """GPTQ with scales in `dtype` on ranges that are clipped as `find_grid` says (out × groups)."""
    dynamic = arguments.groups == "dynamic" and weight_format.strategy in ("group", "tensor_group")
    width = weight_format.group_size if dynamic and arguments.actorder == "weight" else None
    found = factor(statistics, arguments.damping, arguments.actorder != "none", width)
    if found is None:
        grid = find_grid(weight, weight_format, dtype, clip=clip)
        reason = "no damping up to 1 made the input statistics invertible; inputs that are all zero are one cause"
        return Quantized(encode(weight, grid), grid, Report(fallback=reason, applied="rtn"))
    W = weight.to(compute_dtype(weight), copy=True)
    W[:, found.dead] = 0
    if arguments.actorder == "group" and weight_format.has_order(W.shape[1]) and found.order is not None:
        grid = find_grid(W[:, found.order], weight_format, dtype, clip=clip)
        grid = replace(grid, order=_groups_in(found.order, grid.width(W.shape[1])))
    else:
        grid = find_grid(W, weight_format, dtype, clip=clip)
    codes, losses = quantize_columns(W, found, grid, arguments.block_size, dynamic, clip)
    # The factor is relative to the mean diagonal of G; H = 2G.
    report = Report(damping=found.damping, damping_tried=found.tried, row_losses=losses * (2 * found.mean_diagonal))
    return Quantized(codes, grid, report)


def _groups_in(order: Tensor, width: int) -> Tensor:
    """The group of each column, int32 (in,), when `width` columns that follow one another in `order` are one."""
    groups = torch.empty(len(order), dtype=torch.int32, device=order.device)
    groups[order] = torch.arange(len(order), dtype=torch.int32, device=order.device) // width
    return groups

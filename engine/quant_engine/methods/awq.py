"""AWQ: the few channels whose inputs are large get a finer grid, by a scale that is searched (Lin et al., MLSys 2024)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from quant_engine.formats.grid import decode, encode, find_grid
from quant_engine.formats.scheme import SCHEMES
from quant_engine.lazy import torch
from quant_engine.methods.registry import Arguments, Paper, method
from quant_engine.methods.rounding import Rounding, round_scaled, rounding_field
from quant_engine.methods.types import Quantized
from quant_engine.sensitivity import compared_energy

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.methods.types import Statistics

_LEAST = 1e-4
_CLIPS = tuple(1 - step / 20 for step in range(10))
_WEIGHT_ONLY = tuple(name for name, scheme in SCHEMES.items() if scheme.inputs is None and scheme.weights.type == "int")


class AwqArguments(Arguments):
    grid: int = Field(
        default=20, ge=1, le=200, description="How many exponents 0, 1/grid, 2/grid … are tried for the scale. Default: 20."
    )
    duo_scaling: bool = Field(
        default=True, description="Divide by the weights' own magnitudes too, not only multiply by the inputs'. Default: true."
    )
    clip: bool = Field(
        default=True,
        description="Search, for each group, how much of its range to cut off; queries and keys are left whole. Default: true.",
    )
    rounding: Rounding = rounding_field()


_PAPER = Paper(
    "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration",
    "https://arxiv.org/abs/2306.00978",
)


@method("awq", title="AWQ", arguments=AwqArguments, schemes=_WEIGHT_ONLY, rank=20, scales_inputs=True, paper=_PAPER)
def awq(weight: Tensor, statistics: Statistics, weight_format: WeightFormat, arguments: AwqArguments) -> Quantized:
    """Scales up the weights that meet large inputs, by a factor for each channel that is searched, and clips each group where that helps.

    weight: W (out × in), all layers that read the input; the scale is one for all of them. What is compared is the error of the layers'
    outputs over all calibration tokens, from the Gram matrix: for o_proj and down_proj the reference's own objective, for the others, where
    it runs the whole attention or MLP, a close relative. Where nothing before the layer can take the scale, it is only clipped, and its
    record says so.
    """
    scale, note = None, None
    if statistics.fold is not None:
        key = ("awq", weight.data_ptr(), weight.shape, weight_format, arguments.grid, arguments.duo_scaling)
        if key not in statistics.searches:
            statistics.searches[key] = search_scale(weight, statistics, weight_format, arguments.grid, arguments.duo_scaling)
        scale, exponent = statistics.searches[key]
        note = f"scale with exponent {exponent:g}"
    clip = None
    if arguments.clip and weight_format.rows_are_independent:
        seen = statistics if scale is None else statistics.scaled(scale)
        scaled = weight.float() if scale is None else weight.float() * scale
        clip = search_clip(scaled, seen.gram, weight_format, weight.dtype, statistics.unclipped)
    done = round_scaled(weight, statistics, weight_format, arguments.rounding, scale, clip)
    return done if note is None else replace(done, report=replace(done.report, note=note))


def search_scale(weight: Tensor, statistics: Statistics, weight_format: WeightFormat, grid: int, duo: bool) -> tuple[Tensor, float]:
    """The scale (in,), float32, with the least Σ‖X Wᵀ − X Ŵᵀ‖², Ŵ = Q(W·diag(s))·diag(s)⁻¹ rounded to nearest, and its exponent."""
    assert statistics.fold is not None
    inputs = (statistics.magnitudes / max(statistics.tokens, 1)).float()
    weights = weight_magnitudes(weight, weight_format) if duo else None
    best: tuple[float, Tensor, float] | None = None
    for step in range(grid):
        exponent = step / grid
        scale = statistics.fold(scale_of(inputs, weights, exponent))
        scaled = weight.float() * scale
        found = find_grid(scaled, weight_format, weight.dtype)
        difference = decode(encode(scaled, found), found).float().div_(scale).sub_(weight.float())
        error = compared_energy(difference, statistics.gram)
        if best is None or error < best[0]:
            best = error, scale, exponent
    assert best is not None
    return best[1], best[2]


def scale_of(inputs: Tensor, weights: Tensor | None, exponent: float) -> Tensor:
    """x̄^r, or with weights x̄^r / (w̄^(1−r) + 10⁻⁴), not below 10⁻⁴, divided by √(max·min); what is not finite becomes 1. All (in,)."""
    scale = inputs**exponent
    if weights is not None:
        scale = scale / (weights ** (1 - exponent) + _LEAST)
    scale = scale.clamp(min=_LEAST)
    scale = scale / (scale.max() * scale.min()).sqrt()
    return torch.where(torch.isfinite(scale), scale, torch.ones_like(scale))


def search_clip(
    weight: Tensor, gram: Tensor, weight_format: WeightFormat, dtype: torch.dtype, unclipped: Tensor | None
) -> Tensor:
    """For each group of each row (out × groups) the share 1, 0.95 … 0.55 of its largest magnitude with the least error of what it adds to
    the output when it is cut off there.

    That error is dᵀ G_gg d over all tokens, d the group's rounding error and G_gg its block of the Gram matrix. unclipped: rows (bool) that
    keep 1.
    """
    rows, columns = weight.shape
    groups = weight_format.groups(columns)
    width = columns // groups
    blocks = torch.stack([gram[start : start + width, start : start + width] for start in range(0, columns, width)]).to(weight.dtype)
    best = torch.full((rows, groups), float("inf"), device=weight.device)
    share = torch.ones(rows, groups, device=weight.device)
    for ratio in _CLIPS:
        found = find_grid(weight, weight_format, dtype, clip=ratio)
        difference = (decode(encode(weight, found), found).to(weight.dtype) - weight).reshape(rows, groups, width).transpose(0, 1)
        error = (torch.bmm(difference, blocks) * difference).sum(-1).t()
        better = error < best
        best = torch.where(better, error, best)
        share[better] = ratio
    if unclipped is not None:
        share[unclipped] = 1.0
    return share


def weight_magnitudes(weight: Tensor, weight_format: WeightFormat) -> Tensor:
    """w̄_j (in,): mean over the rows of |W_rj| / (largest of its group + 10⁻⁶)."""
    rows, columns = weight.shape
    grouped = weight.float().abs().reshape(rows, weight_format.groups(columns), -1)
    return (grouped / (grouped.amax(-1, keepdim=True) + 1e-6)).mean(0).reshape(-1)

"""HQQ: the grid is fitted to the weights alone, with outliers counted less (Badri and Shaji, Half-Quadratic Quantization, 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from quant_engine.formats.grid import Grid, encode, find_grid
from quant_engine.formats.numbers import compute_dtype
from quant_engine.formats.scales import rounded
from quant_engine.formats.scheme import SCHEMES
from quant_engine.lazy import torch
from quant_engine.methods.registry import Arguments, Paper, method
from quant_engine.methods.types import Quantized, Report

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.methods.types import Statistics

_INTEGERS = tuple(name for name, scheme in SCHEMES.items() if scheme.weights.type == "int")
BETA, GROWTH = 1.0, 1.1
"""How hard E is held to W − Ŵ at first, and by what that grows with each step; for errors in units of the first step."""


class HqqArguments(Arguments):
    norm: float = Field(
        default=0.7,
        gt=0,
        lt=1,
        description="The exponent p of Σ|w − ŵ|^p, which is made small: the smaller it is, the less outliers count. Default: 0.7.",
    )
    iterations: int = Field(default=40, ge=1, le=1000, description="How often the grid is fitted again. Default: 40.")


_PAPER = Paper("Half-Quadratic Quantization of Large Machine Learning Models", "https://mobiusml.github.io/hqq_blog/")


@method("hqq", title="HQQ", arguments=HqqArguments, schemes=_INTEGERS, needs_calibration=False, rank=50, paper=_PAPER)
def hqq(weight: Tensor, statistics: Statistics | None, weight_format: WeightFormat, arguments: HqqArguments) -> Quantized:
    """Fits each group's scale and zero point to the weights, so that most weights are met closely and outliers count less. No calibration.

    weight: W (out × in); its dtype is that of the scales. statistics is not looked at. The reference optimises the zero point alone and
    keeps it as a floating-point number, which checkpoints of these formats cannot store: here it is a whole number in every step, and the
    scale, which the reference leaves alone, is fitted with it. Of a symmetric scheme the zero point stays 0 and the scale is fitted.
    """
    grid = fit(weight, find_grid(weight, weight_format, weight.dtype), arguments.norm, arguments.iterations)
    return Quantized(encode(weight, grid), grid, Report())


def fit(weight: Tensor, start: Grid, norm: float, iterations: int) -> Grid:
    """Half-quadratic splitting of min Σ|W − Ŵ|^p from the grid `start`: for each group the best grid on the way, by that sum.

    Each step takes the errors out of the weights as far as they are outliers, E = prox(W − Ŵ), and fits zero point and scale to W − E
    with the codes as they are, by least squares. The step size of `start` is the unit of errors, so that β means the same for all weights.
    """
    kind = compute_dtype(weight)
    W = weight.to(kind).reshape(len(weight), start.scales.shape[1], -1)
    unit = start.scales.to(kind).unsqueeze(-1)
    grid, beta = start, BETA
    best, least = start, torch.full(start.scales.shape, float("inf"), dtype=kind, device=weight.device)
    for _ in range(iterations):
        codes = encode(weight, grid).to(kind).reshape(W.shape)
        scales, zeros = grid.scales.to(kind).unsqueeze(-1), _zeros(grid, W)
        error = W - (codes - zeros) * scales
        total = error.abs().pow(norm).sum(-1)
        best, least = _better(grid, best, total < least), torch.minimum(total, least)
        target = W - outliers(error / unit, norm, beta) * unit
        if grid.zeros is not None:
            lowest, highest = grid.weight_format.code_range
            zeros = zero_step(target, codes, scales).round_().clamp_(lowest, highest)
        scales = _scale_step(target, codes - zeros, grid)
        grid = Grid(grid.weight_format, scales, None if grid.zeros is None else zeros.squeeze(-1).to(torch.int8))
        beta *= GROWTH
    return best


def outliers(error: Tensor, norm: float, beta: float) -> Tensor:
    """E = sgn(D)·max(|D| − |D|^(p−1)/β, 0), the generalised soft threshold of the reference."""
    size = error.abs()
    return torch.sign(error) * (size - size.pow(norm - 1) / beta).clamp_(min=0)


def zero_step(target: Tensor, codes: Tensor, scales: Tensor) -> Tensor:
    """The zero point (rows × groups × 1), not rounded, with the least Σ(target − (codes − z)·s)²."""
    return (codes - target / scales).mean(-1, keepdim=True)


def _scale_step(target: Tensor, levels: Tensor, grid: Grid) -> Tensor:
    """The scales (rows × groups, as they are stored) with the least Σ(target − levels·s)²; unchanged where that is no positive number."""
    squares = levels.square().sum(-1)
    found = rounded((target * levels).sum(-1) / squares, grid.weight_format, grid.scales.dtype)
    return torch.where((found > 0) & torch.isfinite(found), found, grid.scales)


def _zeros(grid: Grid, like: Tensor) -> Tensor:
    return like.new_zeros(1) if grid.zeros is None else grid.zeros.to(like.dtype).unsqueeze(-1)


def _better(grid: Grid, best: Grid, where: Tensor) -> Grid:
    """The groups of `grid` where it is better, the others of `best`."""
    zeros = None if grid.zeros is None or best.zeros is None else torch.where(where, grid.zeros, best.zeros)
    return Grid(grid.weight_format, torch.where(where, grid.scales, best.scales), zeros)

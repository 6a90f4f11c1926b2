"""The inverse-Hessian factor of GPTQ, one for each Gram matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.methods.types import Statistics

_SMALLEST_SPLIT = 256
_ROWS = 256


@dataclass
class Factor:
    """Inverse-Hessian factor of one Gram matrix, ready for the column loop.

    upper: U (in × in, float32, upper triangular) with (G_damped / mean diag G)⁻¹ = Uᵀ U, in processing order.
    order: processing order of the columns (in,), int64; None: natural order.
    damping: relative damping really used (times mean diagonal); tried: every value tried, in order.
    """

    upper: Tensor
    order: Tensor | None
    damping: float
    tried: tuple[float, ...]
    dead: Tensor
    """Input columns (bool, in) that calibration never excited, in the layer's own order."""
    mean_diagonal: float
    """Mean of diag G: what `upper` is relative to."""


def factor(statistics: Statistics, damping: float, ordered: bool, width: int | None = None) -> Factor | None:
    """U (upper triangular) with (G + damping·mean(diag G)·I)⁻¹ ∝ Uᵀ U, from the cache when it was made before.

    ordered: columns in descending order of diag G (ties: the earlier column first). width: columns of a group stay together, groups in
    descending order of their largest diag G and columns of each as above (GPTQModel's group-aware order). The damping is doubled, up to 1,
    until the factorisation succeeds; None: it never did, or G is zero or not finite.
    """
    key = (damping, ordered, width if ordered and width not in (1, statistics.columns) else None)
    if key not in statistics.factors:
        statistics.factors[key] = _factor(statistics.gram, *key)
    return statistics.factors[key]


def _order(diagonal: Tensor, width: int | None) -> Tensor:
    if width is None:
        return torch.argsort(diagonal, descending=True, stable=True)
    groups = diagonal.reshape(-1, width)
    within = torch.argsort(groups, dim=1, descending=True, stable=True)
    places = within + torch.arange(0, len(diagonal), width, device=diagonal.device).unsqueeze(1)
    return places[torch.argsort(groups.amax(1), descending=True, stable=True)].reshape(-1)


def _factor(G: Tensor, damping: float, ordered: bool, width: int | None) -> Factor | None:
    diagonal = G.diagonal()
    mean = float(diagonal.mean())
    # No entry of XᵀX is larger than the diagonal's largest: one that is not finite shows there.
    if not (0 < mean < float("inf")) or not bool(torch.isfinite(diagonal).all()):
        return None
    dead = diagonal == 0
    order = _order(diagonal, width) if ordered else None
    tried: list[float] = []
    while not tried or tried[-1] < 1:
        tried.append(min(2 * tried[-1], 1.0) if tried else damping)
        upper = _inverse_factor(G, order, dead, mean, tried[-1])
        if upper is not None:
            return Factor(upper, order, tried[-1], tuple(tried), dead, mean)
    return None


def _inverse_factor(G: Tensor, order: Tensor | None, dead: Tensor, mean: float, damping: float) -> Tensor | None:
    """U in float32. float64 is tried where float32 is too coarse, before anybody gives up on this damping."""
    for dtype in (torch.float32, torch.float64):
        # H = R·Rᵀ with R upper triangular is the Cholesky factorisation of the flipped matrix; then H⁻¹ = (R⁻¹)ᵀ·R⁻¹.
        lower, failed = torch.linalg.cholesky_ex(_flipped(G, order, dead, mean, damping, dtype))
        if int(failed) == 0:
            inverse = _invert_lower(lower)
            del lower
            upper = inverse.flip(0, 1).to(torch.float32)
            del inverse
            if bool(torch.isfinite(torch.stack(torch.aminmax(upper))).all()) and bool((upper.diagonal() > 0).all()):
                return upper.contiguous()
    return None


def _flipped(G: Tensor, order: Tensor | None, dead: Tensor, mean: float, damping: float, dtype: torch.dtype) -> Tensor:
    """The damped G / mean in processing order, rows and columns reversed."""
    places = torch.arange(G.shape[0], device=G.device) if order is None else order
    places = places.flip(0)
    H = torch.empty(G.shape, dtype=dtype, device=G.device)
    # Some rows at a time: copies of the whole matrix would be most of the memory that a layer takes.
    for rows, into in zip(places.split(_ROWS), H.split(_ROWS), strict=True):
        torch.div(G[rows][:, places], mean, out=into)
    # A dead column has no off-diagonal entries either (|G_ij|² ≤ G_ii·G_jj): 1 on its diagonal decouples it.
    H.diagonal().add_(dead[places]).add_(damping)
    return H


def _invert_lower(L: Tensor) -> Tensor:
    """L⁻¹ of a lower triangular matrix, halves first: a third of the work of solving against the identity, most of it
    in matmuls."""
    n = L.shape[0]
    if n <= _SMALLEST_SPLIT:
        return torch.linalg.solve_triangular(L, torch.eye(n, dtype=L.dtype, device=L.device), upper=False)
    half = n // 2
    first, second = _invert_lower(L[:half, :half]), _invert_lower(L[half:, half:])
    inverse = torch.zeros_like(L)
    inverse[:half, :half] = first
    inverse[half:, half:] = second
    torch.mm(second, torch.mm(L[half:, :half], first), out=inverse[half:, :half]).neg_()
    return inverse

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
        H = _damped(G, order, dead, mean, damping, dtype)
        upper = torch.zeros_like(H)
        # H = R·Rᵀ with R upper triangular gives H⁻¹ = (R⁻¹)ᵀ·R⁻¹.
        if _invert_root(H, upper):
            del H
            upper = upper.to(torch.float32)
            # A sum is not finite where one of its terms is not, and every row has a diagonal entry.
            if bool(torch.isfinite(upper.sum())) and bool((upper.diagonal() > 0).all()):
                return upper
    return None


def _damped(G: Tensor, order: Tensor | None, dead: Tensor, mean: float, damping: float, dtype: torch.dtype) -> Tensor:
    """The damped G / mean in processing order."""
    H = torch.empty(G.shape, dtype=dtype, device=G.device)
    places = torch.arange(len(G), device=G.device) if order is None else order
    # Some rows at a time: copies of the whole matrix would be most of the memory that a layer takes.
    for rows, into in zip(places.split(_ROWS), H.split(_ROWS), strict=True):
        torch.index_select(G[rows].div_(mean).to(dtype), 1, places, out=into)
    # A dead column has no off-diagonal entries either (|G_ij|² ≤ G_ii·G_jj): 1 on its diagonal decouples it.
    H.diagonal().add_(dead[places]).add_(damping)
    return H


def _invert_root(H: Tensor, into: Tensor) -> bool:
    """into = R⁻¹ of H = R·Rᵀ, R upper triangular; `into` holds zeros, and H (symmetric) is overwritten. False: H is not positive definite.

    With H = [A B; Bᵀ C] and R = [P Q; 0 S]: S from C, Q = B·S⁻ᵀ, P from A − Q·Qᵀ, and R⁻¹ = [P⁻¹ −P⁻¹QS⁻¹; 0 S⁻¹]. All but the smallest
    blocks is matrix products, which run several times as fast as a factorisation or a triangular solution.
    """
    n = len(H)
    if n <= _SMALLEST_SPLIT:
        lower, failed = torch.linalg.cholesky_ex(H.flip(0, 1))
        if int(failed) == 0:
            into.copy_(torch.linalg.solve_triangular(lower, torch.eye(n, dtype=H.dtype, device=H.device), upper=False).flip(0, 1))
        return int(failed) == 0
    half = n // 2
    P, S = into[:half, :half], into[half:, half:]
    if not _invert_root(H[half:, half:], S):
        return False
    Q = H[:half, half:] @ S.t()
    if not _invert_root(H[:half, :half].addmm_(Q, Q.t(), alpha=-1), P):
        return False
    torch.mm(P, Q @ S, out=into[:half, half:]).neg_()
    return True

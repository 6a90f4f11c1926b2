"""SQNR at a layer's output from Gram matrices: no forward pass for a candidate.

With y = x·Wᵀ for every row x of X and G = XᵀX, the signal Σ‖y‖² is tr(W G Wᵀ) and the noise of Ŵ is tr(D G Dᵀ), D = Ŵ −
W. Products run in float32, sums in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from quant_engine.lazy import torch
from quant_engine.linalg.products import coarse_products, exact_products
from quant_engine.result import Measurement, SqnrState

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.methods.types import Noise, Report

Products = Callable[["Tensor"], AbstractContextManager[Any]]
_PANEL = 256
_ROWS = 4096
"""Rows of a weight matrix that are looked at together: bounds the memory of a large lm_head."""


def energies(D: Tensor, gram: Tensor, sizes: Sequence[int]) -> list[float]:
    """Σ (D G) ∘ D for each run of `sizes` rows of D (out × in); gram (in × in)."""
    return [total(part) for part in row_energies(D, gram).split(list(sizes))]


def total(rows: Tensor) -> float:
    """The sum of energies (out,). The exact sum is not negative; rounding of a sum near zero can be."""
    return max(float(rows.sum()), 0.0)


def row_energies(D: Tensor, gram: Tensor) -> Tensor:
    """Σ (D G) ∘ D of each row of D (out × in), that is of each output: (out,) float64; gram (in × in)."""
    kind = torch.float64 if D.dtype == torch.float64 else torch.float32
    rows = torch.cat([_row_energies(part.to(kind), gram) for part in D.split(_ROWS)])
    return rows if _in_range(rows, kind) else row_energies(D.double(), gram)


def noisy_row_energies(W: Tensor, quantized: Tensor, gram: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
    """Σ(y − ŷ)² of each output, (out,) float64, when weights (W → quantized, out × in) and inputs are rounded, and when weights alone are.

    The error is X Dᵀ + N Ŵᵀ, so its energy is Σ (D G) ∘ D + 2 Σ (D XᵀN) ∘ Ŵ + Σ (Ŵ NᵀN) ∘ Ŵ: exact, without looking at a token again.
    """
    kind = torch.float64 if W.dtype == torch.float64 else torch.float32
    cross = noise.cross.to(kind)
    by_row, by_weights = [], []
    for w, q in zip(W.split(_ROWS), quantized.split(_ROWS), strict=True):
        w, q = w.to(kind), q.to(kind)
        D = q - w
        with exact_products(D) as (left, multiply):
            mixed = multiply(left, cross).mul_(q).sum(1).double()
        by_weights.append(_row_energies(D, gram))
        by_row.append(by_weights[-1] + 2 * mixed + _row_energies(q, noise.own))
    rows = torch.cat(by_row)
    return (rows, torch.cat(by_weights)) if _in_range(rows, kind) else noisy_row_energies(W.double(), quantized.double(), gram, noise)


def _in_range(rows: Tensor, kind: torch.dtype) -> bool:
    """Whether float32 was wide enough: squares of outputs above 1.8e19 are not in its range."""
    return kind == torch.float64 or bool(torch.isfinite(rows).all())


def compared_energy(D: Tensor, gram: Tensor) -> float:
    """Σ (D G) ∘ D to about three digits, for a search among many D (out × in); gram (in × in)."""
    kind = torch.float64 if D.dtype == torch.float64 else torch.float32
    return sum(float(_row_energies(part.to(kind), gram, coarse_products).sum()) for part in D.split(_ROWS))


def _row_energies(D: Tensor, G: Tensor, products: Products = exact_products) -> Tensor:
    """Each row's Σ (D G) ∘ D (float64) of the symmetric G: its upper triangle, what lies above the diagonal twice."""
    total = torch.zeros(len(D), dtype=torch.float64, device=D.device)
    with products(D) as (left, multiply):
        for start in range(0, len(G), _PANEL):
            stop = min(start + _PANEL, len(G))
            panel = G[:stop, start:stop].to(D.dtype)
            panel[:start] *= 2
            product = multiply(left[:, :stop], panel)
            # Of a few terms in their own dtype: float64 would take ten times as long, and they are no more exact.
            total += product.mul_(D[:, start:stop]).sum(1)
    return total


def sqnr_db(signal: float, noise: float) -> tuple[float | None, SqnrState]:
    """10·log10(signal / noise) and its state; without signal or noise it is a state and no number."""
    if signal == 0:
        return None, "zero-signal"
    if noise == 0:
        return None, "infinite"
    return 10 * math.log10(signal / noise), "finite"


def measurement(
    signal: float,
    noise: float,
    bits_per_weight: float,
    report: Report,
    predicted_kl: float | None = None,
    weight_noise: float | None = None,
) -> Measurement:
    """weight_noise: that of rounded weights alone, where inputs are rounded too."""
    decibel, state = sqnr_db(signal, noise)
    return Measurement(
        noise=noise,
        sqnr_db=decibel,
        state=state,
        bits_per_weight=bits_per_weight,
        predicted_kl=predicted_kl,
        weight_only_db=None if weight_noise is None else sqnr_db(signal, weight_noise)[0],
        damping=report.damping,
        fallback=report.fallback,
    )

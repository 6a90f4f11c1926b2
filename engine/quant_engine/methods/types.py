"""What goes into a method and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from quant_engine.lazy import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from quant_engine.linalg.factor import Factor


@dataclass
class Statistics:
    """What calibration knows of one layer input, shared by all layers that read it and by all candidates.

    gram: G = XᵀX (in × in), float64, summed over all calibration tokens; tokens: rows of X.
    Factors are cached by (damping, whether columns are ordered), so that candidates which differ only in bits share one
    factorisation; None: no damping made it possible.
    """

    gram: Tensor
    tokens: int
    factors: dict[tuple[float, bool], Factor | None] = field(default_factory=dict, repr=False)

    @property
    def columns(self) -> int:
        return self.gram.shape[0]


@dataclass
class Report:
    """What really happened to one call of a method."""

    damping: float | None = None
    damping_tried: tuple[float, ...] = ()
    row_losses: Tensor | None = None
    """(out,) float64: each row's Σ e²/2 of GPTQ's column loop, in units of H = 2XᵀX summed over tokens."""
    fallback: str | None = None
    """Why something other than what was asked for was applied; None: as asked."""
    applied: str | None = None
    """Name of the method that really produced the codes when it is not the one asked for."""

    @property
    def loss(self) -> float | None:
        """Sum of the rows' losses; None for methods without one."""
        return None if self.row_losses is None else float(self.row_losses.sum())


@dataclass
class Quantized:
    """Codes of a weight matrix W (out × in): W ≈ (codes − zeros)·scales, zeros None when symmetric.

    codes: int8 (out, in), signed. scales: (out, groups) in the checkpoint's dtype. zeros: int8 (out, groups) or None.
    """

    codes: Tensor
    scales: Tensor
    zeros: Tensor | None
    report: Report

    @classmethod
    def stack(cls, parts: Sequence[Quantized]) -> Quantized:
        """Codes of the parts' rows, one after the other, made with the same statistics; a part's fallback is everyone's."""
        zeros = [part.zeros for part in parts if part.zeros is not None]
        report = next((part.report for part in parts if part.report.fallback), parts[0].report)
        losses = [part.report.row_losses for part in parts if part.report.row_losses is not None]
        return cls(
            torch.cat([part.codes for part in parts]),
            torch.cat([part.scales for part in parts]),
            torch.cat(zeros) if zeros else None,
            replace(report, row_losses=torch.cat(losses) if losses else None),
        )

    def rows(self, start: int, stop: int) -> Quantized:
        """The part that belongs to rows start…stop: layers sharing an input are quantized as one stacked matrix."""
        zeros = None if self.zeros is None else self.zeros[start:stop]
        losses = self.report.row_losses
        report = replace(self.report, row_losses=None if losses is None else losses[start:stop])
        return Quantized(self.codes[start:stop], self.scales[start:stop], zeros, report)

    def dequantize(self) -> Tensor:
        """The weights (out × in) exactly as a loader of the checkpoint computes them, in the scales' dtype."""
        groups = self.scales.shape[1]
        out, columns = self.codes.shape
        codes = self.codes.reshape(out, groups, columns // groups).to(self.scales.dtype)
        if self.zeros is not None:
            codes = codes - self.zeros.unsqueeze(-1).to(codes.dtype)
        return (codes * self.scales.unsqueeze(-1)).reshape(out, columns)

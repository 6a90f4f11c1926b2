"""What goes into a method and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from quant_engine.formats.grid import Grid, decode
from quant_engine.lazy import torch
from quant_engine.methods.statistics import Noise, Ranges, Statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["Noise", "Quantized", "Ranges", "Report", "Statistics"]


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
    rounding: str | None = None
    """Name of the method that really rounded behind the scale of the one asked for, when that was to be another one."""
    note: str | None = None
    """What a person should know of a result that is as asked, for example the scale that a search found."""

    @property
    def loss(self) -> float | None:
        """Sum of the rows' losses; None for methods without one."""
        return None if self.row_losses is None else float(self.row_losses.sum())


@dataclass
class Quantized:
    """Codes of a weight matrix W (out × in) on a grid: W ≈ (codes − zeros)·scales.

    codes: (out, in), int8, or float8_e4m3fn of 8-bit floats (quant_engine.formats.numbers.store). scale: (in,) float32, when the codes
    stand for W·diag(scale), because the operation before the layer will be divided by it; None: for W itself.
    """

    codes: Tensor
    grid: Grid
    report: Report
    scale: Tensor | None = None

    @classmethod
    def stack(cls, parts: Sequence[Quantized]) -> Quantized:
        """Codes of the parts' rows, one after the other, made with the same statistics; a part's fallback is everyone's."""
        report = next((part.report for part in parts if part.report.fallback), parts[0].report)
        losses = [part.report.row_losses for part in parts if part.report.row_losses is not None]
        return cls(
            torch.cat([part.codes for part in parts]),
            Grid.stack([part.grid for part in parts]),
            replace(report, row_losses=torch.cat(losses) if losses else None),
            parts[0].scale,
        )

    def rows(self, start: int, stop: int) -> Quantized:
        """The part that belongs to rows start…stop: layers sharing an input are quantized as one stacked matrix."""
        losses = self.report.row_losses
        report = replace(self.report, row_losses=None if losses is None else losses[start:stop])
        return Quantized(self.codes[start:stop], self.grid.rows(start, stop), report, self.scale)

    def dequantize(self) -> Tensor:
        """The weights (out × in) exactly as a loader of the checkpoint computes them."""
        return decode(self.codes, self.grid)

    def effective(self) -> Tensor:
        """What multiplies the layer's unscaled inputs, (out × in): `dequantize` without a scale, float32 with one."""
        weights = self.dequantize()
        return weights if self.scale is None else weights.float() / self.scale

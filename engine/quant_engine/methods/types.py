"""What goes into a method and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from quant_engine.formats.grid import Grid, decode
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from quant_engine.linalg.factor import Factor


_RANGES = "ranges"


@dataclass(frozen=True)
class Ranges:
    """Of each column of X: smallest and largest x, and Σ|x|, all (in,) float64."""

    lowest: Tensor
    highest: Tensor
    magnitude: Tensor

    @property
    def largest(self) -> Tensor:
        """max|x| of each column (in,), float64."""
        return torch.maximum(self.highest.abs(), self.lowest.abs())

    def divided(self, scale: Tensor) -> Ranges:
        """Of X / scale; scale (in,), float64, positive."""
        return Ranges(self.lowest / scale, self.highest / scale, self.magnitude / scale)


@dataclass
class Statistics:
    """What calibration knows of one layer input, shared by all layers that read it and by all candidates.

    gram: G = XᵀX (in × in), float64, summed over all calibration tokens; tokens: rows of X. find_ranges: looks at X for its ranges,
    when a method asks for them. inputs: gives X itself in batches (… × in), as long as the walk stands at the layer. fold: takes a scale
    of the columns (in,) that a method wants to move into the operation before the layer, and returns the one that can really be moved;
    None: none can. unclipped: rows of W (bool, out) whose outputs meet each other in a product.
    Factors are cached by (damping, whether columns are ordered, width of groups that stay together), so that candidates which differ only
    in bits share one factorisation; None: no damping made it possible.
    """

    gram: Tensor
    tokens: int
    find_ranges: Callable[[], Ranges] | None = field(default=None, repr=False)
    inputs: Callable[[], Iterable[Tensor]] | None = field(default=None, repr=False)
    fold: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)
    unclipped: Tensor | None = field(default=None, repr=False)
    factors: dict[tuple[float, bool, int | None], Factor | None] = field(default_factory=dict, repr=False)
    searches: dict[Any, Any] = field(default_factory=dict, repr=False)
    """What methods found by searching, for candidates that differ in what follows alone; by everything that the search depends on."""
    noises: dict[Any, Noise] = field(default_factory=dict, repr=False)
    """By how inputs are rounded (quant_engine.calibration.noise_of)."""

    @property
    def columns(self) -> int:
        return self.gram.shape[0]

    @property
    def ranges(self) -> Ranges:
        """Of each column of X; looked for once."""
        if _RANGES not in self.searches:
            if self.find_ranges is None:
                raise ValueError("the inputs of these statistics are gone")
            self.searches[_RANGES] = self.find_ranges()
        return self.searches[_RANGES]

    def scaled(self, scale: Tensor) -> Statistics:
        """The same of X / scale (in,): what the layer reads when the operation before it was divided by `scale`."""
        s = scale.double()
        return Statistics(self.gram / torch.outer(s, s), self.tokens, lambda: self.ranges.divided(s))


@dataclass(frozen=True)
class Noise:
    """What rounding the inputs adds, N = X̂ − X: NᵀN and XᵀN, both (in × in) float64."""

    own: Tensor
    cross: Tensor


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

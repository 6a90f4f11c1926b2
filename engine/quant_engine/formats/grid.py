"""Grids of compressed-tensors: scales and zero points from the range of what shares them, then codes.

Notation: W (out × in), groups of consecutive input columns of one row, b bits, signed codes −2^(b−1) … 2^(b−1)−1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from quant_engine import compiled
from quant_engine.formats.numbers import compute_dtype, nearest_codes, ordered_sizes, read
from quant_engine.formats.scales import scales_of, storable
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.scheme import WeightFormat


@dataclass(frozen=True)
class Grid:
    """Where the codes of a weight matrix lie: w ≈ (code − zero) · scale.

    scales: (out × groups), (1 × 1) for the tensor strategy, (row blocks × column blocks) for blocks; in the dtype the checkpoint stores,
    except that powers of two and E4M3 scales are kept decoded in float32, and float16 ones of GPTQ's layout in the model's dtype. zeros:
    int8, shaped like scales, None when symmetric.
    factor: NVFP4's float32 factor (1,), by which every scale is divided. order: the group of each column, int32 (in,), every group with as
    many columns as the others (GPTQ's g_idx); None: consecutive columns.
    """

    weight_format: WeightFormat
    scales: Tensor
    zeros: Tensor | None = None
    factor: Tensor | None = None
    order: Tensor | None = None

    def steps(self, rows: int, dtype: torch.dtype) -> Tensor:
        """What a code is multiplied by, (rows × groups) in `dtype`: one column for each group of columns."""
        steps = self.scales.to(dtype)
        if self.factor is not None:
            steps = steps / self.factor.to(dtype)
        if self.weight_format.block:
            return steps.repeat_interleave(self.weight_format.block[0], 0)[:rows]
        return steps.expand(rows, -1) if self.weight_format.per_tensor else steps

    def width(self, columns: int) -> int:
        """Columns that share a step."""
        return self.weight_format.block[1] if self.weight_format.block else columns // self.scales.shape[1]

    def grouped(self, values: Tensor) -> Tensor:
        """(out × in) → (out × groups × columns that share a step); a last block of fewer columns is filled up with 0."""
        if self.order is not None:
            values = values[:, torch.argsort(self.order, stable=True)]
        rows, columns = values.shape
        width = self.width(columns)
        return _padded(values, -columns % width).reshape(rows, -1, width)

    def flat(self, values: Tensor, columns: int) -> Tensor:
        """The inverse of `grouped`."""
        values = values.reshape(len(values), -1)[:, :columns]
        return values if self.order is None else values[:, torch.argsort(torch.argsort(self.order, stable=True))]

    def gather(self, values: Tensor) -> Tensor:
        """Σ of (out × in) values over what shares each scale, shaped like the scales."""
        rows, columns = values.shape
        if self.weight_format.per_tensor:
            return values.sum().reshape(1, 1)
        if self.weight_format.block:
            high, wide = self.weight_format.block
            padded = torch.nn.functional.pad(values, (0, -columns % wide, 0, -rows % high))
            return padded.reshape(-(-rows // high), high, -1, wide).sum((1, 3))
        return self.grouped(values).sum(-1)

    def rows(self, start: int, stop: int) -> Grid:
        """The grid of some rows, which must not share scales with others."""
        zeros = None if self.zeros is None else self.zeros[start:stop]
        return replace(self, scales=self.scales[start:stop], zeros=zeros)

    @classmethod
    def stack(cls, parts: Sequence[Grid]) -> Grid:
        """The grid of the parts' rows, one after the other; the parts have one order of columns."""
        zeros = [part.zeros for part in parts if part.zeros is not None]
        scales = torch.cat([part.scales for part in parts])
        return cls(parts[0].weight_format, scales, torch.cat(zeros) if zeros else None, order=parts[0].order)


def find_grid(
    weight: Tensor,
    weight_format: WeightFormat,
    dtype: torch.dtype,
    shrink: Tensor | float = 1.0,
    clip: Tensor | float | None = None,
    factor: Tensor | None = None,
) -> Grid:
    """Min-max grid of W (out × in) with scales in `dtype`.

    Symmetric: s = max|w| / ((2^b − 1)/2) of integers, max|w| / largest number of floats. Asymmetric, 0 always inside: s = (hi − lo)/(2^b
    − 1), z = round(−2^(b−1) − lo/s). The scale is rounded to the dtype that the checkpoint stores before anything is quantized with it.
    shrink: both ends of each range are multiplied by it, one number or one for each scale (out × groups). clip: each range ends where the
    magnitude is this share of its largest one; of an asymmetric range that may move one end alone. factor: NVFP4's, when W is a part of the
    matrix that it belongs to.
    """
    kind = compute_dtype(weight)
    if weight_format.symmetric:
        share = shrink if clip is None else shrink * clip
        return Grid(weight_format, *scales_of(_largest(weight, weight_format).to(kind) * share, weight_format, dtype, factor))
    W = weight.to(kind)
    lowest, highest = weight_format.code_range
    grouped = W.reshape(W.shape[0], weight_format.groups(W.shape[1]), -1)
    low, high = grouped.amin(-1).clamp(max=0) * shrink, grouped.amax(-1).clamp(min=0) * shrink
    if clip is not None:
        limit = torch.maximum(-low, high) * clip
        low, high = torch.maximum(low, -limit), torch.minimum(high, limit)
    scales = storable((high - low) / (highest - lowest), weight_format, dtype)
    zeros = (lowest - low / scales.to(low.dtype)).clamp(lowest, highest).round()
    return Grid(weight_format, scales, zeros.to(torch.int8))


def encode(weight: Tensor, grid: Grid) -> Tensor:
    """Codes of W (out × in): round(w/s + z), ties to even, at the ends of the range what lies outside."""
    if (found := compiled.encoded(weight, grid)) is not None:
        return found
    rows, columns = weight.shape
    kind = compute_dtype(weight)
    scaled = grid.grouped(weight.to(kind)) / grid.steps(rows, kind).unsqueeze(-1)
    if grid.zeros is not None:
        scaled += grid.zeros.to(kind).unsqueeze(-1)
    return grid.flat(nearest_codes(scaled, grid.weight_format), columns).contiguous()


def decode(codes: Tensor, grid: Grid) -> Tensor:
    """The weights (out × in) exactly as a loader of the checkpoint computes them, in the stored scales' dtype (bfloat16 for the 4-bit float
    formats, whose loaders know no other)."""
    rows, columns = codes.shape
    own = grid.weight_format.scale in ("weight", "half")
    kind = grid.scales.dtype if own else torch.float32
    values = grid.grouped(read(codes, grid.weight_format, kind))
    if grid.zeros is not None:
        values = values - grid.zeros.unsqueeze(-1).to(kind)
    decoded = grid.flat(values * grid.steps(rows, kind).unsqueeze(-1), columns)
    return decoded if own else decoded.to(torch.bfloat16)


def _padded(values: Tensor, columns: int, rows: int = 0) -> Tensor:
    """With so many columns and rows of zeros more; `pad` would copy also when there are none."""
    return torch.nn.functional.pad(values, (0, columns, 0, rows)) if columns or rows else values


def _largest(weight: Tensor, weight_format: WeightFormat) -> Tensor:
    """max|w| of what shares a scale, in W's dtype: (out × groups), (1 × 1), or (row blocks × column blocks), blocks at the edge as far as
    they go."""
    rows, columns = weight.shape
    in_rows = not (weight_format.per_tensor or weight_format.block)
    if in_rows and (found := compiled.largest(weight, columns // weight_format.groups(columns))) is not None:
        return found
    sizes = ordered_sizes(weight)
    if weight_format.per_tensor:
        found = sizes.amax().reshape(1, 1)
    elif weight_format.block:
        high, wide = weight_format.block
        padded = _padded(sizes, -columns % wide, -rows % high)
        found = padded.reshape(-(-rows // high), high, -1, wide).amax(3).amax(1)
    else:
        found = sizes.reshape(rows, weight_format.groups(columns), -1).amax(-1)
    return found.view(weight.dtype)


"""GPTQ's column loop (Frantar et al., ICLR 2023, algorithm 1) over all rows at once.

Everything is kept transposed: a column of W is one contiguous run. Notation: B columns of a block in the order in which they are
quantized, U the upper factor of the inverse Hessian, e the errors that are made up for in later columns.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

from quant_engine.formats.grid import Grid, find_grid
from quant_engine.formats.numbers import round_, store
from quant_engine.lazy import torch
from quant_engine.linalg.threads import one_thread

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.linalg.factor import Factor

log = logging.getLogger(__name__)
_RUN = 8
"""Columns whose errors a core's own cache holds for the rows of wide layers: 0.5 MB for 8192 rows."""


@dataclass
class Levels:
    """A grid as the loop reads it: steps and zero points by group, (groups × rows); width: columns of a group; clip: what of its range each
    group keeps when it is found again, as of `find_grid`."""

    grid: Grid
    width: int
    steps: Tensor
    zeros: Tensor | None
    clip: Tensor | None = None

    @classmethod
    def of(cls, grid: Grid, rows: int, columns: int, dtype: torch.dtype, clip: Tensor | None = None) -> Levels:
        zeros = None if grid.zeros is None else grid.zeros.t().to(dtype).contiguous()
        return cls(grid, grid.width(columns), grid.steps(rows, dtype).t().contiguous(), zeros, clip)

    def renew(self, group: int, weights: Tensor) -> None:
        """Find one group again for its weights (rows × width), here and in the grid."""
        grid = self.grid
        clip = None if self.clip is None else self.clip[:, group : group + 1]
        found = find_grid(weights, grid.weight_format, grid.scales.dtype, clip=clip, factor=grid.factor)
        grid.scales[:, group] = found.scales[:, 0]
        self.steps[group] = found.steps(len(weights), self.steps.dtype)[:, 0]
        if grid.zeros is not None and found.zeros is not None and self.zeros is not None:
            grid.zeros[:, group] = found.zeros[:, 0]
            self.zeros[group] = found.zeros[:, 0].to(self.zeros.dtype)


QuantizeBlock = Callable[["Tensor", "Tensor", Levels, "Tensor", int, int], "tuple[Tensor, Tensor]"]
"""W (in × rows) that has received the errors of earlier blocks, U (in × in), the levels, each column's group (in,), start and stop of the
block → rounded values on the grid and errors e of the block's columns, both (columns of the block × rows)."""


def quantize_columns(
    W: Tensor, found: Factor, grid: Grid, block_size: int, dynamic: bool = False, clip: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Codes (out × in) of W (out × in) and each row's Σ e²/2 (float64). The errors of a block of columns reach all later ones at its end.

    dynamic: the grid's groups, which the order keeps together, are found again in place as the loop reaches them, with the same clip (out ×
    groups). All errors so far count, where the reference leaves out those of the block that the loop stands in: block_size must not change
    the result.
    """
    rows, columns = W.shape
    weight_format = grid.weight_format
    group_of = torch.arange(columns, device=W.device) // grid.width(columns) if grid.order is None else grid.order
    U = found.upper.to(W.dtype)
    Wt = W.t().contiguous()
    if found.order is not None:
        Wt, group_of = Wt[found.order], group_of[found.order]
    levels = Levels.of(grid, rows, columns, W.dtype, clip)
    quantize_block = partial(block_in_torch, dynamic=True) if dynamic else _loop(W, grid)
    codes = store(torch.empty(columns, rows, dtype=W.dtype, device=W.device), weight_format)
    losses = torch.zeros(rows, dtype=torch.float64, device=W.device)
    for start in range(0, columns, block_size):
        stop = min(start + block_size, columns)
        Q, E = quantize_block(Wt, U, levels, group_of, start, stop)
        codes[start:stop] = store(Q, weight_format)
        losses += torch.linalg.vecdot(E, E, dim=0)
        if stop < columns:
            Wt[stop:].addmm_(U[start:stop, stop:].t(), E, alpha=-1)
    if found.order is not None:
        back = torch.empty_like(found.order)
        back[found.order] = torch.arange(columns, device=W.device)
        codes = codes[back]
    return codes.t().contiguous(), losses.div_(2)


def _loop(W: Tensor, grid: Grid) -> QuantizeBlock:
    kernel = _kernel() if W.is_cuda and W.dtype == torch.float32 and grid.weight_format.type == "int" else None
    return kernel or block_in_torch


@cache
def _kernel() -> QuantizeBlock | None:
    """The loop as one kernel; None where Triton, which comes with torch for CUDA, is missing."""
    try:
        from quant_engine.linalg.columns_triton import block_in_triton
    except ImportError as error:
        log.warning("GPTQ's columns are quantized by many small operations instead of one kernel: %s", error)
        return None
    return block_in_triton


def block_in_torch(
    W: Tensor, U: Tensor, levels: Levels, groups: Tensor, start: int, stop: int, dynamic: bool = False
) -> tuple[Tensor, Tensor]:
    """Column i first receives what the columns before it in the block propagate, −Σ_k U[k,i]·e_k: from those of earlier runs of `_RUN`
    columns in one product for its whole run, and from those of its own run, which stay in a core's cache."""
    E, Q = torch.empty(2, stop - start, W.shape[1], dtype=W.dtype, device=W.device)
    group_of = groups[start:stop].tolist()
    with one_thread():
        for first, last in _runs(start, stop, levels.width if dynamic else None):
            done = first - start
            if dynamic and first % levels.width == 0:
                ahead = slice(first, first + levels.width)
                levels.renew(group_of[done], torch.addmm(W[ahead], U[start:first, ahead].t(), E[:done], alpha=-1).t())
            wanted = torch.addmm(W[first:last], U[start:first, first:last].t(), E[:done], alpha=-1) if done else W[first:last]
            _quantize_run(wanted, U[first:last, first:last], levels, group_of[done:], Q[done:], E[done : last - start])
    return Q, E


def _runs(start: int, stop: int, width: int | None) -> Iterator[tuple[int, int]]:
    """First and behind the last column of each run; one does not reach beyond a group of `width` columns."""
    while start < stop:
        last = min(start + _RUN, stop, stop if width is None else (start // width + 1) * width)
        yield start, last
        start = last


def _quantize_run(wanted: Tensor, U: Tensor, levels: Levels, group_of: Sequence[int], Q: Tensor, E: Tensor) -> None:
    """Columns of W (run × rows) that lack each other's errors alone; their part of U (run × run). Q receives rounded values, E errors."""
    diagonal = U.diagonal().unsqueeze(1)
    # Of errors that have not been divided by the diagonal: one operation for all of them afterwards.
    unit = U / diagonal
    before = E.t()
    for i, (w, q, e, shares) in enumerate(zip(wanted.unbind(), Q.unbind(), E.unbind(), unit.unbind(1), strict=False)):
        if i:
            w = torch.addmv(w, before[:, :i], shares[:i], alpha=-1)
        s, z = levels.steps[group_of[i]], None if levels.zeros is None else levels.zeros[group_of[i]]
        torch.div(w, s, out=q)
        if z is not None:
            q += z
        round_(q, levels.grid.weight_format)
        torch.addcmul(w, q if z is None else q - z, s, value=-1, out=e)
    E.div_(diagonal)

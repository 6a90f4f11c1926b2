"""GPTQ's column loop over a block of columns as one Triton kernel, for integers; `linalg.columns.block_in_torch` says what it computes.

Each program keeps the block of its rows in registers, so that nothing goes through memory between one column and the next.
"""

# Triton is not there where torch is for the CPU; its functions are compiled, and each has its own arguments.
# pyright: reportMissingImports=false, reportPossiblyUnboundVariable=false, reportIndexIssue=false

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.linalg.columns import Levels

_ROWS = 16
"""Rows of a program: 128 columns of 16 rows are 16 registers for each thread of four warps."""
_TO_WHOLE = 12582912.0
"""1.5 · 2²³: added to a float32 of at most 2²² and taken away again, it rounds to the nearest whole number, ties to even."""


@triton.jit
def _quantize(
    W, U, steps, zeros, groups, Q, E, rows, columns, lowest, highest,
    HAS_ZEROS: tl.constexpr, COLUMNS: tl.constexpr, ROWS: tl.constexpr, TO_WHOLE: tl.constexpr,
):  # fmt: skip
    """W, Q, E (columns × rows), U (columns × columns), steps and zeros (groups × rows), groups (columns,)."""
    r = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    j = tl.arange(0, COLUMNS)
    inside = r < rows
    block = tl.load(W + j[:, None] * rows + r[None, :], mask=(j < columns)[:, None] & inside[None, :], other=0.0)
    for i in range(columns):
        w = tl.sum(tl.where((j == i)[:, None], block, 0.0), 0)
        group = tl.load(groups + i)
        s = tl.load(steps + group * rows + r, mask=inside, other=1.0)
        q = tl.div_rn(w, s)
        if HAS_ZEROS:
            z = tl.load(zeros + group * rows + r, mask=inside, other=0.0)
            q += z
        q = tl.minimum(tl.maximum(q, lowest), highest)
        q = (q + TO_WHOLE) - TO_WHOLE
        value = (q - z if HAS_ZEROS else q) * s
        e = tl.div_rn(w - value, tl.load(U + i * columns + i))
        tl.store(Q + i * rows + r, q, mask=inside)
        tl.store(E + i * rows + r, e, mask=inside)
        u = tl.load(U + i * columns + j, mask=(j > i) & (j < columns), other=0.0)
        block -= u[:, None] * e[None, :]


def block_in_triton(W: Tensor, U: Tensor, levels: Levels, groups: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Columns start … stop of W (in × rows, float32, on a GPU or in Triton's interpreter), as `QuantizeBlock` says. Integers only."""
    columns, rows = stop - start, W.shape[1]
    E, Q = torch.empty(2, columns, rows, dtype=W.dtype, device=W.device)
    lowest, highest = levels.grid.weight_format.code_range
    zeros = levels.steps if levels.zeros is None else levels.zeros
    # Triton launches on the current device, which need not be that of the tensors.
    with torch.cuda.device_of(W):
        _quantize[(triton.cdiv(rows, _ROWS),)](
            W[start:stop], U[start:stop, start:stop].contiguous(), levels.steps, zeros, groups[start:stop], Q, E, rows, columns,
            float(lowest), float(highest),
            HAS_ZEROS=levels.zeros is not None, COLUMNS=max(16, triton.next_power_of_2(columns)), ROWS=_ROWS, TO_WHOLE=_TO_WHOLE,
        )  # fmt: skip
    return Q, E

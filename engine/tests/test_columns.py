"""GPTQ's column loop as a kernel beside the same loop in torch; in Triton's interpreter where there is no GPU."""

from __future__ import annotations

import os

import pytest
import torch

from quant_engine.formats.grid import find_grid
from quant_engine.formats.scheme import WeightFormat
from quant_engine.linalg.columns import Levels, block_in_torch

GPU = torch.cuda.is_available()
if not GPU:
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton", reason="Triton comes with torch for CUDA only")


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("rows", "columns", "start", "stop"), [(48, 96, 0, 96), (37, 96, 32, 96), (5, 64, 7, 20), (16, 256, 128, 256)])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_kernel_computes_what_the_loop_in_torch_does(symmetric: bool, rows: int, columns: int, start: int, stop: int, bits: int):
    from quant_engine.linalg.columns_triton import block_in_triton

    device = torch.device("cuda" if GPU else "cpu")
    generator = torch.Generator().manual_seed(columns * bits)
    W = torch.randn(rows, columns, generator=generator)
    X = torch.randn(400, columns, generator=generator) @ torch.randn(columns, columns, generator=generator)
    U = torch.linalg.cholesky(torch.linalg.inv((X.T @ X / 400 + torch.eye(columns)).double()), upper=True).float().to(device)
    grid = find_grid(W.to(device), WeightFormat(bits, symmetric=symmetric, group_size=32 if columns % 32 == 0 else None), torch.float32)
    groups = (torch.arange(columns) // grid.width(columns))[torch.randperm(columns, generator=generator)].to(device)
    levels = Levels.of(grid, rows, columns, torch.float32)
    Wt = W.t().contiguous().to(device)
    Q, E = block_in_triton(Wt, U, levels, groups, start, stop)
    wanted, errors = block_in_torch(Wt, U, levels, groups, start, stop)
    same = wanted == Q
    assert float(same.float().mean()) >= 0.999
    # One code that falls to the other side of a tie moves all codes after it in its row.
    rows_alike = same.all(0)
    assert int(rows_alike.sum()) >= rows - 1
    apart = (E - errors) * U.diagonal()[start:stop, None]
    assert float(apart[:, rows_alike].abs().max()) < 1e-5 * float(W.abs().max())

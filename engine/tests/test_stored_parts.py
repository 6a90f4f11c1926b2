"""What a checkpoint will hold is known from shapes alone."""

from __future__ import annotations

import pytest
import torch

from quant_engine.formats.grid import encode, find_grid
from quant_engine.formats.scheme import SCHEMES
from quant_engine.formats.stored import checkpoint_tensors, row_in, stored_parts
from quant_engine.methods.types import Quantized, Report

_DTYPES = {
    torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32", torch.int64: "I64", torch.int32: "I32", torch.int8: "I8",
    torch.uint8: "U8", torch.float8_e4m3fn: "F8_E4M3",
}  # fmt: skip


def really_stored(weight: torch.Tensor, scheme: str) -> dict[str, torch.Tensor]:
    grid = find_grid(weight, SCHEMES[scheme].weights, weight.dtype)
    tensors = checkpoint_tensors("x", Quantized(encode(weight, grid), grid, Report()))
    return {name[2:]: tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("rows", "dtype"), [(1, torch.bfloat16), (130, torch.float16), (257, torch.float32)])
def test_dtypes_and_shapes_are_those_of_the_tensors(scheme: str, rows: int, dtype: torch.dtype) -> None:
    weight = torch.randn(rows, 384, generator=torch.Generator().manual_seed(0)).to(dtype)
    real = {name: (_DTYPES[tensor.dtype], tuple(tensor.shape)) for name, tensor in really_stored(weight, scheme).items()}
    assert stored_parts(SCHEMES[scheme].weights, rows, 384, _DTYPES[dtype]) == real


@pytest.mark.parametrize("scheme", [name for name, scheme in SCHEMES.items() if scheme.weights.strategy in ("group", "channel", "block")])
def test_rows_of_a_matrix_give_the_same_entries_as_the_whole(scheme: str) -> None:
    kind = SCHEMES[scheme].weights
    weight = torch.randn(300, 384, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    whole = really_stored(weight, scheme)
    for part, tensor in whole.items():
        if part == "weight_shape":
            continue
        pieces = [(start, really_stored(weight[start : start + 128], scheme)[part]) for start in (0, 128, 256)]
        assert [row_in(part, kind, start) for start, _ in pieces] == [sum(len(one) for _, one in pieces[:n]) for n in range(3)]
        assert torch.equal(torch.cat([one for _, one in pieces]).view(torch.uint8), tensor.view(torch.uint8)), part

"""MKL's product of bfloat16 matrices with float32 sums. torch has it on x86 CPUs and gives it no name: its own way to the same numbers
writes the factors out in float32 first, which takes longer than the product (docs/decisions/0018-gram-by-mkl.md).
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

_ROW_MAJOR, _AS_IT_IS, _TRANSPOSED = 101, 111, 112
_INT, _FLOAT, _POINTER = ctypes.c_int, ctypes.c_float, ctypes.c_void_p
_MOST = 2**31 - 1
_TOKENS = 1024
"""Rows of one call: what MKL copies of them for the matrix units stays in the cores' caches."""


@lru_cache(maxsize=1)
def _product() -> Any:
    """cblas_gemm_bf16bf16f32 of the MKL inside torch; None on a CPU without bfloat16 matrix units (where it is slower than torch's own), or
    in a torch without it. What decides is a property of the machine: the same sums everywhere on it."""
    if not torch.cpu._is_amx_tile_supported():
        return None
    try:
        found = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")).cblas_gemm_bf16bf16f32
    except (OSError, AttributeError):
        return None
    found.argtypes = [_INT] * 6 + [_FLOAT, _POINTER, _INT, _POINTER, _INT, _FLOAT, _POINTER, _INT]
    found.restype = None
    return found


def can_multiply(*factors: Tensor) -> bool:
    """Whether `add_products` and `outputs` take such factors here."""
    return all(_is_plain(one) for one in factors) and _product() is not None


def outputs(X: Tensor, W: Tensor) -> Tensor:
    """X Wᵀ (tokens × out) float32; X (tokens × in), W (out × in) bfloat16, rows of each contiguous."""
    result = torch.empty((len(X), len(W)), dtype=torch.float32)
    _product()(
        _ROW_MAJOR, _AS_IT_IS, _TRANSPOSED, *result.shape, X.shape[1], 1.0, X.data_ptr(), X.stride(0),
        W.data_ptr(), W.stride(0), 0.0, result.data_ptr(), result.stride(0),
    )  # fmt: skip
    return result


def add_products(into: Tensor, X: Tensor, Y: Tensor) -> None:
    """into += XᵀY; X (tokens × a), Y (tokens × b) bfloat16, into (a × b) float32, rows of each contiguous. Products are exact, sums are
    float32."""
    if into.dtype != torch.float32 or into.stride(1) != 1 or into.shape != (X.shape[1], Y.shape[1]) or len(X) != len(Y):
        raise ValueError("factors and sum do not fit each other")
    product = _product()
    for start in range(0, len(X), _TOKENS):
        left, right = X[start : start + _TOKENS], Y[start : start + _TOKENS]
        product(
            _ROW_MAJOR, _TRANSPOSED, _AS_IT_IS, *into.shape, len(left), 1.0, left.data_ptr(), left.stride(0),
            right.data_ptr(), right.stride(0), 1.0, into.data_ptr(), into.stride(0),
        )  # fmt: skip


def _is_plain(X: Tensor) -> bool:
    """Rows of numbers in the CPU's memory, one behind the other."""
    return type(X) is torch.Tensor and X.device.type == "cpu" and X.dtype == torch.bfloat16 and X.stride(1) == 1 and X.stride(0) < _MOST

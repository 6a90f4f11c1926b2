"""Matrix products whose terms are exact: only the summation rounds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from quant_engine.lazy import torch
from quant_engine.linalg import mkl

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def exact_products(X: Tensor):
    """Yields X ready for products and a matmul whose products are exact for X's dtype, with float32 sums and result.

    float64 stays float64. The precision setting of the CPU library is process-wide: it is set only in here, and put
    back.
    """
    if X.dtype == torch.float64:
        yield X, torch.mm
    elif X.device.type == "cuda" and X.dtype != torch.float32:
        yield X, lambda a, b: torch.mm(a, b, out_dtype=torch.float32)
    elif X.device.type == "cpu" and X.dtype == torch.bfloat16:
        with _cpu_precision("bf16"):
            yield X.float(), torch.mm
    elif X.device.type == "cpu":
        with _cpu_precision("ieee"):
            yield X.float(), torch.mm
    else:
        yield X.float(), torch.mm


class Outputs:
    """X Wᵀ (tokens × out) of one W for many X on its device: exact products for X's dtype, float32 sums and result."""

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        """weight: W (out × in). dtype: the inputs' own, in which W is exact; float64 makes everything float64."""
        self._weight = weight.to(dtype).contiguous()
        self._by_mkl = mkl.can_multiply(self._weight)
        self._factor: Tensor | None = None
        """Wᵀ as the other products take it."""

    def of(self, X: Tensor) -> Tensor:
        """X: tokens × in."""
        if self._by_mkl and mkl.can_multiply(X):
            return mkl.outputs(X, self._weight)
        with exact_products(X.to(self._weight.dtype)) as (left, multiply):
            if self._factor is None:
                self._factor = self._weight.to(left.dtype).t()
            return multiply(left, self._factor)


def add_products(into: Tensor, X: Tensor, Y: Tensor, panel: int, upper: bool) -> None:
    """into += XᵀY, `panel` columns at a time; X (tokens × a), Y (tokens × b) of one dtype, into (a × b) float32. upper: of a symmetric sum,
    the panels on and above the diagonal alone. Products are exact for X's dtype, sums are float32."""
    by_mkl = mkl.can_multiply(X, Y)
    with nullcontext((X, None)) if by_mkl else exact_products(X) as (left, multiply):
        right = left if Y is X else Y.to(left.dtype)
        for start in range(0, into.shape[1], panel):
            stop = min(start + panel, into.shape[1])
            rows = slice(0, stop) if upper else slice(None)
            part = into[rows, start:stop]
            if multiply is None:
                mkl.add_products(part, left[:, rows], right[:, start:stop])
            elif left.dtype == torch.float32:
                part.addmm_(left[:, rows].t(), right[:, start:stop])
            else:
                part += multiply(left[:, rows].t(), right[:, start:stop])


@contextmanager
def coarse_products(X: Tensor):
    """As `exact_products`, with factors rounded to bfloat16 where that is faster: for comparing errors that many products make up."""
    if X.device.type == "cpu" and X.dtype == torch.float32:
        with _cpu_precision("bf16"):
            yield X, torch.mm
    elif X.device.type == "cuda" and X.dtype == torch.float32:
        yield X.to(torch.bfloat16), lambda a, b: torch.mm(a, b.to(torch.bfloat16), out_dtype=torch.float32)
    else:
        with exact_products(X) as products:
            yield products


@contextmanager
def _cpu_precision(value: str) -> Iterator[None]:
    """torch.backends.mkldnn.matmul.fp32_precision = value, and back to what it was."""
    setting: Any = torch.backends.mkldnn.matmul  # pyright: ignore[reportAttributeAccessIssue]
    before = setting.fp32_precision
    setting.fp32_precision = value
    try:
        yield
    finally:
        setting.fp32_precision = before

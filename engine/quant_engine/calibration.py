"""Gram matrices of layer inputs, exact and fast.

bfloat16 and float16 values multiply exactly in float32, so only the summation rounds. Products of bfloat16 values run
on the hardware's bfloat16 units with float32 sums, several thousand tokens at a time; the running sum over these chunks
is float64, so that batches, resumes and machines merge to the last printed digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from quant_engine.lazy import torch
from quant_engine.methods.types import Statistics

if TYPE_CHECKING:
    from torch import Tensor

CHUNK_TOKENS = 4096
_PANEL = 512


def statistics_of(inputs: Iterable[Tensor]) -> Statistics:
    """G = XᵀX over all rows of all inputs (each … × in, same dtype): float64 (in × in), and the number of rows."""
    gram: Tensor | None = None
    tokens = 0
    for X in _chunks(inputs):
        if gram is None:
            gram = torch.zeros(X.shape[1], X.shape[1], dtype=torch.float64, device=X.device)
        _add_gram(gram, X)
        tokens += X.shape[0]
    if gram is None:
        raise ValueError("a Gram matrix needs at least one input")
    return Statistics(gram, tokens)


def _chunks(inputs: Iterable[Tensor]) -> Iterator[Tensor]:
    """Rows of all inputs, joined to at least CHUNK_TOKENS (the last chunk: what is left). A larger input is cut."""
    waiting: list[Tensor] = []
    count = 0
    for tensor in inputs:
        for X in tensor.reshape(-1, tensor.shape[-1]).split(CHUNK_TOKENS):
            waiting.append(X)
            count += X.shape[0]
            if count >= CHUNK_TOKENS:
                yield torch.cat(waiting) if len(waiting) > 1 else waiting[0]
                waiting, count = [], 0
    if waiting:
        yield torch.cat(waiting) if len(waiting) > 1 else waiting[0]


def _add_gram(gram: Tensor, X: Tensor) -> None:
    """gram += XᵀX: panels of the upper triangle, mirrored."""
    columns = X.shape[1]
    with exact_products(X) as (left, multiply):
        for start in range(0, columns, _PANEL):
            stop = min(start + _PANEL, columns)
            panel = multiply(left[:, :stop].t(), left[:, start:stop]).double()
            gram[:stop, start:stop] += panel
            if start:
                gram[start:stop, :start] += panel[:start].t()


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

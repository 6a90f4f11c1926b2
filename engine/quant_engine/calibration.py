"""Gram matrices of layer inputs, exact and fast.

bfloat16 and float16 values multiply exactly in float32, so only the summation rounds. Products of bfloat16 values run
on the hardware's bfloat16 units with float32 sums, several thousand tokens at a time; the running sum over these chunks
is float64, so that batches, resumes and machines merge to the last printed digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from quant_engine.lazy import torch
from quant_engine.linalg.products import exact_products
from quant_engine.methods.types import Noise, Ranges, Statistics

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.inputs import InputQuantizer

CHUNK_TOKENS = 4096
_PANEL = 512


def statistics_of(inputs: Iterable[Tensor], again: Callable[[], Iterable[Tensor]] | None = None) -> Statistics:
    """What the methods need of all rows of all inputs (each … × in, same dtype): G = XᵀX, and on demand each column's range.

    again: gives the same inputs once more, for methods that look at them; not needed for a sequence, which is kept.
    """
    gram: Tensor | None = None
    tokens = 0
    if again is None and isinstance(inputs, Sequence):
        again = partial(iter, inputs)
    for X in _chunks(inputs):
        if gram is None:
            gram = torch.zeros(X.shape[1], X.shape[1], dtype=torch.float64, device=X.device)
        if len(X):  # of a block's experts some may get no token
            _add_gram(gram, X)
        tokens += X.shape[0]
    if gram is None:
        raise ValueError("statistics need at least one input")
    return Statistics(gram, tokens, again and partial(_ranges_of, again), again)


def _ranges_of(inputs: Callable[[], Iterable[Tensor]]) -> Ranges:
    """All zero when there is no row."""
    found: Ranges | None = None
    first = True
    for X in _chunks(inputs()):
        if found is None:
            zero = torch.zeros(X.shape[1], dtype=torch.float64, device=X.device)
            found = Ranges(zero, zero, zero)
        if not len(X):
            continue
        lowest, highest = (bound.double() for bound in torch.aminmax(X, dim=0))
        total = X.abs().sum(0, dtype=torch.float64 if X.dtype == torch.float64 else torch.float32).double()
        if first:
            found, first = Ranges(lowest, highest, total), False
        else:
            found = Ranges(torch.minimum(found.lowest, lowest), torch.maximum(found.highest, highest), found.magnitude + total)
    if found is None:
        raise ValueError("ranges need at least one input")
    return found


def noise_of(statistics: Statistics, quantizer: InputQuantizer) -> Noise:
    """NᵀN and XᵀN of N = quantizer(X) − X over the inputs of `statistics`.

    N in X's own dtype: a bfloat16 N is off by 2⁻⁹ of itself, which moves an error sum by 10⁻⁵ of itself.
    """
    if statistics.inputs is None:
        raise ValueError("the inputs of these statistics are gone")
    columns = statistics.columns
    own, cross = torch.zeros_like(statistics.gram), torch.zeros_like(statistics.gram)
    for X, N in _noise_chunks(statistics.inputs(), quantizer):
        _add_gram(own, N)
        with exact_products(X) as (left, multiply):
            right = N.to(left.dtype)
            for start in range(0, columns, _PANEL):
                cross[:, start : start + _PANEL] += multiply(left.t(), right[:, start : start + _PANEL]).double()
    return Noise(own, cross)


def _noise_chunks(inputs: Iterable[Tensor], quantizer: InputQuantizer) -> Iterator[tuple[Tensor, Tensor]]:
    """X and N of several thousand tokens at a time (each tokens × in)."""
    for X in inputs:
        N = (quantizer(X).float() - X.float()).to(X.dtype) if X.dtype != torch.float64 else quantizer(X) - X
        columns = X.shape[-1]
        yield from zip(X.reshape(-1, columns).split(CHUNK_TOKENS), N.reshape(-1, columns).split(CHUNK_TOKENS), strict=True)


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

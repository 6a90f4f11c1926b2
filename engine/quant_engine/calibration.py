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
from quant_engine.methods.types import Noise, Statistics

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.inputs import InputQuantizer

CHUNK_TOKENS = 4096
_PANEL = 512


def statistics_of(inputs: Iterable[Tensor], again: Callable[[], Iterable[Tensor]] | None = None) -> Statistics:
    """What the methods need of all rows of all inputs (each … × in, same dtype): G = XᵀX and each column's range and magnitude.

    again: gives the same inputs once more, for methods that round them; not needed for a sequence, which is kept.
    """
    found: Statistics | None = None
    if again is None and isinstance(inputs, Sequence):
        again = partial(iter, inputs)
    for X in _chunks(inputs):
        if found is None:
            found = _empty(X, again)
        if not len(X):  # no token was routed to this expert
            continue
        _add_gram(found.gram, X)
        found.lowest = torch.minimum(found.lowest, X.amin(0).double())
        found.highest = torch.maximum(found.highest, X.amax(0).double())
        found.magnitude += X.abs().sum(0, dtype=torch.float64 if X.dtype == torch.float64 else torch.float32).double()
        found.tokens += X.shape[0]
    if found is None:
        raise ValueError("statistics need at least one input")
    if not found.tokens:
        found.lowest, found.highest = torch.zeros_like(found.magnitude), torch.zeros_like(found.magnitude)
    return found


def _empty(X: Tensor, again: Callable[[], Iterable[Tensor]] | None) -> Statistics:
    columns = X.shape[1]
    gram = torch.zeros(columns, columns, dtype=torch.float64, device=X.device)
    highest = torch.full_like(gram[0], float("-inf"))
    return Statistics(gram, 0, -highest, highest, torch.zeros_like(highest), again)


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

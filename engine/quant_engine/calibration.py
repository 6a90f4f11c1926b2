"""Gram matrices of layer inputs, exact and fast.

bfloat16 and float16 values multiply exactly in float32, so only the summation rounds. Products of bfloat16 values run
on the hardware's bfloat16 units with float32 sums, several thousand tokens at a time; a few of these chunks are added up
in float32, and these sums in float64.
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
_CHUNKS = 8
"""Chunks that are added up in float32: each addition rounds by 2⁻²⁴ of the sum, far less than a product's own float32 sum."""


def statistics_of(inputs: Iterable[Tensor], again: Callable[[], Iterable[Tensor]] | None = None) -> Statistics:
    """What the methods need of all rows of all inputs (each … × in, same dtype): G = XᵀX, and on demand each column's range.

    again: gives the same inputs once more, for methods that look at them; not needed for a sequence, which is kept.
    """
    gram: GramSum | None = None
    tokens = 0
    if again is None and isinstance(inputs, Sequence):
        again = partial(iter, inputs)
    for X in _chunks(inputs):
        if gram is None:
            gram = GramSum(X.shape[1], X)
        if len(X):  # of a block's experts some may get no token
            gram.add(X)
        tokens += X.shape[0]
    if gram is None:
        raise ValueError("statistics need at least one input")
    return Statistics(gram.total(), tokens, again and partial(_ranges_of, again), again)


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
        # Two passes: torch's one-pass aminmax over rows takes six times as long.
        lowest, highest = X.amin(0).double(), X.amax(0).double()
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
    own, cross = GramSum(columns, statistics.gram), GramSum(columns, statistics.gram)
    for X, N in _noise_chunks(statistics.inputs(), quantizer):
        own.add(N)
        cross.add(X, N)
    return Noise(own.total(), cross.total())


def output_noise(
    statistics: Statistics, quantizer: InputQuantizer, weight: Tensor, quantized: Tensor, kind: torch.dtype | None = None
) -> Tensor:
    """Σ(y − ŷ)² of each output, (out,) float64, when weights (W → quantized, out × in) and inputs are rounded, from E = X Dᵀ + N Ŵᵀ of every
    token. Less work than `noise_of` where a layer has fewer outputs than inputs.

    kind: of the products, the inputs' own by default. That of 16-bit inputs rounds each product by 2⁻⁹ of itself in any direction, which a sum
    of squares forgets.
    """
    if statistics.inputs is None:
        raise ValueError("the inputs of these statistics are gone")
    total = torch.zeros(len(weight), dtype=torch.float64, device=weight.device)
    # Half precision is slow on CPUs.
    own = torch.float32 if weight.dtype == torch.float16 and weight.device.type == "cpu" else weight.dtype
    kind = kind or own
    wide = torch.float64 if kind == torch.float64 else torch.float32
    D, Q = (quantized.to(wide) - weight.to(wide)).to(kind).t(), quantized.to(kind).t()
    for X, N in _noise_chunks(statistics.inputs(), quantizer):
        E = torch.mm(X.to(kind), D).to(wide)
        E += torch.mm(N.to(kind), Q)
        total += E.square_().sum(0)
    if kind != torch.float64 and not bool(torch.isfinite(total).all()):  # squares of outputs above 1.8e19 are not in float32's range
        return output_noise(statistics, quantizer, weight, quantized, torch.float64)
    return total


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


class GramSum:
    """XᵀX, or XᵀY, over many X (tokens × columns). Of XᵀX the upper triangle's panels are computed, and mirrored at the end."""

    def __init__(self, columns: int, like: Tensor) -> None:
        """like: a tensor on the device of the inputs."""
        self._sum = torch.zeros(columns, columns, dtype=torch.float64, device=like.device)
        self._recent: Tensor | None = None
        self._chunks = 0
        self._symmetric = True

    def add(self, X: Tensor, Y: Tensor | None = None) -> None:
        """X, Y: CHUNK_TOKENS × columns at most."""
        self._symmetric = Y is None
        if X.dtype == torch.float64:
            self._sum.addmm_(X.t(), X if Y is None else Y)
            return
        if self._recent is None:
            self._recent = torch.zeros_like(self._sum, dtype=torch.float32)
        with exact_products(X) as (left, multiply):
            right = left if Y is None else Y.to(left.dtype)
            for start in range(0, len(self._sum), _PANEL):
                stop = min(start + _PANEL, len(self._sum))
                rows = slice(0, stop) if Y is None else slice(None)
                into = self._recent[rows, start:stop]
                if left.dtype == torch.float32:
                    into.addmm_(left[:, rows].t(), right[:, start:stop])
                else:
                    into += multiply(left[:, rows].t(), right[:, start:stop])
        self._chunks += 1
        if self._chunks == _CHUNKS:
            self._flush()

    def total(self) -> Tensor:
        """The sum (columns × columns, float64); nothing can be added afterwards."""
        self._flush()
        if self._symmetric:
            for start in range(0, len(self._sum), _PANEL):
                stop = start + _PANEL
                self._sum[stop:, start:stop] = self._sum[start:stop, stop:].t()
        return self._sum

    def _flush(self) -> None:
        if self._recent is not None:
            self._sum += self._recent
        self._recent, self._chunks = None, 0

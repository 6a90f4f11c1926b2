"""Gram matrices of layer inputs, exact and fast.

bfloat16 and float16 values multiply exactly in float32, so only the summation rounds. Products of bfloat16 values run
on the hardware's bfloat16 units with float32 sums, several thousand tokens at a time; a few of these chunks are added up
in float32, and these sums in float64.

Inputs may lie on several devices: each sums what it has, and these sums are added up on the device of the first input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from quant_engine.formats.numbers import largest
from quant_engine.lazy import torch
from quant_engine.linalg.products import add_products
from quant_engine.methods.types import Noise, Ranges, Statistics

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.inputs import InputQuantizer

CHUNK_TOKENS = 4096
_PANEL = 512
_CHUNKS = 8
"""Chunks that are added up in float32: each addition rounds by 2⁻²⁴ of the sum, far less than a product's own float32 sum."""


def statistics_of(inputs: Iterable[Tensor], again: Callable[[], Iterable[Tensor]] | None = None) -> Statistics:
    """What the methods need of all rows of all inputs (each … × in, same dtype): of a sequence when they ask for it, else G = XᵀX at once.

    again: gives the same inputs once more, for methods that look at them; not needed for a sequence, which is kept.
    """
    if isinstance(inputs, Sequence):
        again = again or partial(iter, inputs)
        if not inputs:
            raise ValueError("statistics need at least one input")
        columns = inputs[0].shape[-1]
        return Statistics(None, sum(X.numel() for X in inputs) // columns, Inputs(again, columns), again)
    gram, tokens = _gram_of(inputs)
    return Statistics(gram, tokens, again and Inputs(again, len(gram)), again)


@dataclass(frozen=True)
class Inputs:
    """X in batches (each … × in), as often as one asks."""

    again: Callable[[], Iterable[Tensor]]
    columns: int

    def is_finite(self) -> bool:
        return all(_is_finite(X) for X in self.again())

    def gram(self) -> Tensor:
        """XᵀX (in × in), float64."""
        return _gram_of(self.again())[0]

    def ranges(self) -> Ranges:
        """All zero when there is no row."""
        found: Ranges | None = None
        for X in self._rows():
            # Two passes: torch's one-pass aminmax over rows takes six times as long.
            lowest, highest = self._home(X.amin(0)), self._home(X.amax(0))
            found = Ranges(torch.minimum(found.lowest, lowest), torch.maximum(found.highest, highest)) if found else Ranges(lowest, highest)
        return found or Ranges(self._zeros(), self._zeros())

    def largest(self) -> Tensor:
        """max|x| of each column (in,), float64; zero when there is no row."""
        found = self._zeros()
        for X in self._rows():
            found = torch.maximum(found, self._home(largest(X, 0)))
        return found

    def magnitudes(self) -> Tensor:
        """Σ|x| of each column (in,), float64."""
        total = self._zeros()
        for X in self._rows():
            total += self._home(X.abs().sum(0, dtype=torch.float64 if X.dtype == torch.float64 else torch.float32))
        return total

    def _rows(self) -> Iterator[Tensor]:
        return (X for X in _chunks(self.again()) if len(X))

    def _zeros(self) -> Tensor:
        return torch.zeros(self.columns, dtype=torch.float64, device=self._device)

    def _home(self, found: Tensor) -> Tensor:
        return found.to(self._device, torch.float64)

    @cached_property
    def _device(self) -> torch.device | None:
        return next((X.device for X in self.again()), None)


def _is_finite(X: Tensor) -> bool:
    """A sum shows it in one pass, and also overflows where every number is finite."""
    whole = X.sum(dtype=torch.float64 if X.dtype == torch.float64 else torch.float32)
    return bool(torch.isfinite(whole)) or bool(torch.isfinite(X).all())


def _gram_of(inputs: Iterable[Tensor]) -> tuple[Tensor, int]:
    """XᵀX, and the number of rows."""
    gram, tokens = GramSum(), 0
    for X in _chunks(inputs):
        gram.add(X)
        tokens += X.shape[0]
    return gram.total(), tokens


def noise_of(statistics: Statistics, quantizer: InputQuantizer) -> Noise:
    """NᵀN and XᵀN of N = quantizer(X) − X over the inputs of `statistics`.

    N in X's own dtype: a bfloat16 N is off by 2⁻⁹ of itself, which moves an error sum by 10⁻⁵ of itself.
    """
    own, cross = GramSum(), GramSum()
    for X, N in _noise_chunks(_batches(statistics), quantizer):
        own.add(N)
        cross.add(X, N)
    return Noise(own.total(), cross.total())


def _batches(statistics: Statistics) -> Iterable[Tensor]:
    if statistics.inputs is None:
        raise ValueError("the inputs of these statistics are gone")
    for X in statistics.inputs():
        yield from X.reshape(-1, X.shape[-1]).split(CHUNK_TOKENS)


def _noise_chunks(inputs: Iterable[Tensor], quantizer: InputQuantizer) -> Iterator[tuple[Tensor, Tensor]]:
    """X and N of several thousand tokens at a time (each tokens × in)."""
    by_device: dict[torch.device, InputQuantizer] = {}
    for X in inputs:
        here = by_device[X.device] = by_device.get(X.device) or quantizer.on(X.device)
        yield X, here(X) - X


def _chunks(inputs: Iterable[Tensor]) -> Iterator[Tensor]:
    """Rows of all inputs of a device, joined to at least CHUNK_TOKENS (the last chunk: what is left). A larger input is cut."""
    waiting: dict[torch.device, list[Tensor]] = {}
    for tensor in inputs:
        rows = waiting.setdefault(tensor.device, [])
        for X in tensor.reshape(-1, tensor.shape[-1]).split(CHUNK_TOKENS):
            rows.append(X)
            if sum(len(one) for one in rows) >= CHUNK_TOKENS:
                yield torch.cat(rows) if len(rows) > 1 else rows[0]
                rows.clear()
    for rows in waiting.values():
        if rows:
            yield torch.cat(rows) if len(rows) > 1 else rows[0]


class GramSum:
    """XᵀX, or XᵀY, over many X (tokens × columns), each on any device."""

    def __init__(self) -> None:
        self._sums: dict[torch.device, _DeviceSum] = {}

    def add(self, X: Tensor, Y: Tensor | None = None) -> None:
        """X, Y: CHUNK_TOKENS × columns at most, on one device; of a block's experts some get no row."""
        if X.device not in self._sums:
            self._sums[X.device] = _DeviceSum(X.shape[1], X.device)
        if len(X):
            self._sums[X.device].add(X, Y)

    def total(self) -> Tensor:
        """The sum (columns × columns, float64) on the first device; nothing can be added afterwards."""
        if not self._sums:
            raise ValueError("statistics need at least one input")
        first, *others = self._sums.values()
        for other in others:
            first.take(other)
        return first.total()


class _DeviceSum:
    """What one device sums. Of XᵀX the upper triangle's panels are computed, and mirrored at the end."""

    def __init__(self, columns: int, device: torch.device) -> None:
        self._shape, self._device = (columns, columns), device
        self._sum: Tensor | None = None
        self._recent: Tensor | None = None
        self._chunks = 0
        self._symmetric = True

    def add(self, X: Tensor, Y: Tensor | None = None) -> None:
        self._symmetric = Y is None
        if X.dtype == torch.float64:
            self._sum = self._flushed().addmm_(X.t(), X if Y is None else Y)
            return
        if self._recent is None:
            self._recent = torch.zeros(self._shape, dtype=torch.float32, device=self._device)
        add_products(self._recent, X, X if Y is None else Y, _PANEL, upper=Y is None)
        self._chunks += 1
        if self._chunks == _CHUNKS:
            self._sum = self._flushed()

    def take(self, other: _DeviceSum) -> None:
        """Add what another device has summed."""
        self._sum = self._flushed().add_(other._flushed().to(self._device))
        self._symmetric &= other._symmetric

    def total(self) -> Tensor:
        total = self._flushed()
        if self._symmetric:
            for start in range(0, len(total), _PANEL):
                stop = start + _PANEL
                total[stop:, start:stop] = total[start:stop, stop:].t()
        return total

    def _flushed(self) -> Tensor:
        """The sum in float64, which is made when it is first needed: two matrices are much memory where a layer is wide."""
        recent, self._recent, self._chunks = self._recent, None, 0
        if self._sum is None:
            return torch.zeros(self._shape, dtype=torch.float64, device=self._device) if recent is None else recent.double()
        return self._sum if recent is None else self._sum.add_(recent)

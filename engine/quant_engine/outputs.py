"""What a layer with few outputs computes for every token, before and after it is quantized: the record of such a layer comes from there
(docs/decisions/0016-few-outputs.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from quant_engine.lazy import torch
from quant_engine.linalg.products import Outputs

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.inputs import InputQuantizer
    from quant_engine.methods.types import Statistics

Give = Callable[[int, "Tensor"], None]
_TOKENS = 1024
"""Rows whose outputs are in memory together: what is summed then still lies in the cores' caches."""


def output_energies(
    statistics: Statistics, quantizer: InputQuantizer | None, weight: Tensor, quantized: Tensor, give: Give | None = None
) -> tuple[Tensor, Tensor]:
    """Σy² and Σ(ŷ − y)² of each output, both (out,) float64, from the outputs y = W x and ŷ of every token.

    weight: W (out × in). quantized: Ŵ (out × in) as a loader of the checkpoint computes it, that is, to be multiplied with inputs that were
    divided by the quantizer's `smooth`. quantizer: how inputs are rounded; None: not at all. give: gets ŷ (tokens × out, float32) of some
    tokens at a time with the number of the input that they are of. Products are exact for the inputs' dtype, their sums are float32.
    """
    signal, noise = (torch.zeros(len(weight), dtype=torch.float64, device=weight.device) for _ in range(2))
    pairs: dict[torch.device, _Pair] = {}
    for number, X in _rows(statistics):
        if X.device not in pairs:
            pairs[X.device] = _Pair(weight.to(X.device), quantized.to(X.device), quantizer and quantizer.on(X.device))
        Y, found = pairs[X.device].of(X, X.dtype)
        if give is not None:
            give(number, found)
        of_signal, of_noise = _energies(Y, found)
        # Squares of outputs above 1.8e19 are not in float32's range.
        if not bool(torch.isfinite(of_signal + of_noise).all()):
            of_signal, of_noise = _energies(*pairs[X.device].of(X, torch.float64))
        signal += of_signal.to(signal.device)
        noise += of_noise.to(noise.device)
    return signal, noise


class _Pair:
    """W and Ŵ (out × in each) on one device, ready to be multiplied with many X."""

    def __init__(self, weight: Tensor, quantized: Tensor, quantizer: InputQuantizer | None) -> None:
        self._weights, self._quantizer = (weight, quantized), quantizer
        self._ready: dict[torch.dtype, tuple[Outputs, Outputs]] = {}

    def of(self, X: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """W x and Ŵ x̂ for each row of X (tokens × in); dtype: as of `Outputs`."""
        if dtype not in self._ready:
            weight, quantized = (Outputs(one, dtype) for one in self._weights)
            self._ready[dtype] = weight, quantized
        plain, rounded = self._ready[dtype]
        return plain.of(X), rounded.of(X if self._quantizer is None else self._quantizer.scaled(X))


def _energies(Y: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    """Σy² and Σ(ŷ − y)² of each column; `found` is used up."""
    return Y.square().sum(0), found.sub_(Y).square_().sum(0)


def _rows(statistics: Statistics) -> Iterator[tuple[int, Tensor]]:
    """With the number of the input that they are of."""
    if statistics.inputs is None:
        raise ValueError("the inputs of these statistics are gone")
    for number, X in enumerate(statistics.inputs()):
        for rows in X.reshape(-1, X.shape[-1]).split(_TOKENS):
            yield number, rows

"""What a layer with few outputs computes for every token, before and after it is quantized: the record of such a layer comes from there
(docs/decisions/0016-few-outputs.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quant_engine.lazy import torch
from quant_engine.linalg.products import Outputs

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.inputs import InputQuantizer
    from quant_engine.methods.types import Statistics

_TOKENS = 1024
"""Rows whose outputs are in memory together: what is summed then still lies in the cores' caches."""


def output_energies(
    statistics: Statistics, quantizer: InputQuantizer | None, weight: Tensor, quantized: Tensor, kind: torch.dtype | None = None
) -> tuple[Tensor, Tensor]:
    """Σy² and Σ(ŷ − y)² of each output, both (out,) float64, from the outputs y = W x and ŷ of every token.

    weight: W (out × in). quantized: Ŵ (out × in) as a loader of the checkpoint computes it, that is, to be multiplied with inputs that were
    divided by the quantizer's `smooth`. quantizer: how inputs are rounded; None: not at all. kind: float64, where float32's range is too
    small for squares; found out by itself. Products are exact for the inputs' dtype, their sums are float32.
    """
    signal, noise = (torch.zeros(len(weight), dtype=torch.float64, device=weight.device) for _ in range(2))
    by_device: dict[torch.device, tuple[Outputs, Outputs, InputQuantizer | None]] = {}
    for X in _rows(statistics):
        if X.device not in by_device:
            plain, rounded = (Outputs(matrix.to(X.device), kind or X.dtype) for matrix in (weight, quantized))
            by_device[X.device] = plain, rounded, quantizer and quantizer.on(X.device)
        plain, rounded, here = by_device[X.device]
        Y = plain.of(X)
        error = rounded.of(X if here is None else here.scaled(X)).sub_(Y)
        signal += Y.square_().sum(0).to(signal.device)
        noise += error.square_().sum(0).to(noise.device)
    # Squares of outputs above 1.8e19 are not in float32's range.
    if kind == torch.float64 or bool(torch.isfinite(signal + noise).all()):
        return signal, noise
    return output_energies(statistics, quantizer, weight, quantized, torch.float64)


def _rows(statistics: Statistics):
    if statistics.inputs is None:
        raise ValueError("the inputs of these statistics are gone")
    for X in statistics.inputs():
        yield from X.reshape(-1, X.shape[-1]).split(_TOKENS)

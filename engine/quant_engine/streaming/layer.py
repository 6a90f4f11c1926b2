"""One layer in pieces of rows that fit into a core's cache: the same methods as in a walk, on the same numbers."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quant_engine.layers import refuse_no_number
from quant_engine.lazy import torch
from quant_engine.methods import METHODS
from quant_engine.methods.types import Report
from quant_engine.sensitivity import measurement
from quant_engine.stack import broken_weights

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.checkpoint import LinearInfo
    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.methods.types import Quantized
    from quant_engine.result import Measurement
    from quant_engine.uses import Use

_WEIGHTS = 1 << 17
"""That a CPU takes at once: 512 KB of float32, beside which the steps in between still fit into a cache of 2 MB."""
_WEIGHTS_ELSEWHERE = 1 << 24
_BY_ROWS = ("pack-quantized", "int-quantized", "float-quantized", "mxfp4-pack-quantized")
"""Layouts whose tensors have the rows of the weight, in their order."""
_ONE = threading.Lock()


@dataclass(frozen=True)
class Piece:
    """Of some rows: Σw² of each (rows,) float64, Σ(ŵ − w)² of each with every use, and the methods' reports."""

    signal: Tensor
    noises: list[Tensor]
    reports: list[Report]


def pieces(linear: LinearInfo, uses: Sequence[Use], device: str) -> Iterator[tuple[int, int]]:
    """(first row, row behind the last one) of each piece. A scale of the whole matrix, and a layout that is not in its rows' order, leave
    it whole."""
    formats = [use.weight_format for use in uses]
    rows = linear.outputs
    if all(_divisible(kind) for kind in formats):
        multiple = math.lcm(*(_rows_together(kind) for kind in formats))
        most = _WEIGHTS if device == "cpu" else _WEIGHTS_ELSEWHERE
        rows = max(most // linear.inputs // multiple, 1) * multiple
    for start in range(0, linear.outputs, rows):
        yield start, min(start + rows, linear.outputs)


def _divisible(kind: WeightFormat) -> bool:
    return kind.layout in _BY_ROWS and kind.strategy in ("group", "channel", "block")


def _rows_together(kind: WeightFormat) -> int:
    """Rows that share a scale, or words of packed zero points."""
    if kind.block:
        return kind.block[0]
    return 1 if kind.symmetric else 32 // math.gcd(32, kind.num_bits)


def one_at_a_time(linear: LinearInfo, start: int, stop: int) -> AbstractContextManager[object]:
    """Of large matrices that cannot be divided one alone is worked on: memory for as many as there are threads is not to be had."""
    return _ONE if (stop - start) * linear.inputs > _WEIGHTS_ELSEWHERE else nullcontext()


def quantize_piece(
    name: str, weight: Tensor, uses: Sequence[Use], store: Callable[[Use, Quantized], None] = lambda use, part: None
) -> Piece:
    """weight: rows of W in the model's dtype. store: takes each result. Raises QuantError(code="model-broken") for weights that are not
    finite."""
    W = weight.float() if weight.dtype != torch.float64 else weight
    signal = _row_energies(W)
    if not bool(torch.isfinite(signal).all()):
        raise broken_weights(name)
    noises, reports = [], []
    for use in uses:
        part = METHODS[use.method].quantize(weight, None, use.weight_format, use.arguments)  # type: ignore[arg-type]
        store(use, part)
        noises.append(_row_energies(part.effective().to(W.dtype).sub_(W)))
        reports.append(part.report)
    return Piece(signal, noises, reports)


def _row_energies(D: Tensor) -> Tensor:
    """Σd² of each row of D (rows × in), (rows,) float64 on the CPU; in float64 throughout where float32 is too narrow for squares."""
    rows = torch.linalg.vector_norm(D, dim=1).double().square_()
    if D.dtype == torch.float32 and not bool((torch.isfinite(rows) & (rows > 0)).all()):
        return _row_energies(D.double())
    return rows.cpu()


def joined(done: Sequence[Piece]) -> Piece:
    """Of a whole layer, from its pieces in order. A piece's fallback is the layer's."""
    reports = [next((report for report in of_use if report.fallback), of_use[0]) for of_use in zip(*(one.reports for one in done), strict=True)]
    noises = [torch.cat(parts) for parts in zip(*(one.noises for one in done), strict=True)]
    return Piece(torch.cat([one.signal for one in done]), noises, reports)


def weight_measurements(linear: LinearInfo, uses: Sequence[Use], whole: Piece, scale_bits: int) -> tuple[float, list[Measurement]]:
    """Σw², and for each use what it does to the weights alone: nothing is known of inputs and outputs. Raises
    QuantError(code="not-finite")."""
    signal = float(whole.signal.sum())
    for use, noise in zip(uses, whole.noises, strict=True):
        refuse_no_number(linear.name, use, signal, noise)
    found = [
        measurement(signal, float(noise.sum()), use.weight_format.bits_per_weight(linear.inputs, scale_bits, linear.outputs), report)
        for use, noise, report in zip(uses, whole.noises, whole.reports, strict=True)
    ]
    return signal, [one.model_copy(update={"of": "weights"}) for one in found]

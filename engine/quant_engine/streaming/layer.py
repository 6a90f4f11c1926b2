"""One layer in pieces of rows: the same methods as in a walk, on the same numbers."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quant_engine import compiled
from quant_engine.formats.numbers import compute_dtype
from quant_engine.layers import refuse_no_number
from quant_engine.lazy import torch
from quant_engine.methods import METHODS
from quant_engine.methods.types import Report
from quant_engine.output_format import noted
from quant_engine.sensitivity import measurement
from quant_engine.stack import broken_weights

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.checkpoint import LinearInfo
    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.methods.types import Quantized
    from quant_engine.result import Measurement
    from quant_engine.uses import Use

_WEIGHTS = 1 << 21
"""That a CPU takes at once: 4 MB of bfloat16. Of smaller pieces the calls of each step, for which threads wait for each other, take more
than the work."""
_WEIGHTS_ELSEWHERE = 1 << 24
_BY_ROWS = ("pack-quantized", "int-quantized", "float-quantized", "mxfp4-pack-quantized")
"""Layouts whose tensors have the rows of the weight, in their order."""
_ONE = threading.Lock()


@dataclass(frozen=True)
class Piece:
    """Of some rows: Σw², Σ(ŵ − w)² with every use, and the methods' reports. Numbers and no tensors: what is kept of every piece between
    the large tensors of the next ones would keep the memory from being used again."""

    signal: float
    noises: list[float]
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
    name: str,
    weight: Tensor,
    uses: Sequence[Use],
    store: Callable[[Use, Quantized], None] = lambda use, part: None,
    largest: float | None = None,
) -> Piece:
    """weight: rows of W in the model's dtype. store: takes each result. largest: of all layers that are served as one with this one. Raises
    QuantError(code="model-broken") for weights that are not finite."""
    signal = _usable(compiled.energy(weight)) or _energy(weight.to(compute_dtype(weight)))
    if not math.isfinite(signal):
        raise broken_weights(name)
    noises, reports = [], []
    for use in uses:
        part = METHODS[use.method].quantize(weight, None, use.weight_format.fused(largest), use.arguments)  # type: ignore[arg-type]
        store(use, part)
        noises.append(_noise(weight, part))
        reports.append(noted(part))
    return Piece(signal, noises, reports)


def _noise(weight: Tensor, part: Quantized) -> float:
    """Σ(ŵ − w)²."""
    found = _usable(compiled.noise(weight, part.codes, part.grid)) if part.scale is None else None
    return found or _energy(part.effective().to(compute_dtype(weight)).sub_(weight))


def _usable(energy: float | None) -> float | None:
    """None too where float32 was too narrow for squares."""
    return energy if energy and math.isfinite(energy) else None


def _energy(D: Tensor) -> float:
    """Σd² of D (rows × in): each row's norm in D's dtype, or in float64 where float32 is too narrow for squares, their squares' sum in
    float64."""
    norms = torch.linalg.vector_norm(D, dim=1).cpu().numpy().astype("float64")
    total = float(norms @ norms)
    if D.dtype == torch.float64 or (math.isfinite(total) and total > 0):
        return total
    return _energy(D.double())


def weight_measurements(
    linear: LinearInfo, uses: Sequence[Use], done: Sequence[Piece], scale_bits: int
) -> tuple[float, list[Measurement], list[Report]]:
    """Σw², and for each use what it does to the weights alone (nothing is known of inputs and outputs) and its method's report. done: all
    pieces of the layer, in order; a piece's fallback is the layer's. Raises QuantError(code="not-finite")."""
    signal = math.fsum(piece.signal for piece in done)
    found, reports = [], []
    for number, use in enumerate(uses):
        noise = math.fsum(piece.noises[number] for piece in done)
        report = next((piece.reports[number] for piece in done if piece.reports[number].fallback), done[0].reports[number])
        refuse_no_number(linear.name, use, signal, noise)
        bits = use.weight_format.bits_per_weight(linear.inputs, scale_bits, linear.outputs)
        found.append(measurement(signal, noise, bits, report).model_copy(update={"of": "weights"}))
        reports.append(report)
    return signal, found, reports

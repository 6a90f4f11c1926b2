"""The weights of layers that share an input as one matrix: rows are independent, so one call does the work of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from quant_engine.calibration import noise_of
from quant_engine.errors import QuantError
from quant_engine.formats.inputs import InputQuantizer, calibrated_scale
from quant_engine.formats.numbers import ordered_sizes
from quant_engine.lazy import torch
from quant_engine.methods import METHODS
from quant_engine.methods.types import Quantized, Report
from quant_engine.outputs import output_energies
from quant_engine.sensitivity import energies, noisy_row_energies, row_energies, total
from quant_engine.uses import USE_MODELS, Use

if TYPE_CHECKING:
    from torch import Tensor, nn

    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.handed import Collected
    from quant_engine.methods.types import Noise, Statistics

_ROWS = 32768
"""Rows that a method gets at once: bounds its working memory for an lm_head of a large vocabulary."""
MULTIPLIED = ("q_proj", "k_proj", "query", "key", "query_key_value", "qkv_proj")


@dataclass(frozen=True)
class Layer:
    """A linear layer in memory. group: layers with the same value read the same input; routed: it is an expert's and reads
    only some of the tokens."""

    name: str
    group: str
    module: nn.Module
    routed: bool = False
    fused: str | None = None
    """Layers with the same value are served as one."""

    @property
    def weight(self) -> Tensor:
        return self.module.weight  # type: ignore[return-value]


def fused_largest(layers: Iterable[Layer]) -> dict[str, float]:
    """Layer → the largest magnitude of all weights that are served as one with its own; layers that are served alone are not in it."""
    sets: dict[str, list[Layer]] = {}
    for layer in layers:
        if layer.fused is not None:
            sets.setdefault(layer.fused, []).append(layer)
    found = {name: max(largest_of(member.weight) for member in members) for name, members in sets.items()}
    return {member.name: found[name] for name, members in sets.items() for member in members}


def largest_of(weight: Tensor) -> float:
    """max|w|."""
    return float(ordered_sizes(weight).amax().view(weight.dtype))


class Stack:
    def __init__(self, layers: Sequence[Layer], largest: Mapping[str, float] | None = None) -> None:
        """largest: as of `fused_largest`, for formats that such layers share a factor in. Raises QuantError(code="model-broken") for
        weights that are not finite."""
        for layer in layers:
            if not bool(torch.isfinite(layer.weight).all()):
                raise broken_weights(layer.name)
        self._routed = any(layer.routed for layer in layers)
        self._largest = [(largest or {}).get(layer.name) for layer in layers]
        self.sizes = [layer.weight.shape[0] for layer in layers]
        self.weight = torch.cat([layer.weight for layer in layers]) if len(layers) > 1 else layers[0].weight
        multiplied = [torch.full((len(layer.weight),), layer.name.rpartition(".")[2] in MULTIPLIED) for layer in layers]
        self._unclipped = torch.cat(multiplied).to(self.weight.device)

    def quantize(self, use: Use, statistics: Statistics, scale: Tensor | None = None) -> list[Quantized]:
        """One result for each layer. scale (in,): the input is divided by it already, whatever the method would choose."""
        method = METHODS[use.method]
        if self._routed and method.needs_calibration and statistics.tokens < statistics.columns:
            return self._without_statistics(use, statistics)
        seen = replace(statistics, unclipped=self._unclipped)
        weight = self.weight
        if scale is not None:
            seen = replace(statistics.scaled(scale), unclipped=self._unclipped)
            weight = (weight.float() * scale).to(weight.dtype)

        def quantized(rows: Tensor, mask: Tensor, kind: WeightFormat = use.weight_format) -> Quantized:
            done = method.quantize(rows, replace(seen, unclipped=mask), kind, use.arguments)
            return done if scale is None else replace(done, scale=scale)

        if not use.weight_format.rows_are_independent:
            # What a scale makes of the others' weights is not known here.
            kinds = [use.weight_format.fused(None if scale is not None else largest) for largest in self._largest]
            return [quantized(*rows) for rows in zip(weight.split(self.sizes), self._unclipped.split(self.sizes), kinds, strict=True)]
        # A scale is searched for all rows together.
        size = len(weight) if method.scales_inputs else _ROWS
        parts = [quantized(*rows) for rows in zip(weight.split(size), self._unclipped.split(size), strict=True)]
        whole = parts[0] if len(parts) == 1 else Quantized.stack(parts)
        stops = torch.tensor(self.sizes).cumsum(0).tolist()
        return [whole.rows(stop - size, stop) for stop, size in zip(stops, self.sizes, strict=True)]

    def energies(
        self, parts: Sequence[Quantized], statistics: Statistics, quantizer: InputQuantizer | None, collected: Collected | None = None
    ) -> tuple[list[float], list[Tensor]]:
        """For each layer Σy² of all its outputs, and `noises`, where nobody asks for another candidate.

        collected: gets the quantized outputs of the one layer when they were computed for that, and hands them over.
        """
        plain = not statistics.has_gram and parts[0].scale is None
        if self._has_few(statistics) and (quantizer is not None or plain):
            signals, noises = self._by_outputs(parts, statistics, quantizer, collected)
            if collected is not None:
                collected.hand_over()
            return [total(part) for part in signals.split(self.sizes)], list(noises.split(self.sizes))
        return energies(self.weight, statistics.gram, self.sizes), self.noises(parts, statistics, quantizer)[0]

    def noises(
        self, parts: Sequence[Quantized], statistics: Statistics, quantizer: InputQuantizer | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """For each layer Σ(y − ŷ)² of each of its outputs, (out,) float64, and the same when its inputs stay as they are."""
        effective = torch.cat([part.effective().float() for part in parts])
        by_outputs = quantizer is not None and quantizer.smooth is not None and self._has_few(statistics)
        if quantizer is None or by_outputs:
            by_weights = row_energies(effective.sub_(self.weight.float()), statistics.gram)
            # No other candidate rounds this input in the same way.
            rows = self._by_outputs(parts, statistics, quantizer)[1] if by_outputs else by_weights
        else:
            rows, by_weights = noisy_row_energies(self.weight, effective, statistics.gram, _noise(statistics, quantizer))
        return list(rows.split(self.sizes)), list(by_weights.split(self.sizes))

    def _by_outputs(
        self, parts: Sequence[Quantized], statistics: Statistics, quantizer: InputQuantizer | None, collected: Collected | None = None
    ) -> tuple[Tensor, Tensor]:
        smoothed = quantizer is not None and quantizer.smooth is not None
        weights = [part.dequantize() if smoothed else part.effective() for part in parts]
        return output_energies(statistics, quantizer, self.weight, torch.cat(weights), collected and collected.take)

    def _has_few(self, statistics: Statistics) -> bool:
        """Whether there are so few outputs that computing them for every token is less work than a Gram matrix."""
        return statistics.inputs is not None and len(self.weight) <= statistics.columns

    def bits_per_weight(self, use: Use, part: Quantized) -> float:
        rows, columns = part.codes.shape
        return use.weight_format.bits_per_weight(columns, scale_bits=8 * self.weight.element_size(), rows=rows)

    def _without_statistics(self, use: Use, statistics: Statistics) -> list[Quantized]:
        """Round to nearest for an expert that too few tokens chose (docs/decisions/0010-experts.md), and say so."""
        plain = self.quantize(instead(use, "rtn"), statistics)
        reason = f"{statistics.tokens} calibration tokens were routed to this expert, fewer than its {statistics.columns} inputs"
        return [replace(part, report=Report(fallback=reason, applied="rtn")) for part in plain]


def broken_weights(name: str) -> QuantError:
    advice = "The checkpoint is damaged; download it again."
    return QuantError(f"the weights of {name} are not all finite", code="model-broken", advice=advice)


class SharedScale:
    """The one scale of an input that several layers read: the first method that looks for one decides."""

    def __init__(self) -> None:
        self.scale: Tensor | None = None
        self._by: str = ""

    def quantize(self, stack: Stack, use: Use, statistics: Statistics) -> list[Quantized]:
        method = METHODS[use.method]
        if self.scale is None:
            parts = stack.quantize(use, statistics)
            self.scale, self._by = parts[0].scale, use.label
            return parts
        if not method.scales_inputs:
            return stack.quantize(use, statistics, self.scale)
        plain = stack.quantize(instead(use, "rtn"), statistics, self.scale)
        reason = f"layers that read the same input share one scale, and {self._by} chose it"
        return [replace(part, report=replace(part.report, fallback=reason, applied="rtn")) for part in plain]


def input_quantizer(use: Use, statistics: Statistics, dtype: torch.dtype, smooth: Tensor | None = None) -> InputQuantizer | None:
    """How the layer's inputs are rounded with this use; None: they stay as they are. smooth (in,): what they are divided by before."""
    inputs = use.input_format
    if inputs is None:
        return None
    if inputs.stored_scale is None:
        return InputQuantizer(inputs, None, smooth)
    largest = statistics.largest if smooth is None else statistics.largest / smooth
    return InputQuantizer(inputs, calibrated_scale(largest, inputs, dtype), smooth)


def instead(use: Use, method: str, **arguments: Any) -> Use:
    """The same scheme and groups with another method, and its arguments; of 8-bit floats rounding to nearest is a method of its own."""
    known = method if use.scheme in METHODS[method].schemes else "fp8"
    return USE_MODELS[known](method=known, scheme=use.scheme, group_size=use.group_size, **arguments).stored_as(use.output_format)


def _noise(statistics: Statistics, quantizer: InputQuantizer) -> Noise:
    """Of one way to round the inputs it is computed once for all candidates."""
    if quantizer.smooth is not None:
        return noise_of(statistics, quantizer)
    if quantizer.input_format not in statistics.noises:
        statistics.noises[quantizer.input_format] = noise_of(statistics, quantizer)
    return statistics.noises[quantizer.input_format]

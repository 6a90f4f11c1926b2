"""What a walk does where layers that share an input have been reached by all batches: measure candidates, or quantize
in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quant_engine.calibration import noise_of
from quant_engine.errors import QuantError
from quant_engine.formats.inputs import InputQuantizer, attach, static_scale
from quant_engine.formats.stored import checkpoint_tensors
from quant_engine.lazy import torch
from quant_engine.methods import METHODS
from quant_engine.methods.types import Quantized
from quant_engine.result import Measurement
from quant_engine.sensitivity import energies, measurement, noisy_energies
from quant_engine.uses import USE_MODELS, Use

if TYPE_CHECKING:
    from torch import Tensor, nn

    from quant_engine.checkpoint import LinearInfo
    from quant_engine.methods.types import Statistics


_ROWS = 32768
"""Rows that a method gets at once: bounds its working memory for an lm_head of a large vocabulary."""


@dataclass(frozen=True)
class Layer:
    """A linear layer in memory. group: layers with the same value read the same input."""

    name: str
    group: str
    module: nn.Module

    @property
    def weight(self) -> Tensor:
        return self.module.weight  # type: ignore[return-value]


@dataclass(frozen=True)
class MeasuredLayer:
    """All candidates on one layer. group: layers with the same value read the same input; signal: Σ‖y‖²."""

    name: str
    group: str
    tokens: int
    signal: float
    candidates: dict[str, Measurement]


@dataclass(frozen=True)
class QuantizedLayer:
    """What was done to one layer. asked, applied: labels; achieved: written against float weights on the quantized
    network's inputs."""

    name: str
    group: str
    tokens: int
    signal: float
    asked: str
    applied: str
    fallback: str | None
    damping: float | None
    loss: float | None
    achieved: Measurement


def measure_group(
    layers: Sequence[Layer], statistics: Statistics, candidates: Sequence[Use], tick: Callable[[], None]
) -> list[MeasuredLayer]:
    """Every candidate on layers that share the input of `statistics`, one call of its method for all of them.

    Raises QuantError(code="not-finite").
    """
    _refuse_not_finite(layers, statistics)
    stack = _Stack(layers)
    signals = energies(stack.weight, statistics.gram, stack.sizes)
    found: list[dict[str, Measurement]] = [{} for _ in layers]
    for use in candidates:
        tick()
        parts = stack.quantize(use, statistics)
        noises = stack.noises(parts, statistics, input_quantizer(use, statistics, stack.weight.dtype))
        for entry, signal, noise, part in zip(found, signals, noises, parts, strict=True):
            entry[use.label] = measurement(signal, noise, stack.bits_per_weight(use, part), part.report)
    return [
        MeasuredLayer(layer.name, layer.group, statistics.tokens, signal, entry)
        for layer, signal, entry in zip(layers, signals, found, strict=True)
    ]


def quantize_group(
    layers: Sequence[Layer],
    statistics: Statistics,
    assignment: Mapping[str, Use | None],
    tensors: dict[str, Tensor],
    tick: Callable[[], None],
) -> list[QuantizedLayer]:
    """Quantize layers that share the input of `statistics` in place; what the checkpoint stores of them is added to
    `tensors`. Raises QuantError(code="not-finite")."""
    _refuse_not_finite(layers, statistics)
    done: dict[str, QuantizedLayer] = {}
    for use in dict.fromkeys(assignment.get(layer.name) for layer in layers):
        if use is None:
            continue
        tick()
        members = [layer for layer in layers if assignment.get(layer.name) == use]
        stack = _Stack(members)
        parts = stack.quantize(use, statistics)
        quantizer = input_quantizer(use, statistics, stack.weight.dtype)
        signals = energies(stack.weight, statistics.gram, stack.sizes)
        noises = stack.noises(parts, statistics, quantizer)
        for layer, part, signal, noise in zip(members, parts, signals, noises, strict=True):
            report = part.report
            tensors.update(checkpoint_tensors(layer.name, part))
            layer.weight.data.copy_(part.dequantize())
            if quantizer is not None:
                attach(layer.module, quantizer)
                if quantizer.scale is not None:
                    tensors[f"{layer.name}.input_scale"] = quantizer.scale.clone()
            done[layer.name] = QuantizedLayer(
                name=layer.name,
                group=layer.group,
                tokens=statistics.tokens,
                signal=signal,
                asked=use.label,
                applied=_instead(use, report.applied).label if report.applied else use.label,
                fallback=report.fallback,
                damping=report.damping,
                loss=report.loss,
                achieved=measurement(signal, noise, stack.bits_per_weight(use, part), report),
            )
    return [done[layer.name] for layer in layers if layer.name in done]


def check_fits(linears: Iterable[LinearInfo], uses_of: Callable[[str], Sequence[Use]]) -> None:
    """Raises QuantError(code="group-size") for the first layer whose width a group size does not divide."""
    for linear in linears:
        for use in uses_of(linear.name):
            if not use.fits(linear.inputs):
                raise QuantError(
                    f"group size {use.group_width} does not divide the input width {linear.inputs} "
                    f"of {linear.name}",
                    code="group-size",
                    advice="Choose a group size that divides it, or `channel`.",
                )


def _refuse_not_finite(layers: Sequence[Layer], statistics: Statistics) -> None:
    """An input that is infinite or no number reaches its own square on the Gram matrix's diagonal."""
    if not bool(torch.isfinite(statistics.gram.diagonal()).all()):
        raise QuantError(
            f"the inputs of {layers[0].name} are not all finite",
            code="not-finite",
            advice="The checkpoint overflows in its dtype or is damaged: check its weights, or use bfloat16.",
        )


class _Stack:
    """The weights of layers that share an input as one matrix: rows are independent, so one call does the work of
    several."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        for layer in layers:
            if not bool(torch.isfinite(layer.weight).all()):
                raise QuantError(
                    f"the weights of {layer.name} are not all finite",
                    code="model-broken",
                    advice="The checkpoint is damaged; download it again.",
                )
        self.sizes = [layer.weight.shape[0] for layer in layers]
        self.weight = torch.cat([layer.weight for layer in layers]) if len(layers) > 1 else layers[0].weight

    def quantize(self, use: Use, statistics: Statistics) -> list[Quantized]:
        """One result for each layer."""
        method = METHODS[use.method]

        def quantized(rows: Tensor) -> Quantized:
            return method.quantize(rows, statistics, use.weight_format, use.arguments)

        if not use.weight_format.rows_are_independent:
            return [quantized(rows) for rows in self.weight.split(self.sizes)]
        parts = [quantized(rows) for rows in self.weight.split(_ROWS)]
        whole = parts[0] if len(parts) == 1 else Quantized.stack(parts)
        stops = torch.tensor(self.sizes).cumsum(0).tolist()
        return [whole.rows(stop - size, stop) for stop, size in zip(stops, self.sizes, strict=True)]

    def noises(self, parts: Sequence[Quantized], statistics: Statistics, quantizer: InputQuantizer | None) -> list[float]:
        """Σ‖y − ŷ‖² of each layer."""
        dequantized = torch.cat([part.dequantize() for part in parts])
        if quantizer is not None:
            if quantizer.input_format not in statistics.noises:
                statistics.noises[quantizer.input_format] = noise_of(statistics, quantizer)
            noise = statistics.noises[quantizer.input_format]
            return noisy_energies(self.weight, dequantized.to(self.weight.dtype), statistics.gram, noise, self.sizes)
        difference = dequantized.float().sub_(self.weight.float())
        return energies(difference, statistics.gram, self.sizes)

    def bits_per_weight(self, use: Use, part: Quantized) -> float:
        rows, columns = part.codes.shape
        return use.weight_format.bits_per_weight(columns, scale_bits=8 * self.weight.element_size(), rows=rows)


def input_quantizer(use: Use, statistics: Statistics, dtype: torch.dtype) -> InputQuantizer | None:
    """How the layer's inputs are rounded with this use; None: they stay as they are."""
    inputs = use.input_format
    if inputs is None:
        return None
    return InputQuantizer(inputs, None if inputs.dynamic else static_scale(statistics.largest, inputs, dtype))


def _instead(use: Use, method: str) -> Use:
    return USE_MODELS[method](method=method, scheme=use.scheme, group_size=use.group_size)

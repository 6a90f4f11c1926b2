"""What a walk does where layers that share an input have been reached by all batches: measure candidates, or quantize
in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from quant_engine.advice import ADVICE
from quant_engine.checkpoint.quantization import expert_contradiction
from quant_engine.errors import QuantError
from quant_engine.formats.packing import checkpoint_tensors
from quant_engine.lazy import torch
from quant_engine.methods import METHODS
from quant_engine.methods.types import Quantized, Report
from quant_engine.result import Measurement
from quant_engine.sensitivity import energies, measurement
from quant_engine.uses import USE_MODELS, Use

if TYPE_CHECKING:
    from torch import Tensor, nn

    from quant_engine.checkpoint import LinearInfo
    from quant_engine.methods.types import Statistics


_ROWS = 32768
"""Rows that a method gets at once: bounds its working memory for an lm_head of a large vocabulary."""


@dataclass(frozen=True)
class Layer:
    """A linear layer in memory. group: layers with the same value read the same input; routed: it is an expert's and reads
    only some of the tokens."""

    name: str
    group: str
    module: nn.Module
    routed: bool = False

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
        quantized = stack.quantize(use, statistics)
        for entry, signal, noise in zip(found, signals, stack.noises(quantized, statistics), strict=True):
            entry[use.label] = measurement(signal, noise, stack.bits_per_weight(use), quantized.report)
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
        quantized = stack.quantize(use, statistics)
        signals = energies(stack.weight, statistics.gram, stack.sizes)
        noises = stack.noises(quantized, statistics)
        for layer, part, signal, noise in zip(members, stack.split(quantized), signals, noises, strict=True):
            report = part.report
            tensors.update(checkpoint_tensors(layer.name, part, use.weight_format.num_bits))
            layer.weight.data.copy_(part.dequantize())
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
                achieved=measurement(signal, noise, stack.bits_per_weight(use), report),
            )
    return [done[layer.name] for layer in layers if layer.name in done]


def check_fits(linears: Iterable[LinearInfo], uses_of: Callable[[str], Sequence[Use]]) -> None:
    """Raises QuantError(code="group-size") for the first layer whose width a group size does not divide."""
    for linear in linears:
        for use in uses_of(linear.name):
            if not use.weight_format.fits(linear.inputs):
                raise QuantError(
                    f"group size {use.weight_format.group_size} does not divide the input width {linear.inputs} "
                    f"of {linear.name}",
                    code="group-size",
                    advice="Choose a group size that divides it, or `channel`.",
                )


def refuse_mixed_experts(assignment: Mapping[str, Use | None]) -> None:
    """Raises QuantError(code="experts-mixed") for experts that no loader could read as the assignment has them."""
    contradiction = expert_contradiction(assignment)
    if contradiction:
        raise QuantError(contradiction, code="experts-mixed", advice=ADVICE["experts-mixed"])


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
        self._routed = any(layer.routed for layer in layers)
        self.sizes = [layer.weight.shape[0] for layer in layers]
        self.weight = torch.cat([layer.weight for layer in layers]) if len(layers) > 1 else layers[0].weight

    def quantize(self, use: Use, statistics: Statistics) -> Quantized:
        method = METHODS[use.method]
        if self._routed and method.needs_calibration and statistics.tokens < statistics.columns:
            return self._without_statistics(use, statistics)
        parts = [
            method.quantize(rows, statistics, use.weight_format, use.arguments) for rows in self.weight.split(_ROWS)
        ]
        return parts[0] if len(parts) == 1 else Quantized.stack(parts)

    def _without_statistics(self, use: Use, statistics: Statistics) -> Quantized:
        """Round to nearest for an expert that too few tokens chose (docs/decisions/0010-experts.md), and say so."""
        plain = self.quantize(_instead(use, "rtn"), statistics)
        reason = f"{statistics.tokens} calibration tokens were routed to this expert, fewer than its {statistics.columns} inputs"
        return replace(plain, report=Report(fallback=reason, applied="rtn"))

    def noises(self, quantized: Quantized, statistics: Statistics) -> list[float]:
        difference = quantized.dequantize().float().sub_(self.weight.float())
        return energies(difference, statistics.gram, self.sizes)

    def split(self, quantized: Quantized) -> list[Quantized]:
        stops = torch.tensor(self.sizes).cumsum(0).tolist()
        return [quantized.rows(stop - size, stop) for stop, size in zip(stops, self.sizes, strict=True)]

    def bits_per_weight(self, use: Use) -> float:
        return use.weight_format.bits_per_weight(self.weight.shape[1], scale_bits=8 * self.weight.element_size())


def _instead(use: Use, method: str) -> Use:
    return USE_MODELS[method](method=method, scheme=use.scheme, group_size=use.group_size)

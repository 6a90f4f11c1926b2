"""What a walk does where layers that share an input have been reached by all batches: measure candidates, or quantize
in place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quant_engine.advice import ADVICE
from quant_engine.checkpoint.quantization import expert_contradiction
from quant_engine.errors import QuantError
from quant_engine.formats.inputs import attach
from quant_engine.handed import Collected
from quant_engine.methods import METHODS
from quant_engine.output_format import layer_tensors, noted
from quant_engine.result import Measurement
from quant_engine.sensitivity import energies, measurement, total
from quant_engine.stack import Layer, SharedScale, Stack, fused_largest, input_quantizer
from quant_engine.unscaled import applied_label
from quant_engine.uses import Use

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.checkpoint import LinearInfo
    from quant_engine.folding import FoldTarget
    from quant_engine.formats.inputs import InputQuantizer
    from quant_engine.methods.types import Quantized, Report, Statistics

_OVERFLOW = "The checkpoint overflows in its dtype or is damaged: check its weights, or use bfloat16."
Tick = Callable[..., None]
"""Called between pieces of work, with or without a word on what comes next; what it raises ends the work."""
FindFold = Callable[[Sequence[str]], "FoldTarget | None"]


def no_tick(doing: str = "") -> None:
    """For who needs no word of progress."""


def no_fold(layers: Sequence[str]) -> FoldTarget | None:
    """For layers that no operation of the same block comes before, for example lm_head."""
    return None


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
    note: str | None
    damping: float | None
    loss: float | None
    achieved: Measurement


def measure_group(
    layers: Sequence[Layer],
    statistics: Statistics,
    candidates: Sequence[Use],
    tick: Tick,
    fold: FindFold = no_fold,
    importance: Mapping[str, Tensor] | None = None,
) -> list[MeasuredLayer]:
    """Every candidate on layers that share the input of `statistics`, one call of its method for all of them.

    fold: finds what can take over a scale of the layers' input. importance: by layer name what the noise energy of each output costs in
    nats for each token (out,), where that was measured. Raises QuantError(code="not-finite").
    """
    stack = Stack(layers, fused_largest(layers) if any(use.weight_format.shares_factor for use in candidates) else None)
    signals = energies(stack.weight, statistics.gram, stack.sizes)
    _refuse_not_finite(layers, statistics)
    target = fold([layer.name for layer in layers])
    statistics.fold = target.take if target else None
    found: list[dict[str, Measurement]] = [{} for _ in layers]
    prices = [(importance or {}).get(layer.name) for layer in layers]
    for use in candidates:
        tick(_doing(layers, use))
        parts = stack.quantize(use, statistics)
        quantizer = input_quantizer(use, statistics, stack.weight.dtype, parts[0].scale)
        noises, by_weights = stack.noises(parts, statistics, quantizer)
        for layer, entry, signal, noise, alone, part, price in zip(
            layers, found, signals, noises, by_weights, parts, prices, strict=True
        ):
            bits = stack.bits_per_weight(use, part)
            refuse_no_number(layer.name, use, signal, float(noise.sum()))
            predicted = None if price is None else total(noise * price)
            entry[use.label] = measurement(signal, total(noise), bits, part.report, predicted, None if quantizer is None else total(alone))
    return [
        MeasuredLayer(layer.name, layer.group, statistics.tokens, signal, entry)
        for layer, signal, entry in zip(layers, signals, found, strict=True)
    ]


def quantize_group(
    layers: Sequence[Layer],
    statistics: Statistics,
    assignment: Mapping[str, Use | None],
    tensors: dict[str, Tensor],
    tick: Tick,
    fold: FindFold = no_fold,
    inputs: Sequence[Tensor] | None = None,
    divisors: dict[str, Tensor] | None = None,
) -> list[QuantizedLayer]:
    """Quantize layers that share the input of `statistics` in place; what the checkpoint stores of them, and of the operation before them
    when it takes over a scale, is added to `tensors`.

    inputs: of a single layer that alone reads them, by pass; when its outputs are computed for the record anyway, they are handed over to
    the passes, and the inputs are gone. divisors: gets the name of a linear layer whose written outputs are divided by something, with that
    (out,). Raises QuantError(code="not-finite").
    """
    target = fold([layer.name for layer in layers])
    statistics.fold = target.take if target else None
    uses = dict.fromkeys(assignment.get(layer.name) for layer in layers)
    shared = SharedScale()
    # Before the first of them gets other weights.
    largest = fused_largest(layer for layer in layers if (use := assignment.get(layer.name)) and use.weight_format.shares_factor)
    done: dict[str, QuantizedLayer] = {}
    # A method that looks for a scale comes first: what the others get of the input is scaled by it too.
    for use in sorted((use for use in uses if use is not None), key=lambda use: not METHODS[use.method].scales_inputs):
        members = [layer for layer in layers if assignment.get(layer.name) == use]
        tick(_doing(members, use))
        stack = Stack(members, largest)
        parts = shared.quantize(stack, use, statistics)
        if not done:
            # A method that asked for the Gram matrix has it shown for nothing.
            _refuse_not_finite(layers, statistics)
        quantizer = input_quantizer(use, statistics, stack.weight.dtype, parts[0].scale)
        collected = None if inputs is None else Collected(layers[0].module, inputs)
        signals, noises = stack.energies(parts, statistics, quantizer, collected)
        for layer, part, signal, noise in zip(members, parts, signals, noises, strict=True):
            refuse_no_number(layer.name, use, signal, float(noise.sum()))
            achieved = measurement(signal, total(noise), stack.bits_per_weight(use, part), part.report)
            done[layer.name] = record(layer.name, layer.group, use, noted(part), statistics.tokens, signal, achieved)
            store_layer(layer, part, quantizer, tensors)
    if shared.scale is not None and target is not None:
        for layer in layers:
            if layer.name not in done:
                tensors[f"{layer.name}.weight"] = (layer.weight.float() * shared.scale).to(layer.weight.dtype)
        target.move(shared.scale)
        if divisors is not None:
            divisors |= target.divisors(shared.scale)
    return [done[layer.name] for layer in layers if layer.name in done]


def store_layer(layer: Layer, part: Quantized, quantizer: InputQuantizer | None, tensors: dict[str, Tensor]) -> None:
    """Add what the checkpoint stores to `tensors`; the layer computes from now on what a loader of it will compute."""
    tensors.update(layer_tensors(layer.name, part))
    layer.weight.data.copy_(part.effective())
    if quantizer is None:
        return
    attach(layer.module, quantizer)
    if quantizer.scale is not None:
        tensors[f"{layer.name}.{quantizer.input_format.stored_scale}"] = quantizer.scale.clone()


def record(
    name: str, group: str, use: Use, report: Report, tokens: int, signal: float, achieved: Measurement
) -> QuantizedLayer:
    """What is kept of a layer that was quantized; use: as asked."""
    return QuantizedLayer(
        name=name,
        group=group,
        tokens=tokens,
        signal=signal,
        asked=use.label,
        applied=applied_label(name, use, report),
        fallback=report.fallback,
        note=report.note,
        damping=report.damping,
        loss=report.loss,
        achieved=achieved,
    )


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


def refuse_mixed_experts(assignment: Mapping[str, Use | None]) -> None:
    """Raises QuantError(code="experts-mixed") for experts that no loader could read as the assignment has them."""
    contradiction = expert_contradiction(assignment)
    if contradiction:
        raise QuantError(contradiction, code="experts-mixed", advice=ADVICE["experts-mixed"])


def _doing(layers: Sequence[Layer], use: Use) -> str:
    """`model.layers.3.self_attn.q_proj, k_proj: awq-w4a16`"""
    first, *others = [layer.name for layer in layers]
    more = f" and {len(others) - 2} more" if len(others) > 3 else ""
    shown = [name.rpartition(".")[2] for name in (others[:2] if more else others)]
    return f"{', '.join([first, *shown])}{more}: {use.label}"


def _refuse_not_finite(layers: Sequence[Layer], statistics: Statistics) -> None:
    if sum(len(layer.weight) for layer in layers) > statistics.columns:
        _ = statistics.gram  # which will be needed, and shows it for nothing
    if not statistics.is_finite:
        raise QuantError(
            f"the inputs of {layers[0].name} are not all finite",
            code="not-finite",
            advice=_OVERFLOW,
        )


def refuse_no_number(name: str, use: Use, signal: float, noise: float) -> None:
    """A result with such numbers could not be read again: JSON has none of them."""
    if not (math.isfinite(signal) and math.isfinite(noise)):
        what = f"the error of {use.label} on {name}" if math.isfinite(signal) else f"the output of {name}"
        raise QuantError(f"{what} is infinite or no number", code="not-finite", advice=_OVERFLOW)

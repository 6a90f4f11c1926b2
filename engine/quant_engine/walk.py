"""The two passes over a model, block by block, as generators: the caller journals, reports progress and may stop at
every block."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from quant_engine.architectures.decoder import BlockInput, DecoderModel
from quant_engine.architectures.liveness import Held
from quant_engine.architectures.spread import Spread
from quant_engine.assignment.units import served_as_one
from quant_engine.calibration import statistics_of
from quant_engine.layers import (
    Layer,
    MeasuredLayer,
    QuantizedLayer,
    Tick,
    check_fits,
    measure_group,
    no_tick,
    quantize_group,
    refuse_mixed_experts,
)
from quant_engine.linalg.memory import release_freed
from quant_engine.lockstep import Lockstep

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.checkpoint import CheckpointWriter
    from quant_engine.methods.types import Statistics
    from quant_engine.uses import Use

_WORTH_RELEASING = 16 << 20
"""Bytes of hidden states from which on freed memory is handed back: below, that takes longer than it is worth."""


@dataclass(frozen=True)
class MeasuredBlock:
    """block None: lm_head. hidden: the batches' hidden states after the block, what a resume needs; they are gone when the next block has
    been walked through."""

    block: int | None
    layers: list[MeasuredLayer]
    hidden: list[Tensor]


@dataclass(frozen=True)
class QuantizedBlock:
    """layers: the quantized ones; layers that are kept do not appear. divisors: of linear layers that took over a scale of the layers
    behind them, by name what their written outputs are divided by (out,)."""

    block: int | None
    layers: list[QuantizedLayer]
    hidden: list[Tensor]
    divisors: dict[str, Tensor] = field(default_factory=dict)


def measure(
    model: DecoderModel,
    batches: Sequence[Tensor],
    candidates: Sequence[Use],
    *,
    start: int = 0,
    hidden: Sequence[Tensor] | None = None,
    head: bool = False,
    importance: Mapping[str, Tensor] | None = None,
    tick: Tick = no_tick,
    others: Sequence[str] = (),
) -> Iterator[MeasuredBlock]:
    """Measure every candidate on every linear layer with the float model's inputs: one pass, no forward for each
    candidate.

    batches: tokens (batch × tokens, int64) each. start, hidden: continue at that block with the hidden states that the
    block before it yielded; `start == model.block_count` measures the head alone. head: lm_head too (it must be
    untied). importance: as of `measure_group`. tick is called often, between batches and candidates; what it raises ends the walk. others:
    devices that share the batches with the model's own. Raises QuantError("group-size", "model-broken").
    """
    check_fits([linear for linear in model.linears if head or linear.block is not None], lambda _: candidates)
    spread = Spread(model, others)
    states = spread.start(batches, hidden)
    for index in range(start, model.block_count):
        spread.load(index)
        measured: list[MeasuredLayer] = []
        for layers, statistics, _ in _steps(spread, index, states, tick):
            measured += measure_group(layers, statistics, candidates, tick, partial(model.fold_target, index, {}), importance)
        spread.free(index)
        yield MeasuredBlock(index, measured, _hidden(states))
    if head and (layer := _head_layer(model)):
        yield MeasuredBlock(
            None,
            measure_group([layer], _head_statistics(model, states, tick), candidates, tick, importance=importance),
            _hidden(states),
        )
    model.free_head()


def quantize(
    model: DecoderModel,
    batches: Sequence[Tensor],
    assignment: Mapping[str, Use | None],
    writer: CheckpointWriter,
    *,
    start: int = 0,
    hidden: Sequence[Tensor] | None = None,
    tick: Tick = no_tick,
    others: Sequence[str] = (),
) -> Iterator[QuantizedBlock]:
    """Quantize true-sequentially: every layer on inputs that passed the quantized layers before it; each block's
    tensors go to the writer.

    assignment: by layer name; layers it does not name or maps to None are kept. A block that is yielded is durable in
    the writer under `piece_name(block)`. The head is yielded last (block None) when lm_head is assigned. The other
    arguments are `measure`'s. Raises QuantError("experts-mixed") too.
    """
    check_fits(model.linears, lambda name: [use for use in [assignment.get(name)] if use])
    refuse_mixed_experts({linear.name: assignment.get(linear.name) for linear in model.linears})
    spread = Spread(model, others)
    states = spread.start(batches, hidden)
    for index in range(start, model.block_count):
        spread.load(index)
        quantized: list[QuantizedLayer] = []
        tensors: dict[str, Tensor] = {}
        divisors: dict[str, Tensor] = {}
        targets = {name for name, use in assignment.items() if use}
        for layers, statistics, inputs in _steps(spread, index, states, tick, targets):
            fold = partial(model.fold_target, index, tensors)
            quantized += quantize_group(layers, statistics, assignment, tensors, tick, fold, inputs, divisors)
            spread.follow(index)
        spread.free(index)
        writer.put(piece_name(index), tensors)
        yield QuantizedBlock(index, quantized, _hidden(states), divisors)
    layer = _head_layer(model)
    if layer and assignment.get(layer.name):
        tensors = {}
        quantized = quantize_group([layer], _head_statistics(model, states, tick), assignment, tensors, tick)
        writer.put(piece_name(None), tensors)
        yield QuantizedBlock(None, quantized, _hidden(states))
    model.free_head()


def piece_name(block: int | None) -> str:
    """Name of a block's piece in the writer."""
    return "head" if block is None else f"block-{block:05d}"


def _steps(
    spread: Spread, index: int, states: list[BlockInput], tick: Tick, targets: Collection[str] | None = None
) -> Iterator[tuple[list[Layer], Statistics, list[Tensor] | None]]:
    """Take all batches through the loaded block; stop wherever a group of layers (with one of `targets`, or any) is about to read its
    input, with the statistics of that input, and with the input of each pass where a single layer alone reads it."""
    model = spread.model
    stops = model.stops(index)
    is_large = sum(state.hidden.nbytes for state in states) >= _WORTH_RELEASING
    passes = [partial(spread.run, index, which, state) for which, state in enumerate(states)]
    fused = served_as_one(model.linears, model.checkpoint.architecture)
    modules = [spread.everywhere(index, stop.module) for stop in stops]
    dead_from = model.dead_from(index, stops)
    alone = model.read_once(index, stops)
    held = [Held(state.hidden, dead_from) for state in states]
    walk = Lockstep(modules, passes, tick, lambda which, stop, given: held[which].reach(stop, given[0]))
    for stop, is_alone, calls in zip(stops, alone, walk, strict=True):
        for names, take in stop.inputs(spread.home(calls) if stop.experts else calls):
            if targets is None or any(name in targets for name in names):
                # What is handed back must be cleared again when it is used, which takes a tenth of the time; kept, it is in the way of
                # larger tensors, and memory grows by a fifth.
                if is_large:
                    release_freed()
                statistics = statistics_of(take(), take)
                routed = stop.experts is not None
                group = f"{names[0]} input"
                layers = [Layer(name, group, model.module(name), routed, fused.get(name)) for name in names]
                yield layers, statistics, take() if is_alone else None
                # Nobody keeps the inputs: a block's widest ones are most of a walk's memory.
                statistics.inputs = None
                del statistics
                if is_large:
                    release_freed()
                if stop.experts is None:
                    take().clear()
            del take
    for state, output in zip(states, walk.outputs, strict=True):
        state.hidden = output


def _head_layer(model: DecoderModel) -> Layer | None:
    """lm_head, loaded, when it has a weight of its own."""
    linear = next((linear for linear in model.linears if linear.block is None), None)
    return linear and Layer(linear.name, "lm_head input", model.load_head().lm_head)


def _head_statistics(model: DecoderModel, states: list[BlockInput], tick: Tick) -> Statistics:
    again = partial(_head_inputs, model, states, tick)
    return statistics_of(again(), again)


def _head_inputs(model: DecoderModel, states: list[BlockInput], tick: Tick) -> Iterator[Tensor]:
    norm = model.load_head().norm
    for state in states:
        tick()
        yield norm(state.hidden.to(model.device))


def _hidden(states: list[BlockInput]) -> list[Tensor]:
    return [state.hidden for state in states]

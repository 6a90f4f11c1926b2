"""Candidates measured, and layers quantized, unit by unit: a block's layers, the head, and what is copied as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from quant_engine.assignment.units import served_as_one
from quant_engine.formats.stored import row_in
from quant_engine.layers import MeasuredLayer, QuantizedLayer, Tick, check_fits, no_tick, record
from quant_engine.lazy import torch
from quant_engine.output_format import layer_tensors
from quant_engine.preflight import dtype_bytes
from quant_engine.streaming.files import Files
from quant_engine.streaming.fused import FusedLargest, fused_of
from quant_engine.streaming.layer import Piece, one_at_a_time, pieces, quantize_piece, weight_measurements
from quant_engine.streaming.pool import in_order, workers
from quant_engine.walk import piece_name

if TYPE_CHECKING:
    from quant_engine.checkpoint import Checkpoint, LinearInfo
    from quant_engine.checkpoint.header import TensorInfo
    from quant_engine.methods.types import Quantized
    from quant_engine.streaming.writer import ShardWriter
    from quant_engine.uses import Use

OTHERS = "others"
_COPIED = 1 << 20
_PORTION = 1 << 24
"""Bytes that are copied at once, and that a task copies."""


@dataclass(frozen=True)
class Unit:
    """What is done, or done again after a stop, as a whole. name: as of the pieces of a walk; block None: the head, or none."""

    name: str
    block: int | None
    layers: list[LinearInfo] = field(default_factory=list)
    copied: list[TensorInfo] = field(default_factory=list)

    @property
    def title(self) -> str:
        if self.block is not None:
            return f"block {self.block}"
        return "other tensors" if self.name == OTHERS else "lm_head"


def units_of(linears: Sequence[LinearInfo], kept: Sequence[TensorInfo] = ()) -> list[Unit]:
    """One for each block, one for the head if it is among the layers, and one for what is copied, which comes first."""
    blocks: dict[int | None, list[LinearInfo]] = {}
    for linear in linears:
        blocks.setdefault(linear.block, []).append(linear)
    own = [Unit(piece_name(block), block, layers) for block, layers in blocks.items()]
    return [*([Unit(OTHERS, None, copied=list(kept))] if kept else []), *own]


@dataclass(frozen=True)
class Stream:
    """The layers of one checkpoint. Results do not depend on the number of threads."""

    source: Checkpoint
    device: str
    tick: Tick = no_tick

    def measure(self, units: Sequence[Unit], candidates: Sequence[Use]) -> Iterator[tuple[Unit, list[MeasuredLayer]]]:
        """What each candidate does to the weights of each layer alone. Raises QuantError("group-size", "model-broken")."""
        check_fits([layer for unit in units for layer in unit.layers], lambda _: candidates)
        for unit, done in self._run(units, lambda layer: candidates, None):
            yield unit, [self._measured(layer, candidates, parts) for layer, parts in zip(unit.layers, done, strict=True)]

    def quantize(
        self, units: Sequence[Unit], assignment: Mapping[str, Use], writer: ShardWriter
    ) -> Iterator[tuple[Unit, list[QuantizedLayer]]]:
        """assignment: of every layer of the units. A unit that is yielded is durable in the writer's files. Raises QuantError
        ("group-size", "model-broken", "disk-space", "output-write")."""
        layers = [layer for unit in units for layer in unit.layers]
        check_fits(layers, lambda name: [assignment[name]])
        for unit, done in self._run(units, lambda layer: [assignment[layer.name]], writer):
            writer.sync([tensor.name for tensor in unit.copied] + writer.names_of(unit.layers))
            yield unit, [self._quantized(layer, assignment[layer.name], parts) for layer, parts in zip(unit.layers, done, strict=True)]

    def _run(
        self, units: Sequence[Unit], uses_of: Callable[[LinearInfo], Sequence[Use]], writer: ShardWriter | None
    ) -> Iterator[tuple[Unit, list[list[Piece]]]]:
        """Each unit with the pieces of each of its layers."""
        with closing(Files()) as files:
            tasks = ((unit, self._tasks(files, unit, uses_of, writer)) for unit in units)
            with closing(in_order(tasks, workers(self.device), self.tick)) as results:
                for unit, done in results:
                    by_layer: dict[str, list[Piece]] = {}
                    for name, piece in filter(None, done):
                        by_layer.setdefault(name, []).append(piece)
                    yield unit, [by_layer[layer.name] for layer in unit.layers]

    def _tasks(
        self, files: Files, unit: Unit, uses_of: Callable[[LinearInfo], Sequence[Use]], writer: ShardWriter | None
    ) -> Iterator[Callable[[], tuple[str, Piece] | None]]:
        for some in _portions(unit.copied):
            yield partial(_copy, files, some, writer)
        fused = fused_of(self.source, unit.layers, uses_of, served_as_one(unit.layers, self.source.architecture))
        for layer in unit.layers:
            uses = uses_of(layer)
            for start, stop in pieces(layer, uses, self.device):
                yield partial(self._piece, files, layer, uses, writer, start, stop, fused.get(layer.name))

    def _piece(
        self,
        files: Files,
        layer: LinearInfo,
        uses: Sequence[Use],
        writer: ShardWriter | None,
        start: int,
        stop: int,
        fused: FusedLargest | None,
    ) -> tuple[str, Piece]:
        def store(use: Use, part: Quantized) -> None:
            if writer is not None:
                _store(files, writer, layer, start, part)

        largest = None if fused is None else fused.read(files)
        with one_at_a_time(layer, start, stop):
            weight = files.rows(self.source.tensors[f"{layer.name}.weight"], start, stop)
            weight = weight.to(self.device, getattr(torch, self.source.dtype))
            return layer.name, quantize_piece(layer.name, weight, uses, store, largest)

    def _measured(self, layer: LinearInfo, candidates: Sequence[Use], done: Sequence[Piece]) -> MeasuredLayer:
        signal, found, _ = weight_measurements(layer, candidates, done, self._scale_bits)
        by_label = {use.label: one for use, one in zip(candidates, found, strict=True)}
        return MeasuredLayer(layer.name, layer.name, 0, signal, by_label)

    def _quantized(self, layer: LinearInfo, use: Use, done: Sequence[Piece]) -> QuantizedLayer:
        signal, (achieved,), (report,) = weight_measurements(layer, [use], done, self._scale_bits)
        return record(layer.name, layer.name, use, report, 0, signal, achieved)

    @property
    def _scale_bits(self) -> int:
        return 8 * dtype_bytes(self.source.dtype)


def _store(files: Files, writer: ShardWriter, layer: LinearInfo, row: int, part: Quantized) -> None:
    """What stands for the layer's rows from `row` on, to where it belongs."""
    for name, tensor in layer_tensors(layer.name, part).items():
        kind = name.rpartition(".")[2]
        if kind == "weight_shape":
            tensor = torch.tensor([layer.outputs, layer.inputs])
        before = row_in(kind, part.grid.weight_format, row)
        writer.put(files, name, tensor, before * (tensor.nbytes // len(tensor)))


def _portions(tensors: Sequence[TensorInfo]) -> Iterator[list[tuple[TensorInfo, int, int]]]:
    """Of every tensor all bytes (from, up to), in lists of about `_PORTION` bytes."""
    portion: list[tuple[TensorInfo, int, int]] = []
    size = 0
    for tensor in tensors:
        for start in range(0, tensor.bytes, _COPIED):
            stop = min(start + _COPIED, tensor.bytes)
            portion.append((tensor, start, stop))
            size += stop - start
            if size >= _PORTION:
                yield portion
                portion, size = [], 0
    if portion:
        yield portion


def _copy(files: Files, some: Sequence[tuple[TensorInfo, int, int]], writer: ShardWriter | None) -> None:
    if writer is not None:
        for tensor, start, stop in some:
            writer.put(files, tensor.name, files.read(tensor, start, stop), start)

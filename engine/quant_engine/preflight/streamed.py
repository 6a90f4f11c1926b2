"""What a run without calibration data will take: some pieces of layers are read, quantized and written as the run will do it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine.lazy import torch
from quant_engine.linalg.memory import release_freed
from quant_engine.preflight.choice import choice
from quant_engine.preflight.forecast import Phase
from quant_engine.preflight.phases import full_batches, seconds_to_write
from quant_engine.preflight.probe import Probe, kinds_of
from quant_engine.preflight.recorder import resident
from quant_engine.streaming.files import Files
from quant_engine.streaming.layer import pieces, quantize_piece
from quant_engine.streaming.pool import in_order, workers
from quant_engine.streaming.walk import Stream, units_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from quant_engine.checkpoint import LinearInfo
    from quant_engine.methods.types import Quantized
    from quant_engine.uses import Use
    from quant_engine.walk import MeasuredLayer
    from quant_engine.work import Work

_PIECES = 24
"""Of the layers with one use that are tried, in each thread."""


@dataclass
class StreamForecast:
    """As `phases.Forecast`, which it stands in for. host, device: peak bytes of what is not the evaluation."""

    work: Work
    uses: dict[str, Use | None] = field(default_factory=dict)
    walked: dict[str, Phase] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    prepared: int = 0
    host: int = 0
    device: int = 0
    _resident: int = 0

    @classmethod
    def of(cls, work: Work, folder: Path) -> StreamForecast:
        """Runs the probe. folder: for what is written; it is the caller's to remove."""
        forecast = cls(work, prepared=resident())
        forecast.seconds["prepare"] = work.seconds["prepare"]
        on_gpu = work.device.startswith("cuda")
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        forecast.uses = choice(work, *forecast._measure())
        forecast._quantize(folder)
        forecast.host = resident()
        forecast.device = torch.cuda.max_memory_allocated() if on_gpu else 0
        release_freed()
        forecast._evaluate(folder)
        return forecast

    def phases(self) -> Iterator[tuple[str, float, int, int | None]]:
        """As `Forecast.phases`."""
        on_gpu = self.work.device != "cpu"
        for name, seconds in self.seconds.items():
            yield name, seconds, self.prepared if name == "prepare" else self.host, self.device if on_gpu else None
        for name, phase in self.walked.items():
            yield name, phase.seconds, self.host_bytes(name), self.device_bytes(name) if on_gpu else None

    def host_bytes(self, phase: str, share: float = 1.0) -> int:
        walked = self.walked[phase]
        return self._resident + walked.host(walked.batches * share)

    def device_bytes(self, phase: str, share: float = 1.0) -> int:
        walked = self.walked[phase]
        return walked.device(walked.batches * share)

    @property
    def _blocks(self) -> int:
        return len({linear.block for linear in self.work.linears if linear.block is not None})

    def _measure(self) -> tuple[Mapping[int, list[int]], dict[int, list[MeasuredLayer]]]:
        """Candidates on the first block of each kind, and the kinds."""
        work = self.work
        kinds = kinds_of(work.linears, self._blocks)
        found: dict[int, list[MeasuredLayer]] = {}
        if work.candidates:
            units = [unit for unit in units_of(work.linears) if unit.block in kinds]
            began = time.perf_counter()
            for unit, layers in Stream(work.checkpoint, work.device).measure(units, work.candidates):
                found[unit.block or 0] = layers
            taken = time.perf_counter() - began
            self.seconds["measure"] = taken * _weights(work.linears) / _weights(layer for unit in units for layer in unit.layers)
        return kinds, found

    def _quantize(self, folder: Path) -> None:
        """What is computed while what is done already goes to the disk takes as long as the slower of the two."""
        computing = sum(self._seconds_of(use, layers, folder) for use, layers in self._by_use().items())
        writing = seconds_to_write(self.work, folder, self.uses)
        self.seconds["quantize"] = max(computing, writing)
        self.seconds["write"] = 0.05 * writing

    def _by_use(self) -> dict[Use, list[LinearInfo]]:
        found: dict[Use, list[LinearInfo]] = {}
        for linear in self.work.linears:
            use = self.uses[linear.name]
            if use is not None:
                found.setdefault(use, []).append(linear)
        return found

    def _seconds_of(self, use: Use, layers: list[LinearInfo], folder: Path) -> float:
        """From some pieces of a layer of the most frequent shape."""
        work = self.work
        shape = Counter((layer.outputs, layer.inputs) for layer in layers).most_common(1)[0][0]
        layer = next(layer for layer in layers if (layer.outputs, layer.inputs) == shape)
        target = folder / "streamed"
        target.touch()
        threads = workers(work.device)
        files = Files()

        def store(_: Use, part: Quantized) -> None:
            files.write(target, 0, part.codes)

        def piece(start: int, stop: int) -> int:
            weight = files.rows(work.checkpoint.tensors[f"{layer.name}.weight"], start, stop)
            quantize_piece(layer.name, weight.to(work.device, getattr(torch, work.checkpoint.dtype)), [use], store)
            return (stop - start) * layer.inputs

        rows = [rows for rows, _ in zip(pieces(layer, [use], work.device), range(_PIECES * threads), strict=False)]
        tasks: list[Callable[[], int]] = [partial(piece, *one) for one in rows]
        list(in_order([(0, tasks[:threads])], threads, lambda: None))  # the first ones load code
        began = time.perf_counter()
        ((_, done),) = in_order([(0, tasks)], threads, lambda: None)
        taken = time.perf_counter() - began
        files.close()
        return taken * _weights(layers) / sum(done)

    def _evaluate(self, folder: Path) -> None:
        section, data = self.work.recipe.evaluate, self.work.held_out
        if section is None or data is None:
            return
        probe = Probe(self.work.model, folder)
        probe.warm_up(data.batches)
        first = [linear for linear in self.work.linears if linear.block == 0]
        size = _weights(linear for linear in self.work.linears if linear.block is not None) / _weights(first)
        found = probe.evaluate(data.batches, section.baseline)
        count = full_batches(data.batches)
        self.walked["evaluate"] = Phase("evaluate", {0: found}, count, lambda _, label: size if label[0] == "block" else 1.0)
        self._resident = probe.resident


def _weights(linears: Iterable[LinearInfo]) -> int:
    return sum(linear.outputs * linear.inputs for linear in linears)

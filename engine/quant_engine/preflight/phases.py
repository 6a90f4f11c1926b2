"""A run's phases with what each takes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine.checkpoint.durable import sync_folder
from quant_engine.importance import some_of
from quant_engine.preflight.choice import choice
from quant_engine.preflight.fit import Cost, Label
from quant_engine.preflight.forecast import Blocks, Phase, relative_sizes
from quant_engine.preflight.recorder import resident

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.preflight.probe import Probe
    from quant_engine.uses import Use
    from quant_engine.work import Work

_COPIED = 16 << 20
"""Bytes that the writer has in memory, and that a disk is tried with at a time."""
_TRIED = 8
ByKind = dict[int, Mapping[Label, Cost]]


@dataclass
class Forecast:
    """uses: by layer. walked: the phases that go through the model; the others take `seconds`."""

    work: Work
    probe: Probe
    uses: dict[str, Use | None] = field(default_factory=dict)
    walked: dict[str, Phase] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    prepared: int = 0
    """Resident bytes at the end of a run's first stage."""

    @classmethod
    def of(cls, work: Work, probe: Probe) -> Forecast:
        """Runs the probe."""
        forecast = cls(work, probe, prepared=resident())
        probe.warm_up(work.tokens.batches)
        measured = forecast._measure()
        forecast.uses = choice(work, probe.kinds, probe.measured)
        quantized = forecast._quantize()
        forecast._importance(measured)
        forecast._evaluate(quantized)
        forecast.seconds = {"prepare": work.seconds["prepare"], "write": seconds_to_write(work, probe.folder, forecast.uses)}
        return forecast

    def phases(self) -> Iterator[tuple[str, float, int, int | None]]:
        """Name, seconds, peak bytes of host and device of each phase, in their order."""
        on_gpu = self.probe.model.device != "cpu"
        for name in ("prepare", "importance", "measure", "quantize", "write", "evaluate"):
            if name in self.seconds:
                yield name, self.seconds[name], self.prepared if name == "prepare" else self.probe.resident + _COPIED, 0 if on_gpu else None
            elif name in self.walked:
                yield name, self.walked[name].seconds, self.host_bytes(name), self.device_bytes(name) if on_gpu else None

    def host_bytes(self, phase: str, share: float = 1.0) -> int:
        """Resident bytes at the phase's peak. share: with that part of the tokens."""
        walked = self.walked[phase]
        return self.probe.resident + walked.host(walked.batches * share)

    def device_bytes(self, phase: str, share: float = 1.0) -> int:
        walked = self.walked[phase]
        return walked.device(walked.batches * share)

    def _measure(self) -> ByKind:
        work, probe = self.work, self.probe
        if not work.candidates:
            return {}
        head = any(linear.block is None for linear in probe.model.linears)
        first = next(iter(probe.kinds))
        batches = work.tokens.batches
        found: ByKind = {kind: probe.measure(kind, batches, work.candidates, head and kind == first) for kind in probe.kinds}
        self.walked["measure"] = Phase("measure", found, full_batches(batches), Blocks(probe.kinds).count)
        return found

    def _quantize(self) -> ByKind:
        work, probe = self.work, self.probe
        within = {block: self._within(block) for blocks in probe.kinds.values() for block in blocks}
        head = next((self.uses[linear.name] for linear in probe.model.linears if linear.block is None), None)
        first = next(iter(probe.kinds))
        batches = work.tokens.batches
        found: ByKind = {
            kind: probe.quantize(kind, batches, [within[block] for block in blocks], head if kind == first else None)
            for kind, blocks in probe.kinds.items()
        }
        self.walked["quantize"] = Phase("quantize", found, full_batches(batches), Blocks(probe.kinds, within).count_quantized)
        return found

    def _importance(self, walked: ByKind) -> None:
        if self.work.objective == "noise":
            return
        batches = some_of(self.work.tokens.batches)
        size = relative_sizes(self.probe.kinds, walked)
        found: ByKind = {0: self.probe.importance(batches)}
        self.walked["importance"] = Phase("importance", found, full_batches(batches), lambda _, label: size if label[0] == "block" else 1.0)

    def _evaluate(self, walked: ByKind) -> None:
        section, data = self.work.recipe.evaluate, self.work.held_out
        if section is None or data is None:
            return
        size = relative_sizes(self.probe.kinds, walked)
        found = self.probe.evaluate(data.batches, section.baseline)
        unpacking = {label: cost for label, cost in walked[0].items() if label[2] == "decompress"}
        by_kind: ByKind = {0: {**found, **unpacking}}
        count = full_batches(data.batches)
        self.walked["evaluate"] = Phase("evaluate", by_kind, count, lambda _, label: size if label[0] == "block" else 1.0)

    def _within(self, block: int) -> dict[str, Use | None]:
        linears = (linear.name for linear in self.probe.model.linears if linear.block == block)
        return {name.partition(f".{block}.")[2]: self.uses[name] for name in linears}


def full_batches(batches: list[Tensor]) -> float:
    """Batches as full as the first."""
    return sum(batch.numel() for batch in batches) / batches[0].numel()


def seconds_to_write(work: Work, folder: Path, uses: Mapping[str, Use | None]) -> float:
    """At the rate at which the disk takes a few pieces, and as many times as there are files what the smallest takes."""
    from quant_engine.preflight.sizes import output_of

    output = output_of(work.checkpoint, work.linears, uses)
    total = output.files
    piece = os.urandom(min(_COPIED, total))
    count = max(1, min(_TRIED, total // len(piece)))
    least = _seconds_for(folder / "small", b"{}", 1)
    return least * (output.count + 1) + _seconds_for(folder / "tried", piece, count) * total / (count * len(piece))


def _seconds_for(file: Path, piece: bytes, count: int) -> float:
    began = time.perf_counter()
    with file.open("wb") as stream:
        for _ in range(count):
            stream.write(piece)
        stream.flush()
        os.fsync(stream.fileno())
    sync_folder(file.parent)
    return time.perf_counter() - began

"""What a run without a result has done: the layers of its finished blocks, how far it came, and how it goes on."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from quant_engine.events import RunRecord
from quant_engine.result import Measurement, Model
from quant_engine.run_directory import RESULT, STATE, read_record
from quant_engine.running import how_it_stands

if TYPE_CHECKING:
    from rich.console import Console

_BLOCK = re.compile(r"\.(\d+)\.")


class UnfinishedLayer(Model):
    """A layer of a finished block; what is not known yet is null."""

    name: str
    block: int | None
    candidates: dict[str, Measurement] = {}
    asked: str | None = None
    applied: str | None = None
    fallback: str | None = None
    note: str | None = None
    damping: float | None = None
    achieved: Measurement | None = None
    accumulated: None = None

    @property
    def bits_per_weight(self) -> float:
        return self.achieved.bits_per_weight if self.achieved else 0.0


class Unfinished(Model):
    """`quant-engine show RUN --json` of a run that has no result."""

    record: RunRecord
    stands: str = Field(description="In a clause: whether a process works on it, or how it ended.")
    advice: str
    measured: list[UnfinishedLayer]
    quantized: list[UnfinishedLayer]


class _Shown:
    """Layers as `quant_engine.report.layer_tables` takes them."""

    output = None

    def __init__(self, layers: list[UnfinishedLayer], done: bool) -> None:
        self.layers = layers
        self.action = "run" if done else "sensitivity"
        self.candidates = [] if done else list(dict.fromkeys(label for layer in layers for label in layer.candidates))


def read_unfinished(folder: Path) -> Unfinished | None:
    """None of a run that has a result, or that has finished no block. Raises QuantError(code="run-missing")."""
    if (folder / RESULT).exists():
        return None
    record = read_record(folder)
    measured, quantized = (_journal(folder / STATE / phase) for phase in ("measure", "quantize"))
    if not measured and not quantized:
        return None
    stands, works = how_it_stands(record)
    if record.error is not None:
        stands += f": {record.error.message}"
    return Unfinished(record=record, stands=stands, advice=_advice(folder, record, works), measured=measured, quantized=quantized)


def print_unfinished(out: Console, found: Unfinished, folder: Path) -> None:
    from rich.text import Text

    from quant_engine.report import print_tables

    for layers, done in ((found.measured, False), (found.quantized, True)):
        if layers:
            print_tables(out, _Shown(layers, done))
    counter = found.record.progress
    lines = [f'the run "{found.record.run}" has no result: {found.stands}']
    if counter is not None:
        lines.append(f"{counter.phase}: {counter.done} of {counter.total} {counter.unit}")
    kept = [f"{len(layers)} layers {what}" for layers, what in ((found.measured, "measured"), (found.quantized, "quantized")) if layers]
    lines.append(f"kept of finished blocks: {', '.join(kept)}")
    for line in (*lines, found.advice):
        out.print(Text(line), soft_wrap=True)
    out.print(Text.assemble(("run directory  ", "bold"), str(folder)), soft_wrap=True)


def _advice(folder: Path, record: RunRecord, works: bool) -> str:
    if works:
        return "Wait for its end."
    # A killed process could not say whether it had come so far; its identity lies where its layers lie.
    if not record.resumable and record.error is not None:
        return " ".join(filter(None, (record.advice, "It cannot be continued: start it anew.")))
    command = shlex.join(["quant-engine", record.action, "--resume", str(folder)])
    return " ".join(filter(None, (record.advice, f"Continue with: {command}")))


def _journal(folder: Path) -> list[UnfinishedLayer]:
    """All layers that a phase keeps, in the order of the blocks (quant_engine.journal); the folder of a run that is going on may change."""
    layers: list[UnfinishedLayer] = []
    for file in sorted(folder.glob("*.json")):
        try:
            entries: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        except OSError:
            continue
        layers += [UnfinishedLayer(block=_block(one["name"]), **_known(one)) for one in entries]
    return layers


def _known(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key in UnfinishedLayer.model_fields}


def _block(name: str) -> int | None:
    """The first number of a layer's name is its block's."""
    found = _BLOCK.search(name)
    return int(found[1]) if found else None

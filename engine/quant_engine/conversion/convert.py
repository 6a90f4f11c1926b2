"""One layer after the other from the source's layout into the target's, then one atomic publication."""

from __future__ import annotations

import copy
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine import preflight
from quant_engine.checkpoint import Checkpoint
from quant_engine.checkpoint.durable import no_room, write_failure
from quant_engine.checkpoint.recognise import without_sections
from quant_engine.conversion.plan import Plan, Progress, load_parts, make_plan
from quant_engine.conversion.registry import layout_named
from quant_engine.conversion.scales import Rounding
from quant_engine.conversion.writer import ConversionWriter
from quant_engine.protocol import Conversion

if TYPE_CHECKING:
    from torch import Tensor

_PIECE_BYTES = 64 << 20
MAX_SHARD_BYTES = 5_000_000_000


def convert(path: Path, to: str, output: Path, progress: Progress | None = None, max_shard_bytes: int = MAX_SHARD_BYTES) -> Conversion:
    """Write the quantized checkpoint at `path` to the new folder `output` in the layout named `to`.

    Codes and zero points are kept; every other tensor and file is the source's, byte for byte. On any failure, an interrupt included,
    nothing is left of the output. Raises QuantError with code unknown-layout, model-missing, model-broken, model-not-safetensors,
    conversion-refused, scale-overflow, output-exists, output-write or disk-space.
    """
    progress = progress or (lambda *_: None)
    target = layout_named(to)
    source = Checkpoint.open(path.resolve())
    output = output.absolute()
    plan = make_plan(source, target, progress)
    rounding = Rounding()
    with _work_folder(output) as work:
        writer = ConversionWriter(output, _unquantized(source), work, {layer.name for layer in plan.layers}, plan.found.parts)
        _refuse_small_disk(plan, output)
        _write_layers(plan, writer, rounding, progress)
        writer.publish(target.config(plan.layers, plan.kept, plan.head), max_shard_bytes)
    return _summary(plan, Checkpoint.open(output), rounding)


def _write_layers(plan: Plan, writer: ConversionWriter, rounding: Rounding, progress: Progress) -> None:
    """Layers are held until they are worth a file of their own."""
    held: dict[str, Tensor] = {}
    pieces = 0
    for number, layer_format in enumerate(plan.layers, 1):
        layer = plan.found.read(layer_format, load_parts(plan.source, layer_format.name, plan.found.parts))
        rounding.scales += layer.scales.numel()
        if plan.target.half_scales:
            layer = rounding.halved(layer)
        held |= {f"{layer_format.name}.{part}": tensor for part, tensor in plan.target.write(layer).items()}
        if sum(tensor.nbytes for tensor in held.values()) >= _PIECE_BYTES or number == len(plan.layers):
            writer.put(f"layers-{pieces:05d}", held)
            held, pieces = {}, pieces + 1
        progress("convert", number, len(plan.layers), layer_format.name)


def _unquantized(source: Checkpoint) -> Checkpoint:
    """The same checkpoint with a config that says nothing of its quantization: what the writer starts from."""
    stripped = copy.copy(source)
    stripped.config = without_sections(source.config)
    return stripped


@contextmanager
def _work_folder(output: Path) -> Iterator[Path]:
    """A folder beside the output, for this process alone; it goes in the end, and with a failure so do folders made for it."""
    for left in output.parent.glob(f".{output.name}.converting-*"):
        _remove_abandoned(left)
    made = [folder for folder in output.parents if not folder.exists()]
    work = output.parent / f".{output.name}.converting-{os.getpid()}"
    try:
        _make(work)
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        with suppress(OSError):
            for folder in made:
                folder.rmdir()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise write_failure(error, folder) from error


def _remove_abandoned(folder: Path) -> None:
    """What a killed process left behind; a running one keeps its own."""
    import psutil

    number = re.fullmatch(r".*\.converting-(\d+)", folder.name)
    if number and not psutil.pid_exists(int(number[1])):
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_small_disk(plan: Plan, output: Path) -> None:
    """The converted layers lie on the disk twice until the output is complete. Layouts differ by little, so the source's sizes tell."""
    parts = {f"{layer.name}.{part}" for layer in plan.layers for part in plan.found.parts}
    layers = sum(tensor.bytes for name, tensor in plan.source.tensors.items() if name in parts)
    needed, free = plan.source.bytes + layers, preflight.free_bytes(output)
    if needed > free:
        raise no_room(f'about {preflight.format_bytes(needed)} are needed for "{output}", {preflight.format_bytes(free)} are free')


def _summary(plan: Plan, written: Checkpoint, rounding: Rounding) -> Conversion:
    assert written.quantization is not None
    return Conversion(
        source=str(plan.source.path),
        source_layout=plan.found.name,
        output=str(written.path),
        layout=plan.target.name,
        quantization=written.quantization,
        layers=len(plan.layers),
        scales=rounding.scales,
        scales_rounded=rounding.rounded,
        largest_scale_change=rounding.largest,
        source_bytes=plan.source.bytes,
        output_bytes=written.bytes,
        warnings=[*plan.found.doubts(plan.lowest), *plan.target.warnings(plan.layers, plan.lowest)],
    )

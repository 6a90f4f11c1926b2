"""The stages of a run that has no calibration data, in place of those that walk through the model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from quant_engine import stages
from quant_engine.errors import QuantError
from quant_engine.journal import UnitJournal

if TYPE_CHECKING:
    from quant_engine.streaming.walk import Unit
    from quant_engine.streaming.writer import ShardWriter
    from quant_engine.uses import Use
    from quant_engine.work import Work

T = TypeVar("T")


def measure(work: Work) -> None:
    """What every candidate does to the weights of every layer; those that an earlier run has measured are taken from it."""
    from quant_engine.streaming.walk import Stream, units_of

    if not work.candidates:
        return
    units = units_of(work.linears)
    journal = UnitJournal(work.directory.state_folder / "measure")
    stages.recall_measured(work, journal.layers([unit.name for unit in units]))
    left = [unit for unit in units if not journal.has(unit.name)] if work.missing else []
    with work.phase("measure", len(units), "blocks", len(units) - len(left)):
        if not work.missing:
            for layer in work.reused.layers.values():
                stages.take_measured(work, layer)
        stream = Stream(work.checkpoint, work.device, work.stop_if_asked)
        for unit, layers in _guarded(stream.measure(left, work.missing)):
            journal.add(unit.name, [stages.measured_json(layer) for layer in layers])
            for layer in layers:
                stages.take_measured(work, stages.merged(work, layer))
            work.tick(unit.title)


def quantize(work: Work) -> None:
    """Every layer that the assignment names, and all other tensors, to where they will stay in the output's files; a unit is durable before
    it counts."""
    from quant_engine.layers import refuse_mixed_experts
    from quant_engine.streaming.walk import Stream, units_of

    uses = _uses(work)
    refuse_mixed_experts({linear.name: uses.get(linear.name) for linear in work.linears})
    writer = _writer(work)
    units = units_of([linear for linear in work.linears if linear.name in uses], writer.kept)
    journal = UnitJournal(work.directory.state_folder / "quantize")
    stages.recall_quantized(work, journal.layers([unit.name for unit in units]))
    if stages.is_published(work.directory.state_folder, work.output):
        return
    left = [unit for unit in units if not journal.has(unit.name)]
    with work.phase("quantize", len(units), "steps", len(units) - len(left)):
        writer.prepare()
        stream = Stream(work.checkpoint, work.device, work.stop_if_asked)
        for unit, layers in _guarded(stream.quantize(left, uses, writer)):
            journal.add(unit.name, [stages.quantized_json(layer) for layer in layers])
            for layer in layers:
                work.quantized[layer.name] = layer
                stages.announce(work, layer)
            work.tick(unit.title)


def write(work: Work) -> None:
    """The files get the output's name, complete, by one renaming."""
    from quant_engine.output_format import output_config

    uses = _uses(work)
    with work.phase("write", 1, "steps"):
        if stages.is_published(work.directory.state_folder, work.output):
            work.published = work.output
        else:
            config = output_config(work.checkpoint, work.linears, {linear.name: uses.get(linear.name) for linear in work.linears})
            mark = partial(stages.mark_published, work.directory.state_folder)
            work.published = _writer(work).publish(work.output, config, mark)
        work.tick("checkpoint written")


def _uses(work: Work) -> dict[str, Use]:
    """By layer; those that stay are not in it."""
    return {name: assigned.use for name, assigned in work.assignment.items() if assigned.use is not None}


def _writer(work: Work) -> ShardWriter:
    from quant_engine.preflight.sizes import quantized_tensors
    from quant_engine.streaming.writer import ShardWriter

    new = quantized_tensors(work.linears, _uses(work), work.checkpoint.dtype)
    return ShardWriter(work.checkpoint, new, work.directory.state_folder / "output")


def _guarded(steps: Iterator[tuple[Unit, list[T]]]) -> Iterator[tuple[Unit, list[T]]]:
    """Raises QuantError(code="memory") when the memory of device or host does not suffice for one piece of a layer in each thread."""
    from quant_engine.retry import is_out_of_memory

    try:
        yield from steps
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        advice = "Use a machine or a device with more memory; --device cpu takes the least."
        raise QuantError("the memory is exhausted", code="memory", advice=advice) from error

"""`Result` from what the stages found."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine.notes import note_fallbacks, note_not_scaled
from quant_engine.preflight import dtype_bytes
from quant_engine.result import Accumulated, LayerResult, Result, Sizes
from quant_engine.sensitivity import sqnr_db
from quant_engine.work import Work

if TYPE_CHECKING:
    from quant_engine.assignment import Assigned
    from quant_engine.checkpoint import LinearInfo


def summarize(work: Work) -> Result:
    """The run's summary; of a sensitivity run `asked` is what the recipe would do and nothing is applied."""
    note_not_scaled(work)
    note_fallbacks(work)
    layers = [_layer(work, linear, work.assignment[linear.name]) for linear in work.linears]
    return Result(
        run=work.directory.record.run,
        action=work.action,
        recipe=str(work.recipe_path),
        model=str(work.checkpoint.path),
        architecture=work.checkpoint.architecture,
        output=str(work.published) if work.published else None,
        candidates=[use.label for use in work.candidates],
        layers=layers,
        sizes=_sizes(work, layers),
        scores=work.scores,
        problems=work.problems,
        predicted_loss=_predicted_loss(work),
        pareto=work.front,
        measured_by={use.label: work.reused.by.get(use.label, work.directory.record.run) for use in work.candidates},
        importance_by=_importance_by(work),
        identity=work.identity,
        calibration_tokens=0 if work.is_streamed else work.tokens.tokens,
        seconds={phase: round(seconds, 3) for phase, seconds in work.seconds.items()},
        peak_memory_bytes=peak_memory(),
    )


def _importance_by(work: Work) -> str | None:
    if work.objective == "noise":
        return None
    own = bool(work.missing) and not work.reused.importance
    return work.directory.record.run if own else work.reused.importance_by


def _predicted_loss(work: Work) -> float | None:
    """Of the assignment over the layers that the front counts; None when no rule decides about one and its use was not a candidate."""
    if work.front is None:
        return None
    measurements, left_out = work.measurements, set(work.front.unmeasured)
    uses = {name: assigned.use for name, assigned in work.assignment.items() if name not in left_out}
    asked = [(measurements.get(name), use.label) for name, use in uses.items() if use is not None]
    found = [measured.loss(label) for measured, label in asked if measured is not None and measured.has(label)]
    return math.fsum(found) if len(found) == len(asked) else None


def _layer(work: Work, linear: LinearInfo, assigned: Assigned) -> LayerResult:
    measured = work.measured.get(linear.name)
    done = work.quantized.get(linear.name)
    seen = measured or done
    kept_bits = 8.0 * dtype_bytes(work.checkpoint.dtype)
    use = assigned.use if done is None or done.applied is not None else None
    return LayerResult(
        name=linear.name,
        block=linear.block,
        kind=linear.kind,
        outputs=linear.outputs,
        inputs=linear.inputs,
        group=seen.group if seen else linear.name,
        tokens=seen.tokens if seen else 0,
        signal=seen.signal if seen else 0.0,
        candidates=measured.candidates if measured else {},
        rule=assigned.rule,
        asked=assigned.use.label if assigned.use else None,
        applied=done.applied if done else None,
        fallback=done.fallback if done else None,
        note=done.note if done else None,
        damping=done.damping if done else None,
        loss=done.loss if done else None,
        achieved=done.achieved if done else None,
        accumulated=_accumulated(work, linear.name),
        bits_per_weight=use.weight_format.bits_per_weight(linear.inputs, int(kept_bits), linear.outputs) if use else kept_bits,
    )


def _accumulated(work: Work, name: str) -> Accumulated | None:
    found = work.accumulated.get(name)
    if found is None:
        return None
    decibel, state = sqnr_db(found.signal, found.noise)
    return Accumulated(signal=found.signal, noise=found.noise, sqnr_db=decibel, state=state)


def _sizes(work: Work, layers: list[LayerResult]) -> Sizes:
    from quant_engine.checkpoint import Checkpoint

    # A head that a rule keeps is no more a target than one that no rule names; a block's layer is one also when it is kept.
    targets = [layer for layer in layers if layer.block is not None or layer.asked is not None]
    weights = sum(layer.outputs * layer.inputs for layer in targets)
    bits = sum(layer.bits_per_weight * layer.outputs * layer.inputs for layer in targets)
    original = work.checkpoint.bytes
    written = Checkpoint.open(work.published).bytes if work.published else None
    return Sizes(
        original_bytes=original,
        quantized_bytes=written,
        bits_per_weight=bits / weights if weights else 0.0,
        model_bits_per_weight=8.0 * (original if written is None else written) / work.checkpoint.parameters,
    )


def peak_memory() -> int:
    """Peak resident memory of this process in bytes."""
    if sys.platform == "linux":
        # getrusage would give the peak of the process that started this one, if that was higher.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return 1024 * int(status.partition("VmHWM:")[2].split(maxsplit=1)[0])
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

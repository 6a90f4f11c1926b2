"""`quant-engine preflight`: what a run would take, found in seconds: sizes from headers, memory and time from the run's own code on one
block and a few batches."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine import stages
from quant_engine.cancel import Cancellation
from quant_engine.check import Checked, check
from quant_engine.preflight.choice import reach
from quant_engine.preflight.disk import existing_parent, free_bytes, needs, same_disk
from quant_engine.preflight.findings import Findings
from quant_engine.preflight.others import Others
from quant_engine.preflight.phases import Forecast
from quant_engine.preflight.probe import Probe
from quant_engine.preflight.sizes import output_of
from quant_engine.preflight.streamed import StreamForecast
from quant_engine.protocol import DiskForecast, OutputForecast, PhaseForecast, Preflight
from quant_engine.retry import is_out_of_memory
from quant_engine.run import new_record
from quant_engine.run_directory import RunDirectory
from quant_engine.work import Work

if TYPE_CHECKING:
    from quant_engine.preflight.sizes import Uses
    from quant_engine.request import Request


def preflight(request: Request, shown: str | None = None) -> Preflight:
    """shown: how findings name the recipe. Raises QuantError for bad usage and for what a run would refuse before it computes."""
    began, others = time.monotonic(), Others()
    checked = check(request.recipe, overrides=request.overrides, shown=shown, runs=request.runs_folder)
    name = shown or str(request.recipe)
    if checked.recipe is None:
        return Preflight(recipe=name, findings=checked.diagnostics)
    with _folder(request.runs_folder) as folder:
        work = _prepared(request, checked, folder)
        findings = Findings(work, name)
        findings.add_unsupported()
        found = Preflight(
            recipe=name,
            model=str(work.checkpoint.path),
            architecture=work.checkpoint.architecture,
            device=findings.device,
            original_bytes=work.checkpoint.bytes,
            calibration_tokens=0 if work.is_streamed else work.tokens.tokens,
            held_out_tokens=work.held_out.tokens if work.held_out else 0,
        )
        try:
            forecast = StreamForecast.of(work, folder) if work.is_streamed else Forecast.of(work, Probe(work.model, folder))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            findings.add_no_memory_at_all()
            return found.model_copy(update={"findings": [*checked.diagnostics, *findings.found]})
        findings.add_memory(forecast)
    phases = [
        PhaseForecast(phase=phase, seconds=round(seconds, 3), host_bytes=host, device_bytes=device)
        for phase, seconds, host, device in forecast.phases()
    ]
    return found.model_copy(
        update={
            "output": _output(work, forecast.uses),
            "phases": phases,
            "seconds": round(sum(phase.seconds for phase in phases), 3),
            "host_bytes": max(phase.host_bytes for phase in phases),
            "device_bytes": max((phase.device_bytes for phase in phases if phase.device_bytes is not None), default=None),
            "disks": _disks(work, request, forecast.uses),
            "probe_seconds": round(time.monotonic() - began, 1),
            "others_share": round(others.share(), 3),
            "findings": [*checked.diagnostics, *findings.found],
        }
    )


def _prepared(request: Request, checked: Checked, folder: Path) -> Work:
    """A run in a directory of its own that is removed, up to the end of its first stage."""
    assert checked.recipe is not None
    directory = RunDirectory(folder, new_record(request, checked, folder))
    try:
        work = Work("run", request.recipe, checked, checked.recipe, request.device, directory, Cancellation())
        stages.prepare(work)
        return work
    finally:
        directory.close()


@contextmanager
def _folder(runs: Path) -> Iterator[Path]:
    """On the disk that run directories will be on, where that can be written."""
    parent = existing_parent(runs)
    try:
        folder = Path(tempfile.mkdtemp(prefix=".preflight-", dir=parent))
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="quant-preflight-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _output(work: Work, uses: Uses) -> OutputForecast:
    output, possible = output_of(work.checkpoint, work.linears, uses), reach(work)
    budget = work.recipe.quantize.budget
    return OutputForecast(
        exact=possible is None,
        tensor_bytes=output.tensors,
        file_bytes=output.files,
        bits_per_weight=output.bits_per_weight,
        model_bits_per_weight=output.model_bits_per_weight,
        least=possible.least if possible else None,
        most=possible.most if possible else None,
        allowed_bits_per_weight=budget.bits_per_weight if budget else None,
        allowed_bytes=budget.size_bytes if budget else None,
    )


def _disks(work: Work, request: Request, uses: Uses) -> list[DiskForecast]:
    tokens = 0 if work.is_streamed else work.tokens.tokens
    needed = needs(work.checkpoint, work.linears, uses, tokens, work.objective == "importance")
    output = output_of(work.checkpoint, work.linears, uses).files
    if same_disk(work.output, request.runs_folder):
        places = [(work.output, "output and run state", output + needed.state)]
    else:
        places = [(work.output, "output", output), (request.runs_folder, "run state", needed.apart)]
    return [
        DiskForecast(path=str(path), what=what, needed_bytes=needed, free_bytes=free_bytes(path)) for path, what, needed in places
    ]



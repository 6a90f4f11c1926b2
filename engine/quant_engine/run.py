"""A run: a checked recipe, a directory, and the stages in order, with one way to end well and three to end otherwise."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from quant_engine import events, stages
from quant_engine.cancel import CANCELLED_EXIT, Cancellation, listening
from quant_engine.check import Checked, check, refuse
from quant_engine.check_files import target
from quant_engine.checkpoint.durable import write_failure
from quant_engine.devices import asked_devices, resolve_devices
from quant_engine.environment import versions
from quant_engine.errors import Cancelled, QuantError
from quant_engine.events import Event, RunRecord
from quant_engine.recipe import Recipe
from quant_engine.request import Request, output_override, read_request, write_request
from quant_engine.result import Problem, Result
from quant_engine.run_directory import RECIPE, STATE, RunDirectory, create_folder, now, read_record
from quant_engine.running import check_resumable, held, refuse_same_output
from quant_engine.streaming import stages as streaming
from quant_engine.summary import summarize
from quant_engine.work import Work

log = logging.getLogger(__name__)
Stage = Callable[[Work], None]
STAGES: dict[str, tuple[Stage, ...]] = {
    "run": (
        *(stages.prepare, stages.recall, stages.importance, stages.measure),
        *(stages.choose, stages.quantize, stages.write, stages.evaluate),
    ),
    "sensitivity": (stages.prepare, stages.recall, stages.importance, stages.measure, stages.choose),
}
STREAMED: dict[str, tuple[Stage, ...]] = {
    "run": (stages.prepare, stages.recall, streaming.measure, stages.choose, streaming.quantize, streaming.write, stages.evaluate),
    "sensitivity": (stages.prepare, stages.recall, streaming.measure, stages.choose),
}
"""Of recipes without calibration data."""
EXIT = {"done": 0, "failed": 1, "done-with-fallbacks": 3, "cancelled": CANCELLED_EXIT}
BAD_RECIPE = 2
_LASTING = {
    *("model-broken", "model-unsupported", "model-quantized", "not-finite", "not-differentiable"),
    *("data-empty", "data-broken", "data-short", "tokenizer", "budget-unreachable", "experts-mixed", "group-size"),
}
"""Failures that continuing would meet again: what has to change changes the run's identity."""


@dataclass
class Outcome:
    """How it ended. checked.failed: the recipe was refused and there is no record; result: only of a run that is done."""

    exit_code: int
    checked: Checked
    record: RunRecord | None = None
    folder: Path | None = None
    result: Result | None = None


def start(
    request: Request, *, on_event: Callable[[Event], None] | None = None, free: Callable[[Path], int] | None = None
) -> Outcome:
    """Check the recipe and run it in a new directory. Nothing is made when the recipe is refused.

    Raises QuantError for bad usage, ("device-missing"), ("output-claimed") when an active run has the same output.
    """
    checked = check(
        request.recipe,
        overrides=request.overrides,
        runs=request.runs_folder,
        ignore_output=request.action == "sensitivity",
        free=free,
    )
    request.refuse_nothing_to_measure(checked)
    if checked.recipe is None:
        return Outcome(BAD_RECIPE, checked)
    refuse_same_output(request.runs_folder, _output(request, checked.recipe))
    asked = asked_devices(request.device, checked.recipe.devices)
    if asked not in ("auto", "cpu"):  # these exist; of others only torch knows, which takes seconds to import
        try:
            resolve_devices(asked)
        except QuantError as error:
            if request.device != "auto":
                raise
            refuse(checked, error, ("devices",))
            return Outcome(BAD_RECIPE, checked)
    folder = create_folder(request.runs_folder, request.recipe, request.name)
    with held(folder):
        with _writing_to(folder):
            (folder / RECIPE).write_bytes(request.recipe.read_bytes())
            write_request(folder, request)
            directory = RunDirectory(folder, new_record(request, checked, folder), on_event)
        return _execute(directory, request, checked, resumed=False)


def resume(
    folder: Path,
    *,
    recipe: Path | None = None,
    output: Path | None = None,
    device: str | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Outcome:
    """Continue a run where it stopped. recipe: refuse when it says something else than what ran. output: write to another folder.

    Raises QuantError(code="run-missing"), ("not-resumable"), ("run-active"), ("resume-mismatch") naming the fields that differ.
    """
    record = read_record(folder)
    check_resumable(folder, record)
    with held(folder):
        request = read_request(folder, device)
        if recipe is not None:
            request.refuse_another(folder / RECIPE, recipe)
        if output is not None:
            request = replace(request, overrides=(*request.overrides, output_override(output)))
        checked = _check_again(folder, request, own_output=output is None)
        if checked.recipe is None:
            return Outcome(BAD_RECIPE, checked)
        refuse_same_output(request.runs_folder, _output(request, checked.recipe), own=folder)
        fresh = new_record(request, checked, folder)
        record = fresh.model_copy(update={"created": record.created, "progress": record.progress, "resumable": True})
        with _writing_to(folder):
            write_request(folder, request)
            directory = RunDirectory(folder, record, on_event)
        return _execute(directory, request, checked, resumed=True)


def _check_again(folder: Path, request: Request, own_output: bool) -> Checked:
    """The recipe as it ran. own_output: an output that this run was just publishing is not in its way."""
    text = (folder / RECIPE).read_bytes().decode("utf-8-sig")
    output = read_record(folder).output
    publishing = own_output and output is not None and stages.is_published(folder / STATE, Path(output))
    return check(
        request.recipe,
        text,
        overrides=request.overrides,
        runs=request.runs_folder,
        ignore_output=publishing or request.action == "sensitivity",
        kept=sum(path.stat().st_size for path in (folder / STATE).rglob("*") if path.is_file()),
    )


def _output(request: Request, recipe: Recipe) -> str | None:
    return str(target(request.recipe.parent, recipe.output)) if request.action == "run" else None


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise write_failure(error, Path(os.fsdecode(error.filename)) if error.filename else folder) from error


def new_record(request: Request, checked: Checked, folder: Path) -> RunRecord:
    """Of a run of this process that has not begun."""
    import psutil

    recipe = checked.recipe
    assert recipe is not None
    return RunRecord(
        run=folder.name,
        action=request.action,
        recipe=str(request.recipe),
        model=str(target(request.recipe.parent, recipe.model)),
        output=_output(request, recipe),
        state="starting",
        created=now(),
        updated=now(),
        pid=os.getpid(),
        pid_started=psutil.Process().create_time(),
        host=socket.gethostname(),
        device=request.device,
        environment=versions(),
        resumable=False,
    )


def _execute(directory: RunDirectory, request: Request, checked: Checked, resumed: bool) -> Outcome:
    assert checked.recipe is not None
    with listening() as cancellation, _logging_to(directory.folder / directory.record.log):
        _connect(cancellation, directory)
        work = Work(request.action, request.recipe, checked, checked.recipe, request.device, directory, cancellation)
        work.seconds, work.fresh = directory.kept_seconds(), request.fresh
        result: Result | None = None
        try:
            directory.event(events.Started, pid=os.getpid(), resumed=resumed)
            directory.update(state="running")
            for stage in (STREAMED if work.is_streamed else STAGES)[request.action]:
                stage(work)
            result = summarize(work)
            code = _done(work, result)
        except (Cancelled, KeyboardInterrupt):
            code = _cancelled(directory)
        except QuantError as error:
            code = _failed(work, error)
        except MemoryError:
            code = _failed(
                work,
                QuantError(
                    "the memory is exhausted",
                    code="memory",
                    advice="Use fewer calibration tokens or a machine with more memory.",
                ),
            )
        except Exception as error:
            log.exception("unexpected failure")
            code = _failed(work, _explained(error, directory))
        finally:
            directory.close()
    return Outcome(code, checked, directory.record, directory.folder, result)


def _explained(error: Exception, directory: RunDirectory) -> QuantError:
    """A failure of the system under a file (an OSError of a library may have no number), or a defect."""
    if isinstance(error, OSError) and error.errno is not None:
        return write_failure(error, Path(os.fsdecode(error.filename)) if error.filename else directory.folder)
    advice = f"This is a defect of the engine or of a library; {directory.record.log} in the run directory has the details."
    return QuantError(f"{type(error).__name__}: {error}", code="internal", advice=advice)


def _connect(cancellation: Cancellation, directory: RunDirectory) -> None:
    cancellation.on_first = directory.ask_to_cancel
    cancellation.on_second = lambda: _cancelled(directory)


def _done(work: Work, result: Result) -> int:
    state = "done-with-fallbacks" if work.has_fallbacks else "done"
    directory = work.directory
    directory.write_result(result)
    directory.event(events.Done, state=state, output=result.output)
    directory.update(state=state, finished=now(), resumable=False, error=None, advice=None)
    # Last: a process killed before the record says so can still be resumed to the same end.
    directory.remove_state()
    return EXIT[state]


def _cancelled(directory: RunDirectory) -> int:
    resumable = directory.record.resumable
    message = "Stopped; it can be resumed." if resumable else "Stopped before anything was done."
    directory.stop(events.Cancelled, {"message": message}, state="cancelled", finished=now())
    return EXIT["cancelled"]


def _failed(work: Work, error: QuantError) -> int:
    problem = Problem(severity="error", code=error.code, message=error.message, **work.place(error.key))
    log.error("%s [%s]", error.message, error.code)
    said = {"problem": problem, "advice": error.advice}
    directory = work.directory
    resumable = directory.record.resumable and error.code not in _LASTING
    directory.stop(
        events.Failed, said, state="failed", finished=now(), error=problem, advice=error.advice, resumable=resumable
    )
    return BAD_RECIPE if error.code == "resume-mismatch" else EXIT["failed"]


class _RunLog(logging.FileHandler):
    """A log that cannot be written (a full disk) is no reason to fill the terminal: the run's own error says it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        pass


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Everything that this process logs goes to the run's log file."""
    handler = _RunLog(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        with suppress(OSError):
            handler.close()

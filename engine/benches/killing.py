"""Runs in forked processes that are killed: by the clock, before a file operation, or at an event.

The process that forks has imported everything and computed nothing with several threads, so a child begins to work at once.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quant_engine import events
from quant_engine.events import RunRecord
from quant_engine.journal import differences, flatten
from quant_engine.result import Result
from quant_engine.run import Outcome, Request, resume, start
from quant_engine.run_directory import RESULT, read_record

_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "os.truncate")
_RETRIES = 5
Task = Callable[[Callable[[events.Event], None]], Outcome]


@dataclass(frozen=True)
class Moment:
    """When to kill: after `seconds`; or before the operation `operation` (counted from 1) that changes files; or at the event `at`."""

    seconds: float | None = None
    operation: int | None = None
    at: tuple[str, int] | None = None

    def __str__(self) -> str:
        if self.at is not None:
            return f"at {self.at[0]} {self.at[1]}"
        return f"before file operation {self.operation}" if self.operation is not None else f"after {self.seconds:.3f} s"


@dataclass(frozen=True)
class Whole:
    """An uninterrupted run: what it wrote, how long it took, how many file operations, and the units of its phases."""

    output: dict[str, bytes]
    result: dict[str, Any]
    seconds: float
    operations: int
    units: dict[str, int]


@dataclass(frozen=True)
class Trial:
    """kills: moment and phase of each kill that hit. wrong: what differs from the uninterrupted run; empty when nothing does."""

    recipe: str
    kills: list[tuple[str, str]]
    wrong: str


def whole_run(recipe: Path, place: Path) -> Whole:
    place.mkdir(parents=True)
    started = time.monotonic()
    status = _finish(_fork(_started(recipe, place), Moment(), place))
    seconds = time.monotonic() - started
    if status not in (0, 3):
        raise RuntimeError(f"{recipe.name} ended with {status}:\n{(place / 'log').read_text()[-3000:]}")
    folder = _folder(place)
    assert folder is not None
    units: dict[str, int] = {}
    for line in (folder / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["type"] == "progress":
            units[event["phase"]] = event["done"]
    return Whole(_files(place / "out"), _summary(folder), seconds, int((place / "operations").read_text()), units)


def trial(recipe: Path, place: Path, whole: Whole, moments: list[Moment], rng: random.Random) -> Trial:
    """Start the recipe, kill it at the first moment, resume it, kill it at the next one …, and resume it to its end."""
    kills: list[tuple[str, str]] = []
    place.mkdir(parents=True)
    for moment in moments:
        if _is_done(place):
            break
        for _ in range(_RETRIES):
            status = _finish(_fork(_next(recipe, place), moment, place), moment.seconds)
            wrong = _wrong_output(place, whole)
            if wrong:
                return Trial(recipe.name, [*kills, (str(moment), _phase(place))], f"after the kill: {wrong}")
            if status == -signal.SIGKILL:
                kills.append((str(moment), _phase(place)))
                break
            if status not in (0, 3):
                return Trial(recipe.name, kills, f"ended with {status} instead of being killed: {_log(place)}")
            # It was faster than the clock: another one, and an earlier moment.
            shutil.rmtree(place)
            place.mkdir()
            kills.clear()
            moment = Moment(seconds=rng.uniform(0, (moment.seconds or whole.seconds) * 0.7))
    status = 0 if _is_done(place) else _finish(_fork(_next(recipe, place), Moment(), place))
    if status not in (0, 3):
        return Trial(recipe.name, kills, f"the resumed run ended with {status}: {_log(place)}")
    return Trial(recipe.name, kills, _wrong_end(place, whole))


def _wrong_output(place: Path, whole: Whole) -> str:
    """An output is complete or absent, whenever its run was killed."""
    return _different(_files(place / "out"), whole.output) if (place / "out").exists() else ""


def _wrong_end(place: Path, whole: Whole) -> str:
    folder = _folder(place)
    assert folder is not None
    found = _summary(folder)
    before, after = flatten(whole.result, "result"), flatten(found, "result")
    details = differences(before, after)
    if details:
        return f"result.json differs: {details[:500]}"
    left = sorted(path.name for path in place.iterdir() if path.name.startswith(".out"))
    if left:
        return f"left behind: {', '.join(left)}"
    lines = [json.loads(line)["sequence"] for line in (folder / "events.jsonl").read_text().splitlines()]
    if lines != list(range(1, len(lines) + 1)):
        return "events.jsonl has gaps"
    return _different(_files(place / "out"), whole.output)


def _different(found: dict[str, bytes], expected: dict[str, bytes]) -> str:
    names = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    return f"the output differs in {', '.join(names)}" if names else ""


def _started(recipe: Path, place: Path) -> Task:
    request = Request("run", recipe, (f"output={place / 'out'}",), "cpu", place / "runs")
    return lambda listener: start(request, on_event=listener)


def _next(recipe: Path, place: Path) -> Task:
    """Resume what can be resumed; a run that was killed before there was anything to continue is started again."""
    folder = _folder(place)
    if folder is not None and (folder / "run.json").exists() and (folder / "state").is_dir():
        return lambda listener: resume(folder, on_event=listener)
    return _started(recipe, place)


def _is_done(place: Path) -> bool:
    folder = _folder(place)
    return folder is not None and (folder / "run.json").exists() and read_record(folder).state.startswith("done")


def _folder(place: Path) -> Path | None:
    """The latest run directory, by time, a number that was added to its name, and whether it began at all."""
    runs = place / "runs"
    folders = [path for path in runs.iterdir() if path.is_dir()] if runs.is_dir() else []
    return max(folders, key=lambda path: path.stat().st_ctime_ns, default=None)


def _phase(place: Path) -> str:
    folder = _folder(place)
    if folder is None or not (folder / "run.json").exists():
        return "before"
    record = RunRecord.model_validate_json((folder / "run.json").read_text())
    return "after" if record.state.startswith("done") else record.progress.phase if record.progress else "before"


def _log(place: Path) -> str:
    return (place / "log").read_text()[-1500:]


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _summary(folder: Path) -> dict[str, Any]:
    """result.json without what names the run, its time and its memory."""
    result = Result.model_validate_json((folder / RESULT).read_text())
    named = {label: by == result.run for label, by in result.measured_by.items()}
    own = {"run", "output", "measured_by", "importance_by", "seconds", "peak_memory_bytes"}
    return {**json.loads(result.model_dump_json(exclude=own)), "measured by itself": named}


def _fork(task: Task, moment: Moment, place: Path) -> int:
    """Process number of a child that does the task, kills itself at the moment (if it is no time) and says what it did in `place`."""
    child = os.fork()
    if child:
        return child
    try:
        os.setpgid(0, 0)
        log = os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        counted = _count_operations(moment.operation)
        code = task(lambda event: _kill_at(event, moment.at)).exit_code
        (place / "operations").write_text(str(counted[0]))
    except BaseException as error:  # noqa: BLE001 - a child must never return into its parent's code
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        code = 70
    os._exit(code)


def _count_operations(last: int | None) -> list[int]:
    """Count what changes names and files from now on; the process is killed before the operation `last`."""
    count = [0]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in _CHANGES or writes:
            count[0] += 1
            if count[0] == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return count


def _kill_at(event: events.Event, at: tuple[str, int] | None) -> None:
    if at is not None and isinstance(event, events.Progress) and (event.phase, event.done) == at:
        os.kill(os.getpid(), signal.SIGKILL)


def _finish(child: int, seconds: float | None = None) -> int:
    """Exit code of the child (negative: the signal), which is killed after `seconds`."""
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

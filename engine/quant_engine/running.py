"""Which processes work on which runs: one process for each run directory, one run for each output."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quant_engine.errors import QuantError
from quant_engine.events import RunRecord
from quant_engine.run_directory import RECORD, STATE, read_record

_LOCK = ".lock"
_ACTIVE = ("starting", "running", "cancelling")


def alive(record: RunRecord) -> bool:
    """Whether the record's process still runs on this machine, and is not another one that got the same number."""
    import psutil

    if record.host != socket.gethostname():
        return False
    try:
        return abs(psutil.Process(record.pid).create_time() - record.pid_started) < 1.0
    except psutil.Error:
        return False


def how_it_stands(record: RunRecord) -> tuple[str, bool]:
    """In a clause, and whether a process works on it now."""
    if record.state not in _ACTIVE:
        return f"it is {record.state}", False
    if alive(record):
        return f"process {record.pid} is working on it", True
    where = "" if record.host == socket.gethostname() else f" on {record.host}"
    return f"it was interrupted (process {record.pid}{where} is gone)", False


def check_resumable(folder: Path, record: RunRecord) -> None:
    """Raises QuantError(code="run-active") or ("not-resumable")."""
    if record.state in ("done", "done-with-fallbacks"):
        raise QuantError(f'the run "{folder.name}" is done', code="not-resumable", advice="Start a new run.")
    if record.state in _ACTIVE and alive(record):
        raise _active(folder, record)
    if not (folder / STATE).is_dir():
        raise QuantError(
            f'the run "{folder.name}" stopped before there was anything to continue',
            code="not-resumable",
            advice="Start a new run.",
        )


def refuse_same_output(runs: Path, output: str | None, own: Path | None = None) -> None:
    """Raises QuantError(code="output-claimed") when a run in `runs` that is being executed will write to `output`; own: a folder to pass
    over. Found after hours of computing otherwise, when the second of the two cannot publish."""
    if output is None or not runs.is_dir():
        return
    for folder in sorted(path.parent for path in runs.glob(f"*/{RECORD}")):
        if folder == own:
            continue
        try:
            record = read_record(folder)
        except QuantError:
            continue
        if record.output == output and record.state in _ACTIVE and alive(record):
            raise QuantError(
                f'the run "{folder.name}" (process {record.pid}) will write to "{output}"',
                code="output-claimed",
                advice="Choose another folder with --output, or wait for that run.",
                key=("output",),
            )


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """This process alone works on the run in `folder`. Raises QuantError(code="run-active") when another one does."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise _active(folder, read_record(folder)) from None
    # The file stays: removing it would let a third process lock a new one while a second still holds the old.
    try:
        yield
    finally:
        lock.release()


def _active(folder: Path, record: RunRecord) -> QuantError:
    return QuantError(
        f'the run "{folder.name}" is still being executed by process {record.pid}',
        code="run-active",
        advice="Wait for it, or stop that process first.",
    )

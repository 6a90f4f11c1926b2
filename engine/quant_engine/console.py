"""A run's progress on stderr: a live display on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from quant_engine import events
from quant_engine.events import Event

Listener = Callable[[Event], None]
_STABLE_UNITS = 3
_STABLE_SECONDS = 5.0


class RemainingColumn(ProgressColumn):
    """Time left, once there are enough finished units to tell."""

    def render(self, task: Task) -> Text:
        elapsed, done, first = task.elapsed or 0.0, task.completed, task.fields["first"]
        if first is None or task.finished or done - first < _STABLE_UNITS or elapsed < _STABLE_SECONDS:
            return Text("")
        seconds = int(elapsed / (done - first) * ((task.total or done) - done))
        return Text(f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} left", style="cyan")


@contextmanager
def progress_display(console: Console | None = None) -> Iterator[Listener]:
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield PlainProgress(console)
        return
    columns: list[Any] = [
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[count]}"),
    ]
    columns += [TimeElapsedColumn(), RemainingColumn(), TextColumn("{task.fields[message]}", style="dim")]
    with Progress(*columns, console=console) as progress:
        yield LiveProgress(progress)


class LiveProgress:
    """One line for each phase; the current one moves."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: Any = None
        self._unit = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, events.PhaseStarted):
            self._unit = event.unit
            self._task = self._progress.add_task(event.phase, total=event.total, message="", count="", first=None)
        elif isinstance(event, events.Progress):
            self._advance(event)
        elif isinstance(event, events.Reused):
            self._progress.console.print(reused_line(event), highlight=False, markup=False)
        elif isinstance(event, events.Fallback):
            self._progress.console.print(fallback_line(event), style="yellow", highlight=False, markup=False)

    def _advance(self, event: events.Progress) -> None:
        task = self._progress.tasks[self._task]
        first = event.done if task.fields["first"] is None else task.fields["first"]
        count = f"{event.done}/{event.total} {_counted(self._unit, event.total)}"
        message = "" if event.done == event.total else event.message
        self._progress.update(self._task, completed=event.done, message=message, count=count, first=first)


class PlainProgress:
    """A line at each change of phase and each unit of work."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._at: tuple[str, int] | None = None

    def __call__(self, event: Event) -> None:
        line = self._line(event)
        if line:
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _line(self, event: Event) -> str | None:
        if isinstance(event, events.PhaseStarted):
            return f"{event.phase}: {event.total} {_counted(event.unit, event.total)}"
        if isinstance(event, events.Progress) and event.message and self._at != (event.phase, event.done):
            self._at = event.phase, event.done
            return (
                f"{event.phase}: {event.done}/{event.total} {event.message} ({time.monotonic() - self._started:.0f} s)"
            )
        if isinstance(event, events.Reused):
            return reused_line(event)
        return fallback_line(event) if isinstance(event, events.Fallback) else None


def _counted(unit: str, count: int) -> str:
    return unit.removesuffix("s") if count == 1 else unit


def reused_line(event: events.Reused) -> str:
    return f"measured already in the run {event.run}: {', '.join(event.candidates)}"


def fallback_line(event: events.Fallback) -> str:
    return f"fallback: {event.layer}: {event.applied} instead of {event.asked}: {event.reason}"

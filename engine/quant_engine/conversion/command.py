"""`quant-engine convert`: progress on stderr, the summary on stdout."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from quant_engine.cancel import CANCELLED_EXIT
from quant_engine.conversion.convert import convert
from quant_engine.errors import QuantError
from quant_engine.output import fail, json_only, print_json

if TYPE_CHECKING:
    from quant_engine.conversion.plan import Progress as Listener

_FAILED = 1
_NOT_USAGE = {"disk-space", "output-write", "scale-overflow"}
_LINE_SECONDS = 2.0


def run(checkpoint: Path, to: str, output: Path, json: bool) -> None:
    """Convert and report. Raises typer.Exit with the command's exit code when it did not work."""
    with json_only(json) as sink:
        try:
            with _terminable(), _progress() as listener:
                done = convert(checkpoint, to, output, listener)
        except QuantError as error:
            usage = fail(error, sink)
            raise typer.Exit(_FAILED) if error.code in _NOT_USAGE else usage from None
        except KeyboardInterrupt:
            typer.echo("Cancelled; nothing was written.", err=True)
            raise typer.Exit(CANCELLED_EXIT) from None
        for warning in done.warnings:
            typer.echo(f"warning: {warning}", err=True)
        if sink:
            print_json(sink, done)
    if not json:
        from quant_engine.report import console, print_conversion

        print_conversion(console(), done)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM clears up as Ctrl+C does."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _progress() -> Iterator[Listener]:
    """A bar for each phase on a terminal, else a line every few seconds and one at the end of each phase."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    name = TextColumn("{task.fields[name]}", style="dim")
    with Progress(
        TextColumn("{task.description:<7}"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn(), name, console=console
    ) as bars:
        tasks = {}

        def listener(phase: str, done: int, total: int, name: str) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total, name="")
            bars.update(tasks[phase], completed=done, name="" if done == total else name)

        yield listener


class _Lines:
    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, phase: str, done: int, total: int, name: str) -> None:
        if done == total or time.monotonic() - self._last >= _LINE_SECONDS:
            self._last = time.monotonic()
            typer.echo(f"{phase}: {done}/{total} {name}", err=True)

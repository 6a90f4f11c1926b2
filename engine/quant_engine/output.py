"""What commands print: diagnostics, errors, one JSON document."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import typer

from quant_engine.errors import QuantError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from quant_engine.protocol import Diagnostic

BAD_USAGE = 2


@contextmanager
def json_only(wanted: bool) -> Iterator[TextIO | None]:
    """With `wanted`: a stream to the real stdout, while everything else that goes to stdout, from C code too, goes to stderr."""
    if not wanted:
        yield None
        return
    sys.stdout.flush()
    real = os.dup(1)
    os.dup2(2, 1)
    try:
        with open(real, "w", encoding="utf-8", closefd=False) as sink:  # noqa: PTH123 (a descriptor, not a path)
            yield sink
    finally:
        sys.stdout.flush()
        os.dup2(real, 1)
        os.close(real)


def print_json(sink: TextIO, document: BaseModel | Any) -> None:
    text = (
        json.dumps(document, indent=1)
        if not hasattr(document, "model_dump_json")
        else document.model_dump_json(indent=1)
    )
    sink.write(text + "\n")


def answer(find: Callable[[], BaseModel | Any], display: Callable[[Any], None], json_wanted: bool) -> None:
    """What a command found: one JSON document when that is wanted, else as it displays it; its QuantError ends the command."""
    with json_only(json_wanted) as sink:
        try:
            found = find()
        except QuantError as error:
            raise fail(error, sink) from None
        if sink:
            print_json(sink, found)
    if not json_wanted:
        display(found)


def fail(error: QuantError, sink: TextIO | None) -> typer.Exit:
    """Print an error (as JSON too, when asked for) and return the exit to raise."""
    typer.echo(f"quant-engine: {error.message} [{error.code}]", err=True)
    if error.advice:
        typer.echo(error.advice, err=True)
    if sink:
        print_json(sink, {"error": {"code": error.code, "message": error.message, "advice": error.advice}})
    return typer.Exit(BAD_USAGE)


def print_diagnostics(diagnostics: Iterable[Diagnostic], err: bool) -> None:
    """One line for each finding; below it, indented, what to do."""
    advised: set[str] = set()
    for diagnostic in diagnostics:
        typer.echo(diagnostic_line(diagnostic), err=err)
        if diagnostic.advice not in advised:
            typer.echo(f"    {diagnostic.advice}", err=err)
        advised.add(diagnostic.advice)


def diagnostic_line(diagnostic: Diagnostic) -> str:
    """`path:line:col: severity: message [code]`, on one line."""
    message = " ".join(diagnostic.message.split())
    return (
        f"{diagnostic.path}:{diagnostic.line}:{diagnostic.column}: {diagnostic.severity}: {message} [{diagnostic.code}]"
    )

"""A process for tests: converts, and sends itself a signal after some layers.

python interrupted_conversion.py SIGNAL LAYERS CHECKPOINT FORMAT OUT
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from quant_engine.conversion import command
from quant_engine.conversion.plan import Progress

number, layers, source, to, output = sys.argv[1:]


@contextmanager
def signalling() -> Iterator[Progress]:
    def listener(phase: str, done: int, total: int, name: str) -> None:
        if (phase, done) == ("convert", int(layers)):
            os.kill(os.getpid(), getattr(signal, number))

    yield listener


command._progress = signalling
try:
    command.run(Path(source), to, Path(output), json=False)
except typer.Exit as end:
    sys.exit(end.exit_code)

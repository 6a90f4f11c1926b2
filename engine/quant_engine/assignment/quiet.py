"""HiGHS prints a line of its own now and then, past any option, with C's printf: stdout belongs to the command."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """What C code prints meanwhile goes to stderr. For a process whose other threads print nothing."""
    try:
        real = os.dup(1)
    except OSError:  # closed: nothing can be printed to it
        yield
        return
    library = ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
    os.dup2(2, 1)
    try:
        yield
    finally:
        # C keeps what it prints to a pipe; without this it would come after the report.
        library.fflush(None)
        os.dup2(real, 1)
        os.close(real)

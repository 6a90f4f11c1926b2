"""How many threads run a computation, and how they wait for each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from quant_engine.lazy import torch


def spin_briefly() -> None:
    """Threads of OpenMP that wait for each other give their core away after some microseconds, unless the user wants it otherwise.

    By itself libgomp spins for milliseconds, which makes many short operations ten times as slow as soon as another process wants a core.
    It counts only before torch is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


@contextmanager
def one_thread() -> Iterator[None]:
    """One CPU thread inside, as many as before after it.

    For thousands of operations of a few microseconds: threads gain nothing there, and on a busy machine each of them
    waits until all threads got their turn, a hundred times longer than it computes.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

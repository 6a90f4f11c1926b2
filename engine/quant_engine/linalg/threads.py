"""How many threads run a computation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from quant_engine.lazy import torch


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

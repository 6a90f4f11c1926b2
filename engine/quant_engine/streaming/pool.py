"""Work in several threads whose results come in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from quant_engine.lazy import torch
from quant_engine.linalg.memory import keep_freed
from quant_engine.linalg.threads import one_thread

T = TypeVar("T")
U = TypeVar("U")
_MOST = 16
"""Threads beyond which Python's own part of each task, which runs in one of them at a time, leaves nothing to gain."""
_AHEAD = 2
"""Units that are begun before the one that is waited for is done: nobody idles while that one is made durable."""


def workers(device: str) -> int:
    """Each with one thread of computing: a piece of a millisecond's work is nothing for two. Beside a GPU two, one of which
    reads while the other computes."""
    return min(torch.get_num_threads(), _MOST) if device == "cpu" else 2


def in_order(
    units: Iterable[tuple[U, Iterable[Callable[[], T]]]], threads: int, tick: Callable[[], None]
) -> Generator[tuple[U, list[T]], None, None]:
    """Each unit with the results of its tasks. tick: called after each task; what it or a task raises ends the work, and tasks that have
    not begun never do."""
    keep_freed()
    with one_thread():
        pool = ThreadPoolExecutor(threads)
        waiting: deque[tuple[U, list[Future[T]]]] = deque()
        try:
            for unit, tasks in units:
                waiting.append((unit, [pool.submit(task) for task in tasks]))
                if len(waiting) > _AHEAD:
                    yield _finished(*waiting.popleft(), tick)
            while waiting:
                yield _finished(*waiting.popleft(), tick)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _finished(unit: U, futures: list[Future[T]], tick: Callable[[], None]) -> tuple[U, list[T]]:
    results = []
    for future in futures:
        results.append(future.result())
        tick()
    return unit, results

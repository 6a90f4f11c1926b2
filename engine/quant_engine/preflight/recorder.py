"""What a piece of work takes: seconds and memory of each of its steps."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from quant_engine.lazy import torch

_PERIOD = 0.001
"""Seconds between two looks at the memory: what is shorter than that has not filled much of it."""


class _Mallinfo(ctypes.Structure):
    """`struct mallinfo2` of the GNU C library, 2.33 and later."""

    _fields_ = [  # noqa: RUF012 (ctypes asks for a list)
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


@lru_cache(maxsize=1)
def _host_bytes() -> Callable[[], int]:
    """Bytes that are allocated in this process now. Where the C library does not tell: resident ones, which shrink late."""
    if sys.platform.startswith("linux"):
        mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
        if mallinfo is not None:
            mallinfo.restype = _Mallinfo

            def allocated() -> int:
                found = mallinfo()
                return found.uordblks + found.hblkhd

            return allocated
    return resident


def allocated() -> int:
    """Bytes that are allocated on the host in this process now."""
    return _host_bytes()()


def resident() -> int:
    """Bytes of this process that are in memory now."""
    return _process().memory_info().rss


@lru_cache(maxsize=1)
def _process() -> Any:
    import psutil

    return psutil.Process()


@dataclass
class Span:
    """One step. label: what it was; through: seconds of it spent on going through inputs. At its peak, in bytes more than before the first
    step: allocated and resident on the host (what is freed does not leave a process at once), and allocated on the device."""

    label: Hashable
    seconds: float = 0.0
    through: float = 0.0
    allocated: int = 0
    resident: int = 0
    device: int = 0


class Recorder:
    """Between `start` and `stop`, `mark` ends the step before it and begins the one of that label."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.spans: list[Span] = []
        self._on_gpu = device.startswith("cuda")
        self._running = threading.Event()
        self._begun = 0.0
        self._before = (0, 0)
        self._device_before = 0

    @contextmanager
    def recording(self, label: Hashable) -> Iterator[None]:
        """Everything inside belongs to some step, the first of them `label`."""
        self._running.set()
        self._before = allocated(), resident()
        if self._on_gpu:
            self._device_before = torch.cuda.memory_allocated(self.device)
        watcher = threading.Thread(target=self._watch, daemon=True)
        self._begin(label)
        watcher.start()
        try:
            yield
        finally:
            self._end()
            self._running.clear()
            watcher.join()

    def mark(self, label: Hashable) -> None:
        self._end()
        self._begin(label)

    @contextmanager
    def going_through(self) -> Iterator[None]:
        """What the current step does inside takes as long as there are tokens."""
        started, span = time.perf_counter(), self.spans[-1]
        try:
            yield
        finally:
            span.through += time.perf_counter() - started

    def _begin(self, label: Hashable) -> None:
        self.spans.append(Span(label))
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)
        self._look()
        self._begun = time.perf_counter()

    def _end(self) -> None:
        if self._on_gpu:
            torch.cuda.synchronize(self.device)
        span = self.spans[-1]
        span.seconds = time.perf_counter() - self._begun
        self._look()
        if self._on_gpu:
            span.device = torch.cuda.max_memory_allocated(self.device) - self._device_before

    def _look(self) -> None:
        span = self.spans[-1]
        span.allocated = max(span.allocated, allocated() - self._before[0])
        span.resident = max(span.resident, resident() - self._before[1])

    def _watch(self) -> None:
        while self._running.is_set():
            self._look()
            time.sleep(_PERIOD)

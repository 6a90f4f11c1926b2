"""SIGINT and SIGTERM: the first asks the run to stop at the next layer, the second ends it now.

Python runs signal handlers between bytecodes of the main thread, which may be inside one long tensor operation. So the signals are
taken from a wake-up pipe by a thread of their own: the run's state says `cancelling` at once, and a second signal always works.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CANCELLED_EXIT = 130


class Cancellation:
    """Whether the run was asked to stop."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.on_first: Callable[[], object] = lambda: None
        self.on_second: Callable[[], object] = lambda: None

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def signal(self) -> None:
        """What one SIGINT does; the second never returns."""
        if not self._asked.is_set():
            self._asked.set()
            self.on_first()
        else:
            self.on_second()
            os._exit(CANCELLED_EXIT)


@contextmanager
def listening() -> Iterator[Cancellation]:
    """Signals of this process go to the returned Cancellation. Outside the main thread nothing is listened to."""
    cancellation = Cancellation()
    if threading.current_thread() is not threading.main_thread():
        yield cancellation
        return
    read, write = os.pipe()
    os.set_blocking(write, False)
    watched = {signal.SIGINT, signal.SIGTERM}
    handlers = {number: signal.signal(number, lambda *_: None) for number in watched}
    wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    thread = threading.Thread(
        target=_watch, args=(read, cancellation, {int(number) for number in watched}), daemon=True
    )
    thread.start()
    try:
        yield cancellation
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(write)
        thread.join()
        os.close(read)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt like SIGINT, so that what cleans up behind itself does. Outside the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _watch(read: int, cancellation: Cancellation, watched: set[int]) -> None:
    while data := os.read(read, 1):
        if data[0] in watched:
            cancellation.signal()

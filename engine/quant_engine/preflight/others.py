"""How much of the processor other processes had while something was measured: what was measured then is too slow for a quiet machine."""

from __future__ import annotations

import time

import psutil


class Others:
    """Looks from its making on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._all, self._own = _busy(), _own()

    def share(self) -> float:
        """Of all processors, 0 to 1; a virtual machine's share that others of its host took is theirs too."""
        seconds = (time.monotonic() - self._began) * (psutil.cpu_count() or 1)
        taken = (_busy() - self._all) - (_own() - self._own)
        return min(max(taken / seconds, 0.0), 1.0) if seconds > 0 else 0.0


def _busy() -> float:
    """Seconds of all processors since the machine started, but for those in which they had nothing to do."""
    times = psutil.cpu_times()._asdict()
    # Linux counts a guest's seconds as the user's as well.
    return sum(seconds for what, seconds in times.items() if what not in ("idle", "iowait", "guest", "guest_nice"))


def _own() -> float:
    times = psutil.Process().cpu_times()
    return times.user + times.system

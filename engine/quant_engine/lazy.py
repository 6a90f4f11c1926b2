"""`from quant_engine.lazy import torch`: torch that is imported at its first use.

Help, recipe checking, schema generation and the engine's handshake must answer in a fraction of a second, and importing torch
alone takes one to three. Method files need torch's functions only when they run, so they take the name from here.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any


def spin_briefly() -> None:
    """Threads of OpenMP that wait for each other give their core away after some microseconds, unless the user wants it otherwise.

    By itself libgomp spins for milliseconds, which makes many short operations ten times as slow as soon as another process wants a core.
    It counts only before torch is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


if TYPE_CHECKING:
    import torch as torch
else:

    class _Lazy:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            spin_briefly()
            value = getattr(importlib.import_module(self._name), attribute)
            # Found at once from now on: inner loops ask thousands of times.
            setattr(self, attribute, value)
            return value

    torch = _Lazy("torch")

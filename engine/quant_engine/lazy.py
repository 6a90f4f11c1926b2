"""`from quant_engine.lazy import torch`: torch that is imported at its first use.

Help, recipe checking, schema generation and the engine's handshake must answer in a fraction of a second, and importing torch
alone takes one to three. Method files need torch's functions only when they run, so they take the name from here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch as torch
else:

    class _Lazy:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            value = getattr(importlib.import_module(self._name), attribute)
            # Found at once from now on: inner loops ask thousands of times.
            setattr(self, attribute, value)
            return value

    torch = _Lazy("torch")

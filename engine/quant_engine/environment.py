"""Versions of what a run depends on, read without importing any of it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from quant_engine import __version__

LIBRARIES = ("torch", "transformers", "compressed-tensors", "safetensors", "numpy", "numba", "scipy", "tokenizers")


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "quant-engine": __version__}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found

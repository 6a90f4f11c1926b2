"""The quantization methods, one file each.

Every module of this folder is imported, in name order, so that a new method is one new file and nothing else
(docs/decisions/0002-methods-are-files.md). An import that fails is an error: nothing is skipped.
"""

from __future__ import annotations

import importlib
import pkgutil

from quant_engine.methods.registry import Method, registered

_NOT_METHODS = {"registry", "types"}

for _module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
    if _module.name not in _NOT_METHODS:
        importlib.import_module(f"{__name__}.{_module.name}")

METHODS: dict[str, Method] = dict(sorted(registered().items(), key=lambda item: (item[1].rank, item[0])))

__all__ = ["METHODS", "Method"]

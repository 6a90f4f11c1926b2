"""The model architectures, one file each; how to walk them block by block is in `decoder`.

As with methods, every file of the folder is imported in name order (docs/decisions/0002-methods-are-files.md).
"""

from __future__ import annotations

import importlib
import pkgutil

_NOT_FAMILIES = {
    "catcher", "decoder", "folds", "generic", "layout", "registry", "routed", "stops", "tensors", "verify"
}  # fmt: skip

for _module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
    if _module.name not in _NOT_FAMILIES:
        importlib.import_module(f"{__name__}.{_module.name}")

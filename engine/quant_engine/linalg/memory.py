"""What is freed goes back to the system."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@lru_cache(maxsize=1)
def _c_library() -> Any:
    """The GNU C library, whose heap keeps freed memory; None where another one is at work."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
        return library if hasattr(library, "malloc_trim") else None
    except OSError:
        return None


def release_freed() -> None:
    """Hand the holes between live tensors back to the system.

    Tensors of many sizes come and go in a walk; without this the process keeps a third more than it uses (measured on five blocks of
    width 1024). Some milliseconds for each call.
    """
    library = _c_library()
    if library is not None:
        library.malloc_trim(0)


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed(largest: int = 64 << 20) -> None:
    """From now on the C library keeps what is freed, blocks of up to `largest` bytes too, for the next allocation of this process.

    For work that allocates and frees the same megabyte thousands of times: given back and asked for again, every page of it is cleared each
    time, which costs as much as computing on it. `release_freed` gives it back.
    """
    library = _c_library()
    if library is not None:
        library.mallopt(_MMAP_THRESHOLD, largest)
        library.mallopt(_TRIM_THRESHOLD, 4 * largest)


def free(tensor: Tensor) -> None:
    """The tensor has no elements afterwards. A part of a larger storage stays: others may live there."""
    storage = tensor.untyped_storage()
    if storage.resizable() and storage.nbytes() == tensor.nbytes:
        storage.resize_(0)

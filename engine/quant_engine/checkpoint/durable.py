"""Files that are complete or absent after a crash: flush, then rename."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine.errors import QuantError

if TYPE_CHECKING:
    from torch import Tensor

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_FULL_TEXTS = (*map(os.strerror, _FULL), "(os error 112)")
"""What safetensors quotes; the last is Windows' ERROR_DISK_FULL, whose text is in the user's language."""
AT_ONCE = 1 << 18
"""Bytes of one call that writes: for larger ones Linux looks for larger pages of its cache, which can take five to ten times as long as the
copying."""


def sync_file(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable; where the system cannot open folders (Windows) they are as durable as it
    gets."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(temporary: Path, final: Path) -> None:
    """Flush `temporary`, give it the name `final` and make that durable."""
    sync_file(temporary)
    temporary.replace(final)
    sync_folder(final.parent)


def write_bytes(file: Path, data: bytes) -> None:
    with file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def save_tensors(file: Path, temporary: Path, tensors: dict[str, Tensor], key: tuple[str | int, ...] = ()) -> None:
    """Write a safetensors file under the name `temporary`, flush it and rename it to `file`; a failure leaves neither.

    Raises QuantError(code="disk-space") or ("output-write"); key: the recipe's key that is to blame.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary)
        replace(temporary, file)
    except (OSError, SafetensorError) as error:
        raise write_failure(error, temporary, key) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_failure(error: Exception, file: Path, key: tuple[str | int, ...] = ()) -> QuantError:
    """What to tell of an OSError, or of safetensors' own error, which has the system's error in its text alone."""
    number = error.errno if isinstance(error, OSError) else None
    if number in _FULL or (number is None and any(text in str(error) for text in _FULL_TEXTS)):
        return no_room(f"the disk became full while {file} was written", key)
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    advice = "Check the folder's permissions."
    return QuantError(f"cannot write {file}: {reason}", code="output-write", advice=advice, key=key)


def no_room(message: str, key: tuple[str | int, ...] = ()) -> QuantError:
    advice = "Free some space, or use another disk: output in the recipe for the checkpoint, --runs for run directories."
    return QuantError(message, code="disk-space", advice=advice, key=key)

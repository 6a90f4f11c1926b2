"""Files that are complete or absent after a crash: flush, then rename."""

from __future__ import annotations

import os
from pathlib import Path


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

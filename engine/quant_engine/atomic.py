"""Small files that are replaced whole: a reader sees the old or the new content, never a part, also after a crash."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from quant_engine.checkpoint.durable import replace, write_bytes


def replace_text(path: Path, text: str) -> None:
    """Write `text` to a temporary file beside `path`, flush it to the disk and rename it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_bytes(temporary, text.encode())
        replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise

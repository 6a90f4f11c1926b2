"""A run on a host with less memory than the checkpoint: the whole command in a control group of Linux whose memory is limited.

The group's limit counts what the process allocates and what it has of files in the page cache. It is a child of this process's own group,
which root in most containers may make.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


@contextmanager
def limited(limit: int) -> Iterator[tuple[list[str], Path]]:
    """A group of at most `limit` bytes: the words before a command that runs in it, and its file with the largest use so far.

    Raises OSError where groups cannot be made.
    """
    first = _ROOT / "cgroup.controllers"
    own = {line.split(":")[1]: line.split(":", 2)[2].strip() for line in Path("/proc/self/cgroup").read_text().splitlines()}
    if first.exists():
        parent, maximum, peak = _ROOT / own[""].lstrip("/"), "memory.max", "memory.peak"
    else:
        parent, maximum, peak = _ROOT / "memory" / own["memory"].lstrip("/"), "memory.limit_in_bytes", "memory.max_usage_in_bytes"
    group = parent / "quant-bench"
    group.mkdir(exist_ok=True)
    try:
        (group / maximum).write_text(str(limit))
        yield ["sh", "-c", f'echo $$ > {shlex.quote(str(group / "cgroup.procs"))} && exec "$@"', "sh"], group / peak
    finally:
        group.rmdir()

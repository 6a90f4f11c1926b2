"""Run a child process and measure it: wall time and peak resident memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_bytes: int
    output: str


def run(command: list[str], log: Path, environment: dict[str, str] | None = None, folder: Path | None = None) -> Measured:
    """Run `command`; standard error goes to `log`. Raises RuntimeError with the log's end when it fails."""
    start = time.perf_counter()
    with log.open("w") as errors:
        whole = {**os.environ, **(environment or {})}
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=whole, cwd=folder)
        assert child.stdout is not None
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 3):
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}:\n{log.read_text()[-3000:]}\n{output[-2000:]}")
    scale = 1 if sys.platform == "darwin" else 1024
    return Measured(seconds, usage.ru_maxrss * scale, output)

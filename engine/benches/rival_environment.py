"""Throw-away environments with what the engine is compared with, because their pins differ from the engine's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PINS = ["torch==2.13.0", "llmcompressor==0.14.0.1", "transformers==5.17.0", "compressed-tensors==0.19.0"]
MODELOPT = ["torch==2.13.0", "nvidia-modelopt==0.47.0", "transformers==5.17.0", "requests"]
"""The last one is imported by ModelOpt and not among what it installs."""


def ensure(folder: Path, pins: list[str] = PINS) -> Path:
    """Create the environment once; returns its Python."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = folder / "pins.txt"
    if stamp.is_file() and stamp.read_text() == "\n".join(pins):
        return python
    print(f"creating a throw-away environment with {', '.join(pins)} …", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *pins], check=True)
    stamp.write_text("\n".join(pins))
    return python

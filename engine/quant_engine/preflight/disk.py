"""What a run will need, from headers alone: bits of every layer, bytes of the output, bytes of the resume data."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine.tokens import IMPORTANCE_TOKENS

if TYPE_CHECKING:
    from quant_engine.checkpoint import Checkpoint, LinearInfo
    from quant_engine.uses import Use

DTYPE_BYTES = {"float32": 4, "float64": 8}


def dtype_bytes(dtype: str) -> int:
    """Bytes of one element of a floating dtype by torch's name; 2 for the 16-bit ones."""
    return DTYPE_BYTES.get(dtype, 2)


@dataclass(frozen=True)
class Needs:
    """output: tensor bytes of the quantized checkpoint; state: resume data of the run (pieces and hidden states); apart: the same when the
    run directory is on another disk than the output."""

    output: int
    state: int
    apart: int


def needs(
    checkpoint: Checkpoint, linears: Sequence[LinearInfo], assignment: Mapping[str, Use | None], tokens: int, weighs: bool = False
) -> Needs:
    """Quantized layers at their stored bits, the rest as it is; the hidden state of each calibration token twice, while it is replaced.

    tokens: 0, there are no calibration data.
    weighs: importance is measured, for which hidden states before every block and the head are kept, and gradients once."""
    scale_bits = 8 * dtype_bytes(checkpoint.dtype)
    pieces, replaced = 0.0, 0
    for linear in linears:
        use = assignment.get(linear.name)
        weight = checkpoint.tensors.get(f"{linear.name}.weight")
        if use is None or weight is None or not use.fits(linear.inputs):
            continue
        pieces += use.weight_format.bits_per_weight(linear.inputs, scale_bits, linear.outputs) * linear.outputs * linear.inputs / 8
        replaced += weight.end - weight.start
    width = checkpoint.config.get("hidden_size")
    hidden = tokens * width * dtype_bytes(checkpoint.dtype) if isinstance(width, int) else 0
    state = 2 * hidden + pieces
    if weighs:
        blocks = len({linear.block for linear in linears if linear.block is not None})
        state = max(state, (blocks + 2) * hidden * min(1.0, IMPORTANCE_TOKENS / max(tokens, 1)))
    output = _margin(checkpoint.bytes - replaced + pieces)
    if tokens == 0:
        # The output itself grows in the run's state, and moves or is copied from there.
        return Needs(output, _margin(0), apart=output)
    return Needs(output, _margin(state), apart=_margin(state))


def existing_parent(path: Path) -> Path:
    """The nearest folder above `path` (or itself) that exists."""
    for folder in (path, *path.parents):
        if folder.exists():
            return folder
    return Path.cwd()


def free_bytes(path: Path) -> int:
    """Free bytes for this user on the disk that `path` is, or will be, on."""
    return shutil.disk_usage(existing_parent(path)).free


def same_disk(a: Path, b: Path) -> bool:
    return existing_parent(a).stat().st_dev == existing_parent(b).stat().st_dev


def _margin(tensor_bytes: float) -> int:
    """With headers, index, config and journal beside the tensors."""
    return int(1.02 * tensor_bytes) + 100_000


def format_bytes(count: float) -> str:
    """Decimal units as disks are sold: `820 B`, `3.4 MB`, `16.1 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"

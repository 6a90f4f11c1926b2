"""The header of a safetensors file, read with distrust: every number is checked before anything is allocated or mapped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TensorInfo:
    """Where one tensor lies: `start` and `end` are absolute byte offsets in `file`."""

    name: str
    dtype: str
    """safetensors' name, for example BF16, F16, F32, I32."""
    shape: tuple[int, ...]
    file: Path
    start: int
    end: int


def read_header(file: Path) -> dict[str, TensorInfo]:
    """Tensors of one safetensors file by name, in file order.

    Raises QuantError(code="model-broken") that names the file and what is wrong: a length beyond the file or beyond 100 MB,
    no JSON object, a key twice, an unknown dtype, a shape that does not fill its bytes, overlaps, holes, bytes at the end.
    """
    raise NotImplementedError

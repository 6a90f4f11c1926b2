"""The header of a safetensors file, read with distrust: every number is checked before anything is allocated or
mapped."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NoReturn

from quant_engine.errors import QuantError

MAX_HEADER_BYTES = 100_000_000
_LONGEST_INTEGER = 19
"""Digits of 2⁶³; a longer one cannot be a size, and converting millions of digits takes minutes."""

DTYPE_BITS = {
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


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

    @property
    def bytes(self) -> int:
        return self.end - self.start

    @property
    def elements(self) -> int:
        return prod(self.shape)


_LFS = b"https://git-lfs"


_AGAIN = "Download or copy the file again; it may have been cut off on the way."


def broken(file: Path, what: str, advice: str = _AGAIN) -> QuantError:
    return QuantError(f"{file} is broken: {what}", code="model-broken", advice=advice)


def read_header(file: Path) -> dict[str, TensorInfo]:
    """Tensors of one safetensors file by name, in file order.

    Raises QuantError(code="model-broken") that names the file and what is wrong: a length beyond the file or beyond 100
    MB, no JSON object, a key twice, an unknown dtype, a shape that does not fill its bytes, overlaps, holes, bytes at
    the end.
    """
    text, data_start, size = _header_text(file)
    document = _parse(file, text)
    metadata = document.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise broken(file, "its __metadata__ is not a map from text to text")
    tensors = [_tensor(file, name, entry, data_start, size) for name, entry in document.items()]
    tensors.sort(key=lambda tensor: (tensor.start, tensor.end))
    position = data_start
    for tensor in tensors:
        if tensor.start != position:
            kind = "overlaps the tensor before it" if tensor.start < position else "leaves a hole before it"
            raise broken(
                file, f"tensor {_quoted(tensor.name)} {kind} (starts at byte {tensor.start}, expected {position})"
            )
        position = tensor.end
    if position != size:
        raise broken(file, f"its tensors end at byte {position} and the file at byte {size}")
    return {tensor.name: tensor for tensor in tensors}


def header_bytes(file: Path) -> bytes:
    """The raw header, for identity: it fixes every tensor's name, dtype, shape and place."""
    return _header_text(file)[0]


def _header_text(file: Path) -> tuple[bytes, int, int]:
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for somebody to write
            raise broken(file, "it is not a file")
        size = found.st_size
        with file.open("rb") as stream:
            prefix = stream.read(8)
            if len(prefix) < 8:
                raise broken(file, f"it has {size} bytes, too few for a safetensors header")
            if prefix == b"version " and stream.read(len(_LFS)) == _LFS:
                raise broken(file, "it is a Git LFS pointer, not the weights; git lfs pull, in its repository, fetches them")
            length = int.from_bytes(prefix, "little")
            if length > MAX_HEADER_BYTES:
                raise broken(file, f"its header claims {length} bytes, the limit is {MAX_HEADER_BYTES}")
            if length > size - 8:
                raise broken(file, f"its header claims {length} bytes, the file has {size}")
            text = stream.read(length)
    except OSError as error:
        raise QuantError(
            f"cannot read {file}: {error.strerror or error}",
            code="model-broken",
            advice="Check the file's permissions.",
        ) from error
    return text, 8 + length, size


def _parse(file: Path, text: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))
            raise broken(file, f"its header has {_quoted(twice)} twice")
        return keys

    def integer(digits: str) -> int:
        if len(digits) > _LONGEST_INTEGER:
            raise broken(file, f"its header has a number of {len(digits)} digits")
        return int(digits)

    def constant(name: str) -> NoReturn:
        raise broken(file, f"its header has the value {name}")

    try:
        document = json.loads(text.decode("utf-8"), object_pairs_hook=once, parse_int=integer, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise broken(file, f"its header is not JSON ({_quoted(str(error))})") from error
    if not isinstance(document, dict):
        raise broken(file, "its header is not a JSON object")
    return document


def _tensor(file: Path, name: str, entry: Any, data_start: int, size: int) -> TensorInfo:
    def wrong(what: str) -> QuantError:
        return broken(file, f"tensor {_quoted(name)} {what}")

    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise wrong("is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        raise wrong(f"has the unknown dtype {_quoted(str(dtype))}")
    if not _sizes(shape) or len(shape) > 64:
        raise wrong("has a shape that is not a list of sizes")
    if not _sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise wrong("has data_offsets that are not a start and an end")
    start, end = data_start + offsets[0], data_start + offsets[1]
    if end > size:
        raise wrong(f"ends at byte {end}, the file has {size}")
    bits = prod(shape) * DTYPE_BITS[dtype]
    if bits != 8 * (end - start):
        needed = f"{bits / 8:g}" if bits < 1 << 70 else "far more"
        raise wrong(f"needs {needed} bytes for shape {shape} of {dtype} and has {end - start}")
    return TensorInfo(name, dtype, tuple(shape), file, start, end)


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _quoted(text: str) -> str:
    """A hostile name must not flood a terminal or a log."""
    return json.dumps(text if len(text) <= 120 else text[:117] + "…", ensure_ascii=True)

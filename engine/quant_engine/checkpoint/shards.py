"""safetensors files assembled from tensors that lie in other files, as a stream of bytes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from quant_engine.checkpoint.durable import AT_ONCE
from quant_engine.checkpoint.header import TensorInfo


def plan(tensors: Iterable[TensorInfo], max_bytes: int) -> list[list[TensorInfo]]:
    """Consecutive tensors in shards of at most `max_bytes`; a larger tensor has a shard of its own. At least one
    shard."""
    shards: list[list[TensorInfo]] = [[]]
    size = 0
    for tensor in tensors:
        if shards[-1] and size + tensor.bytes > max_bytes:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.bytes
    return shards


def write_shard(file: Path, tensors: list[TensorInfo]) -> None:
    """Write one safetensors file, flushed."""
    ordered, text = ordered_header(tensors)
    with file.open("wb") as output:
        output.write(len(text).to_bytes(8, "little") + text)
        for tensor in ordered:
            _copy(tensor, output)
        output.flush()
        os.fsync(output.fileno())


def shard_bytes(tensors: Sequence[TensorInfo]) -> int:
    """Size of the file that `write_shard` would write."""
    ordered, text = ordered_header(tensors)
    return 8 + len(text) + sum(tensor.bytes for tensor in ordered)


def ordered_header(tensors: Sequence[TensorInfo]) -> tuple[list[TensorInfo], bytes]:
    """The tensors as they follow one another, and the header. The widest dtypes come first: then every tensor is aligned to its own
    width."""
    ordered = sorted(tensors, key=lambda tensor: -_width(tensor))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    position = 0
    for tensor in ordered:
        end = position + tensor.bytes
        header[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return ordered, text + b" " * (-len(text) % 8)


def _width(tensor: TensorInfo) -> int:
    return tensor.bytes // tensor.elements if tensor.elements else 0


def _copy(tensor: TensorInfo, output: BinaryIO) -> None:
    with tensor.file.open("rb") as stream:
        stream.seek(tensor.start)
        left = tensor.bytes
        while left:
            data = stream.read(min(left, AT_ONCE))
            if not data:
                raise OSError(f"{tensor.file} ended while it was copied")
            output.write(data)
            left -= len(data)

"""What will be written, to the byte, from headers alone: the same tensors and documents as the writer's, without their content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine.architectures.folds import folds_of
from quant_engine.checkpoint.files import carried
from quant_engine.checkpoint.header import DTYPE_BITS, TensorInfo
from quant_engine.checkpoint.read import DTYPE_NAMES
from quant_engine.checkpoint.shards import shard_bytes
from quant_engine.checkpoint.write import assembled, config_document, index_document, named_shards
from quant_engine.formats.stored import stored_parts
from quant_engine.lazy import torch
from quant_engine.methods import METHODS
from quant_engine.output_format import output_config

if TYPE_CHECKING:
    from quant_engine.checkpoint import Checkpoint, LinearInfo
    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.uses import Use

Uses = Mapping[str, "Use | None"]
_STORED = {
    "torch.float64": "F64", "torch.float32": "F32", "torch.float16": "F16", "torch.bfloat16": "BF16", "torch.int64": "I64",
    "torch.int32": "I32", "torch.int8": "I8", "torch.uint8": "U8", "torch.float8_e4m3fn": "F8_E4M3",
}  # fmt: skip


@dataclass(frozen=True)
class Output:
    """tensors: bytes of all tensors; files: of the whole folder, headers and documents included; count: of files.
    bits_per_weight: of the layers that are
    targets; model_bits_per_weight: of the whole model (both as a result's `sizes` say)."""

    tensors: int
    files: int
    count: int
    bits_per_weight: float
    model_bits_per_weight: float


def output_of(checkpoint: Checkpoint, linears: Sequence[LinearInfo], uses: Uses) -> Output:
    """uses: of every linear layer, None for those that stay."""
    new = [*quantized_tensors(linears, uses, checkpoint.dtype), *_folded_into(checkpoint, linears, uses)]
    tensors = assembled(checkpoint.tensors, new)
    shards = named_shards(tensors)
    files = sum(shard_bytes(shard) for shard in shards.values())
    files += len(index_document(shards)) if len(shards) > 1 else 0
    files += len(config_document(checkpoint, output_config(checkpoint, linears, uses)))
    files += sum(len(carried(file)) for file in checkpoint.other_files)
    total = sum(tensor.bytes for tensor in tensors)
    count = len(shards) + (len(shards) > 1) + 1 + len(checkpoint.other_files)
    return Output(total, files, count, _bits(checkpoint, linears, uses), 8.0 * total / checkpoint.parameters)


def _bits(checkpoint: Checkpoint, linears: Sequence[LinearInfo], uses: Uses) -> float:
    scale_bits = torch.finfo(getattr(torch, checkpoint.dtype)).bits
    bits = weights = 0.0
    for linear in linears:
        use = uses.get(linear.name)
        if linear.block is None and use is None:
            continue
        count = linear.outputs * linear.inputs
        own = use.weight_format.bits_per_weight(linear.inputs, scale_bits, linear.outputs) if use else float(scale_bits)
        bits, weights = bits + own * count, weights + count
    return bits / weights if weights else 0.0


def quantized_tensors(linears: Sequence[LinearInfo], uses: Uses, dtype: str) -> Iterator[TensorInfo]:
    """What stands for the weights of quantized layers in a checkpoint of that dtype."""
    for linear in linears:
        use = uses.get(linear.name)
        if use is None:
            continue
        for part, kind, shape, size in _parts(use.weight_format, linear.outputs, linear.inputs, dtype):
            yield _tensor(f"{linear.name}.{part}", kind, shape, size)
        inputs = use.input_format
        if inputs is not None and inputs.stored_scale is not None:
            own = torch.float32 if inputs.scale == "float8" else getattr(torch, dtype)
            yield _tensor(f"{linear.name}.{inputs.stored_scale}", _STORED[str(own)], (1,), own.itemsize)


def _parts(weight_format: WeightFormat, rows: int, columns: int, dtype: str) -> list[tuple[str, str, tuple[int, ...], int]]:
    """Name, dtype, shape and bytes of each tensor that stands for a weight."""
    parts = stored_parts(weight_format, rows, columns, _STORED[f"torch.{dtype}"])
    return [(name, kind, shape, prod(shape) * DTYPE_BITS[kind] // 8) for name, (kind, shape) in parts.items()]


def _folded_into(checkpoint: Checkpoint, linears: Sequence[LinearInfo], uses: Uses) -> Iterator[TensorInfo]:
    """Tensors that take over a scale are written in the model's dtype, which in a checkpoint of several dtypes need not be theirs."""
    for block in sorted({linear.block for linear in linears if linear.block is not None}):
        prefix = next(linear.name for linear in linears if linear.block == block).partition(f".{block}.")[0] + f".{block}."
        for fold in folds_of(checkpoint, block):
            layers = [prefix + layer for layer in fold.layers]
            if not any(use is not None and METHODS[use.method].scales_inputs for use in map(uses.get, layers)):
                continue
            scaled = [name for name in (*layers, prefix + fold.previous) if uses.get(name) is None]
            names = [f"{name}.weight" for name in scaled] + [f"{prefix}{fold.previous}.bias"]
            for tensor in filter(None, map(checkpoint.tensors.get, names)):
                if DTYPE_NAMES.get(tensor.dtype) != checkpoint.dtype:
                    dtype = getattr(torch, checkpoint.dtype)
                    yield replace(tensor, dtype=_STORED[str(dtype)], end=tensor.start + tensor.elements * dtype.itemsize)


def _tensor(name: str, dtype: str, shape: tuple[int, ...], size: int) -> TensorInfo:
    return TensorInfo(name, dtype, shape, Path(), 0, size)

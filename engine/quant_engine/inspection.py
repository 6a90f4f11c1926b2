"""What a checkpoint consists of, from its headers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from quant_engine import protocol
from quant_engine.checkpoint import Checkpoint, TensorInfo, list_linears
from quant_engine.checkpoint.read import stored_shape
from quant_engine.checkpoint.recognise import packed_shape

_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}
_MAIN_PARTS = ("weight", "weight_packed", "qweight")
_BESIDE = ("bias", "weight_shape", "input_scale", "input_global_scale")
"""Tensors of a layer that do not stand for its weight."""


def inspect(path: Path) -> protocol.Checkpoint:
    """Modules with shapes and dtypes; of a quantized layer the shape that its packed weights stand for.

    Raises QuantError with code model-missing, model-broken or model-not-safetensors.
    """
    checkpoint = Checkpoint.open(path.resolve())
    linears = {linear.name: linear for linear in list_linears(checkpoint)}
    stored: Counter[str] = Counter()
    for tensor in checkpoint.tensors.values():
        module, _, part = tensor.name.rpartition(".")
        stored[module] += tensor.bytes if part not in _BESIDE else 0
    modules = []
    for tensor in _main_tensors(checkpoint.tensors.values()):
        module, _, part = tensor.name.rpartition(".")
        linear = linears.get(module)
        shape = [linear.outputs, linear.inputs] if linear else list(_unpacked(checkpoint, tensor))
        parameters = 1
        for size in shape:
            parameters *= size
        modules.append(
            protocol.ModuleInfo(
                name=module,
                kind=module.rpartition(".")[2],
                block=linear.block if linear else _block(module),
                shape=shape,
                dtype=_DTYPES.get(tensor.dtype, tensor.dtype.lower()) if part == "weight" else "packed",
                parameters=parameters,
                bytes=stored[module],
                quantizable=linear is not None and part == "weight" and tensor.dtype in _DTYPES,
            )
        )
    blocks = {module.block for module in modules if module.block is not None}
    return protocol.Checkpoint(
        path=str(checkpoint.path),
        architecture=checkpoint.architecture,
        model_type=checkpoint.model_type,
        supported=not isinstance(checkpoint.family, str),
        dtype=checkpoint.dtype,
        parameters=checkpoint.parameters,
        bytes=checkpoint.bytes,
        blocks=len(blocks),
        quantization=checkpoint.quantization,
        modules=modules,
    )


def _main_tensors(tensors: Iterable[TensorInfo]) -> list[TensorInfo]:
    """One tensor for each module: its weight, not biases, scales or zero points."""
    return [tensor for tensor in tensors if tensor.name.rpartition(".")[2] in _MAIN_PARTS]


def _unpacked(checkpoint: Checkpoint, tensor: TensorInfo) -> tuple[int, ...]:
    """The shape that a tensor stands for, also in an architecture whose layers are not listed."""
    module, _, part = tensor.name.rpartition(".")
    shape = checkpoint.tensors.get(f"{module}.weight_shape")
    if part == "weight_packed" and shape is not None:
        return stored_shape(shape)
    return (packed_shape(checkpoint.tensors, module) if part == "qweight" else None) or tensor.shape


def _block(module: str) -> int | None:
    """The first number among the parts of a name, for example 3 in model.layers.3.input_layernorm."""
    return next((int(part) for part in module.split(".") if part.isdigit()), None)

"""The tensors that stand for a quantized linear layer in a compressed-tensors checkpoint, written and read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quant_engine.errors import QuantError
from quant_engine.formats.grid import Grid, decode
from quant_engine.formats.packing import pack, unpack, words
from quant_engine.formats.scheme import InputFormat, WeightFormat
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.methods.types import Quantized

_SCALES = {"nvfp4-pack-quantized": "float8", "mxfp4-pack-quantized": "power"}
PARTS = ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_global_scale")


def checkpoint_tensors(name: str, quantized: Quantized) -> dict[str, Tensor]:
    """The tensors of module `name`, in its format's layout.

    pack-quantized: weight_packed int32 (out × words), weight_scale (out × groups), weight_shape int64 [out, in], and when asymmetric
    weight_zero_point int32 (words of out × groups), packed along the rows. int-quantized and float-quantized: weight int8 or
    float8_e4m3fn (out × in), weight_scale. nvfp4- and mxfp4-pack-quantized: weight_packed uint8 (out × in/2, first code in the low half),
    weight_scale float8_e4m3fn or uint8 exponents (out × groups), weight_global_scale float32 (1,) of the former.
    """
    grid = quantized.grid
    kind = grid.weight_format
    if kind.layout == "pack-quantized":
        tensors = {
            "weight_packed": pack(quantized.codes, kind.num_bits),
            "weight_scale": grid.scales,
            "weight_shape": torch.tensor(quantized.codes.shape, dtype=torch.int64),
        }
        if grid.zeros is not None:
            tensors["weight_zero_point"] = pack(grid.zeros.t().contiguous(), kind.num_bits).t()
    elif kind.layout in ("int-quantized", "float-quantized"):
        scales = grid.scales.reshape(1) if kind.per_tensor else grid.scales
        tensors = {"weight": quantized.codes, "weight_scale": scales}
    else:
        tensors = {"weight_packed": _pack_e2m1(quantized.codes), "weight_scale": _stored_scales(grid)}
        if grid.factor is not None:
            tensors["weight_global_scale"] = grid.factor
    return {f"{name}.{part}": tensor.contiguous() for part, tensor in tensors.items()}


def stored_parts(weight_format: WeightFormat, rows: int, columns: int, scale: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """By name what stands for a weight (rows × columns) in a checkpoint: dtype in safetensors' words, and shape. scale: dtype of scales
    that are stored in the model's own."""
    kind, groups = weight_format, weight_format.groups(columns)
    if kind.is_gptq:
        packed = {"qweight": ("I32", (words(columns, kind.num_bits), rows)), "qzeros": ("I32", (groups, words(rows, kind.num_bits)))}
        return {**packed, "scales": ("F16", (groups, rows)), "g_idx": ("I32", (columns,))}
    if kind.layout == "pack-quantized":
        parts: dict[str, tuple[str, tuple[int, ...]]] = {
            "weight_packed": ("I32", (rows, words(columns, kind.num_bits))),
            "weight_scale": (scale, (rows, groups)),
            "weight_shape": ("I64", (2,)),
        }
        return parts if kind.symmetric else {**parts, "weight_zero_point": ("I32", (words(rows, kind.num_bits), groups))}
    if kind.layout in ("int-quantized", "float-quantized"):
        shape = (1,) if kind.per_tensor else (-(-rows // kind.block[0]) if kind.block else rows, groups)
        return {"weight": ("F8_E4M3" if kind.type == "float" else "I8", (rows, columns)), "weight_scale": (scale, shape)}
    packed = {"weight_packed": ("U8", (rows, columns // 2))}
    if kind.scale == "power":
        return {**packed, "weight_scale": ("U8", (rows, groups))}
    return {**packed, "weight_scale": ("F8_E4M3", (rows, groups)), "weight_global_scale": ("F32", (1,))}


def row_in(part: str, weight_format: WeightFormat, row: int) -> int:
    """Where in a part's first dimension the entries of the weight's row `row` begin; of rows that share scales or words the first."""
    if part == "weight_zero_point":
        return row * weight_format.num_bits // 32
    if part == "weight_scale" and weight_format.block:
        return row // weight_format.block[0]
    return 0 if part == "weight_shape" else row


def decompressed(parts: Mapping[str, Tensor], weight_format: WeightFormat) -> Tensor:
    """The weight (out × in) that `checkpoint_tensors` stored; `parts` by their names without the module's."""
    if weight_format.layout == "pack-quantized":
        rows, columns = (int(size) for size in parts["weight_shape"].tolist())
        packed_zeros = parts.get("weight_zero_point")
        zeros = None if packed_zeros is None else unpack(packed_zeros.t().contiguous(), weight_format.num_bits, rows).t().contiguous()
        return decode(unpack(parts["weight_packed"], weight_format.num_bits, columns), Grid(weight_format, parts["weight_scale"], zeros))
    if weight_format.layout in ("int-quantized", "float-quantized"):
        scales = parts["weight_scale"]
        return decode(parts["weight"], Grid(weight_format, scales.reshape(1, 1) if weight_format.per_tensor else scales))
    scales = parts["weight_scale"]
    if weight_format.scale == "power":
        scales = torch.ldexp(torch.ones(scales.shape), scales.to(torch.int32) - 127)
    grid = Grid(weight_format, scales.float(), factor=parts.get("weight_global_scale"))
    return decode(_unpack_e2m1(parts["weight_packed"]), grid)


def formats_of(config: Mapping[str, Any], module: str) -> tuple[WeightFormat, InputFormat | None] | None:
    """The number formats that `quantization_config` gives a module; None when it does not name it or its class."""
    for group in (config.get("config_groups") or {}).values():
        targets = group.get("targets") or []
        if "Linear" in targets or any(_names(target, module) for target in targets):
            layout = group.get("format") or config.get("format") or "pack-quantized"
            return _weight_format(group["weights"], layout), _input_format(group.get("input_activations"), layout)
    return None


def _names(target: str, module: str) -> bool:
    """As compressed-tensors matches: a name, or `re:` and a pattern for its beginning."""
    return re.match(target[3:], module) is not None if target.startswith("re:") else target == module


def _weight_format(arguments: Mapping[str, Any], layout: str) -> WeightFormat:
    size, block = arguments.get("group_size"), arguments.get("block_structure")
    found = WeightFormat(
        num_bits=int(arguments["num_bits"]),
        symmetric=bool(arguments.get("symmetric", True)),
        group_size=int(size) if size and size > 0 else None,
        type=arguments.get("type", "int"),
        block=(int(block[0]), int(block[1])) if block else None,
        per_tensor=arguments.get("strategy") == "tensor",
        layout=layout,  # type: ignore[arg-type]
    )
    return replace(found, scale=_SCALES.get(layout, "weight"))  # type: ignore[arg-type]


def _input_format(arguments: Mapping[str, Any] | None, layout: str) -> InputFormat | None:
    if arguments is None:
        return None
    size, bits, kind = arguments.get("group_size"), int(arguments["num_bits"]), arguments.get("type", "int")
    is_e2m1 = bits == 4 and kind == "float"
    return InputFormat(
        num_bits=bits,
        type=kind,
        strategy=arguments["strategy"],
        group_size=int(size) if size else None,
        dynamic=bool(arguments.get("dynamic")),
        scale=_SCALES.get(layout, "weight") if is_e2m1 else "weight",  # type: ignore[arg-type]
    )


def broken_group(path: object, module: str) -> QuantError:
    return QuantError(
        f"{path}: no config group names {module}, which is quantized",
        code="model-broken",
        advice="Check quantization_config in config.json.",
    )


def _stored_scales(grid: Grid) -> Tensor:
    if grid.weight_format.scale == "float8":
        return grid.scales.to(torch.float8_e4m3fn)
    return (torch.frexp(grid.scales)[1] - 1 + 127).to(torch.uint8)


def _pack_e2m1(codes: Tensor) -> Tensor:
    """Twice the value (int8, −12 … 12) → sign and index into 0, ½, 1, 1½, 2, 3, 4, 6, two in a byte. The sign of −0 is lost."""
    magnitude = codes.abs()
    index = torch.where(magnitude <= 4, magnitude, torch.where(magnitude == 6, 5, torch.where(magnitude == 8, 6, 7)))
    nibbles = (index | (codes < 0).to(torch.int8) << 3).to(torch.uint8)
    return nibbles[:, ::2] | nibbles[:, 1::2] << 4


def _unpack_e2m1(packed: Tensor) -> Tensor:
    """The inverse of `_pack_e2m1`."""
    values = torch.tensor([0, 1, 2, 3, 4, 6, 8, 12], dtype=torch.int8, device=packed.device)
    nibbles = torch.stack([packed & 15, packed >> 4], -1).reshape(packed.shape[0], -1)
    found = values[(nibbles & 7).long()]
    return torch.where(nibbles > 7, -found, found)

"""Filling a module that lies on the meta device with a checkpoint's tensors."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quant_engine.errors import QuantError
from quant_engine.formats.packing import unpack
from quant_engine.lazy import torch
from quant_engine.methods.types import Quantized, Report

if TYPE_CHECKING:
    from torch import Tensor, nn

    from quant_engine.checkpoint import Checkpoint

_PARTS = ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point")


def materialise(
    skeleton: nn.Module, prefix: str, source: Checkpoint, dtype: torch.dtype, device: str, aliases: dict[str, str]
) -> nn.Module:
    """A copy of `skeleton` (on the meta device) with the tensors named `prefix.*` of `source` on `device`.

    Floating-point tensors become `dtype`. Packed weights are decompressed. aliases: names that another tensor stands
    for (tied weights). Raises QuantError(code="model-broken") for a tensor that is absent or has another shape.
    """
    module = copy.deepcopy(skeleton)
    wanted = {name: f"{prefix}.{name}" if prefix else name for name, _ in module.named_parameters()}
    wanted |= {name: f"{prefix}.{name}" if prefix else name for name in _persistent_buffers(module)}
    stored = {name: aliases.get(full, full) for name, full in wanted.items()}
    parts = {part for full in stored.values() for part in _parts(source, full)}
    loaded = source.load(parts)
    state = {}
    for name, full in stored.items():
        value = _decompressed(source, full, loaded) if full not in loaded else loaded[full]
        expected = (
            module.get_parameter(name).shape
            if name in dict(module.named_parameters())
            else module.get_buffer(name).shape
        )
        if value.shape != expected:
            raise _other_shape(source, full, value.shape, expected)
        state[name] = value.to(device, dtype if value.is_floating_point() else value.dtype)
    module.load_state_dict(state, strict=False, assign=True)
    return module.requires_grad_(False).eval()


def refuse_other_shapes(skeleton: nn.Module, source: Checkpoint, aliases: dict[str, str]) -> None:
    """Compare every parameter of a whole model with the checkpoint's headers, so that nothing fails after an hour's work.

    Raises QuantError(code="model-broken") for a tensor that is absent or has another shape. Packed weights are compared when they are
    loaded.
    """
    for name, parameter in skeleton.named_parameters():
        full = aliases.get(name, name)
        _parts(source, full)
        found = source.tensors.get(full)
        if found is not None and found.shape != tuple(parameter.shape):
            raise _other_shape(source, full, found.shape, parameter.shape)


def _other_shape(source: Checkpoint, name: str, found: Sequence[int], expected: Sequence[int]) -> QuantError:
    return QuantError(
        f"{source.path}: tensor {name} has shape {list(found)}, config.json asks for {list(expected)}",
        code="model-broken",
        advice="The weights and config.json do not belong together; download the checkpoint again.",
    )


def _persistent_buffers(module: nn.Module) -> list[str]:
    return [name for name in module.state_dict() if name not in dict(module.named_parameters())]


def _parts(source: Checkpoint, full: str) -> list[str]:
    if full in source.tensors:
        return [full]
    stem, _, part = full.rpartition(".")
    if part != "weight" or f"{stem}.weight_packed" not in source.tensors:
        raise QuantError(
            f"{source.path} has no tensor {full}",
            code="model-broken",
            advice="The checkpoint is incomplete; download it again.",
        )
    return [f"{stem}.{part}" for part in _PARTS if f"{stem}.{part}" in source.tensors]


def _decompressed(source: Checkpoint, full: str, loaded: dict[str, Tensor]) -> Tensor:
    stem = full.rpartition(".")[0]
    packed, scales = loaded[f"{stem}.weight_packed"], loaded[f"{stem}.weight_scale"]
    rows, columns = (int(size) for size in loaded[f"{stem}.weight_shape"].tolist())
    bits = packed_bits(source, stem)
    packed_zeros = loaded.get(f"{stem}.weight_zero_point")
    zeros = None if packed_zeros is None else unpack(packed_zeros.t().contiguous(), bits, rows).t().contiguous()
    return Quantized(unpack(packed, bits, columns), scales, zeros, Report()).dequantize()


def packed_bits(source: Checkpoint, module: str) -> int:
    """Width of a packed module's codes, from the config group that names it or its class."""
    section: dict[str, Any] = source.config.get("quantization_config") or {}
    for group in (section.get("config_groups") or {}).values():
        targets = group.get("targets") or []
        if module in targets or "Linear" in targets:
            return int(group["weights"]["num_bits"])
    raise QuantError(
        f"{source.path}: no config group names {module}, which is packed",
        code="model-broken",
        advice="Check quantization_config in config.json.",
    )

"""Filling a module that lies on the meta device with a checkpoint's tensors."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from quant_engine.errors import QuantError
from quant_engine.formats.inputs import InputQuantizer, attach
from quant_engine.formats.stored import PARTS, broken_group, decompressed, formats_of
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from quant_engine.checkpoint import Checkpoint
    from quant_engine.formats.scheme import InputFormat, WeightFormat


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
    loaded = source.load({part for full in stored.values() for part in _parts(source, full)})
    state: dict[str, Tensor] = {}
    quantized = []
    for name, full in stored.items():
        stem, _, part = full.rpartition(".")
        if part == "weight" and f"{stem}.weight_scale" in source.tensors:
            value = _decompressed(source, stem, loaded, dtype)
            quantized.append(stem)
        else:
            value = loaded[full]
        expected = _expected(module, name)
        if value.shape != expected:
            raise _other_shape(source, full, value.shape, expected)
        state[name] = value.to(device, dtype if value.is_floating_point() else value.dtype)
    module.load_state_dict(state, strict=False, assign=True)
    _quantize_inputs(module, prefix, source, loaded, quantized)
    return module.requires_grad_(False).eval()


def _expected(module: nn.Module, name: str) -> torch.Size:
    return (module.get_parameter(name) if name in dict(module.named_parameters()) else module.get_buffer(name)).shape


def refuse_other_shapes(skeleton: nn.Module, source: Checkpoint, aliases: dict[str, str]) -> None:
    """Compare every parameter of a whole model with the checkpoint's headers, so that nothing fails after an hour's work.

    Raises QuantError(code="model-broken") for a tensor that is absent or has another shape. Packed weights are compared when they are
    loaded.
    """
    for name, parameter in skeleton.named_parameters():
        full = aliases.get(name, name)
        _parts(source, full)
        found = source.tensors.get(full) if f"{full.removesuffix('.weight')}.weight_scale" not in source.tensors else None
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
    """Names of the stored tensors that a parameter is made of."""
    stem, _, part = full.rpartition(".")
    if part == "weight" and f"{stem}.weight_scale" in source.tensors:
        return _stored_parts(source, stem)
    if full in source.tensors:
        return [full]
    raise QuantError(
        f"{source.path} has no tensor {full}",
        code="model-broken",
        advice="The checkpoint is incomplete; download it again.",
    )


def _stored_parts(source: Checkpoint, stem: str) -> list[str]:
    return [f"{stem}.{part}" for part in (*PARTS, "weight", "input_scale") if f"{stem}.{part}" in source.tensors]


def _decompressed(source: Checkpoint, stem: str, loaded: dict[str, Tensor], dtype: torch.dtype) -> Tensor:
    weights, _ = stored_formats(source, stem)
    parts = {name.rpartition(".")[2]: loaded[name] for name in _stored_parts(source, stem)}
    return decompressed(parts, weights).to(dtype)


def stored_formats(source: Checkpoint, stem: str) -> tuple[WeightFormat, InputFormat | None]:
    """Number formats of a quantized module, from the config group that names it or its class."""
    found = formats_of(source.config.get("quantization_config") or {}, stem)
    if found is None:
        raise broken_group(source.path, stem)
    return found


def _quantize_inputs(module: nn.Module, prefix: str, source: Checkpoint, loaded: dict[str, Tensor], stems: Iterable[str]) -> None:
    """Layers of `stems` round their inputs as their format says."""
    for stem in stems:
        _, inputs = stored_formats(source, stem)
        if inputs is not None:
            inner = stem.removeprefix(prefix).removeprefix(".")
            attach(module.get_submodule(inner) if inner else module, InputQuantizer(inputs, loaded.get(f"{stem}.input_scale")))

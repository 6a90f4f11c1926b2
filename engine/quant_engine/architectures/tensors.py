"""Filling a module that lies on the meta device with a checkpoint's tensors."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quant_engine.errors import QuantError
from quant_engine.formats.packing import unpack
from quant_engine.lazy import torch
from quant_engine.methods.types import Quantized, Report

if TYPE_CHECKING:
    from torch import Tensor, nn

    from quant_engine.architectures.layout import Layout, Piece
    from quant_engine.checkpoint import Checkpoint

_PARTS = ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point")
_TOGETHER = 32
"""Tensors read with one opening of their file: enough that opening costs nothing, few enough to fit beside what they fill."""


def materialise(skeleton: nn.Module, prefix: str, layout: Layout, dtype: torch.dtype, device: str) -> nn.Module:
    """A copy of `skeleton` (on the meta device) with the tensors that belong to `prefix.*` on `device`.

    Floating-point tensors become `dtype`. Packed weights are decompressed. Raises QuantError(code="model-broken") for a tensor that is
    absent or has another shape.
    """
    module = copy.deepcopy(skeleton)
    state = {}
    for name, empty in module.state_dict(keep_vars=True).items():
        pieces = layout.pieces(f"{prefix}.{name}" if prefix else name, empty.shape)
        state[name] = _tensor(layout.source, pieces, empty.shape, dtype, device)
    module.load_state_dict(state, strict=False, assign=True)
    return module.requires_grad_(False).eval()


def refuse_other_shapes(skeleton: nn.Module, layout: Layout) -> None:
    """Compare every parameter of a whole model with the checkpoint's headers, so that nothing fails after an hour's work.

    Raises QuantError(code="model-broken") for a tensor that is absent or has another shape. Packed weights are compared when they are
    loaded.
    """
    source = layout.source
    for name, parameter in skeleton.named_parameters():
        for piece in layout.pieces(name, parameter.shape):
            _parts(source, piece.stored)
            found, expected = source.tensors.get(piece.stored), _shape_of(parameter, piece)
            if found is not None and found.shape != expected:
                raise _other_shape(source, piece.stored, found.shape, expected)


def _tensor(source: Checkpoint, pieces: list[Piece], shape: Sequence[int], dtype: torch.dtype, device: str) -> Tensor:
    """The tensor of that shape that the pieces make, on the device; of many pieces only a few are held beside it."""
    if not pieces[0].place:
        (value,) = _stored(source, pieces)
        return _fitting(source, pieces[0], value, shape).to(device, dtype if value.is_floating_point() else value.dtype)
    whole = torch.empty(*shape, dtype=dtype, device=device)
    for start in range(0, len(pieces), _TOGETHER):
        some = pieces[start : start + _TOGETHER]
        for piece, value in zip(some, _stored(source, some), strict=True):
            whole[piece.place] = _fitting(source, piece, value, whole[piece.place].shape).to(device, dtype)
    return whole


def _stored(source: Checkpoint, pieces: Sequence[Piece]) -> list[Tensor]:
    """Each piece as it is in the checkpoint, decompressed."""
    names = [piece.stored for piece in pieces]
    loaded = source.load({part for name in names for part in _parts(source, name)})
    return [loaded[name] if name in loaded else _decompressed(source, name, loaded) for name in names]


def _fitting(source: Checkpoint, piece: Piece, value: Tensor, shape: Sequence[int]) -> Tensor:
    if value.shape != shape:
        raise _other_shape(source, piece.stored, value.shape, shape)
    return value


def _shape_of(tensor: Tensor, piece: Piece) -> tuple[int, ...]:
    return tuple(tensor[piece.place].shape) if piece.place else tuple(tensor.shape)


def _other_shape(source: Checkpoint, name: str, found: Sequence[int], expected: Sequence[int]) -> QuantError:
    return QuantError(
        f"{source.path}: tensor {name} has shape {list(found)}, config.json asks for {list(expected)}",
        code="model-broken",
        advice="The weights and config.json do not belong together; download the checkpoint again.",
    )


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
        if "Linear" in targets or any(_names(target, module) for target in targets):
            return int(group["weights"]["num_bits"])
    raise QuantError(
        f"{source.path}: no config group names {module}, which is packed",
        code="model-broken",
        advice="Check quantization_config in config.json.",
    )


def _names(target: str, module: str) -> bool:
    """As compressed-tensors matches: a name, or `re:` and a pattern for its beginning."""
    return re.match(target[3:], module) is not None if target.startswith("re:") else target == module

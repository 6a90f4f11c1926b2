"""Filling a module that lies on the meta device with a checkpoint's tensors."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

from quant_engine.errors import QuantError
from quant_engine.formats.inputs import InputQuantizer, attach
from quant_engine.formats.stored import broken_group, decompressed, formats_of
from quant_engine.lazy import torch
from quant_engine.output_format import ALL_PARTS, stored_weight

if TYPE_CHECKING:
    from torch import Tensor, nn

    from quant_engine.architectures.layout import Layout, Piece
    from quant_engine.checkpoint import Checkpoint
    from quant_engine.formats.scheme import InputFormat, WeightFormat

_TOGETHER = 32
"""Tensors read with one opening of their file: enough that opening costs nothing, few enough to fit beside what they fill."""


def materialise(skeleton: nn.Module, prefix: str, layout: Layout, dtype: torch.dtype, device: str) -> nn.Module:
    """A copy of `skeleton` (on the meta device) with the tensors that belong to `prefix.*` on `device`.

    Floating-point tensors become `dtype`. Quantized weights are decompressed, and their layers round their inputs when their format says
    so. Raises QuantError(code="model-broken") for a tensor that is absent or has another shape.
    """
    module = copy.deepcopy(skeleton)
    state = {}
    for name, empty in module.state_dict(keep_vars=True).items():
        pieces = layout.pieces(f"{prefix}.{name}" if prefix else name, empty.shape)
        state[name] = _tensor(layout.source, pieces, empty.shape, dtype, device)
        _quantize_inputs(module, name, layout.source, pieces, device)
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
            if found is not None and found.shape != expected and not _is_quantized(source, piece.stored):
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
    return [_decompressed(source, name, loaded) if _is_quantized(source, name) else loaded[name] for name in names]


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


def _is_quantized(source: Checkpoint, full: str) -> bool:
    stem, _, part = full.rpartition(".")
    return part == "weight" and (f"{stem}.weight_scale" in source.tensors or _is_gptq(source, stem))


def _is_gptq(source: Checkpoint, stem: str) -> bool:
    return f"{stem}.qweight" in source.tensors


def _parts(source: Checkpoint, full: str) -> list[str]:
    """Names of the stored tensors that a parameter is made of."""
    if _is_quantized(source, full):
        stem = full.rpartition(".")[0]
        return [f"{stem}.{part}" for part in ALL_PARTS if f"{stem}.{part}" in source.tensors]
    if full in source.tensors:
        return [full]
    raise _missing(source, full)


def _missing(source: Checkpoint, full: str) -> QuantError:
    return QuantError(
        f"{source.path} has no tensor {full}",
        code="model-broken",
        advice="The checkpoint is incomplete; download it again.",
    )


def _decompressed(source: Checkpoint, full: str, loaded: dict[str, Tensor]) -> Tensor:
    stem = full.rpartition(".")[0]
    parts = {name.rpartition(".")[2]: loaded[name] for name in _parts(source, full)}
    if _is_gptq(source, stem):
        return stored_weight(source, stem, parts)
    weights, _ = stored_formats(source, stem)
    return decompressed(parts, weights)


def stored_formats(source: Checkpoint, stem: str) -> tuple[WeightFormat, InputFormat | None]:
    """Number formats of a quantized module, from the config group that names it or its class."""
    found = formats_of(source.config.get("quantization_config") or {}, stem)
    if found is None:
        raise broken_group(source.path, stem)
    return found


def _quantize_inputs(module: nn.Module, name: str, source: Checkpoint, pieces: Sequence[Piece], device: str) -> None:
    """The layer whose weight is `name` rounds its inputs as its format says."""
    stored = pieces[0].stored
    stem = stored.rpartition(".")[0]
    if not _is_quantized(source, stored) or _is_gptq(source, stem):
        return
    _, inputs = stored_formats(source, stem)
    if inputs is None:
        return
    if pieces[0].place:
        raise QuantError(
            f"{source.path}: the inputs of {stem} are quantized, which the engine does not read for experts",
            code="model-unsupported",
            advice="Choose a checkpoint whose experts have quantized weights only.",
        )
    scale = None
    if inputs.stored_scale is not None:
        part = f"{stem}.{inputs.stored_scale}"
        if part not in source.tensors:
            raise _missing(source, part)
        scale = source.load([part])[part].to(device)
    attach(module.get_submodule(name.rpartition(".")[0]), InputQuantizer(inputs, scale))

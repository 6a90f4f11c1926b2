"""Rounding of a linear layer's inputs at run time, as compressed-tensors computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quant_engine.formats.numbers import round_
from quant_engine.formats.scheme import InputFormat
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

_ATTRIBUTE = "quantized_input"


@dataclass(frozen=True)
class InputQuantizer:
    """X (… × tokens × in) → the values that the quantized layer really sees, in X's dtype.

    scale: (1,), of a static format. smooth: (in,), what the inputs are divided by before and multiplied with after the rounding: a scale
    that the checkpoint folds into the operation before the layer.
    """

    input_format: InputFormat
    scale: Tensor | None = None
    smooth: Tensor | None = None

    def __call__(self, X: Tensor) -> Tensor:
        if self.smooth is not None:
            smooth = self.smooth.to(X.dtype)
            return self._round(X / smooth) * smooth
        return self._round(X)

    def _round(self, X: Tensor) -> Tensor:
        size = self.input_format.group_size
        grouped = X if size is None else X.unflatten(-1, (-1, size))
        scale = self._scale(grouped).to(X.dtype)
        rounded = round_(grouped / scale, self.input_format).mul_(scale)
        return rounded.reshape(X.shape)

    def _scale(self, X: Tensor) -> Tensor:
        if self.scale is not None:
            return self.scale
        # In the inputs' own dtype, like the library: the scale is a part of what the checkpoint computes.
        scale = X.abs().amax(-1, keepdim=True) / self.input_format.half_range
        return torch.where(scale == 0, torch.finfo(X.dtype).eps, scale)


def static_scale(largest: Tensor, input_format: InputFormat, dtype: torch.dtype) -> Tensor:
    """The stored scale (1,) of a static format in `dtype`; largest: max|x| over all calibration inputs."""
    scale = (largest.amax().float() / input_format.half_range).to(dtype).reshape(1)
    return torch.where(scale == 0, torch.finfo(dtype).eps, scale)


def attach(module: nn.Module, quantizer: InputQuantizer) -> None:
    """The module rounds its inputs from now on; a forward pass that already stands before it asks `of`."""
    detach(module)
    handle = module.register_forward_pre_hook(lambda _, arguments: (quantizer(arguments[0]), *arguments[1:]))
    setattr(module, _ATTRIBUTE, (quantizer, handle))


def detach(module: nn.Module) -> None:
    """The module takes its inputs as they come."""
    found = getattr(module, _ATTRIBUTE, None)
    if found is not None:
        found[1].remove()
        delattr(module, _ATTRIBUTE)


def of(module: Any) -> Callable[[Tensor], Tensor] | None:
    found = getattr(module, _ATTRIBUTE, None)
    return None if found is None else found[0]

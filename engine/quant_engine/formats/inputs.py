"""Rounding of a linear layer's inputs at run time, as compressed-tensors computes it."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from quant_engine import compiled
from quant_engine.formats.numbers import largest, round_
from quant_engine.formats.scales import factor_of, powers, under_factor
from quant_engine.formats.scheme import InputFormat
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

_ATTRIBUTE = "quantized_input"


@dataclass(frozen=True)
class InputQuantizer:
    """X (… × tokens × in) → the values that the quantized layer really sees, in X's dtype.

    scale: (1,), what calibration found: the scale of a static format, NVFP4's float32 factor; else None. smooth: (in,), what the inputs are
    divided by before and multiplied with after the rounding: a scale that the checkpoint folds into the operation before the layer.
    """

    input_format: InputFormat
    scale: Tensor | None = None
    smooth: Tensor | None = None
    _last: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)
    """A weak reference to what was rounded last for a layer, and the result."""

    def for_layer(self, X: Tensor) -> Tensor:
        """As a call, and once for layers that are given the same tensor one after the other. The result is not to be changed."""
        if not self._last or self._last[0]() is not X:
            last = self._last
            # What nobody can be given again is not kept.
            last[:] = weakref.ref(X, lambda gone: last.clear() if last and last[0] is gone else None), self(X)
        return self._last[1]

    def __call__(self, X: Tensor) -> Tensor:
        if (found := compiled.rounded_inputs(X, self)) is not None:
            return found
        rounded = self.scaled(X)
        return rounded if self.smooth is None else rounded.mul_(self.smooth.to(X.dtype))

    def scaled(self, X: Tensor) -> Tensor:
        """What the layer of the written checkpoint multiplies its stored weights with: as a call, but divided by `smooth` still."""
        if (found := compiled.rounded_inputs(X, self, scaled=True)) is not None:
            return found
        return self._round(X if self.smooth is None else X / self.smooth.to(X.dtype))

    def on(self, device: torch.device | str) -> InputQuantizer:
        """The same for inputs on that device."""
        return replace(self, **{name: None if (one := getattr(self, name)) is None else one.to(device) for name in ("scale", "smooth")})

    def _round(self, X: Tensor) -> Tensor:
        size = self.input_format.group_size
        grouped = X if size is None else X.unflatten(-1, (-1, size))
        scale = self._scale(grouped)
        rounded = round_(grouped / scale, self.input_format).mul_(scale)
        return rounded.reshape(X.shape).to(X.dtype)

    def _scale(self, X: Tensor) -> Tensor:
        """In the inputs' own dtype, like the library: the scale is a part of what the checkpoint computes. Under a factor in float32."""
        kind = self.input_format
        if kind.scale == "float8":
            assert self.scale is not None
            return under_factor(largest(X, -1, keepdim=True) / kind.half_range, self.scale) / self.scale
        if self.scale is not None:
            return self.scale.to(X.dtype)
        found = largest(X, -1, keepdim=True)
        if kind.scale == "power":
            return _power(found)
        scale = found / kind.half_range
        return torch.where(scale == 0, torch.finfo(X.dtype).eps, scale)


def _power(largest: Tensor) -> Tensor:
    """In the dtype of `largest`, whose exponent bits the library reads: below the smallest normal number they say 0, from ¾ of it on they
    are rounded up to it; and a power that the dtype does not have becomes 1."""
    tiny = torch.finfo(largest.dtype).tiny
    scale = powers(torch.where(largest < 0.75 * tiny, 0, largest.clamp(min=tiny))).to(largest.dtype)
    return torch.where(scale == 0, 1.0, scale)


def calibrated_scale(largest: Tensor, input_format: InputFormat, dtype: torch.dtype) -> Tensor | None:
    """The stored scale (1,): in `dtype` of a static format, in float32 the factor of NVFP4's, None when all is found at run time.

    largest: max|x| over all calibration inputs.
    """
    if input_format.stored_scale is None:
        return None
    if input_format.scale == "float8":
        return factor_of(largest)
    scale = (largest.amax().float() / input_format.half_range).to(dtype).reshape(1)
    return torch.where(scale == 0, torch.finfo(dtype).eps, scale)


def attach(module: nn.Module, quantizer: InputQuantizer) -> None:
    """The module rounds its inputs from now on; a forward pass that already stands before it asks `of`."""
    detach(module)
    handle = module.register_forward_pre_hook(lambda _, arguments: (quantizer.for_layer(arguments[0]), *arguments[1:]))
    setattr(module, _ATTRIBUTE, (quantizer, handle))


def detach(module: nn.Module) -> None:
    """The module takes its inputs as they come."""
    found = getattr(module, _ATTRIBUTE, None)
    if found is not None:
        found[1].remove()
        delattr(module, _ATTRIBUTE)


def of(module: Any) -> InputQuantizer | None:
    found = getattr(module, _ATTRIBUTE, None)
    return None if found is None else found[0]

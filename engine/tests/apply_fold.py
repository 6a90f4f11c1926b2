"""Folding a factor of each input channel into the operation before, in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quant_engine.architectures.folds import Fold
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn


def apply_fold(fold: Fold, config: Mapping[str, Any], previous: nn.Module, layers: Sequence[nn.Module], scales: Tensor) -> None:
    """Multiply the input columns of `layers` (weights out × in) by `scales` and divide what feeds them in `previous`.

    scales: (in,), positive and finite; columns that one row of `previous` feeds must have one factor. config: config.json. Raises
    ValueError for scales that do not fit.
    """
    rows = torch.as_tensor(list(fold.rows_for(config, scales.numel())), device=scales.device)
    if not bool((torch.isfinite(scales) & (scales > 0)).all()):
        raise ValueError("factors must be positive and finite")
    factors = torch.ones(_channels(previous), dtype=scales.dtype, device=scales.device)
    factors[rows] = scales
    if not torch.equal(factors[rows], scales):
        raise ValueError(f"columns that the same row of {fold.previous} feeds have different factors")
    for layer in layers:
        weight: Any = layer.weight
        weight.data.mul_(scales.to(weight.dtype))
    _divide(previous, factors, plus_one=fold.kind == "norm_plus_one")


def _channels(module: Any) -> int:
    return module.weight.shape[0]


def _divide(module: Any, factors: Tensor, plus_one: bool) -> None:
    weight, bias = module.weight, getattr(module, "bias", None)
    divisor = factors.to(weight.dtype)
    if plus_one:
        weight.data.add_(1).div_(divisor).sub_(1)
    else:
        weight.data.div_(divisor if weight.dim() == 1 else divisor.unsqueeze(1))
    if bias is not None:
        bias.data.div_(divisor)

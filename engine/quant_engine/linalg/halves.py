"""Products of 16-bit matrices on CPUs that have no units for them (docs/decisions/0022-halves-in-float32.md).

There torch multiplies such numbers in a plain loop, at a tenth of float32's rate. In float32 the products are the same, exact ones, and
their sum is rounded to 16 bits in the end as the loop's is: only the order in which it is added up differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

_LEAST = 1 << 22
"""Multiplications from which on a copy in float32 is worth making."""
_FEW = 16
"""Rows up to which the copy of the other factor takes as long as the loop."""
_ROWS = 1024
"""Rows whose float32 copies are in memory together."""


@contextmanager
def in_float32() -> Iterator[None]:
    """Within, large products of bfloat16 or float16 matrices on the CPU are computed in float32 where torch has no better way to them."""
    if all(_has_units(kind) for kind in (torch.bfloat16, torch.float16)):
        yield
        return
    with _mode()():
        yield


@cache
def _has_units(kind: torch.dtype) -> bool:
    """Whether torch hands products of this dtype to a library that computes them by blocks."""
    backend = torch.ops.mkldnn
    return backend._is_mkldnn_bf16_supported() if kind == torch.bfloat16 else backend._is_mkldnn_fp16_supported()


def _is_slow(X: Any, Y: Any, outputs: int) -> bool:
    """Whether X·Y, of `outputs` columns, is a large product of 16-bit numbers that torch computes in a loop."""
    if not all(isinstance(one, torch.Tensor) and one.device.type == "cpu" for one in (X, Y)) or X.dtype != Y.dtype:
        return False
    halves = X.dtype in (torch.bfloat16, torch.float16)
    return halves and not _has_units(X.dtype) and X.numel() * outputs >= _LEAST and X.numel() > _FEW * X.shape[-1]


@cache
def _mode() -> Any:
    """The class is made when torch is there."""
    from torch.overrides import TorchFunctionMode

    products: dict[Callable[..., Any], Callable[..., Tensor | None]] = {
        torch.nn.functional.linear: _linear,
        **dict.fromkeys((torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.mm, torch.Tensor.mm), _product),
        **dict.fromkeys((torch.bmm, torch.Tensor.bmm), _product),
    }

    class InFloat32(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ARG002
            kwargs = kwargs or {}
            own = products.get(function)
            found = own(*args, **kwargs) if own is not None else None
            return function(*args, **kwargs) if found is None else found

    return InFloat32


def _product(X: Tensor, Y: Tensor, **others: Any) -> Tensor | None:
    """X·Y (… × a × b, … × b × c); None: torch shall do it."""
    if others or not _is_slow(X, Y, Y.shape[-1]):
        return None
    return torch.matmul(X.float(), Y.float()).to(X.dtype)


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    """X·Wᵀ + b of X (… × in), W (out × in), b (out,); None: torch shall do it."""
    if not _is_slow(input, weight, len(weight)):
        return None
    W, b = weight.float(), None if bias is None else bias.float()
    if torch.is_grad_enabled():
        return torch.nn.functional.linear(input.float(), W, b).to(input.dtype)
    rows = input.reshape(-1, input.shape[-1])
    result = torch.empty((len(rows), len(weight)), dtype=input.dtype)
    for some, into in zip(rows.split(_ROWS), result.split(_ROWS), strict=True):
        into.copy_(torch.nn.functional.linear(some.float(), W, b))
    return result.reshape(*input.shape[:-1], len(weight))

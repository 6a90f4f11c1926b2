"""Several devices where there is only a CPU: tensors that say they lie on `pretend:0` or `pretend:1`, compute on the CPU, and refuse to
meet one of another device, as those of two GPUs do."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_MOVES = (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)
_registered = False


class MixedDevicesError(Exception):
    """An operation on tensors of several devices."""


class _Placed(torch.Tensor):
    """`behind`, a CPU tensor, on another device."""

    @staticmethod
    def __new__(cls, behind: torch.Tensor, device: torch.device) -> _Placed:
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, behind.shape, strides=behind.stride(), storage_offset=behind.storage_offset(), dtype=behind.dtype, device=device
        )

    def __init__(self, behind: torch.Tensor, device: torch.device) -> None:
        self.behind = behind

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


class _Numbers(TorchFunctionMode):
    """torch.tensor looks for the device itself, and tolist for memory."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is torch.tensor and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return function(*args, **kwargs).to(device)
        if function is torch.Tensor.tolist and isinstance(args[0], _Placed):
            return args[0].behind.tolist()
        return function(*args, **kwargs)


class PretendDevices(TorchDispatchMode):
    """While it is entered, tensors can be made on and moved to `pretend:0`, `pretend:1` …"""

    def __enter__(self) -> PretendDevices:
        global _registered
        if not _registered:
            _setup_privateuseone_for_python_backend("pretend")
            _registered = True
        self._numbers = _Numbers()
        self._numbers.__enter__()
        return super().__enter__()

    def __exit__(self, *given: Any) -> None:
        super().__exit__(*given)
        self._numbers.__exit__(*given)

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


def _run(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, torch.Tensor)]
    asked = kwargs.get("device")
    if torch.device(asked).type == "meta" if asked is not None else any(one.is_meta for one in tensors):
        return operation(*args, **kwargs)
    # Numbers may lie anywhere.
    places = {one.device for one in tensors if (one.dim() and not one.is_meta) or isinstance(one, _Placed)}
    if len(places) > 1 and operation not in _MOVES:
        raise MixedDevicesError(f"{operation}: {', '.join(sorted(map(str, places)))}")
    where = next(iter(places), torch.device("cpu"))
    if asked is not None:
        where = torch.device(asked)
        kwargs = {**kwargs, "device": "cpu"}
    if operation is torch.ops.aten.copy_.default:
        where = args[0].device
    found = operation(*_inner(args), **_inner(kwargs))
    known = {id(one.behind): one for one in tensors if isinstance(one, _Placed)}

    def placed(one: Any) -> Any:
        if not isinstance(one, torch.Tensor) or where.type == "cpu":
            return one
        return known[id(one)] if id(one) in known else _Placed(one, where)

    return tree_map(placed, found)


def _inner(value: Any) -> Any:
    return tree_map(lambda one: one.behind if isinstance(one, _Placed) else one, value)


def here(tensor: torch.Tensor) -> torch.Tensor:
    """The CPU tensor behind one of these."""
    return tensor.behind if isinstance(tensor, _Placed) else tensor

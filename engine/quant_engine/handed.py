"""Outputs of a layer that are known before its forward passes come to it: the passes take them instead of multiplying again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from quant_engine.lazy import torch
from quant_engine.linalg.memory import free

if TYPE_CHECKING:
    from torch import Tensor, nn


_ATTRIBUTE = "handed_outputs"


class _Handed:
    """Gives the calls of some modules their outputs, in order, until every one was taken.

    A pass that stands before a module has looked up its `forward` already, so that is called, with no token, and its result replaced.
    """

    def __init__(self, outputs: Sequence[Tensor]) -> None:
        self._outputs = deque(outputs)
        self._hooks: list[tuple[nn.Module, Any]] = []

    def put_into(self, module: nn.Module) -> None:
        withdraw([module])
        self._hooks.append((module, module.register_forward_hook(lambda *_: self._next())))
        setattr(module, _ATTRIBUTE, self)

    def _next(self) -> Tensor:
        found = self._outputs.popleft()
        if not self._outputs:
            self.end()
        return found

    def end(self) -> None:
        for module, hook in self._hooks:
            hook.remove()
            delattr(module, _ATTRIBUTE)
        self._hooks.clear()

    def check(self, X: Tensor) -> None:
        if self._outputs[0].shape[:-1] != X.shape[:-1] or self._outputs[0].device != X.device:
            raise RuntimeError("the forward passes of one block take a layer's outputs in another order than they gave its inputs")


class Collected:
    """The outputs of a linear layer for some inputs, as they are found."""

    def __init__(self, module: nn.Module, inputs: Sequence[Tensor]) -> None:
        """inputs: … × tokens × in, in the order of the passes that they come from. What is done with is freed: nobody else may read it."""
        self._module, self._inputs = module, inputs
        self._outputs: list[Tensor] = []
        self._filled = 0

    def take(self, number: int, rows: Tensor) -> None:
        """The next rows (tokens × out, float32) of that input's outputs, without the layer's bias."""
        X, bias = self._inputs[number], self._module.bias
        if number == len(self._outputs):
            if number:
                free(self._inputs[number - 1])
            self._outputs.append(torch.empty((*X.shape[:-1], rows.shape[1]), dtype=X.dtype, device=X.device))
            self._filled = 0
        into = self._outputs[number].view(-1, rows.shape[1])[self._filled : self._filled + len(rows)]
        into.copy_(rows if bias is None else rows + bias.float().to(rows.device))  # type: ignore[operator]
        self._filled += len(rows)

    def hand_over(self) -> None:
        """The layer's next calls give these outputs, in this order; then it computes again."""
        free(self._inputs[-1])
        _Handed(self._outputs).put_into(self._module)


def withdraw(modules: Iterable[nn.Module]) -> None:
    """They compute again, whatever was handed over."""
    for module in modules:
        if (found := _of(module)) is not None:
            found.end()


def share(module: nn.Module, twin: nn.Module) -> None:
    """The twin's calls take from the same outputs, each as its turn comes."""
    if (found := _of(module)) is not None:
        found.put_into(twin)


def without_tokens(module: nn.Module, X: Tensor) -> Tensor | None:
    """What a module whose output for X was handed over is to be called with: no token at all. None: it is to compute."""
    found = _of(module)
    if found is None:
        return None
    found.check(X)
    return torch.empty((0, X.shape[-1]), dtype=X.dtype, device=X.device)


def _of(module: nn.Module) -> _Handed | None:
    return getattr(module, _ATTRIBUTE, None)

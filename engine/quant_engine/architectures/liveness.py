"""Which of the tensors that a stopped pass holds are never read again.

A suspended forward pass keeps everything that its Python frames name: the block's input long after the residual was added to it, a layer
norm's output long after its readers ran. Over all calibration batches that is most of a walk's memory. What may go is found by trying:
the tensor is overwritten with NaN in a pass of two tokens, and when the block's output is the same all the same, nobody reads it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from quant_engine.lazy import torch
from quant_engine.linalg.memory import free

if TYPE_CHECKING:
    from torch import Tensor, nn

Run = Callable[["Tensor"], "Tensor"]


def dead_from(stops: Sequence[nn.Module], run: Run, hidden: Tensor) -> list[int]:
    """For the block's input, then for the input of each stop: the index of the first stop from which on it is not read, or len(stops).

    stops: modules that a pass reaches once, in this order. run: the block, from hidden (batch × tokens × width) to its output.
    """
    expected = run(hidden.clone())
    found = []
    for held in range(len(stops) + 1):
        tried = (at for at in range(held, len(stops)) if torch.equal(_poisoned(stops, run, hidden.clone(), held, at), expected))
        found.append(next(tried, len(stops)))
    return found


def read_once(stops: Sequence[nn.Module], run: Run, hidden: Tensor) -> list[bool]:
    """For the input of each stop: whether nobody reads it after the module that the pass stops at. stops, run, hidden: `dead_from`'s."""
    expected = run(hidden.clone())
    return [torch.equal(_poisoned_behind(stop, run, hidden.clone()), expected) for stop in stops]


def _poisoned_behind(stop: nn.Module, run: Run, hidden: Tensor) -> Tensor:
    """The block's output when what `stop` was given becomes NaN as it returns."""
    def poison(module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        given[0].fill_(float("nan"))

    hook = stop.register_forward_hook(poison)
    try:
        return run(hidden)
    finally:
        hook.remove()


def _poisoned(stops: Sequence[nn.Module], run: Run, hidden: Tensor, held: int, at: int) -> Tensor:
    """The block's output when the tensor `held` becomes NaN as the pass reaches stop `at`."""
    tensors = [hidden]

    def reach(index: int, _: nn.Module, arguments: tuple[Any, ...]) -> None:
        if index == at:
            tensors[held].fill_(float("nan"))
        tensors.append(arguments[0])

    hooks = [stop.register_forward_pre_hook(partial(reach, index)) for index, stop in enumerate(stops)]
    try:
        return run(hidden)
    finally:
        for hook in hooks:
            hook.remove()


class Held:
    """What one pass holds: its block's input, and the inputs of the stops that it has reached."""

    def __init__(self, hidden: Tensor, dead_from: Sequence[int]) -> None:
        self._dead_from = dead_from
        self._tensors: list[Tensor | None] = [hidden]

    def reach(self, stop: int, given: Tensor) -> None:
        """The pass is about to run `stop` on `given`: the memory of what nobody reads any more is freed."""
        for index, tensor in enumerate(self._tensors):
            if tensor is not None and self._dead_from[index] <= stop:
                free(tensor)
                self._tensors[index] = None
        self._tensors.append(given if self._dead_from[stop + 1] < len(self._dead_from) - 1 else None)

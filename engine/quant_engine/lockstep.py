"""Many forward passes of one module, stopped together at chosen submodules (docs/decisions/0003-greenlet-walk.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from quant_engine.formats import inputs
from quant_engine.handed import without_tokens
from quant_engine.linalg.halves import in_float32

if TYPE_CHECKING:
    from torch import Tensor, nn


class Lockstep:
    """Iterating runs every forward pass up to the next stop and yields what the submodule there is given, its positional
    arguments for each pass.

    stops: submodules that every pass reaches once, in this order; of each stop one for each copy of the module. Between two steps the
    submodule may be changed: the passes continue through it as it is then. After the last step `outputs` has what each pass returned.
    tick is called before each pass is resumed; what it raises ends the iteration, as does an error in a pass. The passes must not hold
    thread-local state across a stop.
    """

    def __init__(
        self,
        stops: Sequence[Sequence[nn.Module]],
        passes: Sequence[Callable[[], Tensor]],
        tick: Callable[[], None] = lambda: None,
        arrived: Callable[[int, int, tuple[Tensor, ...]], None] = lambda which, stop, given: None,
    ) -> None:
        """arrived: called with the number of a pass, that of the stop it has reached, and what the submodule there is given."""
        self.outputs: list[Tensor] = []
        self._stops = stops
        self._passes = passes
        self._tick = tick
        self._arrived = arrived

    def __iter__(self) -> Iterator[list[tuple[Tensor, ...]]]:
        hooks = [module.register_forward_pre_hook(_suspend) for stop in self._stops for module in stop]
        running = [greenlet(one) for one in self._passes]
        try:
            for number, stop in enumerate(self._stops):
                given = []
                for which, one in enumerate(running):
                    given.append(self._resume(one, stop))
                    self._arrived(which, number, given[-1])
                yield given
            self.outputs = [self._resume(one, None) for one in running]
        finally:
            for hook in hooks:
                hook.remove()
            for one in running:
                if one:
                    one.throw()

    def _resume(self, one: greenlet, stop: Sequence[nn.Module] | None) -> Any:
        self._tick()
        # Entered here, not by the pass: what is entered there would be left in another order.
        with in_float32():
            arrived = one.switch()
        if stop is None:
            if one:
                raise RuntimeError("a forward pass reached a layer twice")
            return arrived
        if one.dead or not any(arrived[0] is module for module in stop):
            raise RuntimeError("the forward passes of one block do not reach its layers in the same order")
        return arrived[1]


def _suspend(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    parent = getcurrent().parent
    if parent is None:
        raise RuntimeError("a layer of a block in lockstep was called from outside its forward passes")
    parent.switch((module, arguments))
    # A hook that was attached while the pass stood here is not in the list of hooks that torch is going through.
    empty = without_tokens(module, arguments[0])
    if empty is not None:
        return (empty, *arguments[1:])
    quantizer = inputs.of(module)
    return arguments if quantizer is None else (quantizer.for_layer(arguments[0]), *arguments[1:])

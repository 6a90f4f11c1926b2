"""Squared gradients at the outputs of a loaded block's linear layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from quant_engine.architectures.routed import RoutedInputs
    from quant_engine.architectures.stops import Stop

Hook = Callable[["nn.Module", tuple[Any, ...], "Tensor"], None]


class OutputGradients:
    """Sums over tokens of the squares of what `add` is given, by layer."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._tokens: dict[str, int] = {}
        self._experts: list[tuple[RoutedInputs, tuple[Tensor, ...], Tensor]] = []

    def add(self, name: str, gradient: Tensor) -> None:
        """gradient: … × out, of one batch: summed in float32, and over batches in float64."""
        rows = gradient.detach().reshape(-1, gradient.shape[-1])
        squares = rows.to(torch.float64 if rows.dtype == torch.float64 else torch.float32).square().sum(0).double()
        self._sums[name] = self._sums[name] + squares if name in self._sums else squares
        self._tokens[name] = self._tokens.get(name, 0) + len(rows)

    def means(self) -> dict[str, Tensor]:
        """By layer the mean square at each output over the tokens that reached it: (out,) float64."""
        return {name: total / max(self._tokens[name], 1) for name, total in self._sums.items()}

    @contextmanager
    def watching(self, stops: Iterable[Stop], module_of: Callable[[str], nn.Module]) -> Iterator[None]:
        """The block whose `stops` these are adds to the sums in every backward pass that follows a forward pass within."""
        hooks = []
        for stop in stops:
            if stop.experts is not None:
                hooks.append(stop.module.register_forward_hook(self._note_experts(stop.experts)))
                continue
            hooks += [module_of(name).register_forward_hook(self._note(name)) for names in stop.groups for name in names]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def settle(self) -> None:
        """After each backward pass: what experts still owe, whose gradients are found within theirs."""
        for experts, call, gradient in self._experts:
            for name, rows in experts.output_gradients(gradient, *call):
                self.add(name, rows)
        self._experts.clear()

    def _note(self, name: str) -> Hook:
        def note(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
            output.register_hook(partial(self.add, name))

        return note

    def _note_experts(self, experts: RoutedInputs) -> Hook:
        def note(_: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
            call = tuple(argument.detach() for argument in arguments)
            output.register_hook(lambda gradient: self._experts.append((experts, call, gradient)))

        return note

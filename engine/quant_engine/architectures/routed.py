"""Experts of a block one by one: their weights as views of the stacked ones, their inputs as the tokens routed to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quant_engine.architectures.registry import Experts
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class ExpertLayer:
    """One projection of one expert."""

    experts: Experts
    number: int
    projection: str

    def weight(self, stacked: nn.Module) -> Tensor:
        """A view of the stacked weights: (out × in)."""
        if self.projection == self.experts.down:
            return stacked.down_proj[self.number]  # type: ignore[index]
        gate, up = stacked.gate_up_proj[self.number].chunk(2)  # type: ignore[index, operator]
        return gate if self.projection == self.experts.gate else up

    def module(self, block: nn.Module) -> nn.Module:
        """A module whose `weight` is that view: what is written to it changes the block."""
        layer = torch.nn.Module()
        weight = self.weight(block.get_submodule(self.experts.module))
        layer.weight = torch.nn.Parameter(weight, requires_grad=False)
        return layer


def expert_of(experts: Experts | None, name: str) -> ExpertLayer | None:
    """What a linear layer's name, relative to its block, says; None when it is no expert's."""
    if experts is None:
        return None
    match = re.fullmatch(re.escape(experts.stored) + r"\.(\d+)\.(\w+)", name)
    if match is None or match[2] not in (experts.gate, experts.up, experts.down):
        return None
    return ExpertLayer(experts, int(match[1]), match[2])


@dataclass
class RoutedInputs:
    """What each expert's layers read when the module of all experts is called with
    (hidden: tokens × in; chosen: tokens × k, int64; their weights: tokens × k)."""

    module: Any
    members: dict[tuple[int, bool], list[str]]
    """Names of layers by number of the expert and whether it is its last layer, in execution order."""

    @classmethod
    def of(cls, module: nn.Module, experts: Experts, names: Mapping[str, str]) -> RoutedInputs:
        """names: layers of experts by full name, with their names relative to the block."""
        members: dict[tuple[int, bool], list[str]] = {}
        for name, inner in names.items():
            layer = expert_of(experts, inner)
            assert layer is not None
            members.setdefault((layer.number, layer.projection == experts.down), []).append(name)
        return cls(module, members)

    @property
    def groups(self) -> list[list[str]]:
        return [*self.members.values()]

    def inputs(self, calls: list[tuple[Tensor, ...]]) -> Iterator[tuple[list[str], Callable[[], list[Tensor]]]]:
        """As `Stop.inputs`."""
        for (expert, is_last), names in self.members.items():
            take = self._intermediate if is_last else self._routed
            yield names, lambda take=take, expert=expert: [take(expert, *call) for call in calls]
        calls.clear()

    def output_gradients(self, gradient: Tensor, hidden: Tensor, chosen: Tensor, weights: Tensor) -> Iterator[tuple[str, Tensor]]:
        """For each layer the gradient at its outputs (tokens routed to its expert × out).

        gradient: at what the module returns (tokens × out); the other arguments are the module's own.
        """
        for (expert, is_last), names in self.members.items():
            routed = chosen == expert
            tokens = routed.any(-1)
            share = (weights * routed).sum(-1)[tokens]
            at_last = (gradient[tokens] * share.unsqueeze(-1)).to(gradient.dtype)
            if is_last:
                (name,) = names
                yield name, at_last
                continue
            with torch.enable_grad():
                first = torch.nn.functional.linear(hidden[tokens], self.module.gate_up_proj[expert]).requires_grad_()
                gate, up = first.chunk(2, -1)
                between = self.module.act_fn(gate) * up
            (at_first,) = torch.autograd.grad(between, [first], at_last @ self.module.down_proj[expert])
            yield from zip(names, at_first.chunk(2, -1), strict=True)

    def _routed(self, expert: int, hidden: Tensor, chosen: Tensor, *_: Any) -> Tensor:
        return hidden[(chosen == expert).any(-1)]

    def _intermediate(self, expert: int, hidden: Tensor, chosen: Tensor, *_: Any) -> Tensor:
        gate, up = torch.nn.functional.linear(self._routed(expert, hidden, chosen), self.module.gate_up_proj[expert]).chunk(2, -1)
        return self.module.act_fn(gate) * up

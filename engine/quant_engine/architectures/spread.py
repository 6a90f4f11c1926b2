"""A model's calibration batches shared among several devices, each of which has its own copy of the block that is walked.

The first device is the model's own: statistics are summed there, methods run there, and what they change is copied to the others
(docs/decisions/0017-several-devices.md).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quant_engine.architectures.decoder import BlockInput, DecoderModel, call_block
from quant_engine.formats import inputs
from quant_engine.handed import share, withdraw
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn


class Spread:
    """Batch i belongs to device i mod n. With one device nothing is copied."""

    def __init__(self, model: DecoderModel, others: Sequence[str] = ()) -> None:
        """others: devices beside the model's own, in torch's names; one that is named twice has two copies."""
        self.model = model
        self._devices = (model.device, *others)
        self._copies: list[nn.Module] = []
        """Of the loaded block, on the other devices."""

    def start(self, batches: Sequence[Tensor], hidden: Sequence[Tensor] | None) -> list[BlockInput]:
        """Each batch of tokens (batch × tokens, int64) on its device, before the first block, or with the hidden states it had later."""
        states = self.model.embed(batches)
        moved: dict[tuple[int, str], Any] = {}
        for index, state in enumerate(states):
            device = self._of(index)
            state.hidden = (state.hidden if hidden is None else hidden[index]).to(device)
            if device != self.model.device:
                state.arguments = _moved(state.arguments, device, moved)
        return states

    def load(self, index: int) -> None:
        block = self.model.load_block(index)
        # Of a walk that was given up.
        withdraw(block.modules())
        self._copies = [copy.deepcopy(block).to(device) for device in self._devices[1:]]

    def free(self, index: int) -> None:
        self.model.free_block(index)
        self._copies = []

    def run(self, index: int, which: int, state: BlockInput) -> Tensor:
        """Hidden states of batch `which` after the loaded block."""
        place = which % len(self._devices)
        if place == 0:
            return self.model.run_block(index, state)
        return call_block(self._copies[place - 1], state.hidden, state.arguments[index])

    def everywhere(self, index: int, module: nn.Module) -> tuple[nn.Module, ...]:
        """A module of the loaded block, and what stands for it on the other devices."""
        if not self._copies:
            return (module,)
        name = next(name for name, one in self.model.block(index).named_modules() if one is module)
        return (module, *(block.get_submodule(name) for block in self._copies))

    def follow(self, index: int) -> None:
        """The copies become what the block is now: its weights, how its layers round their inputs, and what they are known to give."""
        if not self._copies:
            return
        block = self.model.block(index)
        for other, device in zip(self._copies, self._devices[1:], strict=True):
            for own, twin in zip(_tensors(block), _tensors(other), strict=True):
                twin.copy_(own)
            for module, twin in zip(block.modules(), other.modules(), strict=True):
                quantizer = inputs.of(module)
                if quantizer is not None:
                    inputs.attach(twin, quantizer.on(device))
                share(module, twin)

    def home(self, calls: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Arguments of calls on the model's own device."""
        return [_moved(call, self.model.device, {}) for call in calls] if len(self._devices) > 1 else calls

    def _of(self, which: int) -> str:
        return self._devices[which % len(self._devices)]


def _tensors(block: nn.Module) -> list[Tensor]:
    return [*(parameter.data for parameter in block.parameters()), *block.buffers()]


def _moved(value: Any, device: str, done: dict[tuple[int, str], Any]) -> Any:
    """The same with its tensors on the device; what several places share is moved once. done: by identity of what was moved before."""
    key = (id(value), device)
    if isinstance(value, torch.Tensor):
        if key not in done:
            done[key] = value.to(device)
        return done[key]
    if isinstance(value, dict):
        return {name: _moved(one, device, done) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(one, device, done) for one in value)
    return value

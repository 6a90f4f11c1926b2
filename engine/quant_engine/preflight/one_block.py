"""A model of which a walk sees one block, and which says what the walk is doing: the probe runs the very code that a run will run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from quant_engine.architectures.decoder import BlockInput, DecoderModel, Head
from quant_engine.architectures.stops import Calls, Inputs, Stop

if TYPE_CHECKING:
    from torch import Tensor, nn

    from quant_engine.checkpoint import Checkpoint
    from quant_engine.folding import FoldTarget
    from quant_engine.preflight.recorder import Recorder

Steps = Callable[[Sequence[str]], tuple[str, int]]
"""For layers that share an input (names within the block): a name of what is done there, and in how many parts it ticks."""
Label = tuple[str, ...]
HEAD = "lm_head"
"""What the head is called within its model, whatever the checkpoint calls it."""


def no_steps(layers: Sequence[str]) -> tuple[str, int]:
    return "", 0


class OneBlock(DecoderModel):
    """`model` as if `index` were its only block: `range(index, block_count)` is that one.

    Labels of steps: (how often, stage, what, …) with how often one of `once`, `block` and `head`.
    """

    def __init__(
        self, model: DecoderModel, index: int, recorder: Recorder, batches: int, more: float = 1.0, steps: Steps = no_steps
    ) -> None:
        """batches: how many will go through it, of `more` times as many in the run."""
        vars(self).update(vars(model))
        self.linears = [linear for linear in model.linears if linear.block in (index, None)]
        self.block_count = index + 1
        self._blocks: dict[int, nn.Module] = {}
        self._recorder = recorder
        self._describe = steps
        self._batches = batches
        self.more = more
        self.groups: list[list[str]] = []
        """Names within the block of layers that share an input, as they were met."""
        self.stage = ""
        """Goes before what a step is, where a block is gone through more than once."""
        self._group: Label = ()
        self._left = self._done = self._inputs_left = 0

    def mark(self, often: str, *what: str) -> None:
        self._recorder.mark((often, self.stage, *what))

    def tick(self, doing: str = "") -> None:
        """For the walk to call; it does so before each pass, and before each part of what it does with some layers."""
        if self._inputs_left:
            self._inputs_left -= 1
        elif self._left:
            self._left -= 1
            self.mark(*self._group, str(self._done))
            self._done += 1

    def embed(self, tokens: Sequence[Tensor], source: Checkpoint | None = None) -> list[BlockInput]:
        if sum(batch.numel() for batch in tokens) <= 2:  # the model's own probe
            return super().embed(tokens, source)
        self.mark("once", "embed")
        return super().embed(tokens, source)

    def load_block(self, index: int, source: Checkpoint | None = None) -> nn.Module:
        self.mark("block", "load")
        try:
            return super().load_block(index, source)
        finally:
            self.mark("block", "forward")

    def free_block(self, index: int) -> None:
        super().free_block(index)
        self.mark("block", "store")

    def stops(self, index: int) -> list[Stop]:
        self.mark("block", "stops")
        try:
            found = super().stops(index)
            return [_WatchedStop(self, number, stop) for number, stop in enumerate(found)]
        finally:
            self.mark("block", "forward", "0")

    def fold_target(self, index: int, stored: dict[str, Tensor], layers: Sequence[str]) -> FoldTarget | None:
        self._enter("block", [self.within(name) for name in layers])
        return super().fold_target(index, stored, layers)

    def load_head(self, source: Checkpoint | None = None) -> Head:
        self.mark("head", "inputs")
        head = super().load_head(source)
        self._inputs_left = self._batches
        if self._group[:1] != ("head",):
            self._enter("head", [HEAD])
            self.mark("head", "inputs")
        return head

    def through(self, tensors: Any) -> Iterator[Any]:
        """The tensors, with the time that is spent on them counted as such."""
        with self._recorder.going_through():
            yield from tensors

    def within(self, name: str) -> str:
        """A layer's name within its block; that of the head."""
        if not name.startswith(f"{self._family.blocks}."):
            return HEAD
        return name.removeprefix(f"{self._family.blocks}.").partition(".")[2]

    def _enter(self, often: str, layers: Sequence[str]) -> None:
        name, self._left = self._describe(layers)
        self._group, self._done = (often, "layers", " ".join(layers), name), 0
        if often == "block":
            self.groups.append([*layers])
        self.mark(*self._group)


class _WatchedStop(Stop):
    def __init__(self, model: OneBlock, number: int, stop: Stop) -> None:
        super().__init__(**{field.name: getattr(stop, field.name) for field in fields(stop)})
        self._model = model
        self._number = number

    def inputs(self, calls: Calls) -> Iterator[tuple[list[str], Inputs]]:
        model = self._model
        for names, take in super().inputs(calls):
            layers = " ".join(model.within(name) for name in names)
            model.mark("block", "statistics", layers)
            enough: int = model.module(names[0]).weight.shape[1] if self.experts else 0  # type: ignore[assignment, index]
            yield names, lambda take=take, enough=enough: _Watched(model, _filled(take(), enough, model.more))
            model.mark("block", "forward", str(self._number + 1))


class _Watched(list["Tensor"]):
    """Inputs of some layers; going through them is noted. Clearing it clears what it was made of."""

    def __init__(self, model: OneBlock, tensors: list[Tensor]) -> None:
        super().__init__(tensors)
        self._model = model
        self._tensors = tensors

    def __iter__(self) -> Iterator[Tensor]:
        return self._model.through(super().__iter__())

    def clear(self) -> None:
        super().clear()
        self._tensors.clear()


def _filled(tensors: list[Tensor], enough: int, more: float) -> list[Tensor]:
    """The tensors (rows × in), repeated to `enough` rows when `more` times as many are that many: what is done for an expert that sees
    enough tokens is not what is done for one that does not."""
    rows = sum(len(tensor) for tensor in tensors)
    return tensors * -(-enough // rows) if 0 < rows < enough <= rows * more else tensors

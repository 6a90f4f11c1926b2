"""Where a checkpoint keeps the tensors of transformers' model: tied, renamed, or one tensor for each expert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quant_engine.architectures.registry import DecoderFamily
    from quant_engine.checkpoint import Checkpoint


@dataclass(frozen=True)
class Piece:
    """A tensor of the checkpoint and its place (an index) in the one in memory; () is all of it."""

    stored: str
    place: tuple[Any, ...] = ()


class Layout:
    def __init__(self, source: Checkpoint, family: DecoderFamily) -> None:
        self.source = source
        self._family = family
        head, embedding = f"{family.head}.weight", f"{family.embedding}.weight"
        self._aliases = {head: embedding} if source.tied else {}

    def pieces(self, full: str, shape: Sequence[int]) -> list[Piece]:
        """What the tensor `full` of the model in memory, with that shape, is made of."""
        full = self._aliases.get(full, full)
        stored = self._family.on_disk(full, self.has)
        if self.has(stored):
            return [Piece(stored)]
        return self._experts(full, shape) or [Piece(full)]

    def has(self, tensor: str) -> bool:
        """Whether the checkpoint has the tensor, packed or as it is."""
        tensors = self.source.tensors
        stem, _, part = tensor.rpartition(".")
        return tensor in tensors or (part == "weight" and any(f"{stem}.{packed}" in tensors for packed in ("weight_packed", "qweight")))

    def _experts(self, full: str, shape: Sequence[int]) -> list[Piece]:
        experts = self._family.experts
        module, _, name = full.rpartition(".")
        if experts is None or not module.endswith(f".{experts.module}") or len(shape) != 3:
            return []
        stem = f"{module.removesuffix(experts.module)}{experts.stored}"
        half = shape[1] // 2
        parts = {
            "gate_up_proj": [(experts.gate, (slice(0, half),)), (experts.up, (slice(half, None),))],
            "down_proj": [(experts.down, ())],
        }
        return [
            Piece(f"{stem}.{expert}.{projection}.weight", (expert, *place))
            for expert in range(shape[0])
            for projection, place in parts.get(name, [])
        ]

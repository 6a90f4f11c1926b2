"""The linear layers of a checkpoint, known from headers alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quant_engine.architectures.registry import family_of

if TYPE_CHECKING:
    from quant_engine.checkpoint.read import Checkpoint


@dataclass(frozen=True)
class LinearInfo:
    """A linear layer: `name` is the module's; weight (outputs × inputs); block None outside the blocks (lm_head)."""

    name: str
    block: int | None
    outputs: int
    inputs: int

    @property
    def kind(self) -> str:
        """Last part of the name, for example down_proj."""
        return self.name.rpartition(".")[2]


def list_linears(checkpoint: Checkpoint) -> list[LinearInfo]:
    """Every quantizable linear layer in execution order; lm_head last, and only if it has a weight of its own (untied).

    Needs no torch. Empty for an architecture that is not supported. Works on quantized (pack-quantized) checkpoints
    too.
    """
    family = family_of(checkpoint.architecture)
    if family is None:
        return []
    found = [
        _linear(checkpoint, f"{family.blocks}.{block}.{kind}", block)
        for block in range(family.block_count(checkpoint.config))
        for kind in family.linears
    ]
    if not checkpoint.tied:
        found.append(_linear(checkpoint, family.head, None))
    return [linear for linear in found if linear is not None]


def _linear(checkpoint: Checkpoint, name: str, block: int | None) -> LinearInfo | None:
    from quant_engine.checkpoint.read import stored_shape
    from quant_engine.checkpoint.recognise import packed_shape

    weight = checkpoint.tensors.get(f"{name}.weight")
    shape = checkpoint.tensors.get(f"{name}.weight_shape")
    packed = checkpoint.tensors.get(f"{name}.weight_packed")
    if weight is not None and len(weight.shape) == 2:
        return LinearInfo(name, block, *weight.shape)
    if shape is not None:
        return LinearInfo(name, block, *stored_shape(shape))
    unpacked = packed_shape(checkpoint.tensors, name)
    if unpacked is not None:
        return LinearInfo(name, block, *unpacked)
    # 4-bit floats, two in a byte.
    return LinearInfo(name, block, packed.shape[0], 2 * packed.shape[1]) if packed is not None and packed.dtype == "U8" else None

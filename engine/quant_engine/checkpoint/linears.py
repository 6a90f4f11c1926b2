"""The linear layers of a checkpoint, known from headers alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from quant_engine.architectures.registry import DecoderFamily
    from quant_engine.checkpoint.read import Checkpoint

T = TypeVar("T")
EXPERT = re.compile(r"\.experts\.\d+\.")
"""Part of the name of every layer of an expert."""


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

    @property
    def is_expert(self) -> bool:
        """Whether it is a layer of an expert: those of a model share one weight format (docs/decisions/0010-experts.md)."""
        return EXPERT.search(self.name) is not None


def list_linears(checkpoint: Checkpoint) -> list[LinearInfo]:
    """Every quantizable linear layer in execution order; the head last, and only if it has a weight of its own (untied).

    Needs no torch. Empty for an architecture that is not supported. Works on quantized (pack-quantized) checkpoints
    too.
    """
    family = checkpoint.family
    if isinstance(family, str):
        return []
    experts = _expert_count(checkpoint, family)
    found = [
        _linear(checkpoint, f"{family.blocks}.{block}.{kind}", block)
        for block in range(family.block_count(checkpoint.config))
        for kind in _kinds(family, experts.get(block, 0))
    ]
    if not checkpoint.tied:
        found.append(_linear(checkpoint, _stored_head(checkpoint, family), None))
    return [linear for linear in found if linear is not None]


def config_layers(checkpoint: Checkpoint, uses: Mapping[str, T]) -> dict[str, T | None]:
    """`uses` by layer name for `quantization_config`: with every linear layer that is not in it, and each that loaders know by two
    names under both."""
    family = checkpoint.family
    layers: dict[str, T | None] = dict(uses)
    if isinstance(family, str):
        return layers
    stored = _stored_head(checkpoint, family)
    head = uses.get(stored, uses.get(family.head))
    names = (family.head, family.on_disk(family.head, lambda name: name != family.head))
    return layers | dict.fromkeys(names, head) | dict.fromkeys(family.kept)


def _kinds(family: DecoderFamily, experts: int) -> list[str]:
    """A block's linear layers, an expert's together."""
    plain = [kind for kind in family.linears if "*" not in kind]
    routed = [kind for kind in family.linears if "*" in kind]
    return plain + [kind.replace("*", str(number), 1) for number in range(experts) for kind in routed]


def _expert_count(checkpoint: Checkpoint, family: DecoderFamily) -> Counter[int]:
    """Experts of each block that has some."""
    count: Counter[int] = Counter()
    if family.experts is not None:
        stem = re.escape(f"{family.blocks}.") + r"(\d+)\." + re.escape(family.experts.stored) + r"\.(\d+)\."
        down = re.compile(stem + re.escape(family.experts.down) + r"\.(weight(_packed)?|qweight)")
        count.update(int(match[1]) for match in map(down.fullmatch, checkpoint.tensors) if match)
    return count


def _stored_head(checkpoint: Checkpoint, family: DecoderFamily) -> str:
    tensors = checkpoint.tensors
    return family.on_disk(family.head, lambda name: any(f"{name}.{part}" in tensors for part in ("weight", "weight_packed", "qweight")))


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

"""Whether config.json describes the weights, from headers alone: a contradiction would fail late, or quantize another model."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from quant_engine.checkpoint.files import CONFIG
from quant_engine.checkpoint.header import broken
from quant_engine.errors import QuantError

if TYPE_CHECKING:
    from quant_engine.architectures.registry import DecoderFamily
    from quant_engine.checkpoint.read import Checkpoint


_FLOATS = ("F16", "BF16", "F32", "F64")


def refuse_contradictions(checkpoint: Checkpoint) -> None:
    """Raises QuantError(code="model-broken") for another number of blocks, a block without some tensor that others have, or an embedding
    of another width or vocabulary. An architecture that is not supported is not looked at."""
    family = checkpoint.family
    if isinstance(family, str) or checkpoint.quantization is not None:
        return
    _refuse_whole_numbers(checkpoint, family)
    contradiction = _blocks(checkpoint, family) or _embedding(checkpoint, family)
    if contradiction:
        raise QuantError(
            f"{checkpoint.path / CONFIG} does not describe the weights: {contradiction}",
            code="model-broken",
            advice="Take config.json and weights from the same download.",
        )


def _refuse_whole_numbers(checkpoint: Checkpoint, family: DecoderFamily) -> None:
    inner = tuple(f".{linear.removeprefix('*').rpartition('*')[2]}.weight" for linear in family.linears)
    for name, tensor in checkpoint.tensors.items():
        if name.startswith(f"{family.blocks}.") and name.endswith(inner) and tensor.dtype not in _FLOATS:
            advice = "Quantize the original model; this may be one that some tool has quantized without saying so in config.json."
            raise broken(checkpoint.path, f"{name} has the dtype {tensor.dtype}, which weights of a layer do not have", advice)


def _blocks(checkpoint: Checkpoint, family: DecoderFamily) -> str | None:
    pattern = re.compile(re.escape(family.blocks) + r"\.(\d+)\.(.+)")
    blocks: dict[int, set[str]] = {}
    for name in checkpoint.tensors:
        match = pattern.fullmatch(name)
        if match:
            blocks.setdefault(int(match[1]), set()).add(match[2])
    count = family.block_count(checkpoint.config)
    if blocks.keys() != set(range(count)):
        absent = sorted(set(range(count)) - blocks.keys())
        missing = f"; {family.blocks}.{absent[0]} is missing" if absent else ""
        return f"it says num_hidden_layers {count}, the weights have {len(blocks)} blocks{missing}"
    linears = {f"{linear}.weight" for linear in family.linears}
    if not set.union(*blocks.values()) & linears:
        return f"no block has a layer named {family.linears[0]}"
    # Blocks with experts have no plain MLP, and the other way round.
    with_experts = {index for index in blocks if _has_experts(blocks[index], family)}
    for kind in (with_experts, blocks.keys() - with_experts):
        seen = Counter(name for index in kind for name in blocks[index])
        # A block of a guessed architecture may rightly have no norm that others have.
        expected = {name for name, count in seen.items() if name in linears or (family.verified and 2 * count > len(kind))}
        for index in sorted(kind):
            absent = expected - blocks[index]
            if absent:
                return f"the weights have no {family.blocks}.{index}.{min(absent)}"
    return None


def _has_experts(block: set[str], family: DecoderFamily) -> bool:
    return family.experts is not None and any(name.startswith(f"{family.experts.stored}.") for name in block)


def _embedding(checkpoint: Checkpoint, family: DecoderFamily) -> str | None:
    name = f"{family.embedding}.weight"
    weight = checkpoint.tensors.get(name)
    if weight is None:
        return f"the weights have no {name}"
    for axis, key in enumerate(("vocab_size", family.embedding_width)):
        said = checkpoint.config.get(key)
        found = weight.shape[axis] if len(weight.shape) == 2 else None
        if isinstance(said, int) and said != found:
            return f"it says {key} {said}, {name} has shape {list(weight.shape)}"
    return None

"""The supported architectures: where each keeps its blocks and in which order a block's linear layers run.

Adding one is a new file in this folder that calls `register`; nothing here may import torch, because listing layers
must stay cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quant_engine.errors import QuantError


@dataclass(frozen=True)
class DecoderFamily:
    """A decoder LM of transformers, in module names.

    linears: a block's linear layers in execution order (layers a model lacks are skipped), relative to the block.
    """

    architecture: str
    """transformers' class, for example LlamaForCausalLM."""
    linears: tuple[str, ...]
    base: str = "model"
    """The module that embeds, runs the blocks and normalises: everything but the head."""
    blocks: str = "model.layers"
    embedding: str = "model.embed_tokens"
    norm: str = "model.norm"
    head: str = "lm_head"
    fused: tuple[tuple[str, ...], ...] = ()
    """Linear layers of a block that serving engines run as one matrix, and that therefore need one scheme."""

    def block_count(self, config: dict[str, Any]) -> int:
        count = config.get("num_hidden_layers")
        if type(count) is not int or not 0 < count <= 100_000:
            raise QuantError(
                f"config.json has no usable num_hidden_layers ({count!r})",
                code="model-broken",
                advice="Check config.json.",
            )
        return count


_FAMILIES: dict[str, DecoderFamily] = {}


def register(family: DecoderFamily) -> None:
    if family.architecture in _FAMILIES:
        raise ValueError(f"two architectures are named {family.architecture!r}")
    _FAMILIES[family.architecture] = family


def supported() -> list[str]:
    return sorted(_all())


def family_of(architecture: str) -> DecoderFamily | None:
    return _all().get(architecture)


def unsupported(architecture: str) -> QuantError:
    return QuantError(
        f'architecture "{architecture}" is not supported; supported: {", ".join(supported())}',
        code="model-unsupported",
        advice="Choose a checkpoint of a supported architecture.",
    )


def _all() -> dict[str, DecoderFamily]:
    import quant_engine.architectures  # noqa: F401  (its import registers every file of the folder)

    return _FAMILIES

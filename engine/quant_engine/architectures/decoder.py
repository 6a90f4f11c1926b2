"""Decoder language models, block by block: transformers' own modules, one block materialised at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quant_engine.checkpoint import Checkpoint, LinearInfo
    from torch import Tensor, dtype, nn


@dataclass
class BlockInput:
    """One batch between two blocks: hidden (batch × tokens × width); arguments: keyword arguments of each block, shared by batches."""

    hidden: Tensor
    arguments: Sequence[dict[str, Any]]


class DecoderModel:
    """A decoder LM of which at most one block (or the embedding, or the head) is in memory."""

    checkpoint: Checkpoint
    linears: list[LinearInfo]
    """Every linear layer in execution order, as `list_linears` says."""
    block_count: int
    dtype: dtype
    device: str

    def embed(self, tokens: Sequence[Tensor], source: Checkpoint | None = None) -> list[BlockInput]:
        """Hidden states before the first block for each batch of tokens (batch × tokens, int64), without any block's weights."""
        raise NotImplementedError

    def load_block(self, index: int, source: Checkpoint | None = None) -> nn.Module:
        """Block `index` with its weights on the device, decompressed when `source` (default: the model's own) is quantized."""
        raise NotImplementedError

    def run_block(self, index: int, batch: BlockInput) -> Tensor:
        """Hidden states after the loaded block `index`; the batch is not changed."""
        raise NotImplementedError

    def free_block(self, index: int) -> None:
        raise NotImplementedError

    def load_head(self, source: Checkpoint | None = None) -> Head:
        """Final norm and lm_head on the device; `free_head` lets go of them."""
        raise NotImplementedError

    def free_head(self) -> None:
        raise NotImplementedError


class Head:
    """Final norm and lm_head."""

    norm: nn.Module
    lm_head: nn.Module

    def logits(self, hidden: Tensor, chunk: int = 512) -> Iterator[Tensor]:
        """Logits (positions × vocabulary, model dtype) of hidden (batch × tokens × width), at most `chunk` positions at a time, row-major."""
        raise NotImplementedError


def open_model(checkpoint: Checkpoint, device: str = "cpu") -> DecoderModel:
    """Raises QuantError(code="model-unsupported") that lists the supported architectures."""
    raise NotImplementedError

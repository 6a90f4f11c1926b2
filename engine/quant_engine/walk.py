"""The two passes over a model, block by block, as generators: the caller journals, reports progress and may stop at every block."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_engine.architectures.decoder import DecoderModel
    from quant_engine.checkpoint import CheckpointWriter
    from quant_engine.result import Measurement
    from quant_engine.uses import Use
    from torch import Tensor


@dataclass(frozen=True)
class MeasuredLayer:
    """All candidates on one layer. group: layers with the same value read the same input; signal: Σ‖y‖²."""

    name: str
    group: str
    tokens: int
    signal: float
    candidates: dict[str, Measurement]


@dataclass(frozen=True)
class MeasuredBlock:
    """block None: lm_head. hidden: the batches' hidden states after the block, what a resume needs."""

    block: int | None
    layers: list[MeasuredLayer]
    hidden: list[Tensor]


@dataclass(frozen=True)
class QuantizedLayer:
    """What was done to one layer. asked, applied: labels, None: kept; achieved: written against float weights on the quantized network's inputs."""

    name: str
    group: str
    tokens: int
    signal: float
    asked: str | None
    applied: str | None
    fallback: str | None
    damping: float | None
    loss: float | None
    achieved: Measurement | None


@dataclass(frozen=True)
class QuantizedBlock:
    block: int | None
    layers: list[QuantizedLayer]
    hidden: list[Tensor]


def measure(
    model: DecoderModel,
    batches: Sequence[Tensor],
    candidates: Sequence[Use],
    *,
    start: int = 0,
    hidden: Sequence[Tensor] | None = None,
    head: bool = False,
) -> Iterator[MeasuredBlock]:
    """Measure every candidate on every linear layer with the float model's inputs: one pass, no forward for each candidate.

    batches: tokens (batch × tokens, int64) each. start, hidden: continue at that block with the hidden states that the block before it
    yielded; `start == model.block_count` measures the head alone. head: lm_head too (it must be untied).
    """
    raise NotImplementedError


def quantize(
    model: DecoderModel,
    batches: Sequence[Tensor],
    assignment: Mapping[str, Use | None],
    writer: CheckpointWriter,
    *,
    start: int = 0,
    hidden: Sequence[Tensor] | None = None,
) -> Iterator[QuantizedBlock]:
    """Quantize true-sequentially: every layer on inputs that passed the quantized layers before it; each block's tensors go to the writer.

    assignment: by layer name; layers it does not name or maps to None are kept. A block that is yielded is durable in the writer under
    `piece_name(block)`. The head is yielded last (block None) when lm_head is assigned.
    """
    raise NotImplementedError


def piece_name(block: int | None) -> str:
    """Name of a block's piece in the writer."""
    return "head" if block is None else f"block-{block:05d}"


__all__ = ["Collection", "MeasuredBlock", "MeasuredLayer", "QuantizedBlock", "QuantizedLayer", "measure", "piece_name", "quantize"]

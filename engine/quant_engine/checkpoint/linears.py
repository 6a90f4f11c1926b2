"""The linear layers of a checkpoint, known from headers alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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

    Needs no torch. Empty for an architecture that is not supported. Works on quantized (pack-quantized) checkpoints too.
    """
    raise NotImplementedError

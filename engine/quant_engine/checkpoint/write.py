"""Writing a quantized checkpoint: durable pieces while the run goes on, then one atomic publication."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quant_engine.checkpoint.read import Checkpoint
    from torch import Tensor


class CheckpointWriter:
    """Collects quantized tensors piece by piece (one piece for each block) in `work` and assembles the checkpoint at the end.

    A tensor `X.weight_packed` in any piece replaces the source's `X.weight`; everything else of the source is copied byte by byte.
    """

    def __init__(self, output: Path, source: Checkpoint, work: Path) -> None:
        """`work`: folder for durable pieces (a run's state/). Raises QuantError(code="output-exists")."""
        raise NotImplementedError

    def put(self, piece: str, tensors: dict[str, Tensor]) -> None:
        """Write one piece durably: temporary name, fsync, rename. A piece written again is replaced."""
        raise NotImplementedError

    def has(self, piece: str) -> bool:
        """Whether the piece is completely on disk, from this process or one before it."""
        raise NotImplementedError

    def publish(self, quantization_config: dict[str, Any] | None, max_shard_bytes: int = 5_000_000_000) -> Path:
        """Assemble the checkpoint beside `output`, flush it and rename it to `output`; pieces are kept until then, discarded after.

        Raises QuantError(code="output-exists") or ("disk-space"); on any failure nothing is left of the output.
        """
        raise NotImplementedError

    def discard(self) -> None:
        """Remove all pieces."""
        raise NotImplementedError

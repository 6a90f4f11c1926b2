"""The largest magnitude of layers that are served as one, which have one factor together (NVFP4): read before the first of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from quant_engine.lazy import torch
from quant_engine.stack import largest_of

if TYPE_CHECKING:
    from quant_engine.checkpoint import Checkpoint, LinearInfo
    from quant_engine.streaming.files import Files
    from quant_engine.uses import Use

_WEIGHTS = 1 << 21
"""That are read at once."""


class FusedLargest:
    """Of some layers of a checkpoint; the first thread that asks reads them, the others wait for it."""

    def __init__(self, source: Checkpoint, members: Sequence[LinearInfo]) -> None:
        self._source = source
        self._members = members
        self._lock = threading.Lock()
        self._found: float | None = None

    def read(self, files: Files) -> float:
        """max|w| in the model's dtype, as the layers' own pieces are."""
        with self._lock:
            if self._found is None:
                self._found = max(self._largest(files, member) for member in self._members)
            return self._found

    def _largest(self, files: Files, member: LinearInfo) -> float:
        tensor, kind = self._source.tensors[f"{member.name}.weight"], getattr(torch, self._source.dtype)
        rows = max(_WEIGHTS // member.inputs, 1)
        starts = range(0, member.outputs, rows)
        return max(largest_of(files.rows(tensor, start, min(start + rows, member.outputs)).to(kind)) for start in starts)


def fused_of(
    source: Checkpoint, layers: Sequence[LinearInfo], uses_of: Callable[[LinearInfo], Sequence[Use]], sets: Mapping[str, str]
) -> dict[str, FusedLargest]:
    """By layer, for those that have such a factor and are served as one with others. sets: as of `served_as_one`."""
    members: dict[str, list[LinearInfo]] = {}
    for layer in layers:
        if layer.name in sets and any(use.weight_format.shares_factor for use in uses_of(layer)):
            members.setdefault(sets[layer.name], []).append(layer)
    return {layer.name: found for some in members.values() for found in [FusedLargest(source, some)] for layer in some}

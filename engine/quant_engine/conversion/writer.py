"""The checkpoint writer for a source whose layers are quantized already."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine.checkpoint.header import TensorInfo, read_header
from quant_engine.checkpoint.write import CheckpointWriter

if TYPE_CHECKING:
    from quant_engine.checkpoint.read import Checkpoint


class ConversionWriter(CheckpointWriter):
    """The tensors of a piece stand where the first of their layer's `parts` stood; the others of its parts are left out."""

    def __init__(self, output: Path, source: Checkpoint, work: Path, layers: Collection[str], parts: Collection[str]) -> None:
        super().__init__(output, source, work)
        self._layers = layers
        self._parts = parts

    def _assembled(self) -> list[TensorInfo]:
        pieces: dict[str, list[TensorInfo]] = {}
        for file in sorted(self._pieces.glob("*.safetensors")):
            for tensor in read_header(file).values():
                pieces.setdefault(tensor.name.rpartition(".")[0], []).append(tensor)
        if pieces.keys() != set(self._layers):
            raise ValueError(f"layers without a piece, or pieces without a layer: {sorted(pieces.keys() ^ set(self._layers))[:3]}")
        output: list[TensorInfo] = []
        for name, tensor in self.source.tensors.items():
            module, _, part = name.rpartition(".")
            if module in self._layers and part in self._parts:
                output.extend(sorted(pieces.pop(module, []), key=lambda item: item.name))
            else:
                output.append(tensor)
        return output

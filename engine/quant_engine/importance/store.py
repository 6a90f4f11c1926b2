"""The state of the importance passes in the run directory: everything that one step hands to the next goes through files, so that a
resumed run reads what the stopped one would have read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine.checkpoint.durable import save_tensors

if TYPE_CHECKING:
    from torch import Tensor

_INPUTS, _GRADIENTS, _IMPORTANCE = "inputs", "gradients", "importance"


class Store:
    """Files of `folder`, by the number of a block; the head counts as the block after the last.

    `inputs-N`: hidden states before block N, kept until its backward step is done. `gradients-N`: the gradient at these hidden states.
    `importance-N`: what was found of block N's layers; written last, it makes the step count.
    """

    def __init__(self, folder: Path, blocks: int) -> None:
        self._folder = folder
        self._blocks = blocks
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def done(self) -> int:
        """Steps that are done, of 2·blocks + 1: each block forward, the head, each block backward."""
        backward = sum(self._path(_IMPORTANCE, index).exists() for index in range(self._blocks + 1))
        if backward:
            return self._blocks + backward
        count = 0
        while count < self._blocks and self._path(_INPUTS, count + 1).exists():
            count += 1
        return count

    def clear(self) -> None:
        """Nothing is done: with other batches everything is done again."""
        for file in self._folder.iterdir():
            file.unlink()

    def put_inputs(self, index: int, hidden: Sequence[Tensor]) -> None:
        """hidden: of each batch."""
        self._save(_INPUTS, index, {str(number): tensor for number, tensor in enumerate(hidden)})

    def inputs(self, index: int) -> Iterator[Tensor]:
        """What was put, one batch in memory at a time."""
        return self._batches(_INPUTS, index)

    def gradients(self, index: int) -> Iterator[Tensor]:
        return self._batches(_GRADIENTS, index)

    def put_step(self, index: int, gradients: Sequence[Tensor], importance: dict[str, Tensor]) -> None:
        """The backward step of block `index` is done: gradients at its inputs, of each batch, and its layers' importance."""
        if index > 0:
            self._save(_GRADIENTS, index, {str(number): tensor for number, tensor in enumerate(gradients)})
        self._save(_IMPORTANCE, index, importance)
        for used in (self._path(_INPUTS, index), self._path(_GRADIENTS, index + 1)):
            used.unlink(missing_ok=True)

    def importance(self) -> dict[str, Tensor]:
        """By layer, of all steps that are done."""
        from safetensors.torch import load_file

        files = [self._path(_IMPORTANCE, index) for index in range(self._blocks + 1)]
        return {name: tensor for file in files if file.exists() for name, tensor in load_file(file).items()}

    def _batches(self, kind: str, index: int) -> Iterator[Tensor]:
        from safetensors import safe_open

        with safe_open(self._path(kind, index), framework="pt") as file:  # type: ignore[no-untyped-call]
            for number in range(len(file.keys())):
                # A copy: what a mapped file lends must not outlive it.
                yield file.get_tensor(str(number)).clone()

    def _save(self, kind: str, index: int, tensors: dict[str, Tensor]) -> None:
        path = self._path(kind, index)
        save_tensors(path, path.with_name(f".{path.name}"), tensors)

    def _path(self, kind: str, index: int) -> Path:
        return self._folder / f"{kind}-{index:05d}.safetensors"

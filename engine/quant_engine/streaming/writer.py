"""A checkpoint whose files are laid out before anything is computed, so that every tensor is written where it will stay."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quant_engine.checkpoint.durable import sync_file, sync_folder, write_failure
from quant_engine.checkpoint.header import TensorInfo
from quant_engine.checkpoint.shards import ordered_header
from quant_engine.checkpoint.write import MAX_SHARD_BYTES, assembled, named_shards, refuse_existing, refuse_small_disk, write_documents
from quant_engine.preflight.disk import same_disk
from quant_engine.streaming.files import Files

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.checkpoint import Checkpoint, LinearInfo

_OUTPUT = ("output",)
_BLOCK = 512


class ShardWriter:
    """The weight files in `folder` (of a run's state), as large as they will be, from the beginning; a resumed run finds them so.

    new: the tensors that the source does not have, or has with another content, without a place. The bytes are those that
    `CheckpointWriter` publishes for the same tensors.
    """

    def __init__(self, source: Checkpoint, new: Iterable[TensorInfo], folder: Path, max_shard_bytes: int = MAX_SHARD_BYTES) -> None:
        self.folder = folder
        self._source = source
        own = {tensor.name: tensor for tensor in new}
        self._shards = named_shards(assembled(source.tensors, own.values()), max_shard_bytes)
        self._headers: dict[str, bytes] = {}
        self._sizes: dict[str, int] = {}
        self._places: dict[str, tuple[Path, int, TensorInfo]] = {}
        for name, shard in self._shards.items():
            ordered, text = ordered_header(shard)
            self._headers[name] = len(text).to_bytes(8, "little") + text
            position = len(self._headers[name])
            for tensor in ordered:
                self._places[tensor.name] = (folder / name, position, tensor)
                position += tensor.bytes
            self._sizes[name] = position
        self._own = [*own]
        self.kept = [tensor for _, _, tensor in self._places.values() if tensor.name not in own]
        """Tensors of the source that are copied as they are."""

    def names_of(self, layers: Sequence[LinearInfo]) -> list[str]:
        """Of the tensors that stand for the layers."""
        modules = {layer.name for layer in layers}
        return [name for name in self._own if name.rpartition(".")[0] in modules]

    def prepare(self) -> None:
        """Make the files, or complete those that a killed process was making. Raises QuantError(code="disk-space") or ("output-write")."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            files = [self.folder / name for name in self._shards]
            refuse_small_disk(self.folder, sum(self._sizes.values()) - sum(map(_allocated, files)))
            for file in files:
                with file.open("r+b" if file.exists() else "w+b") as stream:
                    stream.write(self._headers[file.name])
                    stream.truncate(self._sizes[file.name])
                sync_file(file)
            sync_folder(self.folder)
        except OSError as error:
            raise write_failure(error, self.folder) from error

    def put(self, files: Files, name: str, tensor: Tensor, position: int = 0) -> None:
        """Write the tensor `name`, or the part of it that begins at byte `position`. A part that does not fit is a defect: ValueError."""
        file, start, info = self._places[name]
        if position + tensor.nbytes > info.bytes:
            raise ValueError(f"{name} has {info.bytes} bytes, and {tensor.nbytes} from byte {position} on are written")
        files.write(file, start + position, tensor)

    def sync(self, names: Iterable[str]) -> None:
        """Make what was written of these tensors durable."""
        for file in {self._places[name][0] for name in names}:
            try:
                sync_file(file)
            except OSError as error:
                raise write_failure(error, file) from error

    def publish(self, output: Path, config: dict[str, Any] | None, complete: Callable[[Path], None]) -> Path:
        """Complete the folder and give it the name `output`; on another disk a copy of it. complete: as of `CheckpointWriter.publish`.

        Raises QuantError(code="output-exists"), ("disk-space") or ("output-write"); then nothing is left of the output."""
        refuse_existing(output)
        run = hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:8]
        partial = output.parent / f".{output.name}.partial-{run}"
        try:
            write_documents(self.folder, self._source, self._shards, config)
            output.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(partial, ignore_errors=True)
            ready = self.folder if same_disk(self.folder, output.parent) else self._copied(partial)
            complete(ready)
            refuse_existing(output)
            ready.rename(output)
            sync_folder(output.parent)
        except OSError as error:
            raise write_failure(error, output, _OUTPUT) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        return output

    def _copied(self, partial: Path) -> Path:
        refuse_small_disk(partial, sum(self._sizes.values()))
        shutil.copytree(self.folder, partial)
        for file in partial.iterdir():
            sync_file(file)
        sync_folder(partial)
        return partial


def _allocated(file: Path) -> int:
    """Bytes of a file that the disk has given already; a file may be longer than that."""
    if not file.exists():
        return 0
    found = file.stat()
    return min(found.st_size, getattr(found, "st_blocks", found.st_size // _BLOCK) * _BLOCK)



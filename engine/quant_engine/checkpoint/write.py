"""Writing a quantized checkpoint: durable pieces while the run goes on, then one atomic publication."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quant_engine.checkpoint.durable import no_room, save_tensors, sync_folder, write_bytes, write_failure
from quant_engine.checkpoint.files import CONFIG, INDEX, SINGLE, carried
from quant_engine.checkpoint.header import TensorInfo, read_header
from quant_engine.checkpoint.shards import plan, write_shard
from quant_engine.errors import QuantError
from quant_engine.preflight import format_bytes
from quant_engine.preflight.disk import same_disk

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.checkpoint.read import Checkpoint

_OUTPUT = ("output",)
MAX_SHARD_BYTES = 5_000_000_000


class CheckpointWriter:
    """Collects quantized tensors piece by piece (one piece for each block) in `work` and assembles the checkpoint at
    the end.

    A tensor in a piece replaces the source's of the same name; parts of a weight that the source does not have (`X.weight_packed` and its
    scales) stand in place of its `X.weight`. Everything else of the source is copied byte by byte.
    """

    def __init__(self, output: Path, source: Checkpoint, work: Path) -> None:
        """`work`: folder for durable pieces (a run's state/). Raises QuantError(code="output-exists")."""
        self.output = output
        self.source = source
        self._pieces = work / "pieces"
        self._blamed = _OUTPUT if same_disk(work, output) else ()
        self._refuse_existing()

    def put(self, piece: str, tensors: dict[str, Tensor]) -> None:
        """Write one piece durably: temporary name, fsync, rename. A piece written again is replaced."""
        try:
            self._pieces.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_failure(error, self._pieces, self._blamed) from error
        save_tensors(self._piece(piece), self._pieces / f".{piece}.partial", tensors, self._blamed)

    def has(self, piece: str) -> bool:
        """Whether the piece is completely on disk, from this process or one before it."""
        return self._piece(piece).is_file()

    def publish(
        self,
        quantization_config: dict[str, Any] | None,
        max_shard_bytes: int = MAX_SHARD_BYTES,
        complete: Callable[[Path], None] = lambda folder: None,
    ) -> Path:
        """Assemble the checkpoint beside `output`, flush it and rename it to `output`; then discard the pieces.

        The pieces stay until the rename, so that a failure (a full disk) costs no computed block; meanwhile the
        quantized layers lie on the disk twice. complete: called with the folder when all is in it, just before it gets
        its name. Raises QuantError(code="output-exists") or ("disk-space"); on any failure, an interrupt included,
        nothing is left of the output.
        """
        self._refuse_existing()
        tensors = self._assembled()
        # The name depends on the run alone: what a killed process left behind is replaced by the run that resumes it.
        run = hashlib.sha256(str(self._pieces.resolve()).encode()).hexdigest()[:8]
        partial = self.output.parent / f".{self.output.name}.partial-{run}"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            self._refuse_small_disk(sum(tensor.bytes for tensor in tensors))
            partial.mkdir(parents=True)
            self._write(partial, tensors, quantization_config, max_shard_bytes)
            complete(partial)
            self._refuse_existing()
            partial.rename(self.output)
            sync_folder(self.output.parent)
        except OSError as error:
            raise write_failure(error, self.output, _OUTPUT) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self.discard()
        return self.output

    def discard(self) -> None:
        """Remove all pieces."""
        shutil.rmtree(self._pieces, ignore_errors=True)

    def _piece(self, piece: str) -> Path:
        return self._pieces / f"{piece}.safetensors"

    def _assembled(self) -> list[TensorInfo]:
        headers = [read_header(file) for file in sorted(self._pieces.glob("*.safetensors"))]
        return assembled(self.source.tensors, [tensor for header in headers for tensor in header.values()])

    def _write(
        self, folder: Path, tensors: list[TensorInfo], config: dict[str, Any] | None, max_shard_bytes: int
    ) -> None:
        shards = named_shards(tensors, max_shard_bytes)
        for name, shard in shards.items():
            write_shard(folder / name, shard)
        write_documents(folder, self.source, shards, config)

    def _refuse_existing(self) -> None:
        refuse_existing(self.output)

    def _refuse_small_disk(self, needed: int) -> None:
        refuse_small_disk(self.output, needed)


def write_documents(
    folder: Path, source: Checkpoint, shards: Mapping[str, Sequence[TensorInfo]], config: dict[str, Any] | None
) -> None:
    """Everything beside the weight files, flushed; config: its `quantization_config`."""
    if len(shards) > 1:
        write_bytes(folder / INDEX, index_document(shards))
    write_bytes(folder / CONFIG, config_document(source, config))
    for file in source.other_files:
        write_bytes(folder / file.name, carried(file))
    sync_folder(folder)


def refuse_existing(output: Path) -> None:
    """Raises QuantError(code="output-exists")."""
    if output.exists() or output.is_symlink():
        advice = "Choose another output folder or remove this one."
        raise QuantError(f'"{output}" exists already', code="output-exists", advice=advice, key=_OUTPUT)


def refuse_small_disk(folder: Path, needed: int) -> None:
    """Raises QuantError(code="disk-space") when the disk that `folder` is, or will be, on has no room for so many bytes."""
    parent = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise no_room(f'"{folder}" needs {format_bytes(needed)}, {format_bytes(free)} are free', _OUTPUT)


def assembled(source: Mapping[str, TensorInfo], new: Iterable[TensorInfo]) -> list[TensorInfo]:
    """Every tensor of the output in the source's order; of the new ones, a replaced weight's parts stand where the weight was."""
    same: dict[str, TensorInfo] = {}
    parts: dict[str, list[TensorInfo]] = {}
    for tensor in new:
        if tensor.name in source:
            same[tensor.name] = tensor
        else:
            parts.setdefault(tensor.name.rpartition(".")[0], []).append(tensor)
    output: list[TensorInfo] = []
    for name, tensor in source.items():
        module, _, part = name.rpartition(".")
        replacing = sorted(parts.pop(module, []), key=lambda item: item.name) if part == "weight" else []
        keeps_name = name in same or not replacing
        output += [*([same.get(name, tensor)] if keeps_name else []), *replacing]
    if parts:
        raise ValueError(f"pieces for modules that the source does not have: {sorted(parts)[:3]}")
    return output


def named_shards(tensors: Iterable[TensorInfo], max_bytes: int = MAX_SHARD_BYTES) -> dict[str, list[TensorInfo]]:
    """What goes into which file."""
    shards = plan(tensors, max_bytes)
    if len(shards) == 1:
        return {SINGLE: shards[0]}
    return {f"model-{number:05d}-of-{len(shards):05d}.safetensors": shard for number, shard in enumerate(shards, 1)}


def index_document(shards: Mapping[str, Sequence[TensorInfo]]) -> bytes:
    """The index of several files."""
    weight_map = {tensor.name: name for name, shard in shards.items() for tensor in shard}
    total = sum(tensor.bytes for shard in shards.values() for tensor in shard)
    return _json({"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))})


def config_document(source: Checkpoint, quantization_config: dict[str, Any] | None) -> bytes:
    """config.json of the output."""
    document = {key: value for key, value in source.config.items() if key != "quantization_config"}
    if quantization_config is not None:
        document["quantization_config"] = quantization_config
    return _json(document)


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()

"""Reading and writing parts of files from several threads at once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from quant_engine.checkpoint.durable import AT_ONCE, write_failure
from quant_engine.checkpoint.header import broken
from quant_engine.checkpoint.read import DTYPE_NAMES
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.checkpoint.header import TensorInfo


class Files:
    """Each thread has files of its own, because a position belongs to an open file; `close` closes those of all."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._opened: list[BinaryIO] = []
        self._lock = threading.Lock()

    def rows(self, tensor: TensorInfo, start: int, stop: int) -> Tensor:
        """Rows start…stop of a matrix, in the file's dtype. Raises QuantError(code="model-broken") when the file has become shorter."""
        dtype: torch.dtype = getattr(torch, DTYPE_NAMES[tensor.dtype])
        width = tensor.bytes // tensor.shape[0]
        return self.read(tensor, start * width, stop * width).view(dtype).reshape(stop - start, *tensor.shape[1:])

    def read(self, tensor: TensorInfo, start: int, stop: int) -> Tensor:
        """Bytes start…stop of a tensor, uint8, in memory of their own: of a mapped file every page that was read would count as in use."""
        data = torch.empty(stop - start, dtype=torch.uint8)
        left = data.numpy().data
        stream = self._open(tensor.file, "rb")
        stream.seek(tensor.start + start)
        while left:
            count = stream.readinto(left)  # type: ignore[attr-defined]
            if not count:
                raise broken(tensor.file, f'it ended while "{tensor.name}" was read')
            left = left[count:]
        return data

    def write(self, file: Path, position: int, tensor: Tensor) -> None:
        """The tensor's bytes to a file that exists. Raises QuantError(code="disk-space") or ("output-write")."""
        left = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
        try:
            stream = self._open(file, "r+b")
            stream.seek(position)
            while left:
                left = left[stream.write(left[:AT_ONCE]) :]
        except OSError as error:
            raise write_failure(error, file) from error

    def close(self) -> None:
        with self._lock:
            for stream in self._opened:
                stream.close()
            self._opened.clear()

    def _open(self, file: Path, mode: Literal["rb", "r+b"]) -> BinaryIO:
        mine: dict[tuple[Path, str], BinaryIO] = self._own.__dict__.setdefault("files", {})
        if (file, mode) not in mine:
            mine[file, mode] = stream = file.open(mode, buffering=0)  # type: ignore[assignment]
            with self._lock:
                self._opened.append(stream)
        return mine[file, mode]

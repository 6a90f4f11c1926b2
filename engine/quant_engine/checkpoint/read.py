"""A Hugging Face checkpoint folder: one safetensors file or an index with shards, config and everything beside them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quant_engine import protocol
    from quant_engine.checkpoint.header import TensorInfo
    from torch import Tensor


class Checkpoint:
    """An opened checkpoint. Opening reads headers and config only and needs no torch."""

    path: Path
    config: dict[str, Any]
    tensors: dict[str, TensorInfo]
    bytes: int
    """Tensor bytes."""
    parameters: int
    """Elements of all tensors; of a quantized checkpoint the elements that its packed tensors stand for."""
    dtype: str
    """Name of the dtype the model computes in, for example bfloat16: the config's, else that of most bytes."""
    architecture: str
    """transformers' class, for example LlamaForCausalLM."""
    model_type: str
    quantization: protocol.Quantization | None
    other_files: list[Path]
    """Files the writer carries over unchanged: tokenizer, generation_config …; never weights, pickles or code."""

    @classmethod
    def open(cls, path: Path) -> Checkpoint:
        """Raises QuantError with code model-missing, model-broken or model-not-safetensors."""
        raise NotImplementedError

    def load(self, names: Iterable[str]) -> dict[str, Tensor]:
        """The named tensors, copied out of the memory-mapped files; KeyError for a name the checkpoint does not have."""
        raise NotImplementedError

    def identity(self) -> dict[str, str]:
        """What a resume compares: for each weight file a SHA-256 of its header and size, and one of config.json."""
        raise NotImplementedError

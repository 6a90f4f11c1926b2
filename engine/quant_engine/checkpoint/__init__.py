"""Hugging Face checkpoints: reading (headers first, tensors when asked for) and writing (sharded, atomic,
compressed-tensors)."""

from quant_engine.checkpoint.header import TensorInfo, read_header
from quant_engine.checkpoint.linears import LinearInfo, config_layers, list_linears
from quant_engine.checkpoint.quantization import expert_contradiction, quantization_config
from quant_engine.checkpoint.read import Checkpoint
from quant_engine.checkpoint.write import CheckpointWriter

__all__ = [
    "Checkpoint",
    "CheckpointWriter",
    "LinearInfo",
    "TensorInfo",
    "config_layers",
    "expert_contradiction",
    "list_linears",
    "quantization_config",
    "read_header",
]

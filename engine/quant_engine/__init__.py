"""Quant Workbench's engine: measure, choose, quantize and evaluate Hugging Face checkpoints."""

__version__ = "0.1.0"

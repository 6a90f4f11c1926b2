"""Finished quantized checkpoints from one layout to another, without computing anything anew: docs/conversion.md.

One file for each layout; a new one registers itself and is imported here.
"""

from quant_engine.conversion import awq, compressed, gptq  # noqa: F401  (their import registers them)
from quant_engine.conversion.convert import convert
from quant_engine.conversion.registry import LAYOUTS, Layout

__all__ = ["LAYOUTS", "Layout", "convert"]

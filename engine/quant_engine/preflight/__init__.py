"""What a run will need, before it: bytes, memory, time. Only `disk`, which `check` uses too, is imported here: it needs no torch."""

from quant_engine.preflight.disk import DTYPE_BYTES, Needs, dtype_bytes, existing_parent, format_bytes, free_bytes, needs, same_disk

__all__ = ["DTYPE_BYTES", "Needs", "dtype_bytes", "existing_parent", "format_bytes", "free_bytes", "needs", "same_disk"]

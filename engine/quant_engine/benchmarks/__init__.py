"""End-to-end quality of a checkpoint: what per-layer SQNR cannot tell."""

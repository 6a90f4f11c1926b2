"""Placeholder."""
from __future__ import annotations
def read_family(checkpoint): return "todo"

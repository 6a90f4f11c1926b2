"""How to walk a model block by block."""

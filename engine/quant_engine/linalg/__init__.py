"""Linear algebra that several methods need."""

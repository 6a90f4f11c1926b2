"""The engine's own error: what was attempted, where, and what the user can do."""

from __future__ import annotations


class QuantError(Exception):
    """A failure that a person can act on. `code` is stable (docs/diagnostics.md), `advice` says what to do."""

    def __init__(self, message: str, *, code: str, advice: str = "", key: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.advice = advice
        self.key = key
        """Path of the recipe key that caused it, for example ("quantize", "rules", 0, "use"); empty when none did."""


class Cancelled(Exception):
    """The run was asked to stop and did, at a layer boundary."""

"""How figures are written, on the command line and in messages; `protocol/decimals.ts` does the same for the editor and the panel."""

from __future__ import annotations

import math
from collections.abc import Sequence

_SIGNIFICANT = 4
_MOST = 9


def bits(value: float) -> str:
    """Bits per weight: three decimals without the zeros at the end, so that 4.125 and 4.5 both stand there as they are."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def significant(value: float) -> str:
    """Four significant digits."""
    return f"{value:.{significant_decimals(value)}f}"


def significant_decimals(value: float) -> int:
    """Decimals that show four significant digits."""
    if value == 0 or not math.isfinite(value):
        return _SIGNIFICANT - 1
    exponent = int(f"{value:.{_SIGNIFICANT - 1}e}".split("e")[1])
    return min(_MOST, max(0, _SIGNIFICANT - 1 - exponent))


def comparable_decimals(values: Sequence[float]) -> int:
    """Decimals for numbers that stand side by side: four significant digits of each, and more where two that differ would look the same."""
    digits = max(map(significant_decimals, values))
    while digits < _MOST and len({f"{value:.{digits}f}" for value in values}) < len(set(values)):
        digits += 1
    return digits

"""Means over tokens with standard errors over sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    value: float
    standard_error: float


def ratio(sums: Sequence[float], counts: Sequence[int]) -> Estimate:
    """Mean over all tokens, Σs/Σn, from each sequence's sum s and token count n.

    Sequences are the independent units (tokens inside one are not), so the standard error is the ratio estimator's by
    linearisation: √(k/(k−1) · Σ(sᵢ − r·nᵢ)²) / Σn (Cochran, Sampling Techniques, eq. 6.13, infinite population). Needs two sequences.
    """
    if len(sums) != len(counts) or len(sums) < 2:
        raise ValueError("a standard error needs at least two sequences")
    total = sum(counts)
    mean = math.fsum(sums) / total
    squares = math.fsum((value - mean * count) ** 2 for value, count in zip(sums, counts, strict=True))
    return Estimate(mean, math.sqrt(len(sums) / (len(sums) - 1) * squares) / total)


def exponential(estimate: Estimate) -> Estimate:
    """exp of an estimate; the standard error by the delta method, exp(m)·se."""
    value = math.exp(estimate.value)
    return Estimate(value, value * estimate.standard_error)

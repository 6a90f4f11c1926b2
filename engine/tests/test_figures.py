"""Figures as the editor and the panel write them, too: test/unit/protocol/decimals.test.ts reads the same file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quant_engine.figures import bits, comparable_decimals, significant

FIGURES = json.loads((Path(__file__).parents[2] / "test/corpus/figures.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("value", "text"), FIGURES["bits"])
def test_bits_have_three_decimals_and_no_zeros_behind(value: float, text: str) -> None:
    assert bits(value) == text


@pytest.mark.parametrize(("value", "text"), FIGURES["significant"])
def test_four_digits_are_significant(value: float, text: str) -> None:
    assert significant(value) == text


@pytest.mark.parametrize(("values", "texts"), FIGURES["comparable"])
def test_what_differs_does_not_look_the_same(values: list[float], texts: list[str]) -> None:
    digits = comparable_decimals(values)
    assert [f"{value:.{digits}f}" for value in values] == texts

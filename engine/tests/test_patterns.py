from __future__ import annotations

import random
import re

import pytest

from quant_engine.patterns import matches


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*.mlp.down_proj", "model.layers.0.mlp.down_proj", True),
        ("*.mlp.down", "model.layers.0.mlp.down_proj", False),
        ("model.layers.?.*", "model.layers.3.mlp", True),
        ("model.layers.[0-3].*", "model.layers.4.mlp", False),
        ("model.layers.[!0-3].*", "model.layers.4.mlp", True),
        ("*.[z-a]_proj", "a.z_proj", False),
        ("[", "[", True),
        ("[]a]", "]", True),
        ("**", "", True),
        ("?", "", False),
        ("a-b", "a-b", True),
        ("[a-]", "-", True),
    ],
)
def test_what_a_pattern_stands_for(pattern: str, name: str, expected: bool) -> None:
    assert matches([pattern], name) is expected


def _reference(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(character, re.escape(character)) for character in pattern), re.DOTALL)


def test_stars_and_question_marks_are_those_of_regular_expressions() -> None:
    rng = random.Random(0)
    seen = set()
    for _ in range(5000):
        pattern = "".join(rng.choice("ab*?.") for _ in range(rng.randint(0, 7)))
        name = "".join(rng.choice("ab.") for _ in range(rng.randint(0, 9)))
        expected = _reference(pattern).fullmatch(name) is not None
        assert matches([pattern], name) is expected, (pattern, name)
        seen.add(expected)
    assert seen == {True, False}


def test_a_hostile_pattern_takes_no_exponential_time() -> None:
    """As a regular expression this one needs more steps than there are atoms."""
    assert not matches(["*?" * 60 + "Z"], "model.layers.10.self_attn.q_proj" * 8)

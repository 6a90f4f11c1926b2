from __future__ import annotations

import math

import pytest

from quant_engine.errors import QuantError
from quant_engine.overrides import apply_overrides
from quant_engine.yaml_source import Source, YamlError, core_value, plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0o17", 15),
        ("017", 17),
        ("0x1F", 31),
        ("-12", -12),
        ("4.6", 4.6),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("Null", None),
        ("nUll", "nUll"),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, value: object) -> None:
    assert core_value(text) == value
    assert type(core_value(text)) is type(value)


def test_quotes_and_tags_decide_over_the_look_of_a_scalar() -> None:
    assert plain(Source("a: '1'\nb: \"true\"\nc: !!str 5\nd: 5").root) == {"a": "1", "b": "true", "c": "5", "d": 5}


def test_columns_count_utf16_code_units() -> None:
    source = Source('a: "😀é" # x\r\nb: {c: 1}')
    assert source.root is not None
    (a, b) = source.root.entries  # type: ignore[union-attr]
    assert source.position(a.value.span.end) == (1, 9)
    assert source.position(b.value.entries[0].value.span.start) == (2, 8)  # type: ignore[union-attr]


def test_the_range_of_a_block_collection_ends_with_its_last_value() -> None:
    source = Source("a:\n  - b: 1\n    c: two\n\n# comment\nd: 1\n")
    span = source.find(("a",))
    assert span is not None
    assert source.text[span.start : span.end] == "- b: 1\n    c: two"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a:\n\tb: 1", 2),
        ("a:\n  b: 1\n c: 2", 3),
        ("a: [1, 2", 1),
        ("a: b: c", 1),
        ("a: *nowhere", 1),
        ("a: 1\n---\nb: 2", 2),
        ("a: \x01", 1),
        ("&x [*x]", 1),
    ],
)
def test_what_is_not_yaml_says_where(text: str, line: int) -> None:
    with pytest.raises(YamlError) as caught:
        Source(text)
    before = text[: caught.value.offset]
    assert before.count("\n") + 1 == line
    assert caught.value.message


def test_a_tree_that_multiplies_through_aliases_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(YamlError, match="more nodes"):
        Source("\n".join(lines))


def test_an_anchor_can_be_given_again_and_an_alias_means_the_last_one_before_it() -> None:
    assert plain(Source("[&a 1, *a, &a 2, *a, &a [&a 3, *a], *a]").root) == [1, 1, 2, 2, [3, 3], 3]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("k: &a v", ("k",)),
        ("k: !!str v", ("k",)),
        ("k: &a !<tag:yaml.org,2002:str> # c\n  v", ("k",)),
        ("k: !!str\n\n  # c\n  &a v", ("k",)),
        ("k: [&a v]", ("k", 0)),
        ("k:\n- &a\n  - v", ("k", 0)),
        ("k: &a {v: 1}", ("k",)),
    ],
)
def test_a_value_begins_behind_its_anchor_and_its_tag(text: str, key: tuple[str | int, ...]) -> None:
    span = Source(text).find(key)
    assert span is not None
    assert text[span.start : span.end] in ("v", "- v", "{v: 1}")


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(YamlError):
        Source("[" * 5000)


def test_a_duplicate_key_keeps_the_first_value() -> None:
    source = Source("a: 1\na: 2")
    assert plain(source.root) == {"a": 1}
    ((first, second),) = source.root.duplicates  # type: ignore[union-attr]
    assert source.position(first.key.span.start) == (1, 1)
    assert source.position(second.key.span.start) == (2, 1)


def test_overrides_replace_add_and_reach_into_lists() -> None:
    source = Source("a: { b: 1 }\nrules:\n  - use: x\n")
    apply_overrides(source, ["a.b=2", "a.c.d=[1, {e: f}]", "rules.0.use=none", "new=on"])
    assert plain(source.root) == {
        "a": {"b": 2, "c": {"d": [1, {"e": "f"}]}},
        "rules": [{"use": "none"}],
        "new": "on",
    }


def test_an_overridden_value_stands_where_the_old_one_did() -> None:
    source = Source("a: 1\nb: { c: 12 }\n")
    apply_overrides(source, ["b.c={x: 1}"])
    span = source.find(("b", "c", "x"))
    assert span is not None and source.text[span.start : span.end] == "12"


@pytest.mark.parametrize("override", ["a", "=1", "a..b=1", "rules.7=1", "a=[1", "a.b.c.=1"])
def test_a_wrong_override_is_quoted(override: str) -> None:
    with pytest.raises(QuantError) as caught:
        apply_overrides(Source("a: 1\nrules: [1]"), [override])
    assert caught.value.code == "bad-usage"
    assert override in caught.value.message

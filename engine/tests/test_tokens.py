from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quant_engine.errors import QuantError
from quant_engine.texts import documents, has_text
from quant_engine.tokens import calibration_tokens, held_out_tokens, load_tokenizer, split
from small_workspace import make_checkpoint, make_text


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_tokenizer(make_checkpoint(tmp_path_factory.mktemp("tokens") / "model", blocks=1))


def rows(data: Any) -> list[tuple[int, ...]]:
    return [tuple(row) for batch in data.batches for row in batch.tolist()]


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt"])
def test_the_same_seed_gives_the_same_tokens_and_another_seed_others(tokenizer: Any, tmp_path: Path, name: str) -> None:
    path = make_text(tmp_path / name)
    first = calibration_tokens(tokenizer, path, 8, 32, seed=0)
    assert first.sha256 == calibration_tokens(tokenizer, path, 8, 32, seed=0).sha256
    assert first.sha256 != calibration_tokens(tokenizer, path, 8, 32, seed=1).sha256
    assert (first.sequences, first.tokens, first.short) == (8, 256, False)
    assert len(set(rows(first))) == 8


def test_documents_are_joined_by_the_end_token(tokenizer: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "aa"}\n\n{"text": "bb"}\n{"text": ""}\n')
    data = held_out_tokens(tokenizer, path, 2, 2)
    ids = {text: tokenizer(text)["input_ids"][0] for text in "ab"}
    # aa <eos> bb: five tokens, two whole sequences of two.
    assert rows(data) == [(ids["a"], ids["a"]), (tokenizer.eos_token_id, ids["b"])]


def test_fewer_sequences_than_asked_is_short(tokenizer: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x" * 100)
    data = calibration_tokens(tokenizer, path, 8, 32, seed=0)
    assert (data.sequences, data.short) == (3, True)


def test_a_text_shorter_than_one_sequence_is_one_shorter_sequence(tokenizer: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x" * 10)
    data = calibration_tokens(tokenizer, path, 8, 32, seed=0)
    assert (data.sequences, data.tokens, data.length) == (1, 10, 10)
    with pytest.raises(QuantError) as caught:
        held_out_tokens(tokenizer, path, 8, 32)
    assert caught.value.code == "data-short" and caught.value.key == ("evaluate", "data")


def test_held_out_sequences_spread_over_the_file(tokenizer: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("".join(chr(ord("a") + n) * 4 for n in range(20)))
    data = held_out_tokens(tokenizer, path, 4, 4)
    assert tokenizer.batch_decode(rows(data)) == ["aaaa", "ffff", "kkkk", "pppp"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt"])
def test_one_file_for_both_purposes_is_divided(tokenizer: Any, tmp_path: Path, name: str) -> None:
    path = make_text(tmp_path / name, documents=40)
    calibration, held_out = split(list(documents(path)))
    assert not set(calibration) & set(held_out)
    parts = [part for text in held_out for part in text.split("\n\n") if part]
    assert 5 <= len(parts) <= 12
    assert not [part for part in parts[1:] if any(part in text for text in calibration)]
    apart = calibration_tokens(tokenizer, path, 500, 16, seed=0, held_out=path)
    whole = calibration_tokens(tokenizer, path, 500, 16, seed=0)
    other = held_out_tokens(tokenizer, path, 500, 16, calibration=path)
    assert apart.tokens + other.tokens <= whole.tokens + 64
    assert other.tokens > whole.tokens // 8


def test_batches_hold_equal_sequences(tokenizer: Any, tmp_path: Path) -> None:
    data = calibration_tokens(tokenizer, make_text(tmp_path / "a.jsonl", 200), 40, 256, seed=0)
    assert [tuple(batch.shape) for batch in data.batches] == [(16, 256), (16, 256), (len(data.batches[2]), 256)]


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("a.jsonl", '{"text": "x"}\n{"text": ', "data-broken", "line 2"),
        ("a.jsonl", '{"text": 5}', "data-broken", "line 1"),
        ("a.jsonl", '["x"]', "data-broken", "line 1"),
        ("a.jsonl", '{"text": "x"}\n' + "[" * 100_000, "data-broken", "line 2 is not JSON"),
        ("a.jsonl", '{"text": "\\ud800"}', "data-broken", "line 1 has half of a surrogate pair"),
        ("a.txt", b"\xff\xfe\xff", "data-broken", "UTF-8"),
    ],
)
def test_a_broken_file_names_the_line(tmp_path: Path, name: str, content: str | bytes, code: str, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(QuantError) as caught:
        list(documents(path))
    assert caught.value.code == code and words in caught.value.message and caught.value.advice


def test_white_space_and_empty_texts_are_no_text(tmp_path: Path) -> None:
    blank = tmp_path / "a.txt"
    blank.write_text(" \n\t\n")
    empty = tmp_path / "a.jsonl"
    empty.write_text("\n".join(json.dumps({"text": text}) for text in ("", " ")))
    assert not has_text(blank) and not has_text(empty)


def test_a_folder_without_tokenizer_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(QuantError) as caught:
        load_tokenizer(tmp_path)
    assert caught.value.code == "tokenizer" and "tokenizer.json" in caught.value.advice


def test_a_begin_token_that_the_tokenizer_puts_before_a_text_is_before_each_sequence(tokenizer: Any, tmp_path: Path) -> None:
    from tokenizers import processors

    folder = make_checkpoint(tmp_path / "model", blocks=1)
    begin = load_tokenizer(folder)
    begin.bos_token = "a"
    identity = begin.convert_tokens_to_ids("a")
    begin.backend_tokenizer.post_processor = processors.TemplateProcessing(single="a $0", special_tokens=[("a", identity)])
    path = make_text(tmp_path / "a.jsonl")
    data = held_out_tokens(begin, path, 8, 32)
    assert {row[0] for row in rows(data)} == {identity} and {len(row) for row in rows(data)} == {32}
    plain = held_out_tokens(tokenizer, path, 8, 31)
    assert [row[1:] for row in rows(data)] == rows(plain), "the text itself is cut as always"
    few = calibration_tokens(begin, path, 3, 32, seed=0)
    assert [row[0] for row in rows(few)] == [identity] * 3

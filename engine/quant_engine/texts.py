"""Reading text files for calibration and evaluation: documents of a `.jsonl` or `.txt` file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from quant_engine.errors import QuantError


def documents(path: Path) -> Iterator[str]:
    """Non-empty documents in file order: the `text` of each JSON line, or a `.txt` file as one document.

    Raises QuantError(code="data-missing"), ("data-broken") naming the line that is not a JSON object with a string in `text`.
    """
    try:
        if path.suffix.lower() not in (".jsonl", ".ndjson"):
            text = path.read_text(encoding="utf-8-sig")
            if text.strip():
                yield text
            return
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip() and (text := _text_of(path, number, line)).strip():
                    yield text
    except UnicodeDecodeError as error:
        raise QuantError(
            f'"{path}" is not UTF-8 text: {error.reason}', code="data-broken", advice="Save the file as UTF-8."
        ) from None
    except OSError as error:
        code = "data-missing" if isinstance(error, FileNotFoundError) else "data-broken"
        message = f'no file at "{path}"' if code == "data-missing" else f'"{path}" cannot be read: {error.strerror}'
        raise QuantError(message, code=code, advice="Correct the path; it is relative to the recipe.") from None


def _text_of(path: Path, number: int, line: str) -> str:
    advice = 'Each line must be a JSON object with a string in "text".'
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply"
        raise QuantError(f'"{path}" line {number} is not JSON', code="data-broken", advice=f"{advice} The reader said: {reason}.") from None
    text = value.get("text", "") if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise QuantError(f'"{path}" line {number} has no string in "text"', code="data-broken", advice=advice)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise QuantError(f'"{path}" line {number} has half of a surrogate pair, which is no character', code="data-broken", advice=advice)
    return text


def first_fields(path: Path) -> list[str]:
    """The fields of the first line of a file of JSON lines; none where `text` is one of them, or of any other file. Raises OSError."""
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        return []
    with path.open(encoding="utf-8-sig") as lines:
        first = next((line for line in lines if line.strip()), "{}")
    value = json.loads(first)
    return [*value] if isinstance(value, dict) and "text" not in value else []


def has_text(path: Path) -> bool:
    """Whether there is a first document; reads no further."""
    return next(documents(path), None) is not None

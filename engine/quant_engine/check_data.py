"""A recipe's texts for calibration and evaluation: files that are there, have text, and enough of it. No tokenizer, no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quant_engine.advice import of_missing_path
from quant_engine.errors import QuantError
from quant_engine.recipe import Calibration, Evaluate
from quant_engine.right_values import RightValues
from quant_engine.structure import Finding
from quant_engine.texts import first_fields, has_text
from quant_engine.yaml_source import Span

_NAMED = 12
_LARGEST_JSON = 1 << 20


def check_data(written: str, span: Span, path: Path) -> Iterator[Finding]:
    """What is wrong with a file of texts: not there, a folder, no JSON lines, no text."""
    if _is_folder(path):
        yield _folder(written, span, path)
    elif not _is_file(path):
        yield Finding("data-missing", f'no file at "{written}"', span, advice=of_missing_path(written, path))
    else:
        try:
            if not has_text(path):
                fields = ", ".join(first_fields(path)[:_NAMED])
                other = f": the fields of its first line are {fields}" if fields else ""
                yield Finding("data-empty", f'"{written}" has no text{other}', span)
        except QuantError as error:
            yield Finding(error.code, error.message.replace(str(path), written), span)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (ValueError, OSError):
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (ValueError, OSError):
        return False


def _folder(written: str, span: Span, path: Path) -> Finding:
    try:
        names = sorted(other.name for other in path.iterdir())
    except OSError:
        names = []
    if {"dataset_info.json", "dataset_dict.json", "state.json"} & set(names):
        what = _dataset(path, names)
        advice = 'Write its texts into a .jsonl file: dataset.to_json("FILE.jsonl") after renaming the column with the texts to "text".'
        return Finding("data-folder", f'"{written}" is {what}; only .jsonl and .txt files are read', span, advice=advice)
    lines = [name for name in names if name.lower().endswith((".jsonl", ".ndjson"))]
    files = lines or [name for name in names if name.lower().endswith(".txt")]
    if files:
        return Finding("data-folder", f'"{written}" is a folder; did you mean "{written.rstrip("/")}/{files[0]}"?', span)
    return Finding("data-folder", f'"{written}" is a folder; only .jsonl and .txt files are read', span)


def _dataset(path: Path, names: list[str]) -> str:
    """What a folder that the `datasets` library wrote says of itself in the JSON beside its Arrow files."""
    info, splits = _json(path, names, "dataset_info.json"), _json(path, names, "dataset_dict.json").get("splits")
    parts: list[str] = []
    found = [name for name in splits if isinstance(name, str)] if isinstance(splits, list) else []
    if found:
        parts.append(f"splits {', '.join(found[:_NAMED])}")
    counts = [split.get("num_examples") if isinstance(split, dict) else None for split in _mapping(info.get("splits")).values()]
    if counts and all(isinstance(count, int) and not isinstance(count, bool) for count in counts):
        parts.append(f"{sum(count for count in counts if count):,} rows")
    if columns := [*_mapping(info.get("features"))]:
        parts.append(f"columns {', '.join(columns[:_NAMED])}")
    return "a dataset folder" + (f" with {'; '.join(parts)}" if parts else "")


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _json(path: Path, names: list[str], name: str) -> dict[str, Any]:
    if name not in names:
        return {}
    try:
        with (path / name).open("rb") as file:
            return _mapping(json.loads(file.read(_LARGEST_JSON)))
    except (OSError, ValueError, RecursionError):
        return {}


def short_data(values: RightValues, section: str, path: Path, most: int | None) -> Iterator[Finding]:
    """A text that cannot have as many sequences as asked, whatever the tokenizer: every token stands for at least one byte of the file.

    most: tokens that the model has positions for; None: not known.
    """
    data = values.scalar((section, "data"), str)
    fields = (Calibration if section == "calibration" else Evaluate).model_fields
    samples = _number(values, section, "samples", fields["samples"].default)
    usual = fields["sequence_length"].default
    length = _number(values, section, "sequence_length", min(usual, most or usual))
    if data is None or samples is None or length is None or length > (most or length):
        return
    try:
        if not path.is_file() or not has_text(path):
            return
        size = path.stat().st_size
    except (QuantError, ValueError, OSError):
        return
    # A sequence may begin with a token that stands for nothing of the text.
    possible = max(1, size // max(1, length - 1))
    if possible < samples:
        message = f'"{data[0]}" gives at most {possible} of {samples} sequences of {length} tokens: it has {size:,} bytes'
        yield Finding("data-short", message, data[1], "warning")


def _number(values: RightValues, section: str, name: str, usual: int) -> int | None:
    """What is written, else the default; None: what is written is wrong."""
    if not values.is_written((section, name)):
        return usual if values.node((section, name)) is None and not values.is_wrong((section, name)) else None
    found = values.scalar((section, name), float)
    return int(found[0]) if found else None

"""Write the two text files that go with the checkpoint: calibration.jsonl and held-out.txt."""

from __future__ import annotations

import json
from pathlib import Path

from corpus import Document

PIECE_CHARACTERS = 1150  # a little more than 256 tokens
CALIBRATION_BYTES = 560_000
HELD_OUT_BYTES = 280_000


def pieces_of(document: Document, size: int = PIECE_CHARACTERS) -> list[str]:
    """The document cut at passage boundaries into pieces of at least ``size`` characters; the short rest is dropped."""
    pieces: list[str] = []
    current: list[str] = []
    for passage in document.passages:
        current.append(passage)
        if sum(map(len, current)) >= size:
            text = "\n\n".join(current)
            pieces += [text[i : i + size] for i in range(0, len(text) - size // 2, size)]
            current = []
    return pieces


def write_calibration(documents: list[Document], path: Path) -> int:
    """One ``{"text": ...}`` a line, as many pieces as the size allows, taken evenly; returns how many."""
    lines = [json.dumps({"text": p}, ensure_ascii=False) + "\n" for d in documents for p in pieces_of(d)]
    total = sum(len(line.encode()) for line in lines)
    kept = min(len(lines), len(lines) * CALIBRATION_BYTES // total)
    chosen = [lines[i * len(lines) // kept] for i in range(kept)]
    path.write_text("".join(chosen), "utf-8")
    return kept


def write_held_out(documents: list[Document], path: Path) -> int:
    """Whole documents, divided by two blank lines, until the size is reached; returns how many."""
    kept: list[str] = []
    size = 0
    for document in documents:
        size += len(document.text.encode()) + 3
        if size > HELD_OUT_BYTES:
            break
        kept.append(document.text)
    path.write_text("\n\n\n".join(kept) + "\n", "utf-8")
    return len(kept)

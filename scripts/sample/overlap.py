"""Keep the splits apart: drop repeated passages, and whatever another split shares with the held-out text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from corpus import SPLITS, Document, split_of

SHINGLE = 8  # words; two passages that share one run of this many words count as near-duplicates
LONG_LINE = 40  # characters; no normalised line of this length may stand in two splits


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9_]+", text.lower())


def shingles(text: str) -> set[str]:
    """All runs of ``SHINGLE`` words; of all the words together for a shorter text."""
    w = words(text)
    if len(w) < SHINGLE:
        return {" ".join(w)} if len(w) >= 4 else set()
    return {" ".join(w[i : i + SHINGLE]) for i in range(len(w) - SHINGLE + 1)}


def long_lines(text: str) -> set[str]:
    normalised = (" ".join(words(line)) for line in text.splitlines())
    return {line for line in normalised if len(line) >= LONG_LINE}


def marks(text: str) -> set[str]:
    """What makes two passages near-duplicates when they share any of it."""
    return shingles(text) | long_lines(text)


def split_documents(documents: Iterable[Document], seed: int) -> dict[str, list[Document]]:
    """Documents by split, without repeats inside a split and without near-duplicates across splits.

    Splits are visited in the order held-out, calibration, dev, train: a passage of a later split that
    shares a run of eight words or a long line with an earlier split is dropped from the later one.
    """
    by_split: dict[str, list[Document]] = {split: [] for split in SPLITS}
    for document in documents:
        by_split[split_of(document.group, seed)].append(document)

    earlier: set[str] = set()
    for split in SPLITS:
        own: set[str] = set()
        seen: set[str] = set()
        for document in by_split[split]:
            document.passages = [p for p in document.passages if is_new(p, seen) and not marks(p) & earlier]
            for passage in document.passages:
                own |= marks(passage)
        earlier |= own
        by_split[split] = [d for d in by_split[split] if len(d.text) >= 200]
    return by_split


def is_new(passage: str, seen: set[str]) -> bool:
    """Whether the passage was not seen before (compared by its words); remembers it."""
    key = " ".join(words(passage))
    if key in seen:
        return False
    seen.add(key)
    return True


def shared(a: Iterable[Document], b: Iterable[Document]) -> tuple[int, int]:
    """(long lines, eight-word runs inside passages) that stand in both; (0, 0) means no leakage."""

    def all_of(documents: Iterable[Document], function) -> set:
        return {mark for d in documents for p in d.passages for mark in function(p)}

    a, b = list(a), list(b)
    return len(all_of(a, long_lines) & all_of(b, long_lines)), len(all_of(a, shingles) & all_of(b, shingles))

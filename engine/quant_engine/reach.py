"""How far a value reaches that begins with a quote or a bracket."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from quant_engine.lines import Line, is_directive, token_at

_CLOSING = {"{": "}", "[": "]"}
_WORD = re.compile(r"[^ \t,\[\]{}]*\Z")


class Spot(NamedTuple):
    """A character of a text, by its line's index and its column."""

    line: int
    column: int


@dataclass(frozen=True)
class Reach:
    line: int
    """Index of its last line."""
    column: int
    """Behind it there."""
    fault: tuple[Spot, str] | None = None
    """What keeps it from ending well, and where."""
    is_open: bool = False
    """Whether it does not end."""


def reach_of(lines: Sequence[Line], begin: Spot, column: int) -> Reach:
    """Follow quotes and brackets over lines.

    A line that begins an entry as far left as the entry that the value belongs to (`column`) cannot be inside: something before it
    was not closed.
    """
    opened: list[_Opening] = []
    fault: tuple[Spot, str] | None = None
    at: Spot | None = begin
    last = begin
    while at is not None:
        last = at
        written = lines[at.line].written
        following: Spot | None = Spot(at.line, at.column + 1)
        if at.column >= len(written) or _is_comment(written, at):
            following = _next_line(lines, at.line, column)
        elif _is_quote(written, at, not opened):
            following = _quote_end(lines, at, column)
            if following is None:
                return Reach(*last, fault or (at, "this quote is not closed"), is_open=True)
        else:
            found = _follow(opened, written, at)
            fault = fault or found
        if not opened and following is not None:
            return Reach(*following, fault)
        at = following
    unclosed = opened[-1]
    return Reach(*last, fault or (unclosed.at, f'this "{unclosed.character}" is not closed'), is_open=True)


@dataclass
class _Opening:
    """A bracket that is open."""

    at: Spot
    character: str
    has_key: bool = False
    """Whether a key with its colon stands behind the last comma in it."""


def _follow(opened: list[_Opening], written: str, at: Spot) -> tuple[Spot, str] | None:
    character = written[at.column]
    if character in _CLOSING:
        opened.append(_Opening(at, character))
    elif character in "]}":
        inner = opened.pop().character
        if _CLOSING[inner] != character:
            return at, f'"{character}" does not close "{inner}"'
    elif character == ",":
        opened[-1].has_key = False
    elif character == ":" and written[at.column + 1 : at.column + 2] in ("", " ", "\t"):
        word = _WORD.search(written[: at.column])[0]  # type: ignore[index]
        if opened[-1].has_key:
            return Spot(at.line, at.column - len(word)), f'a comma is missing before "{word}"'
        opened[-1].has_key = True
    return None


def _is_quote(written: str, at: Spot, is_first: bool) -> bool:
    """In brackets an apostrophe inside a word quotes nothing."""
    return written[at.column] in "\"'" and (is_first or at.column == 0 or written[at.column - 1] in " \t,:[]{}")


def _is_comment(written: str, at: Spot) -> bool:
    return written[at.column] == "#" and (at.column == 0 or written[at.column - 1] in " \t")


def _quote_end(lines: Sequence[Line], begin: Spot, column: int) -> Spot | None:
    """Behind the closing quote."""
    quote = lines[begin.line].written[begin.column]
    at: Spot | None = Spot(begin.line, begin.column + 1)
    while at is not None:
        written = lines[at.line].written
        character = written[at.column : at.column + 1]
        if not character:
            at = _next_line(lines, at.line, column)
        elif character == "\\" and quote == '"':
            at = Spot(at.line, min(at.column + 2, len(written)))
        elif character != quote:
            at = Spot(at.line, at.column + 1)
        elif quote == "'" and written[at.column + 1 : at.column + 2] == quote:
            at = Spot(at.line, at.column + 2)
        else:
            return Spot(at.line, at.column + 1)
    return None


def _next_line(lines: Sequence[Line], index: int, column: int) -> Spot | None:
    """The start of the next line, unless the value cannot reach it."""
    if index + 1 >= len(lines):
        return None
    line = lines[index + 1]
    begins_entry = not line.is_empty and line.indent <= column and token_at(line, line.indent).kind != "text"
    return None if begins_entry or is_directive(line) else Spot(index + 1, 0)

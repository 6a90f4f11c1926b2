"""Lines of a recipe's text, and what stands at a column of one: a key, a dash or a text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["key", "dash", "text"]
_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")
_INDENTATION = re.compile(r"[ \t]*")
_KEY = re.compile(
    r"""(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)'|([^ \t"'\[\]{},:#&*!|>%@`?-][^#]*?))[ \t]*:(?=[ \t]|\Z)""", re.ASCII
)
_DASH = re.compile(r"-(?=[ \t]|\Z)")
_TAIL = re.compile(r"[ \t]+#.*\Z|[ \t]+\Z")


@dataclass(frozen=True)
class Line:
    """A line without what ends it; `start` and `end` are offsets into the text."""

    start: int
    end: int
    written: str
    indent: int
    """Number of spaces and tabs that it begins with."""
    tab: int
    """Place of the first tab among them; -1: none."""
    is_empty: bool
    """Whether it says nothing: blank, or a comment."""


@dataclass(frozen=True)
class Token:
    """What begins at a column of a line."""

    kind: Kind
    column: int
    end: int
    """Column behind the key and its colon, or behind the dash; of a text the end of the line."""
    name: str
    """As written: the key without colon and quotes, the dash, or the text without a comment."""


def lines_of(text: str) -> list[Line]:
    lines: list[Line] = []
    for match in _LINE.finditer(text):
        if match.start() > 0 and not match[0]:
            break
        written = match[1]
        indentation = _INDENTATION.match(written)[0]  # type: ignore[index]
        rest = written[len(indentation) :]
        is_empty = not rest or rest.startswith("#")
        lines.append(Line(match.start(), match.end(1), written, len(indentation), indentation.find("\t"), is_empty))
    return lines


def token_at(line: Line, column: int) -> Token:
    written = line.written
    if _DASH.match(written, column):
        return Token("dash", column, column + 1, "-")
    key = _KEY.match(written, column)
    if key:
        return Token("key", column, key.end(), next((name for name in key.groups() if name is not None), ""))
    return Token("text", column, len(written), _TAIL.sub("", written[column:], count=1))


def next_column(line: Line, column: int) -> int | None:
    """Column of the next thing in the line; None: nothing follows but a comment."""
    following = column + len(_INDENTATION.match(line.written[column:])[0])  # type: ignore[index]
    at_end = following >= len(line.written) or (line.written[following] == "#" and following > column)
    return None if at_end else following


def is_directive(line: Line) -> bool:
    return line.written.startswith("%")

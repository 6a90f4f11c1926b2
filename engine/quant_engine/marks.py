"""What separates documents in a text: a recipe is one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from quant_engine.lines import Line, is_directive, token_at

_MARK = re.compile(r"(?:---|\.\.\.)(?=[ \t]|\Z)")


class WrongMark(NamedTuple):
    """Offsets, end exclusive."""

    start: int
    end: int
    message: str
    is_legal: bool
    """Whether parsers accept it."""


def without_marks(lines: Sequence[Line], root: float) -> tuple[list[Line], list[WrongMark]]:
    """Lines in which what separates documents is blank, and what is wrong with that.

    What follows a mark in the middle of a recipe is read as if it were not there; where keys of the far left come again behind it, another
    recipe begins, and all the rest is left out. A first `---` and a last `...` are right. root: how deep the keys at the far left stand.
    """
    faults: list[WrongMark] = []
    known: set[str] = set()
    has_begun = False
    parts = _parts(lines, root)
    # Directives stand before the first document.
    first = 0 if parts[0].has_content or len(parts) < 2 or parts[1].mark == "..." else parts[1].index
    unmarked = [_blank(line) if n < first or _MARK.match(line.written) else line for n, line in enumerate(lines)]
    for part in parts:
        if (part.mark == "---" and has_begun) or (part.mark == "..." and part.has_content):
            start = lines[part.index].start
            what = "begins another one" if part.mark == "---" else "ends it here"
            message = f'a recipe is one document; "{part.mark}" {what}'
            faults.append(WrongMark(start, start + len(part.mark), message, not has_begun))
            if not known.isdisjoint(part.keys):
                return unmarked[: part.index], faults
        has_begun = has_begun or part.has_content or part.mark == "---"
        known.update(part.keys)
    return unmarked, faults


def _blank(line: Line) -> Line:
    return replace(line, written="", indent=0, is_empty=True)


@dataclass
class _Part:
    """A mark and what follows it, up to the next one. mark: "" at the beginning of the text."""

    mark: str
    index: int
    keys: list[str] = field(default_factory=list)
    has_content: bool = False


def _parts(lines: Sequence[Line], root: float) -> list[_Part]:
    found = [_Part("", 0)]
    for index, line in enumerate(lines):
        mark = _MARK.match(line.written)
        if mark:
            found.append(_Part(mark[0], index))
        elif not line.is_empty and not is_directive(line):
            found[-1].has_content = True
            token = token_at(line, line.indent)
            if token.kind == "key" and line.indent == root:
                found[-1].keys.append(token.name)
    return found

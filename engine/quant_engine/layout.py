"""How a recipe's lines stand below one another.

A parser says of a wrong indentation what it expected and where it stopped; this says which line is wrong, and goes on behind it. The
editor has the same reading (`server/layout.ts`); docs/diagnostics.md#yaml-syntax describes it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from quant_engine.lines import Kind, Line, Token, document_mark, lines_of, next_column, token_at
from quant_engine.reach import Spot, reach_of


@dataclass(frozen=True)
class Fault:
    """One place that keeps a text from being YAML, or that makes it YAML that nobody means. Offsets, end exclusive."""

    start: int
    end: int
    message: str
    is_legal: bool = False
    """Whether parsers accept it."""


def layout_faults(text: str, roots: Collection[str] = ()) -> list[Fault]:
    """The faults of a text in the order of its lines; each place once, whatever follows from it. roots: the keys that belong at the far
    left."""
    return _Reader(lines_of(text), roots).read()


@dataclass(frozen=True)
class _Stray:
    """An unknown key at the far left that ended deeper levels, which may go on behind it: then it is what stands wrong. levels: those that
    it ended, and those above them."""

    line: Line
    token: Token
    levels: list[_Level]


@dataclass(frozen=True)
class _Level:
    """A mapping's keys or a list's dashes, which stand one below another."""

    column: int
    kind: Kind


@dataclass(frozen=True)
class _Waiting:
    """A key or dash whose value may begin in the next line."""

    column: int
    is_key: bool


@dataclass(frozen=True)
class _Shadow:
    """Which lines below a fault belong to it and are no faults of their own."""

    column: float
    """Lines this deep that no level knows."""
    start: float
    """Whatever is this deep."""
    tabs: bool = False
    """Lines with a tab before them, and what no level knows."""


_NOWHERE = float("inf")
_UNCLOSED_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]+:(?=[^ \t/])")
_UNCLOSED_DASH = re.compile(r"-(?=[A-Za-z\"'\[{*])")
_PROPERTIES = re.compile(r"(?:[ \t]*[&!][^ \t]*(?=[ \t]|\Z))*")
_BLOCK_SCALAR = re.compile(r"[|>][-+0-9]*[ \t]*(?:#.*)?\Z")
_EXPLICIT = re.compile(r"[?:](?:[ \t]|\Z)")
_PAIR = re.compile(r":(?:[ \t]|\Z)")  # what no plain text has
_COMMENT = re.compile(r"[ \t]#")
_BEFORE_COLON = re.compile(r"[ \t]*:\Z")
_LONGEST_NAME = 40
_LINES_AHEAD = 19


class _Reader:
    def __init__(self, lines: list[Line], roots: Collection[str]) -> None:
        self._lines = lines
        self._roots = roots
        self._stray: _Stray | None = None
        self._faults: list[Fault] = []
        self._levels: list[_Level] = []
        self._waiting: _Waiting | None = _Waiting(-1, False)
        self._is_plain = False
        """Whether the last value is one that goes on in deeper lines."""
        self._shadow: _Shadow | None = None
        self._index = 0
        self._has_content = False
        self._has_explicit = False
        keys = [line.indent for line in lines if not line.is_empty and token_at(line, line.indent).kind == "key"]
        self._root = min(keys, default=_NOWHERE)

    def read(self) -> list[Fault]:
        while self._index < len(self._lines):
            line = self._lines[self._index]
            if line.is_empty:
                self._index += 1
            elif document_mark(line):
                self._read_mark(line)
            elif _EXPLICIT.match(line.written, line.indent):  # a key in the form that no recipe needs
                self._has_explicit = self._has_content = True
                self._index += 1
            else:
                self._read_line(line)
        return [] if self._has_explicit else sorted(self._faults, key=lambda fault: fault.start)

    def _read_mark(self, line: Line) -> None:
        mark = document_mark(line)
        self._index += 1
        if not self._has_content:
            return
        if mark == "directive":
            message = 'a line that begins with "%" is a directive, which no recipe needs'
            self._faults.append(Fault(line.start, line.end, message))
            return
        rest = (other for other in self._lines[self._index :] if not other.is_empty)
        following = line if mark == "begin" else next(rest, None)
        if following:
            self._faults.append(Fault(following.start, following.end, "a recipe is one document; another one starts here"))
        self._index = len(self._lines)

    def _read_line(self, line: Line) -> None:
        token = token_at(line, line.indent)
        if self._is_shadowed(line, token) or self._is_wrong(line, token):
            self._skip(line, token)
        elif token.kind == "text" and not self._waiting:
            self._index += 1
        else:
            self._take(line, token)
        self._has_content = True

    def _is_shadowed(self, line: Line, token: Token) -> bool:
        shadow = self._shadow
        if not shadow:
            return False
        known = any(level.column == line.indent and level.kind == token.kind for level in self._levels)
        first = self._waiting is not None and line.indent > self._waiting.column
        below = line.tab < 0 and (line.indent >= shadow.start or (line.indent >= shadow.column and not known))
        if shadow.tabs:
            below = line.tab >= 0 or not (known or first)
        if not below:
            self._shadow = None
        return below

    def _is_wrong(self, line: Line, token: Token) -> bool:
        """Whether the line stands wrong, which is a fault then; else its level is the last one now."""
        if line.tab >= 0:
            message = "a tab stands in the indentation, where only spaces can"
            return self._fault(line, line.tab, 1, message, _Shadow(_NOWHERE, _NOWHERE, tabs=True))
        return self._check_text(line, token) if token.kind == "text" else self._check_entry(line, token)

    def _check_entry(self, line: Line, token: Token) -> bool:
        column, kind, waiting = token.column, token.kind, self._waiting
        begins_list = waiting is not None and waiting.is_key and kind == "dash" and column == waiting.column
        if waiting and (column > waiting.column or begins_list):
            if waiting.column < 0 and kind == "key" and column > self._root:
                return self._wrong(line, token, "deeper than the first keys of the recipe")
            self._levels.append(_Level(column, kind))
            return False
        known = self._last_level(column, kind)
        if known is None:
            return not self._recall(token) and self._wrong(line, token, self._reason(token))
        if column == self._root and kind == "key":
            self._look_for_stray(line, token, known)
        del self._levels[known + 1 :]
        self._waiting = None
        return False

    def _look_for_stray(self, line: Line, token: Token, level: int) -> None:
        if token.name in self._roots:
            self._stray = None
        elif len(self._levels) > level + 1:
            self._stray = _Stray(line, token, list(self._levels))

    def _recall(self, token: Token) -> bool:
        """Whether the entry goes on a level that a stray key had ended: that one is the fault."""
        stray = self._stray
        levels = stray.levels if stray else []
        found = [n for n, level in enumerate(levels) if (level.column, level.kind) == (token.column, token.kind)]
        if stray is None or not found:
            return False
        message = f'wrong indentation: "{_clipped(stray.token.name)}" stands {_columns(stray.token.column)} deep, between keys that stand '
        message += f"{token.column} deep; align it with the keys that it belongs to"
        self._fault(stray.line, stray.token.column, _key_length(stray.line, stray.token), message, _Shadow(_NOWHERE, _NOWHERE))
        self._shadow = self._stray = None
        self._levels = levels[: found[-1] + 1]
        self._waiting = None
        return True

    def _last_level(self, column: int, kind: Kind | None = None) -> int | None:
        found = [n for n, level in enumerate(self._levels) if level.column == column and kind in (None, level.kind)]
        return found[-1] if found else None

    def _reason(self, token: Token) -> str:
        if self._last_level(token.column) is not None:
            return "where keys stand" if token.kind == "dash" else "where the dashes of a list stand"
        if not self._levels or token.column < self._levels[-1].column:
            return "at none of the levels above it"
        is_key = self._levels[-1].kind == "key"
        return "below a key that has its value already" if is_key else "below a list item that is complete"

    def _check_text(self, line: Line, token: Token) -> bool:
        if self._waiting and token.column > self._waiting.column:
            return self._check_first_text(line, token)
        level = self._last_level(token.column)
        if level is None:
            deeper = bool(self._levels) and token.column > self._levels[-1].column
            if self._is_plain and deeper and not _PAIR.search(token.name):
                self._waiting = None
                return False
            return self._wrong(line, token, self._reason(token))
        del self._levels[level + 1 :]
        self._waiting = None
        return self._incomplete(line, token, self._levels[level].kind)

    def _check_first_text(self, line: Line, token: Token) -> bool:
        """A text that begins a value in a line of its own: perhaps a key or an item that lacks something."""
        ahead = self._lines[self._index + 1 : self._index + 1 + _LINES_AHEAD]
        below = next((other for other in ahead if not other.is_empty), None)
        above_key = below is not None and below.indent == token.column and token_at(below, below.indent).kind == "key"
        # A text alone is a value: something like --set a=-b.
        is_alone = below is None and not self._levels
        is_item = bool(_UNCLOSED_DASH.match(token.name)) and not is_alone
        is_key = bool(_UNCLOSED_KEY.match(token.name)) and not is_alone
        if not (is_item or is_key or above_key) or (above_key and token.name[0] in "\"'[{|>&*!"):
            return False
        kind: Kind = "dash" if is_item else "key"
        self._levels.append(_Level(token.column, kind))
        self._waiting = None
        return self._incomplete(line, token, kind, is_legal=not above_key)

    def _incomplete(self, line: Line, token: Token, kind: Kind, is_legal: bool = False) -> bool:
        if token.name[0] in "&*!|>%@`":  # what is wrong with these is for the parser to say
            return False
        shadow = _Shadow(_NOWHERE, token.column + 1)
        unclosed = _UNCLOSED_DASH.match(token.name) or _UNCLOSED_KEY.match(token.name)
        if unclosed:
            message = f'a space is missing behind "{unclosed[0]}"'
            return self._fault(line, token.column, len(unclosed[0]), message, shadow, is_legal)
        missing, thing = ("a colon", "key") if kind == "key" else ("a dash", "item")
        message = f'{missing} is missing: "{_clipped(token.name)}" is no {thing}'
        return self._fault(line, token.column, len(token.name), message, shadow, is_legal)

    def _wrong(self, line: Line, token: Token, reason: str) -> bool:
        column, is_dash = token.column, token.kind == "dash"
        following = next_column(line, token.end)
        start: float = _NOWHERE
        if is_dash:
            start = column + 1 if following is None else following
        elif token.kind == "key" and following is None:
            start = column + 1
        others = "dashes" if is_dash else "keys"
        stands = f'wrong indentation: "{_clipped(token.name)}" stands {_columns(column)} deep, {reason}'
        # Behind a plain text a dash goes on with it.
        is_text = is_dash and self._is_plain and bool(self._levels) and column > self._levels[-1].column
        is_legal = is_text and not _PAIR.search(line.written) and not _COMMENT.search(line.written)
        length = _key_length(line, token) if token.kind == "key" else len(token.name)
        shadow = _Shadow(column, start)
        return self._fault(line, column, length, f"{stands}; align it with the {others} that it belongs to", shadow, is_legal)

    def _fault(self, line: Line, column: int, length: int, message: str, shadow: _Shadow, is_legal: bool = False) -> bool:
        start = line.start + column
        self._faults.append(Fault(start, start + length, message, is_legal))
        self._shadow = shadow
        return True

    def _skip(self, line: Line, token: Token) -> None:
        """Read over a line that does not count, and over what its value opens."""
        waiting, is_plain, faults, levels = self._waiting, self._is_plain, len(self._faults), len(self._levels)
        if token.kind == "text":
            self._index += 1
        else:
            self._take(line, token)
        del self._faults[faults:]
        del self._levels[levels:]
        self._waiting, self._is_plain = waiting, is_plain

    def _take(self, line: Line, token: Token) -> None:
        """Read a line's dashes, key and value."""
        while token.kind == "dash":
            self._waiting = _Waiting(token.column, False)
            self._is_plain = False
            following = next_column(line, token.end)
            if following is None:
                self._index += 1
                return
            token = token_at(line, following)
            if token.kind != "text":
                self._levels.append(_Level(following, token.kind))
        if token.kind == "key":
            self._waiting = _Waiting(token.column, True)
        owner = self._waiting.column if self._waiting else -1
        self._take_value(line, token.end if token.kind == "key" else token.column, owner)

    def _take_value(self, line: Line, start: int, owner: int) -> None:
        """owner: column of the key or dash that the value belongs to."""
        begin = self._index
        self._index += 1
        self._is_plain = False
        properties = _PROPERTIES.match(line.written[start:])
        column = next_column(line, start + (properties.end() if properties else 0))
        if column is None:
            return
        self._waiting = None
        text = line.written[column:]
        if text[0] in "\"'[{":
            self._take_enclosed(Spot(begin, column), owner)
        elif _BLOCK_SCALAR.match(text):
            while self._index < len(self._lines) and (
                self._lines[self._index].is_empty or self._lines[self._index].indent > owner
            ):
                self._index += 1
        elif text[0] != "*":
            self._is_plain = True
            self._check_plain(line, column)

    def _take_enclosed(self, begin: Spot, owner: int) -> None:
        reach = reach_of(self._lines, begin, owner)
        self._index = reach.line + 1
        if reach.fault:
            spot, message = reach.fault
            start = self._lines[spot.line].start + spot.column
            self._faults.append(Fault(start, start + 1, message))
        else:
            self._check_behind(self._lines[reach.line], reach.column)

    def _check_behind(self, line: Line, column: int) -> None:
        following = next_column(line, column)
        if following is None or line.written[following] == ":":
            return
        name = token_at(replace(line, written=line.written.replace(":", " ")), following).name
        start, length = line.start + following, max(1, len(name))
        written = line.written[following : following + length]
        self._faults.append(Fault(start, start + length, f'"{_clipped(written)}" stands behind a value that is complete'))

    def _check_plain(self, line: Line, column: int) -> None:
        """A plain text has no colon that a space follows."""
        token = token_at(line, column)
        if token.kind == "key":
            start = line.start + column
            message = f'"{_clipped(token.name)}" is a second key in one line'
            advice = "write it into a line of its own, or in quotes when it is a text"
            self._faults.append(Fault(start, start + len(token.name), f"{message}; {advice}"))


def _columns(number: int) -> str:
    return "1 column" if number == 1 else f"{number} columns"


def _key_length(line: Line, token: Token) -> int:
    """Of a key as it is written, without its colon."""
    return len(_BEFORE_COLON.sub("", line.written[token.column : token.end]))


def _clipped(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"

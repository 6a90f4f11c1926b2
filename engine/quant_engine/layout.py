"""How a recipe's lines stand below one another.

A parser says of a wrong indentation what it expected and where it stopped; this says which line is wrong, and goes on behind it. The
editor has the same reading (`server/layout.ts`); docs/diagnostics.md#yaml-syntax describes it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from quant_engine.lines import Kind, Line, Token, is_directive, lines_of, next_column, token_at
from quant_engine.marks import without_marks
from quant_engine.reach import Reach, Spot, reach_of


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
    lines = lines_of(text)
    keys = [line.indent for line in lines if not line.is_empty and token_at(line, line.indent).kind == "key"]
    root = min(keys, default=_NOWHERE)
    unmarked, wrong = without_marks(lines, root)
    faults = [*(Fault(*mark) for mark in wrong), *_Reader(unmarked, root, roots).read()]
    return sorted(faults, key=lambda fault: fault.start)


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
_RESERVED = "@`%,]}|>"  # what no plain text and no key begins with
_COMMENT = re.compile(r"[ \t]#")
_COMMA = re.compile(r",[ \t]*(?:#.*)?\Z")
_COMMA_KEY = re.compile(r",[ \t]*[^ \t,:#]+:[ \t]")
_BEFORE_COLON = re.compile(r"[ \t]*:\Z")
_LONGEST_NAME = 40
_LINES_AHEAD = 19


class _Reader:
    def __init__(self, lines: list[Line], root: float, roots: Collection[str]) -> None:
        self._lines = lines
        self._root = root
        self._roots = roots
        self._stray: _Stray | None = None
        self._faults: list[Fault] = []
        self._levels: list[_Level] = []
        self._waiting: _Waiting | None = _Waiting(-1, False)
        self._is_recipe = any(line.indent == root and token_at(line, line.indent).name in roots for line in lines)
        """Whether one of those keys stands there."""
        self._is_plain = False
        """Whether the last value is one that goes on in deeper lines."""
        self._shadow: _Shadow | None = None
        self._index = 0
        self._explicit: set[str] = set()
        """What lines of keys in the form with a question mark begin with."""

    def read(self) -> list[Fault]:
        while self._index < len(self._lines):
            line = self._lines[self._index]
            if line.is_empty:
                self._index += 1
            elif is_directive(line):
                self._leave_out(line, len(line.written), 'a line that begins with "%" is a directive, which no recipe needs')
            elif _EXPLICIT.match(line.written, line.indent):
                self._read_explicit(line)
            else:
                self._read_line(line)
        # Whoever writes keys in this form knows what it is for.
        return [] if len(self._explicit) > 1 else self._faults

    def _read_explicit(self, line: Line) -> None:
        mark = line.written[line.indent]
        self._explicit.add(mark)
        message = 'a "?" begins a key in a form that no recipe needs' if mark == "?" else 'a key is missing before ":"'
        self._leave_out(line, 1, message, is_legal=True)

    def _leave_out(self, line: Line, length: int, message: str, is_legal: bool = False) -> None:
        start = line.start + line.indent
        self._faults.append(Fault(start, start + length, message, is_legal))
        self._index += 1

    def _read_line(self, line: Line) -> None:
        token = token_at(line, line.indent)
        if self._is_shadowed(line, token) or self._is_wrong(line, token):
            self._skip(line, token)
        elif token.kind == "text" and not self._waiting:
            self._index += 1
        else:
            self._take(line, token)

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
            if kind == "dash" and self._is_before_roots(column):
                return self._wrong(line, token, "where keys stand", _NOWHERE)
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
        above: Kind = token_at(below, below.indent).kind if below and below.indent == token.column else "text"
        # A text alone is a value: something like --set a=-b.
        is_alone = below is None and not self._levels
        is_item = bool(_UNCLOSED_DASH.match(token.name)) and not is_alone
        is_key = bool(_UNCLOSED_KEY.match(token.name)) and not is_alone
        kind: Kind = "dash" if is_item else "key" if is_key else above
        if self._is_before_roots(token.column) and token.name[0] not in "\"'[{&!":
            return self._incomplete(line, token, "key", is_legal=True)
        if kind == "text" or (above != "text" and token.name[0] in "\"'[{|>&*!"):
            return False
        self._levels.append(_Level(token.column, kind))
        self._waiting = None
        return self._incomplete(line, token, kind, is_legal=above != "key")

    def _is_before_roots(self, column: int) -> bool:
        """Whether the first keys of a recipe follow what stands there."""
        return self._is_recipe and self._waiting == _Waiting(-1, False) and column >= self._root

    def _incomplete(self, line: Line, token: Token, kind: Kind, is_legal: bool = False) -> bool:
        is_pair = bool(_PAIR.search(token.name))
        if token.name[0] in "&*!" and is_pair:  # a key may have an anchor or a tag, or be an alias
            return False
        shadow = _Shadow(_NOWHERE, token.column + 1)
        unclosed = _UNCLOSED_DASH.match(token.name) or _UNCLOSED_KEY.match(token.name)
        if unclosed:
            message = f'a space is missing behind "{unclosed[0]}"'
            return self._fault(line, token.column, len(unclosed[0]), message, shadow, is_legal)
        if token.name[0] in "\"'[{":
            fault = reach_of([line], Spot(0, token.column), token.column).fault
            if fault:
                return self._fault(line, fault[0].column, 1, fault[1], shadow)
        if token.name[0] in _RESERVED and is_pair:
            return self._fault(line, token.column, 1, _reserved(token.name), shadow)
        missing, thing = ("a colon", "key") if kind == "key" else ("a dash", "item")
        message = f'{missing} is missing: "{_clipped(token.name)}" is no {thing}'
        return self._fault(line, token.column, len(token.name), message, shadow, is_legal)

    def _wrong(self, line: Line, token: Token, reason: str, depth: float | None = None) -> bool:
        """depth: of lines below that belong to it, unless a level knows them; by default as deep as it is."""
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
        shadow = _Shadow(column if depth is None else depth, start)
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
        waiting, self._waiting = self._waiting, None
        text = line.written[column:]
        if text[0] in "\"'[{":
            self._take_enclosed(Spot(begin, column), owner, waiting)
        elif _BLOCK_SCALAR.match(text):
            while self._index < len(self._lines) and (
                self._lines[self._index].is_empty or self._lines[self._index].indent > owner
            ):
                self._index += 1
        elif text[0] != "*":
            self._is_plain = True
            self._check_plain(line, column)

    def _take_enclosed(self, begin: Spot, owner: int, waiting: _Waiting | None) -> None:
        reach = reach_of(self._lines, begin, owner)
        is_broken = reach.is_open or self._behind(reach) is not None
        # What is not closed ends with its line where entries follow: those were never meant to be inside.
        is_alone = is_broken and self._is_above_entry(begin.line)
        if is_alone:
            reach = reach_of(self._lines[: begin.line + 1], begin, owner)
        self._index = reach.line + 1
        if reach.is_open and is_alone:
            self._waiting = waiting
        if reach.fault:
            spot, message = reach.fault
            start = self._lines[spot.line].start + spot.column
            self._faults.append(Fault(start, start + 1, message))
        else:
            self._check_behind(reach)

    def _is_above_entry(self, index: int) -> bool:
        """Whether the next line begins an entry, and not one between brackets: with a comma behind it, another key, or what closes
        them."""
        ahead = self._lines[index + 1 : index + 1 + _LINES_AHEAD]
        below = next((line for line in ahead if not line.is_empty), None)
        if below is None:
            return False
        token = token_at(below, below.indent)
        value = below.written[token.end :]
        opened, closed = (sum(value.count(bracket) for bracket in brackets) for brackets in ("[{", "]}"))
        is_between = closed > opened or bool(_COMMA.search(value)) or (opened == 0 and bool(_COMMA_KEY.search(value)))
        return token.kind == "dash" or (token.kind == "key" and not is_between)

    def _behind(self, reach: Reach) -> int | None:
        """Column of what stands behind a value that has ended."""
        line = self._lines[reach.line]
        following = next_column(line, reach.column)
        return None if following is None or line.written[following] == ":" else following

    def _check_behind(self, reach: Reach) -> None:
        line, following = self._lines[reach.line], self._behind(reach)
        if following is None:
            return
        name = token_at(replace(line, written=line.written.replace(":", " ")), following).name
        start, length = line.start + following, max(1, len(name))
        written = line.written[following : following + length]
        self._faults.append(Fault(start, start + length, f'"{_clipped(written)}" stands behind a value that is complete'))

    def _check_plain(self, line: Line, column: int) -> None:
        """A plain text begins with no sign that means something, and has no colon that a space follows."""
        token = token_at(line, column)
        length, message = 1, None
        if token.kind == "key":
            length, message = len(token.name), f'"{_clipped(token.name)}" is a second key in one line'
            message += "; write it into a line of its own, or in quotes when it is a text"
        elif token.kind == "dash":
            message = "a list begins in a line of its own"
        elif token.name[0] in _RESERVED:
            message = _reserved(token.name)
        if message:
            start = line.start + column
            self._faults.append(Fault(start, start + length, message))


def _columns(number: int) -> str:
    return "1 column" if number == 1 else f"{number} columns"


def _key_length(line: Line, token: Token) -> int:
    """Of a key as it is written, without its colon."""
    return len(_BEFORE_COLON.sub("", line.written[token.column : token.end]))


def _reserved(name: str) -> str:
    return f'what begins with "{name[0]}" must be in quotes'


def _clipped(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"

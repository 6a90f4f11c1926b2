"""A recipe's text as a tree of nodes with positions, by YAML 1.2's core rules.

PyYAML parses; its resolver follows YAML 1.1, where `on`, `no` and `1:30` are not strings, so the scalars are resolved here. The
editor's language server reads the same text by the same rules. Positions are offsets; `Source.position` makes lines and columns of them.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml
from yaml.composer import Composer
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from quant_engine.layout import layout_faults

MAX_NODES = 20_000
MAX_DEPTH = 100
Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Span:
    """Offsets into the text, end exclusive."""

    start: int
    end: int


class YamlError(Exception):
    """The text is not YAML. `places`: where and what, in the order of the lines; `message` and `offset` are those of the first."""

    def __init__(self, places: Sequence[tuple[Span, str]]) -> None:
        (first, self.message), *_ = self.places = list(places)
        self.offset = first.start
        super().__init__(self.message)


@dataclass
class Scalar:
    value: None | bool | int | float | str
    text: str
    """As written, without quotes."""
    span: Span


@dataclass
class Listing:
    items: list[Node]
    span: Span


@dataclass
class Entry:
    key: Scalar
    value: Node


@dataclass
class Mapping:
    entries: list[Entry]
    duplicates: list[tuple[Entry, Entry]]
    """(first, second) of every key written twice; only the first one counts."""
    span: Span

    def get(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.key.text == name), None)


Node: TypeAlias = "Scalar | Listing | Mapping"


_PLAIN = "plain"


class _Resolver(BaseResolver):
    """Leaves plain scalars unresolved: `core_value` gives them their value."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        return _PLAIN if kind is ScalarNode and implicit[0] else super().resolve(kind, value, implicit)


class _Loader(Reader, Scanner, Parser, Composer, _Resolver):
    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _Resolver.__init__(self)

    def compose_node(self, parent: Any, index: Any) -> Any:
        """As PyYAML's, but an anchor's name can be given again, as YAML 1.2 has it (§7.1): an alias means the last one before it."""
        if not self.check_event(AliasEvent):
            self.anchors.pop(self.peek_event().anchor, None)
        return super().compose_node(parent, index)

    def scan_to_next_token(self) -> None:
        """As PyYAML's, but a tab separates, too, as YAML 1.2 has it: everywhere but in the indentation of a line that says something."""
        super().scan_to_next_token()
        while self.peek() == "\t" and self._separates():
            self.forward()
            super().scan_to_next_token()

    def _separates(self) -> bool:
        start = self.pointer - self.column
        line = self.buffer[start:].partition("\n")[0].rstrip("\r\0")
        return bool(self.flow_level or line[: self.column].strip(" \t")) or line.lstrip(" \t")[:1] in ("", "#")


_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"^[-+]?[0-9]+$")
_OCTAL = re.compile(r"^0o[0-7]+$")
_HEX = re.compile(r"^0x[0-9a-fA-F]+$")
_FLOAT = re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")
_INFINITE = re.compile(r"^[-+]?\.(?:inf|Inf|INF)$")
_NAN = re.compile(r"^\.(?:nan|NaN|NAN)$")
_PROPERTIES = re.compile(r"(?:(?:!<[^>\s]*>|[&!][^\s,\[\]{}]*)(?:\s|(?<=\s)#[^\r\n]*)*)+")
"""An anchor, a tag, and what separates them from the value."""
_ALIAS = re.compile(r"\*[^\s,\[\]{}]*")
_LONGEST_NUMBER = 400


def core_value(text: str) -> None | bool | int | float | str:
    """The value of a plain scalar by YAML 1.2's core schema (§10.3.2)."""
    if _NULL.match(text):
        return None
    if text in _BOOL:
        return _BOOL[text]
    if len(text) > _LONGEST_NUMBER:
        return text
    if _INT.match(text):
        return int(text)
    if _OCTAL.match(text):
        return int(text[2:], 8)
    if _HEX.match(text):
        return int(text[2:], 16)
    if _FLOAT.match(text):
        return float(text)
    if _INFINITE.match(text):
        return -math.inf if text.startswith("-") else math.inf
    return math.nan if _NAN.match(text) else text


class Lines:
    """Lines and columns of a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1, columns in UTF-16 code units as editors count them."""
        line = bisect_right(self._starts, offset) - 1
        before = self.text[self._starts[line] : offset]
        return line + 1, 1 + sum(2 if ord(character) > 0xFFFF else 1 for character in before)

    @property
    def first_line(self) -> Span:
        end = self._starts[1] if len(self._starts) > 1 else len(self.text)
        return Span(0, len(self.text[:end].rstrip("\r\n")))


class Source(Lines):
    """A text and its tree. `root` is None for an empty document. roots: the keys that belong at the far left. Raises YamlError."""

    def __init__(self, text: str, roots: Collection[str] = ()) -> None:
        super().__init__(text)
        self._roots = roots
        self._nodes = 0
        self.root: Node | None = self._parse()
        self.overridden: dict[Span, str] = {}
        """Where the text says something else than the tree, by a `path=value` of the command line."""

    def find(self, key: Key) -> Span | None:
        """Where the value at a key path is, or the nearest enclosing one that is written; None for the document itself."""
        span, node = None, self.root
        for part in key:
            if isinstance(node, Mapping) and isinstance(part, str):
                entry = node.get(part)
                child = entry.value if entry else None
            elif isinstance(node, Listing) and isinstance(part, int):
                child = node.items[part] if 0 <= part < len(node.items) else None
            else:
                child = None
            if child is None:
                break
            node, span = child, child.span
        return span

    def _parse(self) -> Node | None:
        error: tuple[Span, str] | None = None
        node = None
        try:
            node = _Loader(self.text).get_single_node()
        except ReaderError as found:
            raise YamlError([_at(found.position, f"character #x{_code_point(found.character):04x} is not allowed")]) from None
        except yaml.MarkedYAMLError as found:
            mark = found.problem_mark or found.context_mark
            message = ", ".join(part for part in (found.context, found.problem) if part)
            error = self._alias_error(found) or _at(mark.index if mark else 0, message)
        except RecursionError:
            error = _at(0, "nested too deeply")
        faults = [fault for fault in layout_faults(self.text, self._roots) if error or fault.is_legal]
        if faults or error:
            # The parser's own sentence speaks of where it stopped, which is seldom where the mistake is.
            raise YamlError([(Span(fault.start, fault.end), fault.message) for fault in faults] or [error or _at(0, "")])
        return None if node is None else self._convert(node, ())

    def _alias_error(self, found: yaml.MarkedYAMLError) -> tuple[Span, str] | None:
        """What begins with a star is an alias for YAML; here it is nearly always a pattern without quotes."""
        if found.context == "while scanning an alias":
            mark = found.context_mark
        else:
            mark = found.problem_mark if (found.problem or "").startswith("found undefined alias") else None
        alias = _ALIAS.match(self.text, mark.index) if mark else None
        if alias is None:
            return None
        message = f'"{alias[0]}" is an alias without an anchor; a pattern that begins with "*" must be in quotes'
        return Span(*alias.span()), message

    def _convert(self, node: Any, above: tuple[int, ...]) -> Node:
        self._nodes += 1
        start = self._span(node).start
        if id(node) in above:
            raise YamlError([_at(start, "an alias refers to a node that contains it")])
        if self._nodes > MAX_NODES or len(above) > MAX_DEPTH:
            raise YamlError([_at(start, "more nodes than a recipe can have")])
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        above = (*above, id(node))
        flow_end = node.end_mark.index
        if isinstance(node, SequenceNode):
            items = [self._convert(item, above) for item in node.value]
            return Listing(items, Span(start, flow_end if node.flow_style else _end(items, start)))
        assert isinstance(node, MappingNode)
        entries: dict[str, Entry] = {}
        duplicates = []
        for key_node, value_node in node.value:
            entry = Entry(self._key(key_node), self._convert(value_node, above))
            first = entries.setdefault(entry.key.text, entry)
            if first is not entry:
                duplicates.append((first, entry))
        ends = [
            part
            for entry in [*entries.values(), *(second for _, second in duplicates)]
            for part in (entry.key, entry.value)
        ]
        return Mapping([*entries.values()], duplicates, Span(start, flow_end if node.flow_style else _end(ends, start)))

    def _key(self, node: Any) -> Scalar:
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        span = self._span(node)
        return Scalar(None, self.text[span.start : span.end].strip(), span)

    def _span(self, node: Any) -> Span:
        """Of a node without the anchor and the tag before it; empty, behind them, when nothing else is written."""
        start, end = node.start_mark.index, node.end_mark.index
        properties = _PROPERTIES.match(self.text, start)
        return Span(min(properties.end(), end) if properties else start, end)

    def _scalar(self, node: ScalarNode) -> Scalar:
        span = self._span(node)
        if node.style in ("|", ">"):
            span = Span(span.start, span.start + len(self.text[span.start : span.end].rstrip()))
        return Scalar(core_value(node.value) if node.tag == _PLAIN else node.value, node.value, span)


def _at(offset: int, message: str) -> tuple[Span, str]:
    return Span(offset, offset + 1), message


def _code_point(character: int | str) -> int:
    return ord(character) if isinstance(character, str) else character


def _end(parts: Sequence[Node], start: int) -> int:
    return max((part.span.end for part in parts), default=start)


def plain(node: Node | None) -> Any:
    """The tree as dicts, lists and scalars."""
    if isinstance(node, Mapping):
        return {entry.key.text: plain(entry.value) for entry in node.entries}
    if isinstance(node, Listing):
        return [plain(item) for item in node.items]
    return None if node is None else node.value

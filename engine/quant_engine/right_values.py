"""The values of a recipe that are themselves right: what is worth comparing with files."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, Literal, overload

from pydantic import TypeAdapter

from quant_engine.formats.scheme import COMPRESSED, OutputFormat
from quant_engine.uses import LongUse, Use, resolve
from quant_engine.yaml_source import Key, Listing, Mapping, Node, Scalar, Source, Span, plain


class RightValues:
    """Access to a document by key path; what the structure check found wrong (`wrong`) counts as absent."""

    def __init__(self, source: Source, wrong: Set[Key]) -> None:
        self.first_line = source.first_line
        self._root = source.root
        self._wrong = wrong

    def node(self, key: Key) -> Node | None:
        node = self._root
        for depth, part in enumerate(key):
            if key[: depth + 1] in self._wrong:
                return None
            if isinstance(node, Mapping) and isinstance(part, str):
                entry = node.get(part)
                node = entry.value if entry else None
            elif isinstance(node, Listing) and isinstance(part, int) and part < len(node.items):
                node = node.items[part]
            else:
                return None
        return node

    @overload
    def scalar(self, key: Key, kind: type[str]) -> tuple[str, Span] | None: ...
    @overload
    def scalar(self, key: Key, kind: type[float]) -> tuple[float, Span] | None: ...

    def scalar(self, key: Key, kind: Any) -> Any:
        """(value, span) of a text or a number."""
        node = self.node(key)
        kinds = (int, float) if kind is float else kind
        return (node.value, node.span) if isinstance(node, Scalar) and isinstance(node.value, kinds) else None

    def count(self, key: Key) -> int:
        """Number of items of a list; 0 when there is none."""
        node = self.node(key)
        return len(node.items) if isinstance(node, Listing) else 0

    def texts(self, key: Key) -> list[tuple[str, Span]]:
        """(text, span) of a text, or of each text of a list."""
        node = self.node(key)
        nodes = node.items if isinstance(node, Listing) else [node]
        return [(item.value, item.span) for item in nodes if isinstance(item, Scalar) and isinstance(item.value, str)]

    def use(self, key: Key) -> Use | Literal["unknown"] | None:
        """The way to quantize at a key path; None: keep; `unknown`: absent or wrong."""
        node = self.node(key)
        if node is None or not self.is_wholly_right(key):
            return "unknown"
        value = plain(node)
        return resolve(TypeAdapter(LongUse).validate_python(value) if isinstance(value, dict) else value, self.output_format or COMPRESSED)

    def use_places(self) -> list[Key]:
        """Where a recipe names ways to quantize: candidates, default, rules."""
        candidates: list[Key] = [("candidates", index) for index in range(self.count(("candidates",)))]
        rules: list[Key] = [("quantize", "rules", index, "use") for index in range(self.count(("quantize", "rules")))]
        return [*candidates, ("quantize", "default"), *rules]

    def scheme_span(self, key: Key) -> Span:
        """Where a way to quantize names its scheme."""
        node = self.node((*key, "scheme")) or self.node(key)
        return node.span if node else self.first_line

    @property
    def output_format(self) -> OutputFormat | None:
        """The recipe's; None: it is wrong."""
        key: Key = ("output_format",)
        if not self.is_written(key):
            return COMPRESSED
        found = self.scalar(key, str)
        return TypeAdapter(OutputFormat).validate_python(found[0]) if found else None

    def is_written(self, key: Key) -> bool:
        """Whether something stands at a key path, right or wrong; a key without a value counts as absent."""
        node = self._root
        for part in key:
            entry = node.get(str(part)) if isinstance(node, Mapping) else None
            node = entry.value if entry else None
        return node is not None and not (isinstance(node, Scalar) and node.value is None)

    def is_wholly_right(self, key: Key) -> bool:
        """Whether neither the value nor anything inside it is wrong."""
        return not any(wrong[: len(key)] == key for wrong in self._wrong)

    def is_wrong(self, key: Key) -> bool:
        return key in self._wrong

"""A recipe's tree against the recipe's JSON Schema: keys, kinds, names and ranges, each finding at its place.

Walks the generated schema and knows nothing of recipes, so that a new method or key needs no line here. Texts and ranges are
those of docs/diagnostics.md, which the language server follows too.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from quant_engine.advice import of_short_form
from quant_engine.nearest import suggestion
from quant_engine.yaml_source import Key, Listing, Mapping, Node, Scalar, Source, Span

Severity = Literal["error", "warning"]
_KINDS = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


@dataclass(frozen=True)
class Finding:
    code: str
    message: str
    span: Span
    severity: Severity = "error"
    advice: str = ""
    """What to do, when the place knows better than quant_engine.advice."""


@dataclass(frozen=True)
class Need:
    """A value that goes together with some names of another key only; what that key says is not looked at here."""

    key: Key
    keyword: str
    """As the schema calls it: `x-needs-output`."""
    names: list[str]
    value: Scalar


def kind_of(node: Node) -> str:
    """The JSON Schema type of a node; infinities and not-a-number have none and are named `special`."""
    if isinstance(node, Mapping):
        return "object"
    if isinstance(node, Listing):
        return "array"
    value = node.value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, float) and not math.isfinite(value):
        return "special"
    return "integer" if int(value) == value else "number"


def _accepts(schema: dict[str, Any], kind: str) -> bool:
    expected = schema.get("type", "object" if "discriminator" in schema else None)
    return expected in (None, kind) or (expected == "number" and kind == "integer")


MERGE = "<<"
"""The key that merges mappings in YAML 1.1, and is one like any other in 1.2."""
_NO_MERGE = '"<<" merges nothing: it is a key like any other in YAML 1.2; write the keys themselves'
_NEEDS = "x-needs-"
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
"""What is a number but for its quotes."""


def _numbers(alternatives: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [option for option in alternatives if option.get("type") in ("integer", "number")]


class StructureCheck:
    """One walk over one document. `findings` are in the order in which the walk meets them."""

    def __init__(self, schema: dict[str, Any], source: Source) -> None:
        self._definitions = schema.get("$defs", {})
        self._source = source
        self.findings: list[Finding] = []
        self.wrong: set[Key] = set()
        """Key paths of the values that have an error of their own."""
        self.needs: list[Need] = []
        root = source.root or Mapping([], [], source.first_line)
        self._check(root, schema, (), source.first_line)

    def _add(self, key: Key, code: str, message: str, span: Span, advice: str = "") -> None:
        self.wrong.add(key)
        self.findings.append(Finding(code, message, span, advice=advice))

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self._definitions[schema["$ref"].rpartition("/")[2]]
        return schema

    def _alternatives(self, schema: dict[str, Any]) -> list[dict[str, Any]]:
        """The leaves of nested `anyOf`; a discriminated union counts as one mapping."""
        schema = self._resolve(schema)
        if "anyOf" in schema and schema.get("type") != "string":
            return [leaf for option in schema["anyOf"] for leaf in self._alternatives(option)]
        return [schema]

    def _check(self, node: Node, schema: dict[str, Any], key: Key, owner: Span) -> None:
        alternatives = self._alternatives(schema)
        kind = kind_of(node)
        fitting = [option for option in alternatives if _accepts(option, kind)]
        if not fitting:
            self._wrong_kind(node, kind, alternatives, key, owner)
        elif isinstance(node, Mapping):
            self._mapping(node, fitting[0], key, owner)
        elif isinstance(node, Listing):
            self._listing(node, fitting[0], key, owner)
        elif kind == "string" and isinstance(node, Scalar) and _NUMBER.fullmatch(node.text) and (numbers := _numbers(alternatives)):
            self._wrong_kind(node, kind, numbers, key, owner)
        elif kind == "string":
            self._string(node, fitting, key)
        elif kind in ("integer", "number"):
            self._number(node, fitting[0], key)

    def _wrong_kind(self, node: Node, kind: str, alternatives: list[dict[str, Any]], key: Key, owner: Span) -> None:
        types = [option.get("type", "object") for option in alternatives]
        expected = " or ".join(dict.fromkeys(_KINDS[name] for name in types if name != "null"))
        literal = isinstance(node, Scalar) and kind in ("boolean", "special")
        found = node.text if literal and isinstance(node, Scalar) else _KINDS[kind]
        empty = isinstance(node, Scalar) and node.span.start == node.span.end
        advice = ""
        if key == ("quantize",) and kind == "string" and isinstance(node, Scalar):
            advice = f"Write quantize: {{ default: {node.text} }}."
        self._add(key, "wrong-type", f"expected {expected}, found {found}", owner if empty else node.span, advice)

    def _listing(self, node: Listing, schema: dict[str, Any], key: Key, owner: Span) -> None:
        if len(node.items) < schema.get("minItems", 0):
            self._add(key, "out-of-range", "must not be empty", node.span)
        for index, item in enumerate(node.items):
            first = item.entries[0].key.span if isinstance(item, Mapping) and item.entries else item.span
            mark = self._dash(first.start) or owner if first.start == first.end else first
            self._check(item, schema.get("items", {}), (*key, index), mark)

    def _dash(self, offset: int) -> Span | None:
        """The dash of an empty item, which ends at the offset or behind the dash's properties."""
        start = self._source.text.rfind("-", 0, offset)
        return None if start < 0 else Span(start, start + 1)

    def _mapping(self, node: Mapping, schema: dict[str, Any], key: Key, owner: Span) -> None:
        for first, second in node.duplicates:
            line = self._source.position(first.key.span.start)[0]
            message = f'"{second.key.text}" is written twice; the first one is in line {line}'
            self._add((*key, second.key.text), "duplicate-key", message, second.key.span)
        if "discriminator" in schema:
            chosen = self._discriminated(node, schema, key, owner)
            if chosen is None:
                return
            schema = chosen
        properties: dict[str, Any] = schema.get("properties", {})
        for entry in node.entries:
            name = entry.key.text
            if name in properties:
                self._check(entry.value, properties[name], (*key, name), entry.key.span)
                self._deprecated(name, properties[name], entry.key.span)
                self._needing(entry.value, properties[name], (*key, name))
            elif schema.get("additionalProperties") is False:
                message = _NO_MERGE if name == MERGE else f'unknown key "{name}"; {suggestion(name, [*properties])}'
                self._add((*key, name), "unknown-key", message, entry.key.span)
        # What a merge key was meant to bring is not missing besides.
        merges = node.get(MERGE) is not None
        for name in schema.get("required", []):
            if node.get(name) is None and not merges:
                self._add((*key, name), "missing-key", f'missing key "{name}"', owner)
        exactly_one: list[str] = schema.get("x-exactly-one", [])
        if exactly_one and not merges and not any(node.get(name) for name in exactly_one):
            self._add(key, "missing-key", f"missing key: one of {', '.join(exactly_one)}", owner)
        for names in (exactly_one, *schema.get("x-at-most-one", [])):
            self._at_most_one(node, names, key)

    def _deprecated(self, name: str, schema: dict[str, Any], span: Span) -> None:
        """A key that still works and will not for ever; its value is checked and used like any other."""
        if schema.get("deprecated"):
            better = schema.get("x-replaced-by")
            message = f'"{name}" is deprecated' + (f'; write "{better}"' if better else "")
            self.findings.append(Finding("deprecated-key", message, span, "warning"))

    def _needing(self, node: Node, schema: dict[str, Any], key: Key) -> None:
        if isinstance(node, Scalar) and isinstance(node.value, str):
            found = {keyword: values for keyword, values in schema.items() if keyword.startswith(_NEEDS)}
            self.needs += [Need(key, keyword, values[node.value], node) for keyword, values in found.items() if node.value in values]

    def _at_most_one(self, node: Mapping, names: list[str], key: Key) -> None:
        """Of keys that exclude each other every further one is marked."""
        written = [entry for entry in node.entries if entry.key.text in names]
        for entry in written[1:]:
            name, first = entry.key.text, written[0].key.text
            message = f'"{name}" and "{first}" exclude each other; only one of {", ".join(names)} can be written'
            self._add((*key, name), "exclusive-keys", message, entry.key.span)

    def _discriminated(
        self, node: Mapping, schema: dict[str, Any], key: Key, owner: Span
    ) -> dict[str, Any] | None:
        name, mapping = schema["discriminator"]["propertyName"], schema["discriminator"]["mapping"]
        # The mapping's names are sorted; the order of the schema is that of its alternatives.
        references = [option.get("$ref") for option in schema.get("oneOf", [])]
        mapping = dict(sorted(mapping.items(), key=lambda entry: references.index(entry[1])))
        entry = node.get(name)
        if entry is None and (merge := node.get(MERGE)):
            self._add((*key, MERGE), "unknown-key", _NO_MERGE, merge.key.span)
            return None
        if entry is None:
            self._add((*key, name), "missing-key", f'missing key "{name}"', owner)
            return None
        value = entry.value
        if isinstance(value, Scalar) and isinstance(value.value, str) and value.value in mapping:
            return self._resolve({"$ref": mapping[value.value]})
        if isinstance(value, Scalar) and isinstance(value.value, str):
            message = f'unknown value "{value.text}"; {suggestion(value.text, [*mapping])}'
            self._add((*key, name), "unknown-value", message, value.span)
        else:
            self._wrong_kind(value, kind_of(value), [{"type": "string"}], (*key, name), entry.key.span)
        return None

    def _string(self, node: Node, fitting: list[dict[str, Any]], key: Key) -> None:
        assert isinstance(node, Scalar)
        leaves = [leaf for option in fitting for leaf in option.get("anyOf", [option])]
        names: list[str] = []
        for leaf in leaves:
            names += [leaf["const"]] if "const" in leaf else leaf.get("enum", [])
        patterns = [leaf["pattern"] for leaf in leaves if "pattern" in leaf]
        if names or patterns:
            if node.text not in names and not any(re.search(pattern, node.text) for pattern in patterns):
                examples = " or ".join(str(one) for leaf in leaves for one in leaf.get("examples", []))
                known = suggestion(node.text, names) if names else f"write for example {examples}"
                advice = of_short_form(node.text, names) if names else f"Write it as in {examples}."
                self._add(key, "unknown-value", f'unknown value "{node.text}"; {known}', node.span, advice)
        elif len(node.text) < max(leaf.get("minLength", 0) for leaf in leaves):
            self._add(key, "out-of-range", "must not be empty", node.span)

    def _number(self, node: Node, schema: dict[str, Any], key: Key) -> None:
        assert isinstance(node, Scalar) and isinstance(node.value, (int, float))
        value, text = node.value, node.text
        for name, outside, sentence in (
            ("minimum", lambda limit: value < limit, "is below the minimum of"),
            ("maximum", lambda limit: value > limit, "is above the maximum of"),
            ("exclusiveMinimum", lambda limit: value <= limit, "must be above"),
            ("exclusiveMaximum", lambda limit: value >= limit, "must be below"),
        ):
            if name in schema and outside(schema[name]):
                self._add(key, "out-of-range", f"{text} {sentence} {schema[name]}", node.span)
                return

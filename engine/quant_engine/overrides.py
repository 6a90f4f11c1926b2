"""`--set path=value`: a value of the recipe replaced in its tree, so that findings about it still point into the recipe's text."""

from __future__ import annotations

from quant_engine.errors import QuantError
from quant_engine.yaml_source import Entry, Listing, Mapping, Node, Scalar, Source, Span, YamlError


def apply_overrides(source: Source, overrides: list[str]) -> None:
    """Apply each `path=value` in order; a path is keys and list indices joined by dots, a value is YAML.

    Raises QuantError(code="bad-usage") that quotes the override.
    """
    for override in overrides:
        path, separator, text = override.partition("=")
        parts = path.strip().split(".")
        if not separator or not all(parts):
            raise _usage(override, "it is not path=value")
        try:
            value = Source(text).root
        except YamlError as error:
            raise _usage(override, error.message) from None
        if source.root is None:
            source.root = Mapping([], [], source.first_line)
        _set(source.root, parts, value or Scalar(None, "", Span(0, 0)), source.first_line, override)
        source.overridden[source.find(tuple(int(part) if part.isdigit() else part for part in parts)) or source.first_line] = override


def _usage(override: str, reason: str) -> QuantError:
    advice = "Write for example --set calibration.samples=16 or --set quantize.rules.0.use=none."
    return QuantError(f'--set "{override}": {reason}', code="bad-usage", advice=advice)


def _set(node: Node, parts: list[str], value: Node, near: Span, override: str) -> None:
    name, rest = parts[0], parts[1:]
    if isinstance(node, Listing):
        index = int(name) if name.isdigit() else -1
        if not 0 <= index < len(node.items):
            raise _usage(
                override,
                f"the list has no item {name}, only 0 to {len(node.items) - 1}" if node.items else "the list is empty",
            )
        node.items[index] = _changed(node.items[index], rest, value, override)
        return
    if not isinstance(node, Mapping):
        raise _usage(override, f'there is no mapping that could have the key "{name}"')
    entry = node.get(name)
    if entry is None:
        entry = Entry(Scalar(name, name, near), Mapping([], [], near))
        node.entries.append(entry)
    entry.value = _changed(entry.value, rest, value, override)


def _changed(old: Node, rest: list[str], value: Node, override: str) -> Node:
    if not rest:
        return _moved(value, old.span)
    if isinstance(old, Scalar):
        old = Mapping([], [], old.span)
    _set(old, rest, value, old.span, override)
    return old


def _moved(node: Node, span: Span) -> Node:
    """The node with all its parts at `span`."""
    if isinstance(node, Scalar):
        return Scalar(node.value, node.text, span)
    if isinstance(node, Listing):
        return Listing([_moved(item, span) for item in node.items], span)
    entries = [
        Entry(Scalar(entry.key.value, entry.key.text, span), _moved(entry.value, span)) for entry in node.entries
    ]
    return Mapping(entries, [], span)


def given(override: str) -> str:
    """How an override was given, for messages: `--output` or `--set "path=value"`."""
    return "--output" if override.startswith('output="') else f'--set "{override}"'

"""Changes to a recipe's text that leave everything else, comments too, as it was written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from typing import Any

from quant_engine.yaml_source import Entry, Key, Listing, Mapping, Node, Source, Span, YamlError, core_value, plain

_PLAIN = re.compile(r"[A-Za-z0-9_./~][\w./ ()+~-]*")
_SHORT_LIST = 3
_RULES_NOTE = "# the first match wins"


def replaced(text: str, values: Dictionary[Key, Any]) -> str:
    """The text with other values at some keys that it has."""
    source = Source(text)
    edits = [(span, flow(value)) for key, value in values.items() if (span := source.find(key)) is not None]
    return _edited(text, edits)


def with_quantize(text: str, default: Any, rules: Sequence[Dictionary[str, Any]], note: str) -> str:
    """The recipe with another default, further rules below its own and no budget; `note` stands above the new rules.

    Where the section is written in a way that cannot be changed in place (flow style, aliases), it is written anew.
    """
    document = plain(Source(text).root)
    section = {key: value for key, value in document["quantize"].items() if key != "budget"}
    section |= {"default": default, "rules": [*(section.get("rules") or []), *rules]}
    wanted = {**document, "quantize": section}
    for attempt in (_in_place, _anew):
        changed = attempt(text, default, rules, note, section)
        if changed is not None and _says(changed, wanted):
            return changed
    return f"# {note}\n{as_document(wanted)}"


def as_document(document: Dictionary[str, Any]) -> str:
    """A recipe as text: a key a line, `quantize` in block style."""
    lines = [
        _section_text(value) if key == "quantize" and isinstance(value, dict) else f"{key}: {flow(value)}\n"
        for key, value in document.items()
    ]
    return "".join(lines)


def flow(value: Any) -> str:
    """A value in YAML's flow style, on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and not value.endswith(" ") and core_value(value) == value
        return value if is_plain else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _says(text: str, wanted: Dictionary[str, Any]) -> bool:
    try:
        return plain(Source(text).root) == wanted
    except YamlError:  # an alias whose anchor was replaced
        return False


def _in_place(
    text: str, default: Any, rules: Sequence[Dictionary[str, Any]], note: str, section: Dictionary[str, Any]
) -> str | None:
    quantize = _entry(Source(text).root, "quantize")
    node = quantize.value if quantize else None
    if not isinstance(node, Mapping) or _is_flow(text, node):
        return None
    written, budget = node.get("default"), node.get("budget")
    edits = [(written.value.span, flow(default))] if written else []
    if budget is not None:
        edits.append((_lines(text, budget.key.span.start, max(budget.key.span.end, budget.value.span.end)), ""))
    own = node.get("rules")
    if own is not None and isinstance(own.value, Listing) and own.value.items and not _is_flow(text, own.value):
        indent = _column(text, own.value.span.start)
        end = _lines(text, own.value.span.start, own.value.span.end).end
        edits.append((Span(end, end), _rules_text(rules, note, indent)))
    elif own is None:
        key = _column(text, node.entries[0].key.span.start)
        end = _lines(text, node.span.start, node.span.end).end
        edits.append((Span(end, end), f"{' ' * key}rules: {_RULES_NOTE}\n{_rules_text(rules, note, key + 2)}" if rules else ""))
    elif rules:
        return None
    return _edited(text if text.endswith("\n") else text + "\n", edits)


def _anew(
    text: str, default: Any, rules: Sequence[Dictionary[str, Any]], note: str, section: Dictionary[str, Any]
) -> str | None:
    root = Source(text).root
    quantize = _entry(root, "quantize")
    if quantize is None or root is None or _is_flow(text, root):
        return None
    start, end = quantize.key.span.start, max(quantize.key.span.end, quantize.value.span.end)
    whole = _lines(text, start, end)
    return f"{text[: whole.start]}# {note}\n{_section_text(section)}{text[whole.end :]}"


def _section_text(section: Dictionary[str, Any]) -> str:
    lines = [f"  {key}: {flow(value)}\n" for key, value in section.items() if key != "rules"]
    if section.get("rules"):
        lines += [f"  rules: {_RULES_NOTE}\n", _rules_text(section["rules"], None, 4)]
    return "quantize:\n" + "".join(lines)


def _rules_text(rules: Sequence[Dictionary[str, Any]], note: str | None, indent: int) -> str:
    space = " " * indent
    lines = [f"{space}# {note}"] if note else []
    for rule in rules:
        layers = rule["layers"]
        if isinstance(layers, list) and len(layers) > _SHORT_LIST:
            lines += [f"{space}- layers:", *(f"{space}    - {flow(name)}" for name in layers)]
        else:
            lines.append(f"{space}- layers: {flow(layers)}")
        lines.append(f"{space}  use: {flow(rule['use'])}")
    return "".join(f"{line}\n" for line in lines)


def _entry(root: Node | None, name: str) -> Entry | None:
    return root.get(name) if isinstance(root, Mapping) else None


def _is_flow(text: str, node: Node) -> bool:
    return text[node.span.start : node.span.start + 1] in ("{", "[")


def _column(text: str, offset: int) -> int:
    return offset - (text.rfind("\n", 0, offset) + 1)


def _lines(text: str, start: int, end: int) -> Span:
    """The whole lines from `start` to `end`, the last line's break included."""
    after = text.find("\n", end)
    return Span(text.rfind("\n", 0, start) + 1, len(text) if after < 0 else after + 1)


def _edited(text: str, edits: Sequence[tuple[Span, str]]) -> str:
    for span, new in sorted(edits, key=lambda edit: edit[0].start, reverse=True):
        text = text[: span.start] + new + text[span.end :]
    return text

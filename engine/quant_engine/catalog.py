"""The registered methods as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticUndefined

from quant_engine.errors import QuantError
from quant_engine.formats.scheme import GROUP_SIZES, SCHEMES
from quant_engine.methods import METHODS, Method
from quant_engine.nearest import suggestion
from quant_engine.uses import SHORT_USES

if TYPE_CHECKING:
    from rich.console import Console

_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
_SUFFIXES = [*(f"-g{size}" for size in GROUP_SIZES), "-channel"]


def catalog(name: str | None) -> list[dict[str, Any]]:
    """Every method, or the one named. Raises QuantError(code="unknown-method")."""
    if name is not None and name not in METHODS:
        raise QuantError(
            f'unknown method "{name}"; {suggestion(name, [*METHODS])}',
            code="unknown-method",
            advice="quant-engine methods lists them all.",
        )
    return [_entry(method) for method in METHODS.values() if name in (None, method.name)]


def _entry(method: Method) -> dict[str, Any]:
    document = method.arguments.model_json_schema()
    properties = _inlined(document.get("properties", {}), document.get("$defs", {}))
    return {
        "name": method.name,
        "title": method.title,
        "summary": method.summary,
        "paper": asdict(method.paper) if method.paper else None,
        "needs_calibration": method.needs_calibration,
        "schemes": list(method.schemes),
        "labels": [
            {"label": label, "scheme": scheme, "suffixes": _SUFFIXES if SCHEMES[scheme].regroupable else []}
            for label, (name, scheme) in SHORT_USES.items()
            if name == method.name
        ],
        "arguments": [
            {
                "name": name,
                "type": _type(properties[name]),
                "range": _range(properties[name]),
                "default": None if info.default is PydanticUndefined else info.default,
                "help": info.description,
                "schema": properties[name],
            }
            for name, info in method.arguments.model_fields.items()
        ],
    }


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema without references."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _inlined(value, definitions) for key, value in schema.items() if key not in ("$ref", "discriminator")}
    return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions) | found if "$ref" in schema else found


def _choices(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of an argument that is one of several methods with its own arguments: these by the method's name."""
    mappings = [mapping for option in schema.get("anyOf", []) for mapping in option.get("oneOf", [])]
    return {
        mapping["properties"]["method"]["const"]: {name: own for name, own in mapping["properties"].items() if name != "method"}
        for mapping in mappings
    }


def _type(schema: dict[str, Any]) -> str:
    """`string or object` of an argument that is a word or a mapping."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(option) for option in schema["anyOf"]))
    return schema.get("type", "object" if "oneOf" in schema else "string" if "const" in schema else "any")


def _range(schema: dict[str, Any]) -> str | None:
    """The values that an argument takes, in words; None: all of its type."""
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    return ", ".join(f"{words} {schema[key]:g}" for key, words in _BOUNDS.items() if key in schema) or None


def describe(console: Console, entries: list[dict[str, Any]]) -> None:
    from rich.text import Text

    def indented(text: Text, columns: int = 2) -> Text:
        lines = text.wrap(console, max(console.width - columns, 20))
        for line in lines:
            line.rstrip()
            line.pad_left(columns)
        return Text("\n").join(lines)

    def explained(name: str, schema: dict[str, Any], default: Any) -> Text:
        text = schema["description"]
        stated = "" if "Default:" in text else f" Default: {json.dumps(default)}."
        kind = ", ".join(filter(None, (_type(schema), _range(schema))))
        return Text.assemble((name, "bold"), f" ({kind})  {text}{stated}")

    for entry in entries:
        console.print(Text.assemble((entry["name"], "bold"), f"  {entry['title']}"))
        console.print(indented(Text(entry["summary"])))
        if entry["paper"]:
            console.print(indented(Text(f"paper: {entry['paper']['title']}, {entry['paper']['url']}")))
        console.print(indented(Text(f"calibration data: {'needed' if entry['needs_calibration'] else 'not needed by the method'}")))
        for line in _labels(entry["labels"]):
            console.print(indented(Text(line)))
        for argument in entry["arguments"]:
            console.print(indented(explained(argument["name"], argument["schema"], argument["default"])))
            for name, own in _choices(argument["schema"]).items():
                console.print(indented(Text.assemble(("method: ", "dim"), (name, "bold")), 4))
                for key, schema in own.items():
                    console.print(indented(explained(key, schema, schema.get("default")), 6))
        console.print()


def _labels(labels: list[dict[str, Any]]) -> Iterator[str]:
    """What a recipe may write for the method's schemes, those that take a suffix before the others."""
    grouped = [one["label"] for one in labels if one["suffixes"]]
    fixed = [one["label"] for one in labels if not one["suffixes"]]
    if grouped:
        yield f"labels: {', '.join(grouped)}, each also with {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}"
    if fixed:
        yield f"labels without a suffix: {', '.join(fixed)}"

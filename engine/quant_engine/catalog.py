"""The registered methods as a table and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticUndefined

from quant_engine.errors import QuantError
from quant_engine.methods import METHODS, Method
from quant_engine.nearest import suggestion

if TYPE_CHECKING:
    from rich.console import Console


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
        "needs_calibration": method.needs_calibration,
        "schemes": list(method.schemes),
        "arguments": [
            {
                "name": name,
                "default": None if info.default is PydanticUndefined else info.default,
                "help": info.description,
                "schema": properties.get(name, {}),
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


def describe(console: Console, entries: list[dict[str, Any]]) -> None:
    from rich.text import Text

    def indented(text: Text, columns: int = 2) -> Text:
        lines = text.wrap(console, max(console.width - columns, 20))
        for line in lines:
            line.rstrip()
            line.pad_left(columns)
        return Text("\n").join(lines)

    def explained(name: str, text: str, default: Any) -> Text:
        stated = "" if "Default:" in text else f" Default: {json.dumps(default)}."
        return Text.assemble((name, "bold"), f"  {text}{stated}")

    for entry in entries:
        console.print(Text.assemble((entry["name"], "bold"), f"  {entry['title']}"))
        console.print(indented(Text(entry["summary"])))
        console.print(indented(Text(f"schemes: {', '.join(entry['schemes'])}")))
        for argument in entry["arguments"]:
            console.print(indented(explained(argument["name"], argument["help"], argument["default"])))
            for name, own in _choices(argument["schema"]).items():
                console.print(indented(Text.assemble(("method: ", "dim"), (name, "bold")), 4))
                for key, schema in own.items():
                    console.print(indented(explained(key, schema["description"], schema.get("default")), 6))
        console.print()

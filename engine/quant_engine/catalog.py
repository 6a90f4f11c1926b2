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
    properties = method.arguments.model_json_schema().get("properties", {})
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
                "type": properties[name].get("type", "any"),
                "range": _range(properties[name]),
                "default": None if info.default is PydanticUndefined else info.default,
                "help": info.description,
                "schema": properties[name],
            }
            for name, info in method.arguments.model_fields.items()
        ],
    }


def _range(schema: dict[str, Any]) -> str | None:
    """The values that an argument takes, in words; None: all of its type."""
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    return ", ".join(f"{words} {schema[key]:g}" for key, words in _BOUNDS.items() if key in schema) or None


def describe(console: Console, entries: list[dict[str, Any]]) -> None:
    from rich.text import Text

    def indented(text: Text) -> Text:
        lines = text.wrap(console, max(console.width - 2, 20))
        for line in lines:
            line.rstrip()
            line.pad_left(2)
        return Text("\n").join(lines)

    for entry in entries:
        console.print(Text.assemble((entry["name"], "bold"), f"  {entry['title']}"))
        console.print(indented(Text(entry["summary"])))
        if entry["paper"]:
            console.print(indented(Text(f"paper: {entry['paper']['title']}, {entry['paper']['url']}")))
        console.print(indented(Text(f"calibration data: {'needed' if entry['needs_calibration'] else 'not needed by the method'}")))
        for line in _labels(entry["labels"]):
            console.print(indented(Text(line)))
        for argument in entry["arguments"]:
            stated = "" if "Default:" in argument["help"] else f" Default: {json.dumps(argument['default'])}."
            kind = ", ".join(filter(None, (argument["type"], argument["range"])))
            console.print(indented(Text.assemble((argument["name"], "bold"), f" ({kind})  {argument['help']}{stated}")))
        console.print()


def _labels(labels: list[dict[str, Any]]) -> Iterator[str]:
    """What a recipe may write for the method's schemes, those that take a suffix before the others."""
    grouped = [one["label"] for one in labels if one["suffixes"]]
    fixed = [one["label"] for one in labels if not one["suffixes"]]
    if grouped:
        yield f"labels: {', '.join(grouped)}, each also with {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}"
    if fixed:
        yield f"labels without a suffix: {', '.join(fixed)}"

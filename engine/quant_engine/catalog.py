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
    properties = method.arguments.model_json_schema().get("properties", {})
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
        console.print(indented(Text(f"schemes: {', '.join(entry['schemes'])}")))
        for argument in entry["arguments"]:
            stated = "" if "Default:" in argument["help"] else f" Default: {json.dumps(argument['default'])}."
            console.print(indented(Text.assemble((argument["name"], "bold"), f"  {argument['help']}{stated}")))
        console.print()

"""A point of a run's front as a recipe: the recipe that ran, with rules in place of the budget."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quant_engine.check import read_recipe
from quant_engine.check_files import target
from quant_engine.errors import QuantError
from quant_engine.figures import bits, significant
from quant_engine.overrides import apply_overrides
from quant_engine.patterns import matches
from quant_engine.recipe import Recipe
from quant_engine.recipe_text import as_document, replaced, with_quantize
from quant_engine.request import read_request
from quant_engine.result import ParetoFront, Result
from quant_engine.run_directory import RECIPE, read_record, read_result
from quant_engine.yaml_source import Key, Source, plain

_PATHS: tuple[Key, ...] = (("model",), ("calibration", "data"), ("evaluate", "data"), ("output",))


def recipe_of_point(folder: Path, number: int, out: Path | None = None) -> str:
    """The text of a recipe that asks for point `number` (from 1) of the front of the run in `folder`.

    What rules decided stays as they say; the rest gets rules of its own. The output's name gets `-point-N`, because
    nothing is overwritten. out: where the text will lie; relative paths are made to count from there. Raises
    QuantError(code="no-front") for a run without candidates, ("bad-usage") for a number that is none of its points,
    ("run-missing"), ("result-missing").
    """
    record, result = read_record(folder), read_result(folder)
    front = _front(result, folder)
    if not 1 <= number <= len(front.points):
        raise QuantError(
            f"the front of {folder.name} has no point {number}",
            code="bad-usage",
            advice=f"Its points are 1 (the smallest) to {len(front.points)} (the best).",
        )
    text = _effective(folder)
    section = _section(plain(Source(text).root), front, number, result)
    point = front.points[number - 1]
    unit = " nats of KL divergence" if front.objective == "importance" else ""
    note = (
        f"Point {number} of {len(front.points)} of run {result.run}: "
        f"{bits(point.bits_per_weight)} bits per weight, predicted loss {significant(point.predicted_loss)}{unit}."
    )
    return _moved(with_quantize(text, *section, note), number, Path(record.recipe).parent, out)


def save(text: str, out: Path) -> None:
    """Write a new file. Raises QuantError(code="output-exists") or ("output-write")."""
    try:
        with out.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise QuantError(
            f'"{out}" exists already', code="output-exists", advice="Choose another file, or remove that one."
        ) from None
    except OSError as error:
        raise QuantError(
            f'"{out}" cannot be written: {error.strerror}', code="output-write", advice="Check the folder and its permissions."
        ) from None


def _front(result: Result, folder: Path) -> ParetoFront:
    if result.pareto is None:
        raise QuantError(
            f"{folder.name} has no front: nothing was measured that could be chosen among",
            code="no-front",
            advice="List candidates in the recipe and run quant-engine sensitivity.",
        )
    return result.pareto


def _effective(folder: Path) -> str:
    """The text that ran; a new one without comments where `--set` had changed it."""
    text = read_recipe(folder / RECIPE)
    changes = [change for change in read_request(folder, None).overrides if not change.startswith("output=")]
    if not changes:
        return text
    source = Source(text)
    apply_overrides(source, changes)
    return as_document(plain(source.root))


def _section(document: Any, front: ParetoFront, number: int, result: Result) -> tuple[Any, list[dict[str, Any]]]:
    """The default and the rules that together with the document's own rules give the point."""
    names = [layer.name for layer in result.layers]
    ruled = [rule.patterns for rule in Recipe.model_validate(document).quantize.rules]
    free = [name for name in names if not any(matches(patterns, name) for patterns in ruled)]
    chosen = {
        name: candidate
        for unit, candidate in zip(front.units, front.points[number - 1].assignment, strict=True)
        for name in unit
    }
    counted = Counter(chosen.values())
    most = max(sorted(counted), key=lambda candidate: counted[candidate])
    rules = []
    for candidate in sorted(counted.keys() - {most}):
        patterns = _patterns([name for name in chosen if chosen[name] == candidate], free)
        layers = patterns if len(patterns) > 1 else patterns[0]
        rules.append({"layers": layers, "use": document["candidates"][candidate]})
    return document["candidates"][most], rules


def _patterns(wanted: Sequence[str], free: Sequence[str]) -> list[str]:
    """The wanted names; one pattern for those that are all there is of a kind."""
    patterns: dict[str, None] = {}
    for name in wanted:
        general = ".".join("*" if part.isdigit() else part for part in name.split("."))
        is_whole = all(other in wanted for other in free if matches([general], other))
        patterns[general if is_whole else name] = None
    return list(patterns)


def _moved(text: str, number: int, base: Path, out: Path | None) -> str:
    """With an output of its own, and relative paths that count from the folder of `out`."""
    source = Source(text)
    document = plain(source.root)
    new: dict[Key, Any] = {}
    for key in _PATHS:
        value: Any = document
        for part in key:
            value = value.get(part) if isinstance(value, dict) else None
        if not isinstance(value, str):
            continue
        written = f"{value.rstrip('/')}-point-{number}" if key == ("output",) else value
        if out is not None and out.resolve().parent != base and not Path(written).expanduser().is_absolute():
            written = os.path.relpath(target(base, written), out.resolve().parent)
        if written != value:
            new[key] = written
    return replaced(text, new)

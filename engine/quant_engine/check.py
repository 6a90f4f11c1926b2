"""`quant-engine check`: everything that can be said about a recipe before any weight is read, each finding at its place.

Structure first (the schema), then files (the checkpoint's headers, the data, the output). docs/diagnostics.md is the contract.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pydantic

from quant_engine import preflight
from quant_engine.advice import ADVICE
from quant_engine.check_calibration import missing_calibration
from quant_engine.check_files import FileCheck
from quant_engine.check_output import unstorable
from quant_engine.check_secrets import without_secrets, without_tokens
from quant_engine.check_uses import fixed_groups, misplaced_arguments, repeated_candidates, with_methods
from quant_engine.errors import QuantError
from quant_engine.overrides import apply_overrides, given
from quant_engine.protocol import Diagnostic
from quant_engine.recipe import Recipe
from quant_engine.right_values import RightValues
from quant_engine.structure import Finding, StructureCheck
from quant_engine.yaml_source import Key, Lines, Source, Span, YamlError, plain


@lru_cache(maxsize=1)
def recipe_schema() -> dict[str, Any]:
    from quant_engine.schema import schemas

    return json.loads(schemas()["recipe.schema.json"])


@dataclass
class Checked:
    """A recipe that was read and checked. recipe is None exactly when a diagnostic is an error."""

    path: Path
    text: str
    source: Source | None = None
    recipe: Recipe | None = None
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(diagnostic.severity == "error" for diagnostic in self.diagnostics)

    def locate(self, key: Key) -> Span | None:
        return self.source.find(key) if self.source and key else None


def read_recipe(path: Path) -> str:
    """The recipe's text, without a byte order mark. Raises QuantError(code="recipe-missing")."""
    if path.is_dir():
        if (path / "config.json").exists():
            advice = "Name it in a recipe: model, quantize: { default: rtn-w4a16 } and output suffice; the editor's Quantize… writes one."
            raise QuantError(f'"{path}" is a checkpoint, not a recipe', code="recipe-missing", advice=advice)
        raise QuantError(f'"{path}" is a folder, not a recipe', code="recipe-missing", advice="Give the path of a .quant.yaml file.")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise QuantError(
            f'the recipe "{path}" cannot be read: {error.strerror}',
            code="recipe-missing",
            advice="Give the path of a .quant.yaml file.",
        ) from None
    except UnicodeDecodeError as error:
        raise QuantError(
            f'the recipe "{path}" is not UTF-8 text: {error.reason}', code="recipe-missing", advice="Save it as UTF-8."
        ) from None


def check(
    path: Path,
    text: str | None = None,
    *,
    overrides: Sequence[str] = (),
    shown: str | None = None,
    runs: Path | None = None,
    ignore_output: bool = False,
    kept: int = 0,
    free: Callable[[Path], int] | None = None,
) -> Checked:
    """Check the recipe at `path` (or `text` in its place, relative paths still counting from `path`).

    overrides: `path=value` in the order of the command line. shown: how diagnostics name the file. runs: where the run directory will
    be (default: `runs` beside the recipe). ignore_output: the output may exist (a run that is resumed, or one that only measures).
    kept: bytes of resume data that lie in `runs` already. free: bytes free at a path.
    """
    checked = Checked(path, read_recipe(path) if text is None else text)
    try:
        checked.source = source = Source(checked.text, Recipe.model_fields)
    except YamlError as error:
        last = len(checked.text)
        places = [(Span(min(span.start, last), min(span.end, last)), message) for span, message in error.places]
        findings = [Finding("yaml-syntax", without_tokens(checked.text, message), span) for span, message in places]
        checked.diagnostics = [_diagnostic(checked, shown, finding) for finding in findings]
        return checked
    apply_overrides(source, list(overrides))
    structure = StructureCheck(recipe_schema(), source)
    findings = with_methods(source.root, structure.findings)
    values = RightValues(source, structure.wrong)
    for key, finding in [*fixed_groups(source.root), *misplaced_arguments(values, structure.needs)]:
        structure.wrong.add(key)
        findings.append(finding)
    findings += repeated_candidates(values)
    findings += unstorable(values, structure.needs)
    findings += missing_calibration(values)
    files = FileCheck(values, path.parent, free or preflight.free_bytes, kept)
    findings += files.check(runs or path.parent / "runs", ignore_output)
    if not any(finding.severity == "error" for finding in findings):
        try:
            checked.recipe = Recipe.model_validate(plain(source.root))
        except pydantic.ValidationError as error:
            findings += [_guard(source, detail) for detail in error.errors()]
    findings = without_secrets(source.text, source.root, findings)
    # What stands once and is used through aliases is wrong once.
    distinct: dict[tuple[str, Span, str], Finding] = {}
    for finding in findings:
        distinct.setdefault((finding.code, finding.span, finding.message), finding)
    findings = sorted(distinct.values(), key=lambda finding: finding.span.start)
    checked.diagnostics = [_diagnostic(checked, shown, finding) for finding in findings]
    return checked


def refuse(checked: Checked, error: QuantError, key: Key) -> None:
    """Add what was found wrong later with what stands under a key."""
    span = checked.locate(key)
    assert span is not None
    checked.recipe = None
    checked.diagnostics.append(_diagnostic(checked, None, Finding(error.code, error.message, span, advice=error.advice)))


def _guard(source: Source, detail: Any) -> Finding:
    """A finding of the model that the schema cannot express."""
    message = str(detail["msg"]).removeprefix("Value error, ")
    span = source.find(tuple(part for part in detail["loc"] if isinstance(part, (str, int)))) or source.first_line
    return Finding("unknown-value" if detail["type"] == "value_error" else "wrong-type", message, span)


def _diagnostic(checked: Checked, shown: str | None, finding: Finding) -> Diagnostic:
    source = checked.source or Lines(checked.text)
    override = source.overridden.get(finding.span) if isinstance(source, Source) else None
    line, column = source.position(finding.span.start)
    end_line, end_column = source.position(finding.span.end)
    return Diagnostic(
        path=shown or str(checked.path),
        line=line,
        column=column,
        end_line=end_line,
        end_column=end_column,
        severity=finding.severity,
        # Texts of the recipe may be longer than a line; lists of problems show one.
        message=re.sub(r"[ \t]*[\r\n]+[ \t]*", " ", finding.message) + (f" (by {given(override)})" if override else ""),
        code=finding.code,
        advice=finding.advice or ADVICE[finding.code],
    )

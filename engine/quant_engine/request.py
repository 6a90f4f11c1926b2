"""What was asked of a run beyond the recipe's text, kept in the run directory so that a resume asks for the same."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from quant_engine.atomic import replace_text
from quant_engine.check import Checked, read_recipe
from quant_engine.errors import QuantError
from quant_engine.journal import flatten
from quant_engine.run_directory import REQUEST
from quant_engine.work import Action
from quant_engine.yaml_source import Source, YamlError, plain


@dataclass(frozen=True)
class Request:
    """recipe: absolute path. overrides: `path=value` in order. runs: folder of run directories; None: `runs` beside the recipe."""

    action: Action
    recipe: Path
    overrides: tuple[str, ...] = ()
    device: str = "auto"
    runs: Path | None = None
    name: str | None = None
    fresh: bool = False
    """Measure anew what earlier runs have measured."""

    @property
    def runs_folder(self) -> Path:
        return self.runs or self.recipe.parent / "runs"

    def refuse_nothing_to_measure(self, checked: Checked) -> None:
        """Raises QuantError(code="no-candidates") for a sensitivity run of a recipe without candidates."""
        if self.action == "sensitivity" and checked.recipe is not None and not checked.recipe.candidates:
            message = f'"{self.recipe}" has no candidates, so there is nothing to measure'
            raise QuantError(message, code="no-candidates", advice="List what to compare under the key candidates.")

    def refuse_another(self, ran: Path, recipe: Path) -> None:
        """Raises QuantError(code="resume-mismatch") naming the keys in which `recipe` differs from what ran."""
        before, after = (_keys(read_recipe(path)) for path in (ran, recipe))
        differing = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        if recipe.resolve() != self.recipe:
            differing.insert(0, "path of the recipe")
        if differing:
            message = f"the recipe is not the one that ran; different: {', '.join(differing)}"
            raise QuantError(
                message, code="resume-mismatch", advice="Resume without naming a recipe, or start a new run."
            )


def output_override(output: Path) -> str:
    """`--output` as an override of the recipe."""
    return f"output={json.dumps(str(output.resolve()))}"


def _keys(text: str) -> dict[str, str]:
    try:
        return flatten(plain(Source(text).root), "recipe")
    except YamlError as error:
        return {"recipe": error.message}


def write_request(folder: Path, request: Request) -> None:
    document = asdict(request) | {"recipe": str(request.recipe), "runs": str(request.runs) if request.runs else None}
    replace_text(folder / REQUEST, json.dumps(document, indent=1) + "\n")


def read_request(folder: Path, device: str | None) -> Request:
    """The stored request; device: another one than the first time. Raises QuantError(code="not-resumable")."""
    try:
        stored = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
        return Request(
            action=stored["action"],
            recipe=Path(stored["recipe"]),
            overrides=tuple(stored["overrides"]),
            device=device or stored["device"],
            runs=Path(stored["runs"]) if stored["runs"] else None,
            name=stored["name"],
            fresh=stored.get("fresh", False),
        )
    except (OSError, ValueError, KeyError) as error:
        message = f'"{folder / REQUEST}" is missing or damaged ({type(error).__name__})'
        raise QuantError(message, code="not-resumable", advice="Start a new run.") from None

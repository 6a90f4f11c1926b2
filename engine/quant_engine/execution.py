"""What `quant-engine run` and `sensitivity` do around a run: progress while it lasts, the report or the reasons afterwards."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from quant_engine.errors import QuantError
from quant_engine.output import print_diagnostics, print_json
from quant_engine.protocol import CheckReport
from quant_engine.request import Request, output_override
from quant_engine.run import Outcome, resume, start
from quant_engine.run_directory import RECIPE, read_record

if TYPE_CHECKING:
    from quant_engine.work import Action


def execute(
    action: Action,
    recipe: Path | None,
    output: Path | None,
    overrides: list[str],
    runs: Path | None,
    name: str | None,
    resumed: Path | None,
    device: str | None,
    fresh: bool = False,
) -> Outcome:
    """Start or resume, with a progress display on stderr. Raises QuantError for bad usage."""
    from quant_engine.console import progress_display

    quiet_libraries()
    if resumed is not None:
        given = {"--set": overrides, "--runs": runs, "--id": name, "--fresh": fresh}
        extra = [option for option, value in given.items() if value]
        if extra:
            message = f"{' and '.join(extra)} cannot be given with --resume"
            raise QuantError(message, code="bad-usage", advice="A resumed run does what it was started for.")
        _tell_of_another_recipe(resumed)
        with progress_display() as listener:
            return resume(resumed.resolve(), recipe=recipe, device=device, output=output, on_event=listener)
    if recipe is None:
        raise QuantError("no recipe is given", code="bad-usage", advice="Give a .quant.yaml file, or --resume RUN.")
    if output is not None:
        overrides = [*overrides, output_override(output)]
    request = Request(
        action, recipe.resolve(), tuple(overrides), device or "auto", runs.resolve() if runs else None, name, fresh
    )
    with progress_display() as listener:
        return start(request, on_event=listener)


def _tell_of_another_recipe(run: Path) -> None:
    """A resumed run does what it was started for, whatever its recipe says by now."""
    try:
        recipe = read_record(run).recipe
        changed = Path(recipe).read_bytes() != (run / RECIPE).read_bytes()
    except (OSError, QuantError):
        return
    if changed:
        typer.echo(f"{recipe} is not (or no longer) what this run's own copy of it says; the run goes on with its copy.", err=True)


def report(outcome: Outcome, recipe: Path | None, sink: TextIO | None) -> None:
    """Reasons on stderr, the result on stdout; with a sink one JSON document: result, run record or diagnostics."""
    shown = {"path": str(recipe)} if recipe else {}
    print_diagnostics((diagnostic.model_copy(update=shown) for diagnostic in outcome.checked.diagnostics), err=True)
    record = outcome.record
    if record is not None and record.error is not None:
        _explain_failure(outcome)
    elif record is not None and record.state == "cancelled":
        how = f"; continue with: {_continuation(outcome)}" if record.resumable else ""
        typer.echo(f"Cancelled{how}", err=True)
    if sink:
        print_json(sink, outcome.result or record or CheckReport(diagnostics=outcome.checked.diagnostics))
    elif outcome.result is not None and outcome.folder is not None:
        from quant_engine.report import console, print_result

        print_result(console(), outcome.result, outcome.folder)


def _continuation(outcome: Outcome) -> str:
    assert outcome.record is not None
    return shlex.join(["quant-engine", outcome.record.action, "--resume", str(outcome.folder)])


def _explain_failure(outcome: Outcome) -> None:
    record = outcome.record
    assert record is not None and record.error is not None and outcome.folder is not None
    error = record.error
    place = f"{record.recipe}:{error.line}:{error.column}: " if error.line is not None else ""
    typer.echo(f"{place}error: {error.message} [{error.code}]", err=True)
    if record.advice:
        typer.echo(record.advice, err=True)
    typer.echo(f"Log: {outcome.folder / record.log}", err=True)
    if record.resumable and error.code != "resume-mismatch":
        typer.echo(f"Continue with: {_continuation(outcome)}", err=True)


def quiet_libraries() -> None:
    """transformers and tokenizers read these when they are imported; their own progress bars would tear ours."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")

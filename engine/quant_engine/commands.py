"""The commands. Each imports what it needs when it runs, so that help and completion stay fast."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quant_engine import __version__
from quant_engine.errors import QuantError
from quant_engine.output import BAD_USAGE, answer, fail, json_only, print_json

if TYPE_CHECKING:
    from quant_engine import protocol
    from quant_engine.result import Result
    from quant_engine.work import Action

app = typer.Typer(
    name="quant-engine",
    help="Measure, choose, quantize and evaluate Hugging Face checkpoints.",
    epilog="Exit codes: 0 done, 1 failed, 2 bad usage or bad recipe, 3 done with fallbacks, 130 cancelled.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and everything else on stderr.")]
Device = Annotated[
    str | None,
    typer.Option(metavar="auto|cpu|cuda:N[,cuda:M…]", help="Where to compute. Default: the recipe's devices, else the first GPU."),
]
Runs = Annotated[
    Path | None, typer.Option(help="Folder for run directories. Default: runs beside the recipe.", file_okay=False)
]
Name = Annotated[str | None, typer.Option("--id", help="Name of the run directory. Default: time and recipe name.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Replace a value, for example calibration.samples=16."),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Measure all candidates anew, also those that an earlier run of the folder has measured.")
]
Resume = Annotated[Path | None, typer.Option(help="Continue this run directory where it stopped.", file_okay=False)]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    recipe: Annotated[Path | None, typer.Argument(help="A .quant.yaml file; not needed with --resume.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the checkpoint, in place of the recipe's.")] = None,
    runs: Runs = None,
    name: Name = None,
    overrides: Set = None,
    fresh: Fresh = False,
    resume: Resume = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Quantize as a recipe says: measure, choose, quantize, write, evaluate."""
    _execute("run", recipe, output, runs, name, overrides, fresh, resume, device, json)


@app.command()
def sensitivity(
    recipe: Annotated[Path | None, typer.Argument(help="A .quant.yaml file; not needed with --resume.")] = None,
    runs: Runs = None,
    name: Name = None,
    overrides: Set = None,
    fresh: Fresh = False,
    resume: Resume = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Only measure: the SQNR of every candidate on every layer."""
    _execute("sensitivity", recipe, None, runs, name, overrides, fresh, resume, device, json)


def _execute(
    action: Action,
    recipe: Path | None,
    output: Path | None,
    runs: Path | None,
    name: str | None,
    overrides: list[str] | None,
    fresh: bool,
    resume: Path | None,
    device: str | None,
    json: bool,
) -> None:
    from quant_engine import execution

    with json_only(json) as sink:
        try:
            outcome = execution.execute(action, recipe, output, overrides or [], runs, name, resume, device, fresh)
        except QuantError as error:
            raise fail(error, sink) from None
        execution.report(outcome, recipe, sink)
    raise typer.Exit(outcome.exit_code)


@app.command()
def check(recipes: Annotated[list[Path], typer.Argument(help="Recipes to check.")], json: Json = False) -> None:
    """Check recipes without reading a weight; prints path:line:col: severity: message \\[code], and what to do."""
    from quant_engine.check import check as check_recipe
    from quant_engine.output import print_diagnostics
    from quant_engine.protocol import CheckReport

    diagnostics = []
    with json_only(json) as sink:
        for recipe in recipes:
            try:
                diagnostics += check_recipe(recipe.resolve(), shown=str(recipe)).diagnostics
            except QuantError as error:
                raise fail(error, sink) from None
        if sink:
            print_json(sink, CheckReport(diagnostics=diagnostics))
        else:
            print_diagnostics(diagnostics, err=False)
    raise typer.Exit(BAD_USAGE if any(diagnostic.severity == "error" for diagnostic in diagnostics) else 0)


@app.command()
def preflight(
    recipe: Annotated[Path, typer.Argument(help="A .quant.yaml file.")],
    runs: Runs = None,
    overrides: Set = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """What a run would take: bytes to the byte, memory, time and disk, from headers and a short probe of the device."""
    from quant_engine.preflight import command

    raise typer.Exit(command.run(recipe, runs, overrides or [], device, json))


@app.command()
def inspect(checkpoint: Annotated[Path, typer.Argument(help="A checkpoint folder.")], json: Json = False) -> None:
    """Modules of a checkpoint with shapes and dtypes, from the headers alone."""
    from quant_engine.inspection import inspect as inspect_checkpoint

    def display(found: protocol.Checkpoint) -> None:
        from quant_engine.report import console, print_checkpoint

        print_checkpoint(console(), found)

    answer(lambda: inspect_checkpoint(checkpoint), display, json)


@app.command()
def show(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")], json: Json = False
) -> None:
    """What a run did, layer by layer; of one that is not finished, the layers of its finished blocks."""
    from quant_engine.run_directory import read_result
    from quant_engine.unfinished import Unfinished, print_unfinished, read_unfinished

    def find() -> Result | Unfinished:
        return read_unfinished(run_directory) or read_result(run_directory)

    def display(found: Result | Unfinished) -> None:
        from quant_engine.report import console, print_result

        if isinstance(found, Unfinished):
            print_unfinished(console(), found, run_directory.resolve())
        else:
            print_result(console(), found, run_directory.resolve())

    answer(find, display, json)


@app.command("recipe")
def write_recipe(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    point: Annotated[int, typer.Option(help="Which point of the run's front, counted from 1, the smallest; quant-engine show lists them.")],
    out: Annotated[
        Path | None, typer.Option(help="A new .quant.yaml file. Default: print the recipe.", dir_okay=False)
    ] = None,
) -> None:
    """Write a point of a run's front (size against predicted loss) as a recipe with a rule for each layer."""
    from quant_engine.write_back import recipe_of_point, save

    try:
        text = recipe_of_point(run_directory, point, out)
        if out is not None:
            save(text, out)
    except QuantError as error:
        raise fail(error, None) from None
    typer.echo(text if out is None else out, nl=out is not None)


@app.command()
def convert(
    checkpoint: Annotated[Path, typer.Argument(help="A quantized checkpoint folder.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder for the result.")],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="compressed-tensors, gptq, gptq_v2 or awq.")],
    json: Json = False,
) -> None:
    """Store a quantized checkpoint in another format: the same codes, nothing is computed anew."""
    from quant_engine.conversion import command

    command.run(checkpoint, to, output, json)


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="Only this method.")] = None, json: Json = False
) -> None:
    """The quantization methods, their schemes and their arguments."""
    from quant_engine.catalog import catalog, describe

    def display(found: list[dict[str, Any]]) -> None:
        from quant_engine.report import console

        describe(console(), found)

    answer(lambda: catalog(name), display, json)


@app.command()
def schema(
    out: Annotated[Path, typer.Option(help="Folder of the schema files.", file_okay=False)] = Path("schemas"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 when a file there is not up to date.")
    ] = False,
) -> None:
    """Write the JSON Schemas of recipes, events, results and messages."""
    from quant_engine import schema as schemas

    if check:
        stale = schemas.stale(out)
        for file in stale:
            typer.echo(f"{out / file} is not up to date: run quant-engine schema --out {out}", err=True)
        raise typer.Exit(1 if stale else 0)
    for path in schemas.write(out):
        typer.echo(path)


@app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def doctor(context: typer.Context) -> None:
    """Check Python, packages, devices, memory and disk, all at once (--json)."""
    from quant_engine.doctor import main

    raise typer.Exit(main(context.args))


@app.command()
def serve(
    idle_minutes: Annotated[float, typer.Option(help="Unload models after this idle time; 0: never.", min=0)] = 10,
) -> None:
    """The resident engine: JSON-RPC 2.0 over stdin and stdout."""
    from quant_engine.serve import serve as serve_messages

    raise typer.Exit(serve_messages(idle_minutes))


def run_app() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without Unicode shows a question mark where there is a sign it lacks, instead of a traceback.
        sys.stdout.reconfigure(errors="replace")
    app(prog_name="quant-engine")

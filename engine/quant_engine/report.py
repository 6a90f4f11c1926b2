"""A run's result and a checkpoint's modules as text, readable from 80 columns up."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich import box
from rich.console import Console
from rich.measure import Measurement as Width
from rich.table import Table
from rich.text import Text

from quant_engine.figures import bits, comparable_decimals, significant, significant_decimals
from quant_engine.preflight import format_bytes

if TYPE_CHECKING:
    from quant_engine.protocol import Checkpoint, Conversion, Quantization
    from quant_engine.result import Accumulated, LayerResult, Measurement, ParetoFront, Problem, Result, Score
    from quant_engine.unfinished import UnfinishedLayer

    _Layer = LayerResult | UnfinishedLayer

_PIPE_WIDTH = 120
_FRONT_ROWS = 8


def console() -> Console:
    """Stdout; a pipe or file gets lines of 120 columns unless COLUMNS says otherwise."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(width=width, highlight=False)


def print_result(out: Console, result: Result, folder: Path) -> None:
    """Layer tables, sizes and scores, where everything is, problems."""
    print_tables(out, result)
    if result.pareto is not None:
        against = "predicted KL divergence" if result.pareto.objective == "importance" else "predicted loss"
        table = front_table(result.pareto)
        points = len(result.pareto.points)
        shown = f"{table.row_count} of {points} points" if table.row_count < points else f"{points} point{'s' if points > 1 else ''}"
        out.print(Text(f"Bits against {against}: {shown} (quant-engine recipe RUN --point N writes one as a recipe)", style="bold"))
        out.print(table)
        if result.pareto.unmeasured:
            out.print(f"{_layers_of_rules(result.pareto)}: in size and bits, not in {against} and dB.", style="dim")
    if _of_weights(result):
        out.print("Without calibration data SQNR is that of the weights alone, and says nothing of a layer's output.", style="dim")
    out.print(summary_table(result))
    if result.output:
        out.print(Text.assemble(("checkpoint     ", "bold"), result.output), soft_wrap=True)
    out.print(Text.assemble(("run directory  ", "bold"), str(folder)), soft_wrap=True)
    for run in dict.fromkeys(by for by in result.measured_by.values() if by != result.run):
        labels = ", ".join(label for label, by in result.measured_by.items() if by == run)
        out.print(Text.assemble(("measured by    ", "bold"), f"{run}: {labels}"), soft_wrap=True)
    for problem in result.problems:
        out.print(
            Text(problem_line(problem, result.recipe), style="red" if problem.severity == "error" else "yellow"),
            soft_wrap=True,
        )


class Layers(Protocol):
    """What the tables of layers need of a result."""

    @property
    def action(self) -> str: ...
    @property
    def output(self) -> str | None: ...
    @property
    def candidates(self) -> Sequence[str]: ...
    @property
    def layers(self) -> Sequence[LayerResult | UnfinishedLayer]: ...


def print_tables(out: Console, result: Layers) -> None:
    for table in layer_tables(result, out):
        # Printed apart, a title is not wrapped to the width of its table.
        out.print(Text(str(table.title), style="bold"))
        table.title = None
        out.print(table)


def layer_tables(result: Layers, out: Console) -> list[Table]:
    """One table when it fits; else the candidates (in as many parts as needed) and then what was done."""
    done = result.action == "run"
    whole = _table(result, result.candidates, done)
    if _fits(whole, out):
        return [whole]
    tables = []
    left = list(result.candidates)
    while left:
        count = len(left)
        while count > 1 and not _fits(_table(result, left[:count], False), out):
            count -= 1
        tables.append(_table(result, left[:count], False))
        left = left[count:]
    if not done:
        return tables
    table = _table(result, [], True)
    return [*tables, table if _fits(table, out) else _table(result, [], True, is_narrow=True)]


def _fits(table: Table, out: Console) -> bool:
    return Width.get(out, out.options.update(max_width=10_000), table).maximum <= out.width


def _table(result: Layers, candidates: Sequence[str], done: bool, is_narrow: bool = False) -> Table:
    """is_narrow: arguments of what was applied stand below it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    of = "the weights alone with each candidate" if _of_weights(result) else "the candidates"
    signs = ["* = applied"] if done or result.output else []
    signs += ["alone = inputs as they are"] if any(_has_alone(result, label) for label in candidates) else []
    explained = f" ({', '.join(signs)})" if signs else ""
    parts = [f"SQNR of {of} in dB{explained}"] if candidates else []
    table.title = "; ".join(parts + (["what was done"] if done else []))
    table.add_column("block\nlayer", no_wrap=True, vertical="top" if is_narrow else "bottom")
    columns = _columns(result, candidates)
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True, vertical="bottom")
    if done:
        # Where the width does not suffice this column folds, and numbers stay whole.
        table.add_column("applied", no_wrap=not is_narrow, overflow="fold")
        table.add_column("weights\ndB" if _of_weights(result) else "achieved\ndB", justify="right", no_wrap=True)
        if _has_accumulated(result):
            table.add_column("accum.\ndB", justify="right", no_wrap=True)
        table.add_column("damping", justify="right", no_wrap=True)
        table.add_column("bits", justify="right", no_wrap=True)
    layers = [layer for layer in result.layers if done or layer.candidates]
    for layer, following in zip(layers, [*layers[1:], *layers[-1:]], strict=True):
        cells = [cell(layer) for cell in columns.values()]
        cells += _done(layer, _has_accumulated(result), is_narrow) if done else []
        table.add_row(_name(layer), *cells, end_section=following.block != layer.block)
    return table


def _columns(result: Layers, candidates: Sequence[str]) -> dict[str, Callable[[_Layer], Text]]:
    """Heading → what stands there of a layer: each candidate, and beside one that rounds inputs what its weights alone do."""
    columns: dict[str, Callable[[_Layer], Text]] = {}
    for label in candidates:
        columns[_stacked(label)] = partial(_candidate, label=label)
        if _has_alone(result, label):
            columns[f"{_stacked(label)}\nalone"] = partial(_alone, label=label)
    return columns


def _has_alone(result: Layers, label: str) -> bool:
    return any(label in layer.candidates and layer.candidates[label].weight_only_db is not None for layer in result.layers)


def _alone(layer: _Layer, label: str) -> Text:
    found = layer.candidates.get(label)
    return Text("" if found is None or found.weight_only_db is None else f"{found.weight_only_db:.1f}", style="dim")


def _has_accumulated(result: Layers) -> bool:
    return any(layer.accumulated is not None for layer in result.layers)


def _of_weights(result: Layers) -> bool:
    """Whether nothing is known of outputs, for want of calibration data."""
    measured = (one for layer in result.layers for one in (layer.achieved, *layer.candidates.values()))
    return any(one is not None and one.of == "weights" for one in measured)


def _stacked(label: str) -> str:
    """`gptq-w4a16-g64` under one another, so that a column is as narrow as its numbers; so are the arguments behind it."""
    name, bracket, arguments = label.partition("(")
    return name.replace("-", "\n") + (bracket + arguments).replace("(", "\n(").replace(", ", ",\n")


def _name(layer: _Layer) -> Text:
    """`0 self_attn.q_proj`: the block's number and what follows it."""
    parts = layer.name.split(".")
    tail = parts[parts.index(str(layer.block)) + 1 :] if layer.block is not None else parts
    number = "" if layer.block is None else str(layer.block)
    return Text.assemble((f"{number:>2} ", "dim"), ".".join(tail))


def _decibel(measurement: Measurement | Accumulated | None) -> str:
    if measurement is None:
        return ""
    if measurement.state == "infinite":
        return "exact"
    return "no signal" if measurement.sqnr_db is None else f"{measurement.sqnr_db:.1f}"


def _candidate(layer: _Layer, label: str) -> Text:
    # A layer without its method's scale is another method's by what was applied, and still what this candidate was measured as.
    chosen = label == ((layer.applied if layer.fallback else None) or layer.asked)
    text = _decibel(layer.candidates.get(label))
    if layer.candidates.get(label) and layer.candidates[label].fallback:
        text += "!"
    return Text(text + ("*" if chosen else " "), style="bold" if chosen else "")


def _done(layer: _Layer, accumulated: bool, is_narrow: bool) -> list[Text]:
    """accumulated: whether there is a column for it."""
    asked, applied = layer.asked or "kept", layer.applied or "kept"
    said = applied if asked == applied else f"{asked} → {applied}"
    if is_narrow:
        said = said.replace("(", "\n(").replace(" → ", "\n→ ")
    how = Text(said, style="yellow" if asked != applied else "dim" if layer.applied is None else "")
    damping = "" if layer.damping is None else f"{layer.damping:g}"
    decibels = [layer.achieved, *([layer.accumulated] if accumulated else [])]
    return [how, *(Text(_decibel(one)) for one in decibels), Text(damping), Text(bits(layer.bits_per_weight))]


def front_table(front: ParetoFront) -> Table:
    """Some points of the front, the smallest and the best among them, by the numbers that `recipe --point` takes."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    predicted = "predicted\nKL" if front.objective == "importance" else "predicted\nloss"
    for title in ("point", "bits per\nweight", "size", predicted, "worst layer\ndB"):
        table.add_column(title, justify="right", no_wrap=True, vertical="bottom")
    last = len(front.points) - 1
    rows = min(last + 1, _FRONT_ROWS)
    for index in dict.fromkeys(round(row * last / max(rows - 1, 1)) for row in range(rows)):
        point = front.points[index]
        worst = "exact" if point.min_sqnr_db is None else f"{point.min_sqnr_db:.1f}"
        size, loss = format_bytes(point.bytes), significant(point.predicted_loss)
        table.add_row(str(index + 1), bits(point.bits_per_weight), size, loss, worst)
    return table


def _layers_of_rules(front: ParetoFront) -> str:
    count = len(front.unmeasured)
    return "1 layer whose rule asks for no candidate" if count == 1 else f"{count} layers whose rules ask for no candidate"


def summary_table(result: Result) -> Table:
    sizes, scores = result.sizes, result.scores
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("original", justify="right")
    table.add_column("quantized", justify="right")
    table.add_column("")
    if sizes.quantized_bytes is not None:
        ratio = f"{sizes.original_bytes / sizes.quantized_bytes:.2f}× smaller" if sizes.quantized_bytes else ""
        table.add_row("size", format_bytes(sizes.original_bytes), format_bytes(sizes.quantized_bytes), ratio)
    else:
        table.add_row("size", format_bytes(sizes.original_bytes), "", "")
    table.add_row("bits per weight", "", bits(sizes.bits_per_weight), f"{bits(sizes.model_bits_per_weight)} with all other tensors")
    if result.pareto is not None and result.predicted_loss is not None:
        what = "nats of KL divergence" if result.pareto.objective == "importance" else "Σ noise / signal of the layers"
        what += "' weights" if _of_weights(result) else ""
        what += f", without {_layers_of_rules(result.pareto)}" if result.pareto.unmeasured else ""
        name = "predicted KL" if result.pareto.objective == "importance" else "predicted loss"
        table.add_row(name, "", significant(result.predicted_loss), what)
    if scores.perplexity:
        digits = comparable_decimals([one.value for one in (scores.baseline_perplexity, scores.perplexity) if one])
        table.add_row(
            "perplexity",
            _score(scores.baseline_perplexity, digits),
            _score(scores.perplexity, digits),
            _sample(scores.perplexity),
        )
    if scores.perplexity_ratio:
        change = (scores.perplexity_ratio.value - 1) * 100
        error = scores.perplexity_ratio.standard_error * 100
        table.add_row("", "", f"{change:+.2f} ± {error:.2f} %", "change, sequence by sequence")
    if scores.kl:
        table.add_row("KL divergence", "", _score(scores.kl, significant_decimals(scores.kl.value)), "nats")
    if scores.same_top:
        table.add_row("same top token", "", _score(scores.same_top, 1, 100, " %"), "")
    seconds = sum(result.seconds.values())
    table.add_row("time, memory", "", f"{seconds:.1f} s", f"{format_bytes(result.peak_memory_bytes)} at most")
    return table


def _score(score: Score | None, digits: int, factor: float = 1.0, unit: str = "") -> str:
    if score is None:
        return ""
    return f"{score.value * factor:.{digits}f} ± {score.standard_error * factor:.{digits}f}{unit}"


def _sample(score: Score) -> str:
    return f"on {score.tokens:,} tokens"


def problem_line(problem: Problem, recipe: str) -> str:
    place = f"{recipe}:{problem.line}:{problem.column}: " if problem.line is not None else ""
    return f"{place}{problem.severity}: {problem.message} [{problem.code}]"


def quantization_line(found: Quantization) -> str:
    """`gptq, gptq_v2, 4 bits, groups of 128, symmetric`: what is known of it."""
    parts = [found.method, found.format if found.format != found.method else None]
    parts.append(" and ".join(map(str, found.bits)) + " bits" if found.bits else None)
    groups = [str(size) for size in found.group_sizes if size > 0]
    parts.append("groups of " + " and ".join(groups) if groups else None)
    parts.append("one scale for each output" if any(size < 0 for size in found.group_sizes) else None)
    parts.append(None if found.symmetric is None else "symmetric" if found.symmetric else "asymmetric")
    return ", ".join(part for part in parts if part)


def print_checkpoint(out: Console, found: Checkpoint) -> None:
    supported = "" if found.supported else " (not supported)"
    out.print(
        f"[bold]{found.architecture}[/]{supported}, {found.parameters:,} parameters, {found.dtype}, {format_bytes(found.bytes)}"
    )
    if found.quantization:
        out.print(f"quantized: {quantization_line(found.quantization)}", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("module", no_wrap=True)
    table.add_column("shape", justify="right")
    table.add_column("dtype")
    table.add_column("bits", justify="right")
    table.add_column("")
    for module in found.modules:
        shape = " × ".join(map(str, module.shape))
        stored = bits(8 * module.bytes / module.parameters) if module.parameters else ""
        table.add_row(module.name, shape, module.dtype, stored, "quantizable" if module.quantizable else "")
    out.print(table)


def print_conversion(out: Console, done: Conversion) -> None:
    """What was converted into what, and what rounding scales changed."""
    out.print(f"{done.layers} layers: {done.source_layout} → {quantization_line(done.quantization)}", highlight=False)
    if done.scales_rounded:
        rounded = f"{done.scales_rounded:,} of {done.scales:,} scales rounded to float16"
        out.print(f"{rounded}, the largest change is {done.largest_scale_change * 100:.2g} %", highlight=False)
    else:
        out.print("every weight is exactly the source's", highlight=False)
    out.print(f"{format_bytes(done.source_bytes)} → {format_bytes(done.output_bytes)}", highlight=False)
    out.print(f"checkpoint: {done.output}", highlight=False, markup=False, soft_wrap=True)

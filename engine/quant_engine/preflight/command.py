"""The command and what it prints, readable from 80 columns up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from quant_engine.cancel import terminable
from quant_engine.errors import QuantError
from quant_engine.figures import bits
from quant_engine.output import BAD_USAGE, fail, json_only, print_diagnostics, print_json
from quant_engine.preflight.disk import format_bytes

if TYPE_CHECKING:
    from rich.console import Console

    from quant_engine.protocol import OutputForecast, Preflight

_BUSY = 0.15
"""Of the processor: what is measured beside so much else is not what the run will take."""


def run(recipe: Path, runs: Path | None, overrides: list[str], device: str | None, json: bool) -> int:
    """Exit code: 0; 1 when the run would fail on this device or disk; 2 for a bad recipe or bad usage."""
    from quant_engine.execution import quiet_libraries
    from quant_engine.request import Request

    quiet_libraries()
    with json_only(json) as sink:
        try:
            from quant_engine.preflight.run import preflight

            request = Request("run", recipe.resolve(), tuple(overrides), device or "auto", runs.resolve() if runs else None)
            with terminable():
                found = preflight(request, str(recipe))
        except QuantError as error:
            raise fail(error, sink) from None
        print_diagnostics(found.findings, err=True)
        if sink:
            print_json(sink, found)
    if not json and found.device is not None:
        from quant_engine.report import console

        display(console(), found)
    if not any(finding.severity == "error" for finding in found.findings):
        return 0
    return BAD_USAGE if found.device is None else 1


def display(out: Console, found: Preflight) -> None:
    """What will be written, what each phase takes, and what the disks have."""
    assert found.device is not None
    out.print(Text(f"{found.architecture} on {found.device.id} ({found.device.name})", style="bold"))
    texts = f"{found.calibration_tokens:,} calibration tokens" if found.calibration_tokens else "no calibration data"
    out.print(texts + (f", {found.held_out_tokens:,} held-out tokens" if found.held_out_tokens else ""))
    if found.output is not None:
        out.print(_sizes(found.output, found.original_bytes))
    if found.phases:
        out.print(_phases(found))
    for disk in found.disks:
        style = "red" if disk.needed_bytes > disk.free_bytes else ""
        left = f"{format_bytes(disk.needed_bytes)} needed, {format_bytes(disk.free_bytes)} free"
        out.print(Text(f"disk, {disk.what}: {left}: {disk.path}", style=style), soft_wrap=True)
    if found.probe_seconds:
        out.print(Text(f"probed for {duration(found.probe_seconds)}", style="dim"))
    if found.others_share >= _BUSY:
        share = f"other processes had {found.others_share:.0%} of the processor meanwhile".replace("%", " %")
        out.print(Text(f"{share}: without them the run takes less time than is said here", style="yellow"))


def _sizes(output: OutputForecast, original: int) -> Table:
    table = _table("", ("tensors", "all files", "bits per\nweight", "of the\nwhole model"))
    kind = "output" if output.exact else "likely choice"
    model = bits(output.model_bits_per_weight)
    table.add_row("original", format_bytes(original), "", "", "")
    table.add_row(kind, f"{output.tensor_bytes:,} B", f"{output.file_bytes:,} B", bits(output.bits_per_weight), model)
    for name, bound in (("smallest", output.least), ("largest", output.most)):
        if bound is not None:
            table.add_row(name, f"{bound.tensor_bytes:,} B", "", bits(bound.bits_per_weight), "")
    if output.allowed_bits_per_weight is not None:
        table.add_row("budget", "", "", f"{output.allowed_bits_per_weight:g}", "")
    if output.allowed_bytes is not None:
        table.add_row("budget", f"{output.allowed_bytes:,} B", "", "", "")
    return table


def _phases(found: Preflight) -> Table:
    on_gpu = found.device_bytes is not None
    table = _table("phase", ("time", "memory", *(["GPU memory"] if on_gpu else [])))
    for phase in found.phases:
        table.add_row(phase.phase, duration(phase.seconds), format_bytes(phase.host_bytes), *_device(phase.device_bytes))
    table.add_section()
    table.add_row("all", duration(found.seconds), format_bytes(found.host_bytes), *_device(found.device_bytes))
    return table


def _device(count: int | None) -> list[str]:
    return [] if count is None else [format_bytes(count)]


def _table(first: str, others: tuple[str, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first, vertical="bottom")
    for title in others:
        table.add_column(title, justify="right", no_wrap=True, vertical="bottom")
    return table


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 05 min`: as exact as a forecast deserves."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if whole < 1200:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"

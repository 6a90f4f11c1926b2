"""What will go wrong in a run and only a look at the device tells, each finding at the recipe's key that asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

from quant_engine.advice import ADVICE
from quant_engine.calibration import statistics_of
from quant_engine.devices import resolve_devices
from quant_engine.formats.inputs import InputQuantizer, calibrated_scale
from quant_engine.lazy import torch
from quant_engine.methods import METHODS
from quant_engine.preflight.disk import format_bytes
from quant_engine.protocol import Diagnostic
from quant_engine.retry import is_out_of_memory

if TYPE_CHECKING:
    from quant_engine.preflight.phases import Forecast
    from quant_engine.preflight.streamed import StreamForecast
    from quant_engine.uses import Use
    from quant_engine.work import Work
    from quant_engine.yaml_source import Key

_CALIBRATION: Key = ("calibration",)
_STEPS = 12
"""Halvings of an interval in which a share of the tokens is sought: finer than the forecast is."""


class Findings:
    """`found`, in the order in which they were added."""

    def __init__(self, work: Work, shown: str) -> None:
        """shown: how the recipe is named. Takes over what the run's first stage noted."""
        self.device = resolve_devices(work.device)[0]
        self._work = work
        self._shown = shown
        self.found: list[Diagnostic] = [
            self._diagnostic(problem.severity, problem.code, problem.message, _note_advice(problem.code), problem.line, problem.column)
            for problem in work.problems
        ]

    def add_unsupported(self) -> None:
        """Number formats that this device's torch does not compute with, by trying each of them on a small matrix."""
        tried: dict[Use, str | None] = {}
        for key, use in self._uses():
            if use not in tried:
                tried[use] = _failure(use, self._work.device, getattr(torch, self._work.checkpoint.dtype))
            if tried[use] is not None:
                self._add("scheme-device", "error", f"{use.label} does not run on {self._work.device}: {tried[use]}", key)

    def add_memory(self, forecast: Forecast | StreamForecast) -> None:
        """Phases for which the memory does not suffice, and with how many tokens it would."""
        host, device = _host_memory(), self.device
        for name in forecast.walked:
            self._compare(forecast, name, "machine", forecast.host_bytes(name), *host)
            if device.id != "cpu":
                self._compare(forecast, name, "device", forecast.device_bytes(name), device.total_bytes, device.free_bytes)

    def add_no_memory_at_all(self) -> None:
        message = f"one block and a few batches do not fit into the memory of {self.device.id} ({format_bytes(self.device.total_bytes)})"
        self._add("memory-short", "error", message, ("model",) if self._work.is_streamed else _CALIBRATION)

    def _compare(self, forecast: Forecast | StreamForecast, phase: str, what: str, needed: int, total: int, free: int) -> None:
        if needed <= free:
            return
        held = forecast.host_bytes if what == "machine" else forecast.device_bytes
        key: Key = ("model",) if self._work.is_streamed else _CALIBRATION
        key = ("evaluate",) if phase == "evaluate" else key
        message = f"the phase {phase} needs about {format_bytes(needed)}, the {what} has {format_bytes(total)}, {format_bytes(free)} free"
        share = 0.0 if self._work.is_streamed and phase != "evaluate" else _share(lambda part: held(phase, part) <= free)
        if share:
            data = self._work.held_out if phase == "evaluate" else self._work.tokens
            fitting = int(share * data.tokens) if data else 0
            message += f"; about {max(1, fitting // data.length) if data else 0} sequences fit"
        self._add("memory-short", "error" if needed > total else "warning", message, key)

    def _uses(self) -> Iterator[tuple[Key, Use]]:
        recipe = self._work.recipe
        named: list[tuple[Key, Use | None]] = [(("candidates", index), use) for index, use in enumerate(recipe.resolved_candidates)]
        if recipe.quantize.budget is None:
            named.append((("quantize", "default"), recipe.quantize.default_use))
        named += [(("quantize", "rules", index, "use"), use) for index, use in enumerate(recipe.quantize.rule_uses)]
        return ((key, use) for key, use in named if use is not None)

    def _add(self, code: str, severity: Literal["error", "warning"], message: str, key: Key) -> None:
        place = self._work.place(key)
        self.found.append(self._diagnostic(severity, code, message, ADVICE[code], place.get("line"), place.get("column")))

    def _diagnostic(
        self,
        severity: Literal["error", "warning", "information"],
        code: str,
        message: str,
        advice: str,
        line: int | None,
        column: int | None,
    ) -> Diagnostic:
        line, column = line or 1, column or 1
        return Diagnostic(
            path=self._shown, line=line, column=column, end_line=line, end_column=column + 1,
            severity=severity, message=message, code=code, advice=advice,
        )  # fmt: skip


def _note_advice(code: str) -> str:
    return ADVICE.get(code, "docs/diagnostics.md says what to do.")


def _failure(use: Use, device: str, dtype: torch.dtype) -> str | None:
    """Why torch cannot quantize a small matrix so, or round its inputs; None: it can."""
    columns = use.group_width or 128
    try:
        generator = torch.Generator().manual_seed(0)
        weight = torch.randn(128, columns, generator=generator).to(device, dtype)
        X = torch.randn(2 * columns, columns, generator=generator).to(device)
        statistics = statistics_of([X])
        METHODS[use.method].quantize(weight, statistics, use.weight_format, use.arguments).effective()
        if use.input_format is not None:
            scale = calibrated_scale(statistics.largest, use.input_format, dtype)
            InputQuantizer(use.input_format, scale)(X.to(dtype))
    except (RuntimeError, NotImplementedError, TypeError) as error:
        if is_out_of_memory(error):
            raise
        return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
    return None


def _host_memory() -> tuple[int, int]:
    """Total, and what this process could have: what is available, and what it has already."""
    import psutil

    memory = psutil.virtual_memory()
    return memory.total, memory.available + psutil.Process().memory_info().rss


def _share(fits: Callable[[float], bool]) -> float:
    """The largest part of the tokens that fits; 0: none."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low

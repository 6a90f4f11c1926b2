"""What the stages of one run share: what was asked, what is known so far, and how to tell the world about progress."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from quant_engine import events
from quant_engine.check import Checked
from quant_engine.check_files import longest_sequence, target
from quant_engine.errors import Cancelled
from quant_engine.linalg.memory import release_freed
from quant_engine.recipe import Calibration, Evaluate, Recipe
from quant_engine.result import Objective, ParetoFront, Problem, Scores
from quant_engine.reuse import Reused
from quant_engine.yaml_source import Key

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.architectures.decoder import DecoderModel
    from quant_engine.assignment import Assigned, LayerMeasurements
    from quant_engine.benchmarks.accumulated import Energies
    from quant_engine.cancel import Cancellation
    from quant_engine.checkpoint import Checkpoint, LinearInfo
    from quant_engine.run_directory import RunDirectory
    from quant_engine.tokens import TokenData
    from quant_engine.uses import Use
    from quant_engine.walk import MeasuredLayer, QuantizedLayer

log = logging.getLogger(__name__)
_NEWS_SECONDS = 5.0
"""How often at most a run tells what it is doing within a unit."""
Action = Literal["run", "sensitivity"]


@dataclass
class Work:
    action: Action
    recipe_path: Path
    checked: Checked
    recipe: Recipe
    device: str
    directory: RunDirectory
    cancellation: Cancellation

    checkpoint: Checkpoint = field(init=False)
    tokens: TokenData = field(init=False)
    """Of a run without calibration data there are none."""
    other_devices: list[str] = field(default_factory=list)
    """Those that share the calibration batches with `device`."""
    held_out: TokenData | None = None
    fresh: bool = False
    identity: dict[str, str] = field(default_factory=dict)
    """What the measurements depend on (quant_engine.reuse)."""
    reused: Reused = field(default_factory=Reused)
    importance: dict[str, Tensor] = field(default_factory=dict)
    """Where it was measured: of each layer what the noise energy of each output costs in nats for each token (out,), float64."""
    measured: dict[str, MeasuredLayer] = field(default_factory=dict)
    assignment: dict[str, Assigned] = field(default_factory=dict)
    front: ParetoFront | None = None
    quantized: dict[str, QuantizedLayer] = field(default_factory=dict)
    scores: Scores = field(default_factory=Scores)
    accumulated: dict[str, Energies] = field(default_factory=dict)
    """By layer, from the evaluation of both models."""
    published: Path | None = None
    problems: list[Problem] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    _counter: events.Counter | None = None
    _first: int = 0
    """Units of the current phase that a run before this one has done."""
    _phase_started: float = 0.0
    _told: float = 0.0

    def path(self, written: str) -> Path:
        """A path of the recipe."""
        return target(self.recipe_path.parent, written)

    @property
    def is_streamed(self) -> bool:
        """Whether the recipe has no calibration data, so that weights are all that is looked at (quant_engine.streaming)."""
        return self.recipe.calibration is None

    @cached_property
    def model(self) -> DecoderModel:
        """Opened when it is first asked for, which takes transformers."""
        from quant_engine.architectures.decoder import open_model

        return open_model(self.checkpoint, self.device)

    @cached_property
    def linears(self) -> list[LinearInfo]:
        """The model's, known from headers."""
        from quant_engine.checkpoint import list_linears

        return list_linears(self.checkpoint)

    @property
    def output(self) -> Path:
        return self.path(self.recipe.output)

    def sequence_length(self, section: Calibration | Evaluate) -> int:
        """Tokens in a sequence: as written (the check has compared it), by default not more than the model can take."""
        most = longest_sequence(self.checkpoint)
        written = "sequence_length" in section.model_fields_set
        return section.sequence_length if written or most is None else min(section.sequence_length, most)

    @property
    def candidates(self) -> list[Use]:
        return self.recipe.resolved_candidates

    @property
    def missing(self) -> list[Use]:
        """The candidates that no earlier run has measured."""
        return [use for use in self.candidates if use.label not in self.reused.by]

    @property
    def objective(self) -> Objective:
        """What a budget and the front minimise: only for what is chosen by its loss is importance worth measuring."""
        budget = self.recipe.quantize.budget
        return "noise" if budget is None or budget.min_sqnr is not None or not self.candidates else budget.objective

    @property
    def measurements(self) -> dict[str, LayerMeasurements]:
        """What was measured, as the assignment needs it."""
        from quant_engine.assignment import LayerMeasurements

        return {name: LayerMeasurements(layer.signal, layer.candidates, self.objective) for name, layer in self.measured.items()}

    @property
    def has_fallbacks(self) -> bool:
        return any(layer.fallback for layer in self.quantized.values())

    @contextmanager
    def phase(self, phase: events.Phase, total: int, unit: str, done: int = 0) -> Iterator[None]:
        """Announce a phase of `total` units, `done` of them by a run before this one, and measure its time."""
        started = self._phase_started = time.monotonic()
        self._first = done
        self._counter = events.Counter(phase=phase, done=done, total=total, unit=unit)
        self.directory.event(events.PhaseStarted, phase=phase, total=total, unit=unit)
        self._publish_counter("")
        log.info("%s: %d %s", phase, total, unit)
        self.stop_if_asked()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.monotonic() - started
            self.directory.keep_seconds(self.seconds)
            # What this phase held and no longer needs is not to count beside what the next one needs.
            release_freed()

    def tick(self, message: str) -> None:
        """One more unit of the current phase is done. Raises Cancelled when the run was asked to stop."""
        assert self._counter is not None
        done = min(self._counter.done + 1, self._counter.total)
        each = (time.monotonic() - self._phase_started) / max(done - self._first, 1)
        change = {"done": done, "doing": "", "seconds_left": each * (self._counter.total - done)}
        self._counter = self._counter.model_copy(update=change)
        self._publish_counter(message)
        self.stop_if_asked()

    def stop_if_asked(self, doing: str = "") -> None:
        """For the walks to call between layers and candidates, with what comes next; now and then it is told on. A block that is left half
        done is done again by a resume."""
        if self.cancellation.asked:
            raise Cancelled
        if self._counter is not None and time.monotonic() - self._told >= _NEWS_SECONDS:
            self._counter = self._counter.model_copy(update={"doing": doing or self._counter.doing})
            self._publish_counter(self._counter.doing)

    def problem(
        self,
        severity: Literal["error", "warning", "information"],
        code: str,
        message: str,
        key: Key = (),
        layer: str | None = None,
    ) -> None:
        """Note something that a person should look at, at the recipe's key that caused it."""
        log.warning("%s [%s]", message, code)
        self.problems.append(Problem(severity=severity, code=code, message=message, layer=layer, **self.place(key)))

    def place(self, key: Key) -> dict[str, Any]:
        """Line and column of a key's value as fields of a Problem; empty when it stands nowhere in the recipe."""
        span, source = self.checked.locate(key), self.checked.source
        if span is None or source is None:
            return {}
        (line, column), (end_line, end_column) = source.position(span.start), source.position(span.end)
        return {"line": line, "column": column, "end_line": end_line, "end_column": end_column}

    def _publish_counter(self, message: str) -> None:
        assert self._counter is not None
        counter = self._counter
        self._told = time.monotonic()
        self.directory.update(progress=counter)
        self.directory.event(
            events.Progress, phase=counter.phase, done=counter.done, total=counter.total, message=message
        )

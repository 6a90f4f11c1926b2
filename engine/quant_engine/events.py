"""`events.jsonl`: what a run tells the world, one typed event a line; and `run.json`, the run's identity and state."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from quant_engine.result import Measurement, Problem, Score

RUN_FORMAT = 1
Phase = Literal["prepare", "importance", "measure", "choose", "quantize", "evaluate", "write"]
RunState = Literal["starting", "running", "cancelling", "cancelled", "failed", "done", "done-with-fallbacks"]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class Event(Model):
    sequence: int = Field(description="1, 2, 3 … without gaps, over resumes too.")
    time: str = Field(description="UTC, ISO 8601.")


class Started(Event):
    type: Literal["started"] = "started"
    pid: int
    resumed: bool


class PhaseStarted(Event):
    type: Literal["phase"] = "phase"
    phase: Phase
    total: int = Field(description="Units of work in this phase (blocks, sequences).")
    unit: str


class Progress(Event):
    type: Literal["progress"] = "progress"
    phase: Phase
    done: int
    total: int
    message: str = Field(default="", description="What is being done, for example a block's name.")


class LayerMeasured(Event):
    type: Literal["layer-measured"] = "layer-measured"
    layer: str
    signal: float
    candidates: dict[str, Measurement]


class Reused(Event):
    """Measurements of an earlier run with the same data are taken; their layers follow as layer-measured."""

    type: Literal["reused"] = "reused"
    run: str = Field(description="Name of the run directory that they are read from.")
    candidates: list[str] = Field(description="Labels of the candidates that need not be measured.")


class LayerQuantized(Event):
    type: Literal["layer-quantized"] = "layer-quantized"
    layer: str
    asked: str
    applied: str
    damping: float | None
    loss: float | None
    achieved: Measurement


class Fallback(Event):
    type: Literal["fallback"] = "fallback"
    layer: str
    asked: str
    applied: str
    reason: str


class Scored(Event):
    type: Literal["score"] = "score"
    name: Literal["perplexity", "baseline_perplexity", "perplexity_ratio", "kl", "same_top"]
    score: Score


class Failed(Event):
    type: Literal["failed"] = "failed"
    problem: Problem
    advice: str


class Cancelled(Event):
    type: Literal["cancelled"] = "cancelled"
    message: str


class Done(Event):
    type: Literal["done"] = "done"
    state: Literal["done", "done-with-fallbacks"]
    output: str | None


AnyEvent = Annotated[
    Started | PhaseStarted | Progress | Reused | LayerMeasured | LayerQuantized | Fallback | Scored | Failed | Cancelled | Done,
    Field(discriminator="type"),
]


class Counter(Model):
    phase: Phase
    done: int
    total: int
    unit: str
    doing: str = Field(default="", description="What is being done within the next unit, for example layers and a candidate.")
    seconds_left: float | None = Field(default=None, description="Of this phase, from the units done so far; null before there is one.")


class RunRecord(Model):
    """`run.json`, replaced atomically at every change."""

    format: Literal[1] = RUN_FORMAT
    run: str = Field(description="Name of the run directory.")
    action: Literal["run", "sensitivity"]
    recipe: str = Field(description="Absolute path of the recipe.")
    model: str = Field(description="Absolute path of the checkpoint.")
    output: str | None
    state: RunState
    progress: Counter | None = None
    created: str
    updated: str
    finished: str | None = None
    pid: int
    pid_started: float = Field(description="Start time of that process (seconds since the epoch): tells a reused pid from the run's own.")
    host: str
    device: str
    environment: dict[str, str] = Field(description="Versions of Python, the engine and the libraries.")
    measurement: str | None = Field(
        default=None, description="SHA-256 of what the measurements depend on (`identity` of the result); null: not known yet."
    )
    resumable: bool = Field(description="Whether `--resume` can continue it.")
    error: Problem | None = None
    advice: str | None = None
    log: str = Field(default="engine.log", description="Log file in the run directory.")

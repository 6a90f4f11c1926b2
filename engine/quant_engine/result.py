"""`result.json`: the summary of a run that panels, the language server and other tools read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

RESULT_FORMAT = 1


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


SqnrState = Literal["finite", "infinite", "zero-signal"]
Objective = Literal["noise", "importance"]
"""What the loss of a choice is: Σ noise / signal of its layers, or the KL divergence that importance-weighted noise predicts."""


class Measurement(Model):
    """One candidate on one layer: at the layer's output, over all calibration tokens; without calibration data on its weights alone."""

    of: Literal["outputs", "weights"] = Field(
        default="outputs",
        description=(
            "What signal, noise and SQNR are of. outputs: y and what it becomes. weights: w and what it becomes, without calibration data; "
            "such an SQNR says nothing of what inputs make of the error, nor of rounded inputs."
        ),
    )
    noise: float = Field(description="Σ‖y − ŷ‖², float64; of weights Σ(w − ŵ)².")
    sqnr_db: float | None = Field(description="10·log10(signal / noise) in dB; null unless state is finite.")
    state: SqnrState = Field(description="finite; infinite: no error at all; zero-signal: the layer's output is zero.")
    bits_per_weight: float = Field(description="Stored bits for each weight, scales and zero points included.")
    predicted_kl: float | None = Field(
        default=None,
        description="What the noise costs by each output's measured importance: KL divergence in nats for each token; null: not measured.",
    )
    weight_only_db: float | None = Field(
        default=None,
        description=(
            "Where inputs are rounded too: the SQNR in dB of the rounded weights on inputs as they are; null: not measured, or no number."
        ),
    )
    damping: float | None = Field(default=None, description="Relative damping that was needed, for methods that use it.")
    fallback: str | None = Field(default=None, description="Why the method could not do as asked; null when it did.")


class Accumulated(Model):
    """A layer's output in the quantized model, with the errors of all layers before it, beside that in the original, on held-out text."""

    signal: float = Field(description="Σ‖y‖² of the original model, float64.")
    noise: float = Field(description="Σ‖y − ŷ‖², ŷ of the quantized model.")
    sqnr_db: float | None = Field(description="10·log10(signal / noise) in dB; null unless state is finite.")
    state: SqnrState = Field(description="As of a measurement.")


class LayerResult(Model):
    """One linear layer: what was measured, asked and done."""

    name: str = Field(description="Module name, for example model.layers.0.mlp.down_proj.")
    block: int | None = Field(description="Index of its block; null for layers outside the blocks (lm_head).")
    kind: str = Field(description="Last part of the name, for example down_proj.")
    outputs: int = Field(description="Rows of the weight matrix.")
    inputs: int = Field(description="Columns of the weight matrix.")
    group: str = Field(description="Layers with the same value read the same input.")
    tokens: int = Field(description="Calibration tokens that reached the layer; 0 without calibration data.")
    signal: float = Field(description="Σ‖y‖² of the float layer, float64; without calibration data Σw².")
    candidates: dict[str, Measurement] = Field(description="Measurements by candidate label, on the float model's inputs.")
    rule: int | Literal["default", "budget"] | None = Field(
        description="Index of the deciding rule, `default`, `budget`; null: not a target."
    )
    asked: str | None = Field(description="Label that the recipe asks for; null: kept as it is.")
    applied: str | None = Field(default=None, description="Label that was applied; null: kept, or not yet quantized.")
    fallback: str | None = Field(default=None, description="Why applied differs from asked.")
    note: str | None = Field(default=None, description="What is worth knowing of a layer that got what was asked, for example its scale.")
    damping: float | None = Field(default=None, description="Relative damping used when the layer was quantized.")
    loss: float | None = Field(default=None, description="The method's own loss when the layer was quantized.")
    achieved: Measurement | None = Field(
        default=None,
        description="The written weights against the float ones, on the inputs of the quantized network; see its `of`.",
    )
    accumulated: Accumulated | None = Field(
        default=None, description="Null where the original was not evaluated beside the quantized model, for experts, and for lm_head."
    )
    bits_per_weight: float = Field(description="Stored bits for each weight as written (16 for kept bf16/fp16 layers).")


class Score(Model):
    """An end-to-end number with its standard error over held-out sequences."""

    value: float
    standard_error: float
    samples: int = Field(description="Held-out sequences.")
    tokens: int = Field(description="Predicted tokens.")


class Scores(Model):
    perplexity: Score | None = Field(default=None, description="Of the quantized checkpoint.")
    baseline_perplexity: Score | None = Field(default=None, description="Of the original.")
    perplexity_ratio: Score | None = Field(
        default=None, description="Quantized over original perplexity, its standard error from the differences of each sequence."
    )
    kl: Score | None = Field(default=None, description="Mean KL(original ‖ quantized) of the next-token distributions, nats.")
    same_top: Score | None = Field(default=None, description="Share of positions whose most likely token is the same.")


class Sizes(Model):
    original_bytes: int = Field(description="Tensor bytes of the original checkpoint.")
    quantized_bytes: int | None = Field(description="Tensor bytes of the written checkpoint; null before it is written.")
    bits_per_weight: float = Field(description="Average over the weights of all target layers.")
    model_bits_per_weight: float = Field(description="Average over all parameters of the model.")


class ParetoPoint(Model):
    """An assignment that no other beats in both size and predicted loss."""

    bits_per_weight: float = Field(description="Average stored bits for each weight of the quantized layers, those of rules included.")
    bytes: int = Field(description="Tensor bytes of the checkpoint that it gives.")
    predicted_loss: float = Field(
        description="Over all quantized layers but the unmeasured ones: Σ noise / signal, or KL divergence in nats; see `objective`."
    )
    min_sqnr_db: float | None = Field(description="SQNR of the worst of these layers in dB; null when all of them are exact.")
    assignment: list[int] = Field(description="For each unit the index of its candidate.")


class ParetoFront(Model):
    """What can be had for how many bits, rules kept: from the smallest assignment of the candidates to the best."""

    objective: Objective = Field(default="noise", description="What the points' predicted loss is.")
    units: list[list[str]] = Field(description="Layers that no rule decides; those that have to share a candidate are one unit.")
    unmeasured: list[str] = Field(
        default=[], description="Layers whose rule asks for something that is no candidate: in size and bits, not in loss and SQNR."
    )
    points: list[ParetoPoint] = Field(description="Ascending in size; `quant-engine recipe RUN --point N` counts them from 1.")


class Problem(Model):
    """Something a person should look at, in the recipe's coordinates where it has any (1-based)."""

    severity: Literal["error", "warning", "information"]
    code: str
    message: str
    layer: str | None = None
    line: int | None = None
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None


class Result(Model):
    """The summary of one run."""

    format: Literal[1] = RESULT_FORMAT
    run: str = Field(description="Name of the run directory.")
    action: Literal["run", "sensitivity"]
    recipe: str = Field(description="Absolute path of the recipe that ran.")
    model: str = Field(description="Absolute path of the checkpoint.")
    architecture: str
    output: str | None = Field(description="Absolute path of the written checkpoint; null when none was written.")
    candidates: list[str] = Field(description="Candidate labels in recipe order.")
    layers: list[LayerResult]
    sizes: Sizes
    scores: Scores
    problems: list[Problem]
    predicted_loss: float | None = Field(
        default=None,
        description="Of what the recipe asks for, as of the front's points; null when it asks for no candidate where no rule decides.",
    )
    pareto: ParetoFront | None = Field(default=None, description="Null without candidates, or when rules decide every layer.")
    measured_by: dict[str, str] = Field(
        default_factory=dict,
        description="By candidate label the name of the run that measured it: this one, or an earlier one with the same identity.",
    )
    importance_by: str | None = Field(
        default=None, description="Name of the run that measured the importance in predicted_kl; null: it has none."
    )
    identity: dict[str, str] = Field(
        default_factory=dict, description="What the measurements depend on. A run takes those of another one only when all of it is equal."
    )
    calibration_tokens: int = Field(description="0: the recipe has no calibration data.")
    seconds: dict[str, float] = Field(description="Wall time by phase.")
    peak_memory_bytes: int = Field(description="Peak resident memory of the process.")

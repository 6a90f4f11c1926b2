"""The recipe: everything a run is asked to do, as one validated model and the source of `schemas/recipe.schema.json`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from quant_engine.formats.scheme import COMPRESSED, OutputFormat
from quant_engine.result import Objective
from quant_engine.uses import Keep, LongUse, ShortUse, Use, parse_short, resolve


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_short(value: Any) -> Any:
    if isinstance(value, str) and value != "none":
        parse_short(value)
    return value


class Calibration(Section):
    """The text that shows the methods what the layers' inputs look like."""

    data: str = Field(
        min_length=1,
        description=(
            "Text to calibrate on: a `.jsonl` file with a `text` field in each line, or a plain `.txt` file. Relative to the recipe."
        ),
        json_schema_extra={"format": "path"},
    )
    samples: int = Field(
        default=128, ge=1, le=65536, description="Number of calibration sequences; more cost time and lose less. Default: 128."
    )
    sequence_length: int = Field(
        default=2048, ge=8, le=1048576, description="Tokens in each calibration sequence, at most the model's maximum. Default: 2048."
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Seed that chooses the calibration sequences. Default: 0.")


_SIZE_UNITS = {"B": 1}
_SIZE_UNITS |= {f"{prefix}B": 1000**power for power, prefix in enumerate(("k", "M", "G", "T"), 1)}
_SIZE_UNITS |= {f"{prefix}iB": 1024**power for power, prefix in enumerate(("K", "M", "G", "T"), 1)}
_SIZE = rf"^([0-9]+(?:\.[0-9]+)?) ?({'|'.join(_SIZE_UNITS)})$"


def _without_null(schema: dict[str, Any]) -> None:
    """A key that is absent is absent: `null` is nothing to write."""
    schema.pop("default", None)


LIMITS = ("bits_per_weight", "size", "min_sqnr")
OBJECTIVES: dict[str, str] = {
    "noise": "The least Σ noise / signal over all layers: every layer counts alike. Costs nothing beyond the measurement.",
    "importance": (
        "The least predicted KL divergence from the original model: the noise at each output of a layer counts by its measured mean "
        "squared gradient. Needs a backward pass over some of the calibration tokens."
    ),
}


class Budget(Section):
    """A limit, by exactly one of its keys; the best candidates under it are chosen from the measured sensitivity."""

    model_config = ConfigDict(json_schema_extra={"x-exactly-one": [*LIMITS], "x-at-most-one": [["min_sqnr", "objective"]]})

    # The constraints stand at the kind, not at the key: pydantic would not write those of a union into the schema.
    bits_per_weight: Annotated[float, Field(gt=0, le=32)] | SkipJsonSchema[None] = Field(
        default=None,
        description="Average stored bits for each weight of the quantized layers, scales included: the least noise within them.",
        json_schema_extra=_without_null,
    )
    size: Annotated[str, Field(pattern=_SIZE)] | SkipJsonSchema[None] = Field(
        default=None,
        examples=["5 GB", "900 MB", "4.5 GiB"],
        description="Bytes of all tensors of the written checkpoint, for example `5 GB` or `4.5 GiB`: the least noise within them.",
        json_schema_extra=_without_null,
    )
    min_sqnr: Annotated[float, Field(gt=0, le=200)] | SkipJsonSchema[None] = Field(
        default=None,
        description="The smallest SQNR in dB that a layer may have: the smallest checkpoint that keeps it. Layers of rules do not count.",
        json_schema_extra=_without_null,
    )
    objective: Objective = Field(
        default="importance",
        description=(
            "What is least within `bits_per_weight` or `size`. `importance`: the KL divergence that is predicted from each output's "
            "measured importance, which takes a backward pass over some of the calibration tokens. `noise`: Σ noise / signal over the "
            "layers, every layer alike. Default: importance."
        ),
        json_schema_extra={"enumDescriptions": OBJECTIVES},  # type: ignore[dict-item]
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Budget:
        written = [name for name in LIMITS if getattr(self, name) is not None]
        if len(written) != 1:
            raise ValueError(f"a budget has exactly one of {', '.join(LIMITS)}")
        if self.min_sqnr is not None and "objective" in self.model_fields_set:
            raise ValueError("min_sqnr and objective exclude each other: the smallest checkpoint is found without one")
        return self

    @property
    def size_bytes(self) -> int | None:
        """`size` as a number of bytes, fractions cut off."""
        return None if self.size is None else parse_size(self.size)


def parse_size(text: str) -> int:
    """Bytes that a text such as `5 GB` (decimal) or `4.5 GiB` (binary) means, fractions of a byte cut off. Raises ValueError."""
    match = re.fullmatch(_SIZE, text)
    if not match:
        raise ValueError(f"{text!r} is no size; write a number and a unit, such as 5 GB, 900 MB or 4.5 GiB")
    return int(Fraction(match[1]) * _SIZE_UNITS[match[2]])


class Rule(Section):
    """Layers, and how to quantize them. The first rule that matches a layer decides."""

    layers: Annotated[str, Field(min_length=1)] | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] = Field(
        description=(
            "Pattern over module names, for example `*.mlp.down_proj`: `*` stands for any characters (dots too), `?` for one, "
            "`[0-3]` for one of a set. A list matches when any of its patterns does."
        ),
        json_schema_extra={"format": "layer-pattern"},
    )
    use: Keep | ShortUse | LongUse = Field(description="How to quantize these layers: a short form, a mapping, or `none` to keep them.")

    _short = field_validator("use", mode="before")(_check_short)

    @property
    def patterns(self) -> list[str]:
        return [self.layers] if isinstance(self.layers, str) else list(self.layers)


class Quantize(Section):
    """Which layer is quantized how."""

    default: Keep | ShortUse | LongUse = Field(
        description="How to quantize every linear layer of the blocks that no rule names. `lm_head` is quantized only when a rule names it."
    )
    budget: Budget | None = Field(
        default=None,
        description="Choose among the candidates for layers that no rule names, under this limit. Absent: default and rules alone decide.",
    )
    rules: list[Rule] = Field(default=[], description="Exceptions from the default; the first rule that matches a layer wins.")

    _short = field_validator("default", mode="before")(_check_short)
    _output: OutputFormat = PrivateAttr(default=COMPRESSED)

    @property
    def default_use(self) -> Use | None:
        """None: layers stay as they are."""
        return resolve(self.default, self._output)

    @property
    def rule_uses(self) -> list[Use | None]:
        """Of each rule what `default_use` is of the default."""
        return [resolve(rule.use, self._output) for rule in self.rules]

    def stored_as(self, output: OutputFormat) -> Quantize:
        """The same decisions for a checkpoint in that format."""
        section = self.model_copy()
        section._output = output
        return section


class Evaluate(Section):
    """What is measured end to end: perplexity, KL divergence and the same-top-token rate on held-out text."""

    data: str = Field(
        min_length=1,
        description="Held-out text (`.txt`, or `.jsonl` with a `text` field) that calibration never saw. Relative to the recipe.",
        json_schema_extra={"format": "path"},
    )
    samples: int = Field(default=64, ge=2, le=65536, description="Number of held-out sequences. Default: 64.")
    sequence_length: int = Field(default=2048, ge=8, le=1048576, description="Tokens in each held-out sequence. Default: 2048.")
    baseline: bool = Field(
        default=True,
        description="Also run the original on the same text: its perplexity, KL divergence and same-top-token rate need it. Default: true.",
    )


OUTPUT_FORMATS: dict[str, str] = {
    "compressed-tensors": "Loads in transformers, vLLM and SGLang as it is. Holds every scheme, and several in one checkpoint.",
    "gptq": "GPTQ's own layout, first version, which most GPTQ readers take: zero points stored minus one.",
    "gptq_v2": "GPTQ's layout with zero points as they are, for GPTQModel and readers that know it.",
}


class Recipe(Section):
    """A quantization recipe."""

    model: str = Field(
        min_length=1,
        description="Hugging Face checkpoint folder (safetensors only), relative to the recipe.",
        json_schema_extra={"format": "checkpoint"},
    )
    calibration: Calibration | None = Field(
        default=None,
        description=(
            "Calibration data. Absent: only methods and schemes that need none may be used (`rtn`, `hqq`, `fp8` with scales of inputs that "
            "are found at run time), weights are all that is looked at, and they are written as fast as they can be read."
        ),
    )
    devices: list[Annotated[str, Field(pattern=r"^(cpu|cuda(:[0-9]+)?)$", examples=["cuda:0", "cpu"])]] = Field(
        default=[],
        description=(
            "Devices that share the calibration batches, for example `[cuda:0, cuda:1]`; methods run on the first one. Absent: the first "
            "GPU, or the CPU without one. `--device` on the command line comes before it."
        ),
    )
    candidates: list[ShortUse | LongUse] = Field(
        default=[],
        description=(
            "What the sensitivity panel compares on every layer, from one calibration pass; without calibration data on its weights alone. "
            "Absent: nothing is measured before."
        ),
    )
    quantize: Quantize = Field(description="Which layer is quantized how.")
    evaluate: Evaluate | None = Field(default=None, description="End-to-end quality on held-out text. Absent: not measured.")
    output: str = Field(
        min_length=1,
        description="Folder for the quantized checkpoint, relative to the recipe; must not exist.",
        json_schema_extra={"format": "output"},
    )
    output_format: OutputFormat = Field(
        default=COMPRESSED,
        description=(
            "How the checkpoint stores quantized layers. `compressed-tensors` holds every scheme. `gptq` and `gptq_v2` hold integer "
            "weights of 2, 3, 4 and 8 bits, and they alone groups in processing order (actorder `group`). Default: compressed-tensors."
        ),
        json_schema_extra={"enumDescriptions": OUTPUT_FORMATS},  # type: ignore[dict-item]
    )

    @model_validator(mode="after")
    def _format_of_all(self) -> Recipe:
        object.__setattr__(self, "quantize", self.quantize.stored_as(self.output_format))
        return self

    @field_validator("candidates", mode="before")
    @classmethod
    def _short_candidates(cls, value: Any) -> Any:
        for item in value if isinstance(value, list) else []:
            _check_short(item)
        return value

    @property
    def resolved_candidates(self) -> list[Use]:
        """Each once, however often and in whichever form it is written."""
        uses = [resolve(value, self.output_format) for value in self.candidates]
        return list({use.label: use for use in uses if use is not None}.values())

"""What a recipe may write where it names a way to quantize: `gptq-w4a16-g64`, `{ method: gptq, scheme: W4A16 }` or `none`.

The mapping models are made from the registered methods, so a method's arguments are recipe keys without another line of code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, create_model, model_validator
from typing_extensions import TypeAliasType

from quant_engine.formats.scheme import COMPRESSED, DEFAULT_GROUP_SIZE, GROUP_SIZES, SCHEMES, InputFormat, OutputFormat, WeightFormat
from quant_engine.methods import METHODS, Method
from quant_engine.methods.registry import NEEDS_SCHEME, Arguments, needed

KEEP = "none"
GroupSize = Literal["channel"] | Annotated[int, Field(ge=8, le=65536)]


class Use(BaseModel):
    """A method, a scheme and the method's arguments: one way to quantize a layer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    scheme: str
    group_size: GroupSize | None = Field(
        default=None,
        description=(
            "Consecutive input weights that share one scale, or `channel` for one scale for each output row. "
            f"Default: {DEFAULT_GROUP_SIZE}. Must divide the layer's input width; smaller groups cost more bits and lose less."
        ),
    )

    _output: OutputFormat = PrivateAttr(default=COMPRESSED)

    @property
    def output_format(self) -> OutputFormat:
        """Whose tensors the layer is stored in: the recipe says it once for all."""
        return self._output

    def stored_as(self, output: OutputFormat) -> Use:
        """The same way to quantize for a checkpoint in that format."""
        if output == self._output:
            return self
        use = self.model_copy()
        use._output = output
        return use

    @property
    def weight_format(self) -> WeightFormat:
        scheme = SCHEMES[self.scheme]
        weights = scheme.weights
        if self.group_size is not None:
            weights = weights.with_group_size(None if self.group_size == "channel" else self.group_size)
        return weights.stored_as(self._output) if scheme.inputs is None else weights

    def orders_groups(self, columns: int) -> bool:
        """Whether a layer of that input width gets groups in processing order."""
        return self.arguments.orders_groups and self.weight_format.has_order(columns)

    @property
    def input_format(self) -> InputFormat | None:
        """How the layer's inputs are rounded at run time; None: not at all."""
        return SCHEMES[self.scheme].inputs

    @property
    def group_width(self) -> int | None:
        """What has to divide the input width: the group size of weights or inputs."""
        inputs = self.input_format
        return self.weight_format.group_size or (inputs.group_size if inputs else None)

    @property
    def needs_calibration(self) -> str | None:
        """What of it calibration data are needed for: `method`, or `scheme`, which stores a scale of inputs; None: nothing."""
        if METHODS[self.method].needs_calibration:
            return "method"
        inputs = self.input_format
        return "scheme" if inputs is not None and inputs.stored_scale is not None else None

    def fits(self, columns: int) -> bool:
        """Whether a layer of that input width can be stored so."""
        return self.weight_format.fits(columns) and (self.input_format is None or self.input_format.fits(columns))

    @model_validator(mode="after")
    def _fixed_groups(self) -> Use:
        if self.group_size is not None and not SCHEMES[self.scheme].regroupable:
            raise ValueError(f"{self.scheme} has no group size to choose: remove group_size")
        return self

    @model_validator(mode="after")
    def _fitting_arguments(self) -> Use:
        for value, schemes in needed(self, NEEDS_SCHEME):
            if self.scheme not in schemes:
                raise ValueError(f"{value} does not go with {self.scheme}")
        return self

    @property
    def arguments(self) -> Arguments:
        """The method's own arguments."""
        kind = METHODS[self.method].arguments
        return kind(**{name: getattr(self, name) for name in kind.model_fields})

    @property
    def label(self) -> str:
        """Canonical short name, for example `gptq-w4a16-g64`; arguments that differ from their defaults follow in parentheses."""
        label = short_name(self.method, self.scheme)
        usual = SCHEMES[self.scheme].weights.group_size
        group_size = self.weight_format.group_size
        if group_size is None and usual is not None:
            label += "-channel"
        elif group_size != usual:
            label += f"-g{group_size}"
        changed = self.arguments.model_dump(exclude_defaults=True)
        return label + _in_parentheses(changed)


def _in_parentheses(changed: Mapping[str, Any]) -> str:
    """`(clip=False, rounding=gptq(damping=0.05))`"""

    def said(value: Any) -> str:
        if not isinstance(value, dict):
            return str(value)
        return value["method"] + _in_parentheses({key: one for key, one in value.items() if key != "method"})

    return f"({', '.join(f'{key}={said(value)}' for key, value in changed.items())})" if changed else ""


def short_name(method: str, scheme: str) -> str:
    """`gptq-w4a16`; a scheme that begins with the method's name says both: `fp8_dynamic`."""
    lower = scheme.lower()
    return lower if lower.split("_")[0] == method else f"{method}-{lower}"


def _model(method: Method) -> type[Use]:
    scheme = Literal[method.schemes]  # type: ignore[valid-type]
    documentation: Any = {name: SCHEMES[name].description for name in method.schemes}
    fields: dict[str, Any] = {
        "method": (Literal[method.name], Field(description=f"**{method.title}**. {method.summary}", title=method.title)),
        "scheme": (
            scheme,
            Field(
                description="Number format of weights and activations, by compressed-tensors' names.",
                json_schema_extra={"enumDescriptions": documentation},
            ),
        ),
    }
    for name, info in method.arguments.model_fields.items():
        if not info.description:
            raise ValueError(f"argument {name!r} of method {method.name!r} needs a description: it is shown in completion and hover")
        fields[name] = (info.annotation, info)
    return create_model(f"{method.name.title().replace('_', '')}Use", __base__=Use, __doc__=method.summary, **fields)


USE_MODELS: dict[str, type[Use]] = {name: _model(method) for name, method in METHODS.items()}
_SHORT = re.compile(r"^(?P<name>[a-z0-9_]+(?:-[a-z0-9_]+)?)(?:-(?:g(?P<group>\d+)|(?P<channel>channel)))?$")
SHORT_USES: dict[str, tuple[str, str]] = {
    short_name(method.name, scheme): (method.name, scheme) for method in METHODS.values() for scheme in method.schemes
}
"""Short form without a group size → method and scheme."""
SHORT_NAMES: dict[str, str] = {
    name: f"{METHODS[method].title}. {SCHEMES[scheme].description}" for name, (method, scheme) in SHORT_USES.items()
}
_REGROUPABLE = [name for name, (_, scheme) in SHORT_USES.items() if SCHEMES[scheme].regroupable]
_SHORT_SCHEMA = {
    "type": "string",
    "anyOf": [
        {"enum": [*SHORT_NAMES], "enumDescriptions": SHORT_NAMES},
        {"pattern": f"^({'|'.join(_REGROUPABLE)})(-g({'|'.join(map(str, GROUP_SIZES))})|-channel)?$"},
    ],
}


def parse_short(text: str) -> Use:
    """Read `method-scheme[-gN|-channel]`. Raises ValueError that names the known ones."""
    match = _short_match(text)
    if match is None:
        raise ValueError(f"unknown method and scheme {text!r}; write method-scheme such as gptq-w4a16, gptq-w4a16-g64 or rtn-w8a16-channel")
    group: Any = "channel" if match["channel"] else int(match["group"]) if match["group"] else None
    if isinstance(group, int) and group not in GROUP_SIZES:
        known = ", ".join(f"g{g}" for g in GROUP_SIZES)
        raise ValueError(f"unknown group size {group} in {text!r}; the short form knows {known} and channel")
    method, scheme = SHORT_USES[match["name"]]
    return USE_MODELS[method](method=method, scheme=scheme, group_size=group)


def _short_match(text: str) -> re.Match[str] | None:
    """The parts of a short form, when its name and, if it has one, its group size can be had together."""
    match = _SHORT.match(text)
    if match is None or match["name"] not in SHORT_USES:
        return None
    grouped = match["group"] or match["channel"]
    return match if not grouped or match["name"] in _REGROUPABLE else None


ShortUse = TypeAliasType(
    "ShortUse",
    Annotated[str, Field(json_schema_extra=_SHORT_SCHEMA, description="Short form: `method-scheme`, optionally `-g64` or `-channel`.")],
)
LongUse = TypeAliasType("LongUse", Annotated[reduce(or_, USE_MODELS.values()), Field(discriminator="method")])  # type: ignore[valid-type]
Keep = TypeAliasType(
    "Keep", Annotated[Literal["none"], Field(description="Keep the layer as it is, in the checkpoint's own dtype.")]
)


def resolve(value: str | Use, output: OutputFormat = COMPRESSED) -> Use | None:
    """The way to quantize that a recipe's value names, for a checkpoint in that format; None for `none`."""
    if value == KEEP:
        return None
    return (value if isinstance(value, Use) else parse_short(value)).stored_as(output)

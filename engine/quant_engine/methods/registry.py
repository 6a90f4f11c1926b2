"""What a quantization method is, and the table of them.

A method is a pure function on tensors with typed arguments. Its file registers it:

    @method("rtn", title="Round to nearest", arguments=RtnArguments)
    def rtn(weight, statistics, weight_format, arguments): ...

Everything a person sees of a method (recipe keys, completion, hover, `quant-engine methods`) comes from this
registration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict

from quant_engine.formats.scheme import SCHEMES, WeightFormat

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.methods.types import Quantized, Statistics


NEEDS_OUTPUT = "x-needs-output"
"""In an argument's schema: value → the output formats that it takes one of."""
NEEDS_SCHEME = "x-needs-scheme"
"""In an argument's schema: value → the schemes that it takes one of; those that its method does not have may be among them."""


class Arguments(BaseModel):
    """Base of every method's arguments; each field needs a description, which becomes completion and hover text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def orders_groups(self) -> bool:
        """Whether groups may hold other columns than their place says, which only GPTQ's layout can store."""
        return False


def needed(model: BaseModel, keyword: str) -> Iterator[tuple[str, list[str]]]:
    """(value, names that it takes one of) of the arguments' values that have such a need, NEEDS_OUTPUT or NEEDS_SCHEME; also of arguments
    of arguments."""
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from needed(value, keyword)
        elif isinstance(value, str) and isinstance(info.json_schema_extra, dict):
            needs: Any = info.json_schema_extra.get(keyword, {})
            if value in needs:
                yield value, needs[value]


QuantizeFunction = Callable[["Tensor", "Statistics", WeightFormat, Any], "Quantized"]


@dataclass(frozen=True)
class Paper:
    """Where a method comes from; the editor's hover links it."""

    title: str
    url: str


@dataclass(frozen=True)
class Method:
    name: str
    title: str
    summary: str
    paper: Paper | None
    arguments: type[Arguments]
    schemes: tuple[str, ...]
    needs_calibration: bool
    rank: int
    scales_inputs: bool
    """It may return codes of W·diag(s), s to be folded into the operation before the layer."""
    quantize: QuantizeFunction


_METHODS: dict[str, Method] = {}
F = TypeVar("F", bound=QuantizeFunction)


def method(
    name: str,
    *,
    title: str,
    arguments: type[Arguments] = Arguments,
    schemes: tuple[str, ...] | None = None,
    needs_calibration: bool = True,
    rank: int = 100,
    scales_inputs: bool = False,
    paper: Paper | None = None,
) -> Callable[[F], F]:
    """Register a method under `name`; the first paragraph of its docstring is the help text. A name taken twice is an
    error. rank: lists of methods, and what the editor proposes first, are in this order, then by name."""

    def register(function: F) -> F:
        if name in _METHODS:
            raise ValueError(f"two quantization methods are named {name!r}")
        unknown = set(schemes or ()) - set(SCHEMES)
        if unknown:
            raise ValueError(f"method {name!r} names unknown schemes: {sorted(unknown)}")
        summary = " ".join((function.__doc__ or "").strip().split("\n\n")[0].split())
        if not summary:
            raise ValueError(f"method {name!r} needs a docstring: its first paragraph is the help text")
        _METHODS[name] = Method(
            name=name,
            title=title,
            summary=summary,
            paper=paper,
            arguments=arguments,
            schemes=schemes or tuple(SCHEMES),
            needs_calibration=needs_calibration,
            rank=rank,
            scales_inputs=scales_inputs,
            quantize=function,
        )
        return function

    return register


def registered() -> dict[str, Method]:
    return _METHODS

"""Uses of every registered method, as recipes write them, so that a test that takes them meets a new method too."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from quant_engine.formats.scheme import SCHEMES
from quant_engine.methods import METHODS, Method
from quant_engine.methods.registry import NEEDS_OUTPUT, needed
from quant_engine.methods.rounding import Rounding
from quant_engine.uses import USE_MODELS, Use


def every_use(width: int) -> list[dict[str, Any]]:
    """Of all methods, on layers of inputs that are multiples of `width`."""
    return [use for method in METHODS.values() for use in uses_of(method, width)]


def uses_of(method: Method, width: int) -> list[dict[str, Any]]:
    """The method with each kind of format that it writes, and then with each other value of an argument that names its values, as far as
    compressed-tensors stores it."""
    found: dict[Any, dict[str, Any]] = {}
    for name in method.schemes:
        scheme = SCHEMES[name]
        kind = (scheme.weights.layout, scheme.weights.strategy, scheme.weights.symmetric, scheme.inputs)
        use = {"method": method.name, "scheme": name, **({"group_size": 32} if scheme.regroupable and scheme.weights.group_size else {})}
        if kind not in found and parsed(use).fits(width):
            found[kind] = use
    first = next(iter(found.values()))
    fields = method.arguments.model_fields
    others = [{**first, name: value} for name, info in fields.items() for value in values_of(info.annotation) if value != info.default]
    others = [use for use in others if not [*needed(parsed(use), NEEDS_OUTPUT)]]
    return [*found.values(), *others]


def values_of(annotation: Any) -> list[Any]:
    if annotation is Rounding:
        gptq = {"method": "gptq", "damping": 0.05, "groups": "dynamic"}
        return ["rtn", "gptq", "hqq", {"method": "rtn", "range": "mse"}, gptq, {"method": "hqq", "norm": 0.5}]
    return [False, True] if annotation is bool else [*get_args(annotation)] if get_origin(annotation) is Literal else []


def parsed(use: dict[str, Any]) -> Use:
    return USE_MODELS[use["method"]].model_validate(use)

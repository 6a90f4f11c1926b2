"""`quantization_config` of config.json, in compressed-tensors' words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, get_args

from quant_engine.checkpoint.linears import EXPERT
from quant_engine.formats.scheme import CompressedLayout

if TYPE_CHECKING:
    from quant_engine.formats.scheme import InputFormat, WeightFormat
    from quant_engine.uses import Use

MIXED = "mixed-precision"
READABLE = (*get_args(CompressedLayout), MIXED)
"""compressed-tensors' formats that the engine reads as well as writes."""
_EXPERTS = r"re:.*\.experts\.\d+\..*"
"""transformers takes the experts' format from the group that has a pattern with this word, and there is one for all of them."""


def quantization_config(layers: Mapping[str, Use | None], head: str = "lm_head") -> dict[str, Any] | None:
    """compressed-tensors' `quantization_config` for every linear layer by module name; None when nothing is quantized.

    `layers` has every linear layer of the model, None for those that stay as they are; a head that is not in it (it is
    tied to the embedding) is ignored. One format for all: class target `Linear` and an ignore list. Several: one group
    for each distinct format with explicit module names.
    """
    formats: dict[tuple[WeightFormat, InputFormat | None], list[str]] = {}
    for name, use in layers.items():
        if use is not None:
            formats.setdefault((use.weight_format, use.input_format), []).append(name)
    if not formats:
        return None
    uniform = len(formats) == 1
    groups = {
        f"group_{number}": {
            "targets": ["Linear"] if uniform else _with_pattern(names),
            "weights": weights.arguments(),
            "input_activations": inputs.arguments() if inputs else None,
            "output_activations": None,
            "format": weights.layout,
        }
        for number, ((weights, inputs), names) in enumerate(formats.items())
    }
    layouts = list(dict.fromkeys(weights.layout for weights, _ in formats))
    return {
        "quant_method": "compressed-tensors",
        "format": layouts[0] if len(layouts) == 1 else MIXED,
        "quantization_status": "compressed",
        "config_groups": groups,
        "ignore": [*_with_pattern(name for name, use in layers.items() if use is None), *([] if head in layers else [head])],
        "kv_cache_scheme": None,
        "global_compression_ratio": None,
    }


def expert_contradiction(layers: Mapping[str, Use | None]) -> str | None:
    """Why no loader could read the experts as `layers` (every linear layer by name) quantizes them; None: it can.

    transformers stacks all experts of a block while it loads them (docs/decisions/0010-experts.md).
    """
    experts = {name: use for name, use in layers.items() if EXPERT.search(name)}
    formats = {_format(use) for use in experts.values()}
    if len(formats) > 1:
        first = next(iter(experts))
        other = next(name for name, use in experts.items() if _format(use) != _format(experts[first]))
        return f"all experts of a model need one weight format, and {first} and {other} have different ones"
    if any(use is not None and use.input_format is not None for use in experts.values()):
        return "experts can have quantized weights only, not quantized inputs"
    if any(use is not None and not use.weight_format.symmetric for use in experts.values()):
        return "experts cannot have zero points"
    if formats == {None} and any(use for use in layers.values()):
        return "experts cannot stay as they are when other layers are quantized"
    return None


def _format(use: Use | None) -> WeightFormat | None:
    return use.weight_format if use else None


def _with_pattern(names: Iterable[str]) -> list[str]:
    """`names` with one pattern in place of all experts."""
    found = list(names)
    plain = [name for name in found if not EXPERT.search(name)]
    return plain if len(plain) == len(found) else [*plain, _EXPERTS]

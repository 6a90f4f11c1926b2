"""`quantization_config` of config.json, in compressed-tensors' words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from quant_engine.formats.scheme import Layout

if TYPE_CHECKING:
    from quant_engine.formats.scheme import InputFormat, WeightFormat
    from quant_engine.uses import Use

MIXED = "mixed-precision"
READABLE = (*get_args(Layout), MIXED)
"""Formats that the engine reads as well as writes."""


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
            "targets": ["Linear"] if uniform else names,
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
        "ignore": [*(name for name, use in layers.items() if use is None), *([] if head in layers else [head])],
        "kv_cache_scheme": None,
        "global_compression_ratio": None,
    }

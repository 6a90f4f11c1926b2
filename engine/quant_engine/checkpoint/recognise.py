"""How a checkpoint says that it is quantized already: a section of config.json, a file beside it, or only its tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quant_engine import protocol
from quant_engine.checkpoint.files import DESCRIPTIONS, read_json, within

if TYPE_CHECKING:
    from quant_engine.checkpoint.header import TensorInfo

KEYS = ("quantization_config", "compression_config")
"""compressed-tensors' second name is older."""
_DEFAULT_FORMATS = {"gptq": "gptq", "awq": "gemm"}
_SYNONYMS = {"bits": ("bits", "w_bit", "wbits"), "group_size": ("group_size", "q_group_size")}
_METHOD_BITS = {"fp8": 8, "fbgemm_fp8": 8}
WHOLE_ROW = -1


def quantization_section(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """The section that describes the quantization; empty when nothing does. Raises QuantError(code="model-broken") for a file that is no
    JSON."""
    for holder in (config, config.get("text_config")):
        for key in KEYS:
            section = holder.get(key) if isinstance(holder, dict) else None
            if isinstance(section, dict):
                return section
    for name in DESCRIPTIONS:
        if (folder / name).is_file():
            document = read_json(within(folder, name))
            inner = document.get("quantization")
            return {"quant_method": "modelopt", **inner} if isinstance(inner, dict) else document
    return {}


def without_sections(config: Mapping[str, Any]) -> dict[str, Any]:
    """config.json of the same model unquantized."""
    kept = {key: value for key, value in config.items() if key not in KEYS}
    if isinstance(kept.get("text_config"), dict):
        kept["text_config"] = {key: value for key, value in kept["text_config"].items() if key not in KEYS}
    return kept


def setting(section: Mapping[str, Any], name: str) -> Any:
    """A setting by any of its names, for example `w_bit` for bits; None when absent."""
    return next((section[key] for key in _SYNONYMS.get(name, (name,)) if section.get(key) is not None), None)


def recognise(section: Mapping[str, Any], tensors: Mapping[str, TensorInfo]) -> protocol.Quantization | None:
    """None: the checkpoint is not quantized."""
    method = str(section.get("quant_method") or section.get("method") or "").lower() or _method_of(section, tensors)
    if method is None:
        return None
    layout = next((section[key] for key in ("format", "checkpoint_format", "version", "quant_algo") if section.get(key)), None)
    layout = layout or _DEFAULT_FORMATS.get(method)
    schemes = list(_schemes(section, method))
    symmetric = {one for _, _, one in schemes if one is not None}
    return protocol.Quantization(
        method=method,
        format=None if layout is None else str(layout).lower(),
        bits=sorted({bits for bits, _, _ in schemes if type(bits) is int}),
        group_sizes=sorted({size for _, size, _ in schemes if type(size) is int}),
        symmetric=symmetric.pop() if len(symmetric) == 1 else None,
    )


def packed_shape(tensors: Mapping[str, TensorInfo], module: str) -> tuple[int, int] | None:
    """Outputs and inputs of the weight that a GPTQ or AWQ `qweight` stands for, from shapes alone; None: they do not fit together.

    GPTQ packs the inputs of (in × out) and AWQ the outputs, so only AWQ's has fewer columns than there are scales.
    """
    qweight, scales, zeros = (tensors.get(f"{module}.{part}") for part in ("qweight", "scales", "qzeros"))
    if qweight is None or scales is None or len(qweight.shape) != 2 or len(scales.shape) != 2:
        return None
    rows, columns = qweight.shape
    outputs = scales.shape[1]
    if columns * 8 == outputs:
        return outputs, rows
    order = tensors.get(f"{module}.g_idx")
    if columns != outputs:
        return None
    if order is not None and len(order.shape) == 1:
        return outputs, order.shape[0]
    if zeros is None or len(zeros.shape) != 2 or not outputs or (zeros.shape[1] * 32) % outputs:
        return None
    bits = zeros.shape[1] * 32 // outputs
    return (outputs, rows * 32 // bits) if bits else None


def _method_of(section: Mapping[str, Any], tensors: Mapping[str, TensorInfo]) -> str | None:
    """Early files name no method, and a copy may have lost its file: then names, dtypes and shapes tell."""
    for name, tensor in tensors.items():
        module, _, part = name.rpartition(".")
        if part == "qweight":
            scales = tensors.get(f"{module}.scales")
            return "awq" if scales is not None and tensor.shape[-1:] != scales.shape[-1:] else "gptq"
        if part == "weight_packed":
            return "compressed-tensors"
        if part == "weight_scale_inv" or (part == "weight" and tensor.dtype.startswith("F8")):
            return "fp8"
    if {"zero_point", "w_bit"} & section.keys():
        return "awq"
    return ("gptq" if {"desc_act", "sym"} & section.keys() else "unknown") if section else None


def _schemes(section: Mapping[str, Any], method: str) -> Iterator[tuple[Any, Any, bool | None]]:
    """Bits, group size and symmetry of each group of layers that the section describes."""
    groups = section.get("config_groups")
    if isinstance(groups, dict):
        for group in groups.values():
            weights = group.get("weights") if isinstance(group, dict) else None
            if isinstance(weights, dict):
                whole = weights.get("strategy") == "channel"
                yield weights.get("num_bits"), WHOLE_ROW if whole else weights.get("group_size"), bool(weights.get("symmetric", True))
        return
    zero_point = section.get("zero_point")
    symmetric = section.get("sym", None if zero_point is None else not zero_point)
    bits = setting(section, "bits") or _METHOD_BITS.get(method)
    bits = bits or (8 if section.get("load_in_8bit") else 4 if section.get("load_in_4bit") else None)
    base = (bits, setting(section, "group_size"), symmetric if isinstance(symmetric, bool) else None)
    yield base
    dynamic = section.get("dynamic")
    for pattern, changes in dynamic.items() if isinstance(dynamic, dict) else ():
        if isinstance(changes, dict) and not str(pattern).startswith("-:"):
            yield tuple(changes.get(key, value) for key, value in zip(("bits", "group_size", "sym"), base, strict=True))  # type: ignore[misc]

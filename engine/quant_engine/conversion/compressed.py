"""compressed-tensors' layout pack-quantized: integers of weight-only schemes, packed along the inputs, scales in any floating dtype."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quant_engine.checkpoint.quantization import quantization_config
from quant_engine.checkpoint.read import stored_shape
from quant_engine.conversion.gptq import FLOATS
from quant_engine.conversion.layer import Layer, LayerFormat
from quant_engine.conversion.registry import Layout, expect, refused, refused_layer, register
from quant_engine.formats.packing import pack, unpack, words
from quant_engine.formats.scheme import WeightFormat
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.checkpoint import Checkpoint
    from quant_engine.protocol import Quantization

_LAYOUT = "pack-quantized"
_WIDTHS = range(2, 9)
_READERS = "transformers 5.17 to 5.22 with compressed-tensors 0.19 or 0.20, and vLLM, read them; transformers 5.23"


@dataclass(frozen=True)
class _Use:
    """What `quantization_config` asks of a layer."""

    weight_format: WeightFormat
    input_format: None = None


class Compressed(Layout):
    name = "compressed-tensors"
    parts = ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx")
    small = ("weight_zero_point", "weight_g_idx")
    half_scales = False

    def reads(self, found: Quantization) -> bool:
        return found.method == self.name

    def layers(self, source: Checkpoint) -> list[LayerFormat]:
        section = source.quantization_section
        for key, plain in (("kv_cache_scheme", None), ("transform_config", {}), ("sparsity_config", {})):
            if section.get(key) not in (None, plain):
                raise refused(f'"{source.path}" cannot be converted: its config has {key}, which no other layout can say')
        scaled = [name.removesuffix(".weight_scale") for name in source.tensors if name.endswith(".weight_scale")]
        return [_layer(source, name) for name in scaled]

    def zeros(self, layer: LayerFormat, parts: Mapping[str, Tensor]) -> Tensor | None:
        packed = None if layer.symmetric else parts.get("weight_zero_point")
        return None if packed is None else unpack(packed.t().contiguous(), layer.bits, layer.outputs).t()

    def order(self, layer: LayerFormat, parts: Mapping[str, Tensor]) -> Tensor | None:
        order = parts.get("weight_g_idx")
        # As the library makes it; filled in only where columns were ordered.
        return None if order is None or bool((order == -1).all()) else order

    def read(self, layer: LayerFormat, parts: Mapping[str, Tensor]) -> Layer:
        codes = unpack(parts["weight_packed"], layer.bits, layer.inputs)
        zeros = None if layer.symmetric else self.zeros(layer, parts)
        return Layer(layer, codes, parts["weight_scale"], zeros, parts["weight_g_idx"] if layer.ordered else None)

    def refusal(self, layer: LayerFormat, head: bool) -> str | None:
        if layer.bits not in _WIDTHS:
            return f"compressed-tensors packs 2 to 8 bits, and the layer has {layer.bits}"
        if layer.group_size is not None and layer.inputs % layer.group_size:
            return f"its group size {layer.group_size} does not divide its {layer.inputs} inputs"
        if layer.ordered:
            return "its columns belong to groups in another order (desc_act), which compressed-tensors 0.20 no longer reads"
        return None

    def write(self, layer: Layer) -> dict[str, Tensor]:
        bits = layer.format.bits
        tensors = {
            "weight_packed": pack(layer.codes, bits),
            "weight_scale": layer.scales,
            "weight_shape": torch.tensor(layer.codes.shape, dtype=torch.int64),
        }
        if not layer.format.symmetric:
            tensors["weight_zero_point"] = pack(layer.stored_zeros().t().contiguous(), bits).t().contiguous()
        return tensors

    def config(self, layers: Sequence[LayerFormat], kept: Sequence[str], head: str) -> dict[str, Any]:
        uses: dict[str, Any] = {
            layer.name: _Use(WeightFormat(layer.bits, layer.symmetric, layer.group_size)) for layer in layers
        }
        config = quantization_config(uses | dict.fromkeys(kept), head)
        assert config is not None
        return config

    def warnings(self, layers: Sequence[LayerFormat], lowest: int) -> list[str]:
        if all(layer.symmetric for layer in layers):
            return []
        one_kind = len({layer.kind for layer in layers}) == 1
        return [f"the result has zero points: {readers_of_zero_points(one_kind)}"]


def readers_of_zero_points(one_kind: bool) -> str:
    """Which releases load zero points (docs/decisions/0004-zero-points.md). one_kind: all quantized layers have one format."""
    newest = "does with quantization_config=CompressedTensorsConfig(dequantize=True) alone" if one_kind else "does not"
    return f"{_READERS} {newest}"


def _layer(source: Checkpoint, name: str) -> LayerFormat:
    arguments = _arguments(source, name)
    bits, symmetric = arguments["num_bits"], bool(arguments.get("symmetric", True))
    shape = source.tensors.get(f"{name}.weight_shape")
    if f"{name}.weight_packed" not in source.tensors or shape is None:
        raise refused_layer(name, f"it is not stored as {_LAYOUT}")
    rows, columns = stored_shape(shape)
    size = arguments["group_size"] if arguments["strategy"] == "group" else None
    layer = LayerFormat(name, rows, columns, bits, size, symmetric)
    packed = source.tensors[f"{name}.weight_packed"]
    if packed.shape == (rows, -(-columns // (32 // bits))) and packed.shape[1] != words(columns, bits):
        raise refused_layer(name, f"its words are padded, as compressed-tensors packed {bits} bits until 2025")
    expect(source, packed.name, ("I32",), (rows, words(columns, bits)))
    expect(source, f"{name}.weight_scale", FLOATS, (rows, layer.groups))
    if not symmetric:
        expect(source, f"{name}.weight_zero_point", ("I32",), (words(rows, bits), layer.groups))
    if f"{name}.weight_g_idx" in source.tensors:
        expect(source, f"{name}.weight_g_idx", ("I32",), (columns,))
    return layer


def _arguments(source: Checkpoint, name: str) -> dict[str, Any]:
    """The quantization arguments of a layer's weights, with the strategy filled in. Raises QuantError(code="conversion-refused") unless
    they are integers for the weights alone, in groups or by output."""
    group = _group(source.quantization_section, name)
    if group is None or not isinstance(group.get("weights"), dict):
        raise refused_layer(name, f'no config group of "{source.path}" names it')
    weights = group["weights"]
    layout = group.get("format") or source.quantization_section.get("format")
    size = weights.get("group_size")
    size = size if type(size) is int else None
    strategy = weights.get("strategy") or ("tensor" if size is None else "group" if size > 0 else "channel")
    inputs = group.get("input_activations")
    if inputs:
        bits = inputs.get("num_bits") if isinstance(inputs, dict) else "?"
        raise refused_layer(name, f"its inputs are quantized too ({bits} bits), which only compressed-tensors can say")
    if weights.get("type", "int") != "int" or layout != _LAYOUT:
        raise refused_layer(name, f"it is stored as {layout}, and only {_LAYOUT} integers have a counterpart elsewhere")
    if strategy not in ("group", "channel") or weights.get("num_bits") not in _WIDTHS or (strategy == "group" and not (size and size > 0)):
        raise refused_layer(name, f"its scales are shared by {strategy} at {weights.get('num_bits')} bits, group size {size}")
    return {**weights, "strategy": strategy}


def _group(section: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The config group of a module, as the library looks for it: by name, by pattern, by class."""
    found = section.get("config_groups")
    groups = [group for group in found.values() if isinstance(group, dict)] if isinstance(found, dict) else []
    for matches in (_is_name, _is_pattern, _is_class):
        for group in groups:
            if any(matches(str(target), name) for target in group.get("targets") or []):
                return group
    return None


def _is_name(target: str, name: str) -> bool:
    return target == name


def _is_pattern(target: str, name: str) -> bool:
    return target.startswith("re:") and re.match(target[3:], name) is not None


def _is_class(target: str, name: str) -> bool:
    return target == "Linear"


register(Compressed())

"""A run's checkpoint in the format that its recipe asks for: each layer's tensors, `quantization_config`, and what a format cannot hold.

compressed-tensors is the engine's own ground (quant_engine.formats.stored, quant_engine.checkpoint.quantization); GPTQ's layouts are those
of conversions (quant_engine.conversion.gptq).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quant_engine.checkpoint.linears import config_layers
from quant_engine.checkpoint.quantization import quantization_config
from quant_engine.conversion.gptq import Gptq, described, layout_for
from quant_engine.conversion.layer import Layer, LayerFormat
from quant_engine.conversion.plan import head_of, is_ordered, linears_of
from quant_engine.conversion.registry import layout_of
from quant_engine.formats.scheme import COMPRESSED, SCHEMES, OutputFormat
from quant_engine.formats.stored import PARTS, checkpoint_tensors, decompressed
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.checkpoint import Checkpoint, LinearInfo
    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.methods.types import Quantized, Report
    from quant_engine.uses import Use

ALL_PARTS = (*PARTS, *Gptq.parts, "weight")
"""Names that a quantized weight's tensors have in any format."""


def layer_tensors(name: str, quantized: Quantized) -> dict[str, Tensor]:
    """The tensors that stand for the weight of module `name`."""
    kind = quantized.grid.weight_format
    if not kind.is_gptq:
        return checkpoint_tensors(name, quantized)
    grid, (rows, columns) = quantized.grid, quantized.codes.shape
    described = LayerFormat(name, rows, columns, kind.num_bits, kind.group_size, kind.symmetric, grid.order is not None)
    # Layers that read one input have one order, and a file cannot hold one tensor under two names.
    order = None if grid.order is None else grid.order.clone()
    # The grid's scales are values that float16 has.
    layer = Layer(described, quantized.codes, grid.scales.to(torch.float16), grid.zeros, order)
    return {f"{name}.{part}": tensor for part, tensor in layout_for(kind.layout).write(layer).items()}


def noted(quantized: Quantized) -> Report:
    """The method's report, with what a person should know of how the layer is stored."""
    found = "; ".join(filter(None, (quantized.report.note, _doubt(quantized))))
    return replace(quantized.report, note=found or None)


def _doubt(quantized: Quantized) -> str | None:
    kind, zeros = quantized.grid.weight_format, quantized.grid.zeros
    lowest = 0 if zeros is None or kind.layout != "gptq" else int((zeros == kind.code_range[0]).sum())
    if not lowest:
        return None
    return f"{lowest} zero points are 0, which GPTQ's first version stores as the largest code and some readers misread; prefer gptq_v2"


def stored_weight(source: Checkpoint, name: str, parts: Mapping[str, Tensor]) -> Tensor:
    """The weight (out × in) of module `name` of a checkpoint in one of GPTQ's layouts, in the model's dtype; parts by their names without
    the module's. Raises QuantError with code model-broken or conversion-refused."""
    layout, layer = layout_of(source), described(source, name)
    ordered = is_ordered(source, layer, layout.order(layer, parts))
    # What the config says of symmetry is not always true; zero points are stored in any case.
    return layout.read(layer.with_(symmetric=False, ordered=ordered), parts).decoded(getattr(torch, source.dtype))


def decoded(parts: Mapping[str, Tensor], kind: WeightFormat, dtype: torch.dtype) -> Tensor:
    """The weight (out × in) that `layer_tensors` stored, as a model of that dtype has it."""
    if not kind.is_gptq:
        return decompressed(parts, kind)
    rows, columns = parts["scales"].shape[1], len(parts["g_idx"])
    layer = LayerFormat("", rows, columns, kind.num_bits, kind.group_size, symmetric=False, ordered=True)
    return layout_for(kind.layout).read(layer, parts).decoded(dtype)


def output_config(checkpoint: Checkpoint, linears: Sequence[LinearInfo], uses: Mapping[str, Use | None]) -> dict[str, Any] | None:
    """`quantization_config` of a checkpoint whose layers are quantized so; uses: of every linear layer. None when none is."""
    written = {linear.name: (linear, use) for linear in linears if (use := uses.get(linear.name)) is not None}
    output = next((use.output_format for _, use in written.values()), COMPRESSED)
    if output == COMPRESSED:
        return quantization_config(config_layers(checkpoint, uses))
    head = next((linear.name for linear in linears if linear.block is None), head_of(checkpoint))
    kept = [name for name in dict.fromkeys([*linears_of(checkpoint), head]) if name not in written]
    return layout_for(output).config([_described(linear, use) for linear, use in written.values()], kept, head)


def scheme_refusal(use: Use, output: OutputFormat) -> str | None:
    """Why no layer can be stored so, as a sentence; None: it depends on the layer."""
    if output in SCHEMES[use.scheme].outputs:
        return None
    what = "which has integer weights of 2, 3, 4 or 8 bits and inputs as they are"
    return f"{use.scheme} cannot be stored in GPTQ's format, {what}"


def layer_refusal(use: Use, linear: LinearInfo) -> str | None:
    """Why the layer cannot be stored so, as the end of a sentence; None: it can."""
    if use.output_format == COMPRESSED or scheme_refusal(use, use.output_format) is not None:
        return None
    return layout_for(use.output_format).refusal(_described(linear, use), linear.block is None)


def _described(linear: LinearInfo, use: Use) -> LayerFormat:
    kind = use.weight_format
    ordered = use.orders_groups(linear.inputs)
    return LayerFormat(linear.name, linear.outputs, linear.inputs, kind.num_bits, kind.group_size, kind.symmetric, ordered)

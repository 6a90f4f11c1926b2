"""AWQ's layout, version gemm: 4-bit codes and zero points packed along the outputs, eight in a word in an order of their own.

qweight int32 (in × out/8), qzeros int32 (groups × out/8), scales float16 (groups × out). Unsigned; zero points as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quant_engine.checkpoint.header import broken
from quant_engine.checkpoint.recognise import WHOLE_ROW, setting
from quant_engine.conversion.gptq import FLOATS
from quant_engine.conversion.layer import Layer, LayerFormat
from quant_engine.conversion.registry import Layout, expect, refused, register
from quant_engine.formats.packing import pack, unpack

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.checkpoint import Checkpoint
    from quant_engine.protocol import Quantization

_BITS = 4
_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which of eight neighbouring outputs lies in each nibble of a word, lowest bits first."""
_PLACE = tuple(_ORDER.index(output) for output in range(8))


class Awq(Layout):
    name = "awq"
    parts = ("qweight", "qzeros", "scales")
    small = ("qzeros",)
    half_scales = True

    def reads(self, found: Quantization) -> bool:
        return found.method == "awq" and found.format == "gemm"

    def layers(self, source: Checkpoint) -> list[LayerFormat]:
        packed = [name.removesuffix(".qweight") for name in source.tensors if name.endswith(".qweight")]
        return [_layer(source, name) for name in packed]

    def zeros(self, layer: LayerFormat, parts: Mapping[str, Tensor]) -> Tensor:
        return _unpacked(parts["qzeros"], layer.outputs)

    def read(self, layer: LayerFormat, parts: Mapping[str, Tensor]) -> Layer:
        zeros = None if layer.symmetric else self.zeros(layer, parts)
        return Layer(layer, _unpacked(parts["qweight"], layer.outputs), parts["scales"].t().contiguous(), zeros)

    def refusal(self, layer: LayerFormat, head: bool) -> str | None:
        if layer.bits != _BITS:
            return f"AWQ has 4 bits, and the layer has {layer.bits}"
        if layer.group_size is None:
            return "AWQ's readers need groups, and the layer has one scale for each output"
        if layer.inputs % layer.group_size:
            return f"its group size {layer.group_size} does not divide its {layer.inputs} inputs"
        if layer.outputs % 8:
            return f"AWQ packs 8 outputs into a word, and 8 does not divide the layer's {layer.outputs}"
        if layer.ordered:
            return "its columns belong to groups in another order (desc_act), which AWQ cannot say"
        return "AWQ quantizes the layers of the blocks alone" if head else None

    def refuse_together(self, layers: Sequence[LayerFormat], kept: Sequence[str]) -> str | None:
        first = layers[0]
        for layer in layers:
            if layer.group_size != first.group_size:
                return f"AWQ has one group size for all layers, and {first.name} has {first.group_size}, {layer.name} {layer.group_size}"
            inside = next((name for name in kept if name in layer.name), None)
            if inside:
                return f"AWQ keeps every layer whose name contains that of a kept one, so {inside} would keep {layer.name}"
        return None

    def write(self, layer: Layer) -> dict[str, Tensor]:
        return {"qweight": _packed(layer.codes), "qzeros": _packed(layer.stored_zeros()), "scales": layer.scales.t().contiguous()}

    def config(self, layers: Sequence[LayerFormat], kept: Sequence[str], head: str) -> dict[str, Any]:
        return {
            "quant_method": "awq",
            "bits": _BITS,
            "group_size": layers[0].group_size,
            "zero_point": True,
            "version": "gemm",
            "modules_to_not_convert": list(kept) or None,
        }


def _layer(source: Checkpoint, name: str) -> LayerFormat:
    section = source.quantization_section
    bits, size = setting(section, "bits"), setting(section, "group_size")
    if bits != _BITS or type(size) is not int or not (size > 0 or size == WHOLE_ROW):
        raise refused(f'"{source.path}" cannot be converted: its config gives {bits} bits and the group size {size}; AWQ has 4 bits')
    qweight = source.tensors[f"{name}.qweight"]
    if len(qweight.shape) != 2:
        raise broken(qweight.file, f"{qweight.name} is no matrix")
    inputs, words = qweight.shape
    layer = LayerFormat(name, words * 8, inputs, _BITS, None if size == WHOLE_ROW else size, section.get("zero_point") is False)
    expect(source, qweight.name, ("I32",), qweight.shape)
    expect(source, f"{name}.scales", FLOATS, (layer.groups, layer.outputs))
    expect(source, f"{name}.qzeros", ("I32",), (layer.groups, words))
    return layer


def _packed(values: Tensor) -> Tensor:
    """(out × n, int8, signed) → (n × out/8, int32)."""
    columns = values.t()
    return pack(columns.reshape(len(columns), -1, 8)[:, :, list(_ORDER)].reshape(len(columns), -1), _BITS)


def _unpacked(words: Tensor, outputs: int) -> Tensor:
    """The inverse of `_packed`."""
    nibbles = unpack(words, _BITS, outputs)
    return nibbles.reshape(len(nibbles), -1, 8)[:, :, list(_PLACE)].reshape(len(nibbles), -1).t().contiguous()


register(Awq())

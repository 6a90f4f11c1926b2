"""GPTQ's layout, versions 1 and 2: codes packed along the inputs, zero points along the outputs, a group for each column.

qweight int32 (in·b/32 × out), qzeros int32 (groups × out·b/32), scales float16 (groups × out), g_idx int32 (in,). Codes and zero points
are unsigned, each packed axis one little-endian bit stream. Version 1 stores every zero point minus one, modulo 2^b.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quant_engine import __version__
from quant_engine.checkpoint.header import TensorInfo, broken
from quant_engine.checkpoint.recognise import WHOLE_ROW, setting
from quant_engine.conversion.dynamic import overrides, rules
from quant_engine.conversion.layer import Layer, LayerFormat, plain_order
from quant_engine.conversion.registry import Layout, commonest, expect, refused, register
from quant_engine.formats.packing import pack, unpack
from quant_engine.formats.scheme import GPTQ_BITS
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.checkpoint import Checkpoint
    from quant_engine.protocol import Quantization

FLOATS = ("F16", "BF16", "F32")
_BORROWED = "some tools add and subtract 1 in whole words instead, and change the neighbour too."


class Gptq(Layout):
    parts = ("qweight", "qzeros", "scales", "g_idx")
    small = ("qzeros", "g_idx")
    half_scales = True

    def __init__(self, version: int) -> None:
        self.name = "gptq" if version == 1 else f"gptq_v{version}"
        self._offset = 1 if version == 1 else 0
        """What is missing from a stored zero point."""

    def reads(self, found: Quantization) -> bool:
        return found.method == "gptq" and found.format == self.name

    def layers(self, source: Checkpoint) -> list[LayerFormat]:
        packed = [name.removesuffix(".qweight") for name in source.tensors if name.endswith(".qweight")]
        return [described(source, name) for name in packed]

    def zeros(self, layer: LayerFormat, parts: Mapping[str, Tensor]) -> Tensor:
        stored = unpack(parts["qzeros"], layer.bits, layer.outputs).t()
        return _shifted(stored, self._offset, layer.bits)

    def order(self, layer: LayerFormat, parts: Mapping[str, Tensor]) -> Tensor | None:
        return parts.get("g_idx")

    def read(self, layer: LayerFormat, parts: Mapping[str, Tensor]) -> Layer:
        return Layer(
            layer,
            codes=unpack(parts["qweight"].t().contiguous(), layer.bits, layer.inputs),
            scales=parts["scales"].t().contiguous(),
            zeros=None if layer.symmetric else self.zeros(layer, parts),
            order=parts["g_idx"] if layer.ordered else None,
        )

    def refusal(self, layer: LayerFormat, head: bool) -> str | None:
        if layer.bits not in GPTQ_BITS:
            return f"GPTQ has 2, 3, 4 and 8 bits, and the layer has {layer.bits}"
        if layer.inputs % 32:
            return f"GPTQ packs 32 inputs at a time, and 32 does not divide the layer's {layer.inputs}"
        if layer.outputs * layer.bits % 32:
            return f"GPTQ packs the zero points of all outputs into whole 32-bit words, and {layer.outputs} of {layer.bits} bits are none"
        return None

    def write(self, layer: Layer) -> dict[str, Tensor]:
        bits = layer.format.bits
        zeros = _shifted(layer.stored_zeros(), -self._offset, bits)
        return {
            "qweight": pack(layer.codes, bits).t().contiguous(),
            "qzeros": pack(zeros.t().contiguous(), bits),
            "scales": layer.scales.t().contiguous(),
            "g_idx": (plain_order(layer.format) if layer.order is None else layer.order).to(torch.int32),
        }

    def config(self, layers: Sequence[LayerFormat], kept: Sequence[str], head: str) -> dict[str, Any]:
        base = commonest(layers)
        ordered = any(layer.ordered for layer in layers)
        changes = {layer.name: _entry(layer.kind) | _order(layer, ordered, base[1]) for layer in layers if layer.kind != base}
        dynamic = rules(changes, [name for name in kept if name != head])
        return {
            "quant_method": "gptq",
            **_entry(base),
            "desc_act": ordered,
            "lm_head": any(layer.name == head for layer in layers),
            "format": self.name,
            "checkpoint_format": self.name,
            "pack_dtype": "int32",
            **({"dynamic": dynamic} if dynamic else {}),
            "meta": {"quantizer": [f"quant-engine:{__version__}"]},
        }

    def doubts(self, lowest: int) -> list[str]:
        if not (self._offset and lowest):
            return []
        return [f"{lowest} zero points of the source are stored as the largest code, and were read as 0; {_BORROWED}"]

    def warnings(self, layers: Sequence[LayerFormat], lowest: int) -> list[str]:
        found = []
        if len({layer.kind for layer in layers}) > 1:
            found.append("the layers have several formats: GPTQModel and vLLM read them from `dynamic`, transformers alone does not")
        if self._offset and lowest:
            found.append(f"{lowest} zero points are 0, stored as the largest code; {_BORROWED} Prefer gptq_v2, which stores 0")
        return found


def described(source: Checkpoint, name: str) -> LayerFormat:
    """One layer as headers and config describe it. Raises QuantError with code model-broken or conversion-refused."""
    section = source.quantization_section
    changes = overrides(source, name)
    bits, size, symmetric = (changes.get(key, setting(section, key)) for key in ("bits", "group_size", "sym"))
    if bits not in GPTQ_BITS or type(size) is not int or not (size > 0 or size == WHOLE_ROW):
        raise refused(f'"{source.path}" cannot be converted: its config gives {name} {bits} bits and the group size {size}')
    if section.get("is_marlin_format"):
        raise refused(f'"{source.path}" cannot be converted: its weights are rearranged for the Marlin kernel')
    qweight = source.tensors[f"{name}.qweight"]
    if len(qweight.shape) != 2 or qweight.shape[0] % bits:
        raise broken(qweight.file, f"{qweight.name} with the shape {list(qweight.shape)} does not hold {bits}-bit codes")
    rows, outputs = qweight.shape
    layer = LayerFormat(name, outputs, rows * 32 // bits, bits, None if size == WHOLE_ROW else size, bool(symmetric))
    _compare(source, layer, qweight)
    return layer


def _compare(source: Checkpoint, layer: LayerFormat, qweight: TensorInfo) -> None:
    expect(source, qweight.name, ("I32",), qweight.shape)
    expect(source, f"{layer.name}.scales", FLOATS, (layer.groups, layer.outputs))
    expect(source, f"{layer.name}.qzeros", ("I32",), (layer.groups, layer.outputs * layer.bits // 32))
    if f"{layer.name}.g_idx" in source.tensors:
        expect(source, f"{layer.name}.g_idx", ("I32",), (layer.inputs,))


def _entry(kind: tuple[int, int | None, bool]) -> dict[str, Any]:
    bits, size, symmetric = kind
    return {"bits": bits, "group_size": size or WHOLE_ROW, "sym": symmetric}


def _order(layer: LayerFormat, ordered: bool, base_size: int | None) -> dict[str, Any]:
    """What a rule says of the order where the config as a whole (`ordered`) says otherwise, or is not believed, being of whole rows."""
    differs = layer.ordered != ordered or (layer.ordered and base_size is None)
    return {"desc_act": layer.ordered} if differs else {}


def _shifted(zeros: Tensor, by: int, bits: int) -> Tensor:
    """Signed zero points plus `by`, each one modulo 2^b of its own, so that no carry reaches its neighbour."""
    half = 1 << (bits - 1)
    return (((zeros.to(torch.int16) + half + by) & ((1 << bits) - 1)) - half).to(torch.int8)


_VERSIONS = (Gptq(1), Gptq(2))


def layout_for(name: str) -> Gptq:
    """`gptq` or `gptq_v2`."""
    return next(layout for layout in _VERSIONS if layout.name == name)


for _layout in _VERSIONS:
    register(_layout)

"""What a layout of quantized weights is, and the table of them. No torch at import: `--to` is checked from here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from quant_engine.checkpoint.header import TensorInfo, broken
from quant_engine.errors import QuantError
from quant_engine.nearest import suggestion

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.checkpoint import Checkpoint
    from quant_engine.conversion.layer import Layer, LayerFormat
    from quant_engine.protocol import Quantization

_PAGE = "docs/conversion.md lists what each layout can hold."


class Layout(ABC):
    """One way to store quantized linear layers. Tensors are keyed by their names without the module's."""

    name: str
    """As `--to` has it."""
    parts: ClassVar[tuple[str, ...]]
    """The tensors that stand for a layer's weight."""
    small: ClassVar[tuple[str, ...]]
    """Those of them with zero points and order, which are read for every layer before anything is written."""
    half_scales: ClassVar[bool]
    """Whether scales are float16 whatever the model's dtype is."""

    @abstractmethod
    def reads(self, found: Quantization) -> bool:
        """Whether checkpoints described so are in this layout."""

    @abstractmethod
    def layers(self, source: Checkpoint) -> list[LayerFormat]:
        """Every quantized layer, from headers and config, each shape compared. Raises QuantError with code model-broken or
        conversion-refused."""

    @abstractmethod
    def zeros(self, layer: LayerFormat, parts: Mapping[str, Tensor]) -> Tensor | None:
        """Signed zero points, int8 (out × groups); None when none are stored. `parts` has at least the small ones."""

    def order(self, layer: LayerFormat, parts: Mapping[str, Tensor]) -> Tensor | None:
        """The group of each column, int32 (in,); None when none is stored."""
        return None

    @abstractmethod
    def read(self, layer: LayerFormat, parts: Mapping[str, Tensor]) -> Layer:
        """The layer; zero points only if it is not symmetric, an order only if it is ordered."""

    @abstractmethod
    def refusal(self, layer: LayerFormat, head: bool) -> str | None:
        """Why this layout cannot hold a layer; None: it can. head: the layer is the model's output layer."""

    def refuse_together(self, layers: Sequence[LayerFormat], kept: Sequence[str]) -> str | None:
        """Why no config of this layout can describe these layers beside those that stay as they are; None: one can."""
        return None

    @abstractmethod
    def write(self, layer: Layer) -> dict[str, Tensor]: ...

    @abstractmethod
    def config(self, layers: Sequence[LayerFormat], kept: Sequence[str], head: str) -> dict[str, Any]:
        """`quantization_config`. kept: linear layers that stay as they are, the head among them unless it is quantized."""

    def doubts(self, lowest: int) -> list[str]:
        """What is not certain about a source in this layout. lowest: zero points that are the lowest code."""
        return []

    def warnings(self, layers: Sequence[LayerFormat], lowest: int) -> list[str]:
        """What a person should know of a result in this layout."""
        return []


LAYOUTS: dict[str, Layout] = {}


def register(layout: Layout) -> None:
    if layout.name in LAYOUTS:
        raise ValueError(f"two layouts are named {layout.name!r}")
    LAYOUTS[layout.name] = layout


def layout_named(name: str) -> Layout:
    """Raises QuantError(code="unknown-layout")."""
    if name in LAYOUTS:
        return LAYOUTS[name]
    hint = suggestion(name, list(LAYOUTS))
    raise QuantError(f'unknown format "{name}"; {hint}', code="unknown-layout", advice=f"Choose one of: {', '.join(LAYOUTS)}.")


def layout_of(source: Checkpoint) -> Layout:
    """Raises QuantError(code="conversion-refused") for a checkpoint that is not quantized, or in a layout that cannot be read."""
    found = source.quantization
    if found is None:
        advice = "quant-engine run quantizes it, as a recipe says."
        raise QuantError(f'"{source.path}" is not quantized: there is nothing to convert', code="conversion-refused", advice=advice)
    for layout in LAYOUTS.values():
        if layout.reads(found):
            return layout
    described = found.method if found.format in (None, found.method) else f"{found.method}, {found.format}"
    raise refused(f'"{source.path}" cannot be converted: it is quantized as {described}, which is read by none of {", ".join(LAYOUTS)}')


def refused(message: str) -> QuantError:
    return QuantError(message, code="conversion-refused", advice=_PAGE)


def refused_layer(name: str, reason: str) -> QuantError:
    return refused(f"{name} cannot be converted: {reason}")


def commonest(layers: Sequence[LayerFormat]) -> tuple[int, int | None, bool]:
    """The kind of most layers."""
    return Counter(layer.kind for layer in layers).most_common(1)[0][0]


def expect(source: Checkpoint, name: str, dtypes: tuple[str, ...], shape: tuple[int, ...]) -> TensorInfo:
    """The tensor, or QuantError(code="model-broken") for one that is absent or of another dtype or shape."""
    tensor = source.tensors.get(name)
    if tensor is None:
        raise broken(source.path, f"it has no tensor {name}")
    if tensor.dtype not in dtypes or tensor.shape != shape:
        expected = f"{' or '.join(dtypes)} {list(shape)}"
        raise broken(tensor.file, f"{name} is {tensor.dtype} {list(tensor.shape)}, its layer needs {expected}")
    return tensor

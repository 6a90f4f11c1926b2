"""What the errors of a layer and of all layers before it make of its output: the original model's beside the quantized one's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from quant_engine.architectures.decoder import DecoderModel

_ROWS = 1024


@dataclass
class Energies:
    """Σ‖y‖² of what the original's layer puts out and Σ‖y − ŷ‖² of what the quantized one puts out instead, float64."""

    signal: float = 0.0
    noise: float = 0.0


class OutputErrors:
    """Sums over all tokens, by layer name. Layers that are no module of their own (experts, which get other tokens in the quantized model)
    do not appear.

    divisors: by name what the quantized layer's outputs are divided by (out,), because the layer behind it multiplies its weights with that
    (AWQ's and SmoothQuant's scale): no error, so outputs are compared without it.
    """

    def __init__(self, divisors: Mapping[str, Tensor] | None = None) -> None:
        self._divisors = divisors or {}
        self.layers: dict[str, Energies] = {}
        self._outputs: dict[str, Tensor] = {}
        """The original's, of the batch at hand."""

    @contextmanager
    def watching(self, original: DecoderModel, quantized: DecoderModel, index: int) -> Iterator[None]:
        """While the loaded block `index` of both models runs, batch by batch, the original's first."""
        names = [linear.name for linear in original.linears if linear.block == index]
        with ExitStack() as hooks:
            for model, hook in ((original, self._keep), (quantized, self._compare)):
                for name in names:
                    handle = model.module(name).register_forward_hook(partial(hook, name))
                    hooks.callback(handle.remove)
            yield

    def _keep(self, name: str, module: nn.Module, given: Any, output: Tensor) -> None:  # noqa: ARG002
        self._outputs[name] = output

    def _compare(self, name: str, module: nn.Module, given: Any, output: Tensor) -> None:  # noqa: ARG002
        expected = self._outputs.pop(name)
        found = self.layers.setdefault(name, Energies())
        kind = torch.float64 if output.dtype == torch.float64 else torch.float32
        divisor = self._divisors.get(name)
        if divisor is not None:
            output = output.to(kind) * divisor.to(output.device, kind)
        for y, quantized in zip(_rows(expected), _rows(output), strict=True):
            whole = y.to(kind)
            found.signal += float(whole.square().sum(dtype=torch.float64))
            found.noise += float(whole.sub(quantized.to(kind)).square().sum(dtype=torch.float64))


def _rows(output: Tensor) -> tuple[Tensor, ...]:
    return output.reshape(-1, output.shape[-1]).split(_ROWS)

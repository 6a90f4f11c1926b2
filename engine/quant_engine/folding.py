"""Moving a scale of a layer's input channels into the operation before it, in what is written; the walk itself goes on unscaled.

A pass that stands before a layer already carries its input, so the walk keeps W's effective values (codes / s) and the checkpoint gets
codes that stand for W·diag(s) beside an operation that is divided by s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quant_engine.architectures.folds import Fold
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class FoldTarget:
    """The operation before some layers of one block.

    previous: its module; name: its full name; rows: for each input column of the layers the channel of `previous` that feeds it.
    stored: what is written of the block so far, by tensor name: `previous` may be quantized, or scaled, already.
    """

    fold: Fold
    name: str
    previous: nn.Module
    rows: Tensor
    stored: dict[str, Tensor]

    def possible(self) -> bool:
        """A quantized linear layer takes row factors into its scales, if each row has scales of its own and they are ordinary numbers."""
        scales = self.stored.get(f"{self.name}.weight_scale")
        return scales is None or (scales.dim() == 2 and scales.shape[0] == self._channels and scales.dtype.itemsize > 1)

    def take(self, scale: Tensor) -> Tensor:
        """The scale (in,) float32 that can really be moved: one value for columns that share a channel, and such that the operation's own
        rounding to its dtype is made up for in the columns where it is one number for each channel."""
        wanted = self._by_channel(scale)
        exact = wanted
        if self.fold.kind != "linear":
            before = self._norm(self._weight)
            exact = before / self._norm(self._norm_weight(wanted))
        elif (scales := self.stored.get(f"{self.name}.weight_scale")) is not None and scales.shape[1] == 1:
            exact = scales[:, 0].float() / (scales[:, 0].float() / wanted).to(scales.dtype).float()
        exact = torch.where(torch.isfinite(exact) & (exact > 0), exact, torch.ones_like(exact))
        return exact[self.rows]

    def move(self, scale: Tensor) -> None:
        """Divide the operation by a scale that `take` returned, in `stored`."""
        by_channel = self._by_channel(scale)
        name = f"{self.name}.weight_scale"
        if self.fold.kind != "linear":
            self.stored[f"{self.name}.weight"] = self._norm_weight(by_channel)
        elif name in self.stored:
            scales = self.stored[name]
            self.stored[name] = (scales.float() / by_channel.unsqueeze(1)).to(scales.dtype)
        else:
            weight = self.stored.get(f"{self.name}.weight", self._weight)
            self.stored[f"{self.name}.weight"] = (weight.float() / by_channel.unsqueeze(1)).to(weight.dtype)
        bias = self.stored.get(f"{self.name}.bias", getattr(self.previous, "bias", None))
        if bias is not None:
            self.stored[f"{self.name}.bias"] = (bias.detach().float() / by_channel).to(bias.dtype)

    def divisors(self, scale: Tensor) -> dict[str, Tensor]:
        """By what the outputs of a linear layer are divided once `move` is done, (out,) float32, under its name; a norm is none."""
        return {self.name: self._by_channel(scale)} if self.fold.kind == "linear" else {}

    @property
    def _weight(self) -> Tensor:
        return self.previous.weight.detach()  # type: ignore[operator, return-value]

    @property
    def _channels(self) -> int:
        return self._weight.shape[0]

    def _by_channel(self, scale: Tensor) -> Tensor:
        """(in,) → (channels of `previous`,): the geometric mean of columns that share a channel, 1 for channels that feed none."""
        sums = torch.zeros(self._channels, device=scale.device).index_add_(0, self.rows, scale.float().log())
        counts = torch.zeros(self._channels, device=scale.device).index_add_(0, self.rows, torch.ones_like(scale, dtype=torch.float32))
        return (sums / counts.clamp(min=1)).exp()

    def _norm(self, weight: Tensor) -> Tensor:
        """What a norm multiplies by, float32."""
        return weight.float() + (1.0 if self.fold.kind == "norm_plus_one" else 0.0)

    def _norm_weight(self, by_channel: Tensor) -> Tensor:
        """The norm's weight divided by a factor for each channel, as it is stored."""
        shift = 1.0 if self.fold.kind == "norm_plus_one" else 0.0
        return (self._norm(self._weight) / by_channel - shift).to(self._weight.dtype)


def fold_for(
    folds: Sequence[Fold],
    layers: Sequence[str],
    prefix: str,
    config: Mapping[str, Any],
    module_of: Callable[[str], nn.Module],
    stored: dict[str, Tensor],
) -> FoldTarget | None:
    """The operation before `layers` (full names, all that read one input) in the block `prefix`; None when there is none that could take
    over a scale. stored: as of `FoldTarget`."""
    inner = {name.removeprefix(f"{prefix}.") for name in layers}
    for fold in folds:
        if set(fold.layers) != inner:
            continue
        name = f"{prefix}.{fold.previous}"
        previous, columns = module_of(name), module_of(layers[0]).weight.shape[1]  # type: ignore[union-attr]
        rows = torch.tensor(list(fold.rows_for(config, columns)), device=previous.weight.device)  # type: ignore[arg-type]
        target = FoldTarget(fold, name, previous, rows, stored)
        return target if target.possible() else None
    return None

"""What calibration knows of the inputs of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.linalg.factor import Factor


@dataclass(frozen=True)
class Ranges:
    """Of each column of X: smallest and largest x, both (in,) float64."""

    lowest: Tensor
    highest: Tensor

    def divided(self, scale: Tensor) -> Ranges:
        """Of X / scale; scale (in,), float64, positive."""
        return Ranges(self.lowest / scale, self.highest / scale)


@dataclass(frozen=True)
class Noise:
    """What rounding the inputs adds, N = X̂ − X: NᵀN and XᵀN, both (in × in) float64."""

    own: Tensor
    cross: Tensor


class Look(Protocol):
    """Ways to look through all calibration inputs X of a layer once more."""

    @property
    def columns(self) -> int: ...

    def is_finite(self) -> bool: ...

    def gram(self) -> Tensor:
        """G = XᵀX (in × in), float64."""
        ...

    def ranges(self) -> Ranges: ...

    def largest(self) -> Tensor:
        """max|x| of each column (in,), float64."""
        ...

    def magnitudes(self) -> Tensor:
        """Σ|x| of each column (in,), float64."""
        ...


@dataclass
class Statistics:
    """What calibration knows of one layer input, shared by all layers that read it and by all candidates.

    known: G = XᵀX (in × in), float64, summed over all calibration tokens; None: it is looked for when a method asks for it. tokens: rows of
    X. look: how to look at X for what is asked. inputs: gives X itself in batches (… × in), as long as the walk stands at the layer. fold:
    takes a scale of the columns (in,) that a method wants to move into the operation before the layer, and returns the one that can really
    be moved; None: none can. unclipped: rows of W (bool, out) whose outputs meet each other in a product.
    Factors are cached by (damping, whether columns are ordered, width of groups that stay together), so that candidates which differ only
    in bits share one factorisation; None: no damping made it possible.
    """

    known: Tensor | None
    tokens: int
    look: Look | None = field(default=None, repr=False)
    inputs: Callable[[], Iterable[Tensor]] | None = field(default=None, repr=False)
    fold: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)
    unclipped: Tensor | None = field(default=None, repr=False)
    factors: dict[tuple[float, bool, int | None], Factor | None] = field(default_factory=dict, repr=False)
    searches: dict[Any, Any] = field(default_factory=dict, repr=False)
    """What methods found by searching, for candidates that differ in what follows alone; by everything that the search depends on."""
    noises: dict[Any, Noise] = field(default_factory=dict, repr=False)
    """By how inputs are rounded (quant_engine.calibration.noise_of)."""
    found: dict[str, Any] = field(default_factory=dict, repr=False)
    """What `look` was asked for, by its name."""

    @property
    def columns(self) -> int:
        return self.known.shape[0] if self.known is not None else self._look.columns

    @property
    def has_gram(self) -> bool:
        return self.known is not None or "gram" in self.found

    @property
    def is_finite(self) -> bool:
        """Whether no input is infinite or no number; such a one is the largest, and reaches the Gram matrix's diagonal as its square."""
        shown = self.gram.diagonal() if self.has_gram else self.found.get("largest")
        return self._look.is_finite() if shown is None else bool(torch.isfinite(shown).all())

    @property
    def gram(self) -> Tensor:
        return self.known if self.known is not None else self._once("gram", lambda: self._look.gram())

    @property
    def ranges(self) -> Ranges:
        return self._once("ranges", lambda: self._look.ranges())

    @property
    def largest(self) -> Tensor:
        return self._once("largest", lambda: self._look.largest())

    @property
    def magnitudes(self) -> Tensor:
        return self._once("magnitudes", lambda: self._look.magnitudes())

    def scaled(self, scale: Tensor) -> Statistics:
        """The same of X / scale (in,): what the layer reads when the operation before it was divided by `scale`."""
        return Statistics(None, self.tokens, _Scaled(self, scale.double()))

    @property
    def _look(self) -> Look:
        if self.look is None:
            raise ValueError("the inputs of these statistics are gone")
        return self.look

    def _once(self, name: str, find: Callable[[], Any]) -> Any:
        if name not in self.found:
            self.found[name] = find()
        return self.found[name]


@dataclass(frozen=True)
class _Scaled:
    """Of X / scale; scale (in,), float64, positive."""

    whole: Statistics
    scale: Tensor

    @property
    def columns(self) -> int:
        return self.whole.columns

    def is_finite(self) -> bool:
        return self.whole.is_finite

    def gram(self) -> Tensor:
        return self.whole.gram / torch.outer(self.scale, self.scale)

    def ranges(self) -> Ranges:
        return self.whole.ranges.divided(self.scale)

    def largest(self) -> Tensor:
        return self.whole.largest / self.scale

    def magnitudes(self) -> Tensor:
        return self.whole.magnitudes / self.scale

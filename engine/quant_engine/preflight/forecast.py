"""The phases of a run from what a probe found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from quant_engine.preflight.fit import Cost, Label

if TYPE_CHECKING:
    from quant_engine.preflight.probe import Uses

Count = Callable[[int, Label], float]
"""For a kind of block and a step: how often it is done in the whole run."""


@dataclass
class Phase:
    """One phase. by_kind: of each kind of block what its steps take; batches: how many of the probe's batches go through it."""

    name: str
    by_kind: Mapping[int, Mapping[Label, Cost]]
    batches: float
    count: Count

    @property
    def seconds(self) -> float:
        return sum(cost.seconds.at(self.batches) * self.count(kind, label) for kind, label, cost in self._steps())

    def host(self, batches: float | None = None) -> int:
        """Bytes allocated on the host at its peak. batches: with another number of them."""
        return int(max(cost.host.at(self.batches if batches is None else batches) for _, _, cost in self._steps()))

    def device(self, batches: float | None = None) -> int:
        return int(max(cost.device.at(self.batches if batches is None else batches) for _, _, cost in self._steps()))

    def _steps(self) -> Iterable[tuple[int, Label, Cost]]:
        return ((kind, label, cost) for kind, found in self.by_kind.items() for label, cost in found.items())


@dataclass(frozen=True)
class Blocks:
    """kinds: blocks by the first one of their kind; uses: how each block is quantized, by names within it."""

    kinds: Mapping[int, list[int]]
    uses: Mapping[int, Uses] = field(default_factory=dict)

    def count(self, kind: int, label: Label) -> float:
        """What is done once, or to the head, was recorded with every kind and is done once."""
        if label[0] != "block":
            return 1.0 if kind == next(iter(self.kinds)) else 0.0
        return len(self.kinds[kind])

    def count_quantized(self, kind: int, label: Label) -> float:
        """Some steps are those of one way to quantize some layers; others are not done for layers that stay."""
        from quant_engine.preflight.probe import ways

        if label[0] != "block" or label[2] not in ("layers", "statistics"):
            return 0.0 if label[2] == "decompress" else self.count(kind, label)
        layers = label[3].split(" ")
        found = [ways(self.uses[block], layers) for block in self.kinds[kind]]
        if label[2] == "layers":
            return sum(way == label[4] for way, _ in found)
        return sum(steps > 0 for _, steps in found)


def relative_sizes(kinds: Mapping[int, list[int]], walked: Mapping[int, Mapping[Label, Cost]]) -> float:
    """All blocks as a multiple of the first one, by what a forward pass takes."""
    passes = {kind: sum(cost.seconds.for_each for label, cost in found.items() if label[2] == "forward") for kind, found in walked.items()}
    first = passes[next(iter(kinds))]
    return sum(len(blocks) * (passes[kind] / first if first else 1.0) for kind, blocks in kinds.items())

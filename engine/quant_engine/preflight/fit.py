"""From a few batches to all of them: what each step of a probe takes, as a fixed part and a part for each batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from quant_engine.preflight.recorder import Span

Label = tuple[str, ...]
_FIXED = ("load", "stops", "decompress")
"""Steps that do not depend on how many tokens there are."""
_MOST_RETAINED = 2.0
"""More is not for what is allocated, but for what the libraries need."""


@dataclass(frozen=True)
class Line:
    """fixed + for_each · batches."""

    fixed: float
    for_each: float = 0.0

    def at(self, batches: float) -> float:
        return self.fixed + self.for_each * batches


@dataclass(frozen=True)
class Cost:
    """Of one step: seconds, and bytes that are held at its peak."""

    seconds: Line
    host: Line
    device: Line


@dataclass(frozen=True)
class Probed:
    """One pass of a probe: how many batches went through it, and what was recorded."""

    batches: int
    spans: list[Span]
    walk: str = "measure"
    """Which one it was: they free their inputs at other times."""


def costs(passes: Iterable[Probed]) -> dict[Label, Cost]:
    """For each label of the passes; bytes are those of the last one's walk, where that has the label.

    What was seen with one number of batches only holds as much more for each further one as the like of it does: steps on the same layers
    have the same inputs before them."""
    passes = list(passes)
    seen: dict[Label, dict[str, dict[int, list[Span]]]] = {}
    retained = _retained(max(passes, key=lambda one: one.batches))
    for one in passes:
        for label, span in _by_label(one.spans).items():
            seen.setdefault(label, {}).setdefault(one.walk, {}).setdefault(one.batches, []).append(span)
    held: dict[Label, tuple[float, float]] = {}
    for label, walks in seen.items():
        host, device = held.get(_alike(label), (0.0, 0.0))
        for found in map(_means, walks.values()):
            host = max(host, _slope(found, lambda span: span.allocated) * retained)
            device = max(device, _slope(found, lambda span: span.device))
        held[_alike(label)] = host, device
    return {label: _cost(label, walks, passes[-1].walk, *held[_alike(label)]) for label, walks in seen.items()}


def _retained(one: Probed) -> float:
    """Resident bytes for each allocated one at the peaks of a pass: what is freed does not leave a process at once."""
    allocated, resident = max(span.allocated for span in one.spans), max(span.resident for span in one.spans)
    return min(max(resident / allocated, 1.0), _MOST_RETAINED) if allocated else 1.0


def _alike(label: Label) -> Label:
    """Labels of what is done with the same layers differ in what follows their names."""
    return label[:4] if label[2] == "layers" else label


def _slope(found: Mapping[int, Span], of: Callable[[Span], int]) -> float:
    most, least = max(found), min(found)
    return max(0.0, (of(found[most]) - of(found[least])) / (most - least)) if most > least else 0.0


def _by_label(spans: Iterable[Span]) -> dict[Label, Span]:
    """Seconds of a label's spans together, and the highest of their peaks."""
    joined: dict[Label, Span] = {}
    for span in spans:
        whole = joined.setdefault(span.label, Span(span.label))  # type: ignore[arg-type]
        whole.seconds += span.seconds
        whole.through += span.through
        whole.allocated, whole.resident = max(whole.allocated, span.allocated), max(whole.resident, span.resident)
        whole.device = max(whole.device, span.device)
    return joined


def _means(found: Mapping[int, list[Span]]) -> dict[int, Span]:
    return {batches: _mean(spans) for batches, spans in found.items()}


def _mean(spans: list[Span]) -> Span:
    count = len(spans)
    return Span(
        spans[0].label,
        sum(span.seconds for span in spans) / count,
        sum(span.through for span in spans) / count,
        max(span.allocated for span in spans),
        max(span.resident for span in spans),
        max(span.device for span in spans),
    )


def _cost(label: Label, walks: Mapping[str, Mapping[int, list[Span]]], walk: str, host: float, device: float) -> Cost:
    """walk: whose bytes count; all of them count for seconds. host, device: bytes for each batch."""
    together: dict[int, list[Span]] = {}
    for found in walks.values():
        for batches, spans in found.items():
            together.setdefault(batches, []).extend(spans)
    own = _means(walks.get(walk, together))
    most = max(own)
    held = max(own[most].resident, own[most].allocated)
    return Cost(_seconds(label, _means(together)), Line(held - host * most, host), Line(own[most].device - device * most, device))


def _seconds(label: Label, found: Mapping[int, Span]) -> Line:
    most, least = max(found), min(found)
    high, low = found[most], found[least]
    if label[2] in _FIXED:
        return Line((high.seconds + low.seconds) / 2)
    if label[2] == "layers":
        return Line(((high.seconds - high.through) + (low.seconds - low.through)) / 2, high.through / most)
    # At least half of what a step on tokens takes is for the tokens, whatever else the machine did meanwhile.
    whole = high.seconds / most
    for_each = min(max((high.seconds - low.seconds) / (most - least), whole / 2), whole) if most > least else whole
    return Line(high.seconds - for_each * most, for_each)

"""The walks of a run on one block and a few batches, for the time and memory of each of their steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine.checkpoint import CheckpointWriter
from quant_engine.journal import Journal
from quant_engine.lazy import torch
from quant_engine.linalg.memory import release_freed
from quant_engine.output_format import ALL_PARTS, decoded
from quant_engine.preflight.fit import Cost, Label, Probed, costs
from quant_engine.preflight.one_block import HEAD, OneBlock
from quant_engine.preflight.recorder import Recorder, resident

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.architectures.decoder import DecoderModel
    from quant_engine.checkpoint import LinearInfo
    from quant_engine.uses import Use
    from quant_engine.walk import MeasuredLayer

Uses = Mapping[str, "Use | None"]
_COUNTS = (2, 3)


@dataclass
class Probe:
    """What is probed: a model and the batches of its run. folder: for what a run writes; it is the caller's to remove.

    resident: bytes of this process when nothing of the work is in memory, at most: code of libraries becomes resident as it is used."""

    model: DecoderModel
    folder: Path
    resident: int = 0
    measured: dict[int, list[MeasuredLayer]] = field(default_factory=dict)
    """By block what was found of its layers, from a few tokens."""
    _walked: dict[tuple[int, bool], list[Probed]] = field(default_factory=dict)
    _runs: int = 0

    @cached_property
    def kinds(self) -> dict[int, list[int]]:
        """Blocks by the first one that has the same layers."""
        return kinds_of(self.model.linears, self.model.block_count)

    def warm_up(self, batches: Sequence[Tensor]) -> None:
        """What happens once in a process happens here: libraries choose their kernels and make their threads."""
        from quant_engine.walk import measure

        some = [batches[0][:1]]
        self._settle()
        recorder = Recorder(self.model.device)
        with recorder.recording(("once", "", "warm up")):
            one = OneBlock(self.model, 0, recorder, 1)
            list(measure(one, some, [], tick=one.tick))
        del one
        self._settle()

    def measure(self, index: int, batches: Sequence[Tensor], candidates: Sequence[Use], head: bool) -> dict[Label, Cost]:
        return costs([*self._plain(index, batches, head), self._measure(index, batches[:1], len(batches), candidates, head)])

    def quantize(self, index: int, batches: Sequence[Tensor], blocks: Sequence[Uses], head: Use | None) -> dict[Label, Cost]:
        """blocks: of each block of this kind how it is quantized, by names within the block; every way in which a group of layers is
        quantized in one of them is tried. head: of lm_head."""
        usual = dict(Counter(tuple(uses.items()) for uses in blocks).most_common(1)[0][0])
        first, groups = self._quantize(index, batches[:1], len(batches), usual | {HEAD: head})
        others = [self._quantize(index, batches[:1], len(batches), uses)[0] for uses in _other_ways(usual, blocks, groups)]
        return costs([*self._plain(index, batches, head is not None), first, *others])

    def _plain(self, index: int, batches: Sequence[Tensor], head: bool) -> list[Probed]:
        """Statistics of a few batches, and of a few more: what is linear in them shows here. Two at least, where the Gram product joins
        them, or what was done with the one before is still there."""
        if (index, head) not in self._walked:
            counts = sorted({min(count, len(batches)) for count in _COUNTS})
            self._walked[index, head] = [self._measure(index, batches[:count], len(batches), (), head) for count in counts]
        return self._walked[index, head]

    def _measure(self, index: int, some: Sequence[Tensor], all_of: int, candidates: Sequence[Use], head: bool) -> Probed:
        from quant_engine.walk import measure

        self._settle()
        recorder = Recorder(self.model.device)
        with recorder.recording(("once", "", "begin")):
            one = OneBlock(self.model, index, recorder, len(some), all_of / len(some), lambda layers: ("", len(candidates)))
            journal = Journal(self._new_folder())
            for block in measure(one, some, candidates, start=index, head=head, tick=one.tick):
                journal.add(block.block, [], block.hidden)
                if block.block is not None and candidates:
                    self.measured[index] = block.layers
        return Probed(len(some), recorder.spans)

    def _quantize(self, index: int, some: Sequence[Tensor], all_of: int, uses: Uses) -> tuple[Probed, list[list[str]]]:
        """And the groups of layers that were met, by their names within the block."""
        from quant_engine.walk import piece_name, quantize

        folder = self._new_folder()
        self._settle()
        recorder = Recorder(self.model.device)
        with recorder.recording(("once", "", "begin")):
            one = OneBlock(self.model, index, recorder, len(some), all_of / len(some), lambda layers: ways(uses, layers))
            named = {linear.name: uses.get(one.within(linear.name)) for linear in one.linears}
            writer, journal = CheckpointWriter(folder / "output", self.model.checkpoint, folder), Journal(folder)
            for block in quantize(one, some, named, writer, start=index, tick=one.tick):
                journal.add(block.block, [], block.hidden)
                if block.block is not None:
                    one.mark("block", "decompress")
                    _decompress(folder / "pieces" / f"{piece_name(index)}.safetensors", named, self.model.dtype)
                    one.mark("block", "store")
        return Probed(len(some), recorder.spans, "quantize"), one.groups

    def importance(self, batches: Sequence[Tensor]) -> dict[Label, Cost]:
        """Of the first block."""
        from quant_engine.importance import Store, passes, some_of

        probed = []
        for some in _portions(some_of(batches)):
            self._settle()
            recorder = Recorder(self.model.device)
            with recorder.recording(("once", "", "begin")):
                one = OneBlock(self.model, 0, recorder, len(some))
                for block in passes(one, some, Store(self._new_folder(), 1), 0, one.tick):
                    one.stage = "backward" if block is None else one.stage
            probed.append(Probed(len(some), recorder.spans))
        return costs(probed)

    def evaluate(self, batches: Sequence[Tensor], baseline: bool) -> dict[Label, Cost]:
        """Of the first block, read twice with the baseline, both times from the original."""
        from quant_engine.benchmarks.perplexity import Evaluated, evaluate

        probed = []
        for some in _portions(batches):
            self._settle()
            recorder = Recorder(self.model.device)
            with recorder.recording(("once", "", "begin")):
                one, other = (OneBlock(self.model, 0, recorder, len(some)) for _ in range(2))
                evaluate(some, Evaluated(one) if baseline else None, Evaluated(other))
            probed.append(Probed(len(some), recorder.spans))
        return costs(probed)

    def _new_folder(self) -> Path:
        self._runs += 1
        return self.folder / str(self._runs)

    def _settle(self) -> None:
        release_freed()
        self.resident = max(self.resident, resident())


def kinds_of(linears: Sequence[LinearInfo], blocks: int) -> dict[int, list[int]]:
    """Blocks by the first one that has the same layers."""
    found: dict[object, list[int]] = {}
    for index in range(blocks):
        layers = [linear for linear in linears if linear.block == index]
        shape = tuple((linear.name.partition(f".{index}.")[2], linear.outputs, linear.inputs) for linear in layers)
        found.setdefault(shape, []).append(index)
    return {same[0]: same for same in found.values()}


def ways(uses: Uses, layers: Sequence[str]) -> tuple[str, int]:
    """How layers (names within the block) are quantized, as text, and in how many steps."""
    found = [uses.get(name) for name in layers]
    return " ".join("-" if use is None else use.label for use in found), len(dict.fromkeys(filter(None, found)))


def _portions(batches: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    return (list(batches[:count]) for count in sorted({min(count, len(batches)) for count in _COUNTS}))


def _other_ways(usual: Uses, blocks: Sequence[Uses], groups: Sequence[Sequence[str]]) -> Iterator[Uses]:
    """Blocks that together have each group of layers in every way of `blocks` but the usual one."""
    others = []
    for layers in groups:
        met = dict.fromkeys(tuple(uses.get(name) for name in layers) for uses in blocks)
        others.append([way for way in met if way != tuple(usual.get(name) for name in layers) and any(way)])
    for number in range(max(map(len, others), default=0)):
        changed = dict(usual)
        for layers, found in zip(groups, others, strict=True):
            if number < len(found):
                changed |= dict(zip(layers, found[number], strict=True))
        yield changed


def _decompress(piece: Path, uses: Uses, dtype: torch.dtype) -> None:
    """As the evaluation reads what was written."""
    from safetensors.torch import load_file

    stored = load_file(piece)
    for name, use in uses.items():
        parts = {part: stored[f"{name}.{part}"] for part in ALL_PARTS if f"{name}.{part}" in stored}
        if use is not None and parts.keys() - {"weight"}:
            decoded(parts, use.weight_format, dtype)

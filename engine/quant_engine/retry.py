"""When the memory of device or host does not suffice: what was interrupted is done again with smaller batches, and that is recorded."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from quant_engine.atomic import replace_text
from quant_engine.errors import QuantError
from quant_engine.lazy import torch
from quant_engine.linalg.memory import release_freed

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from quant_engine.work import Work
    from quant_engine.yaml_source import Key

T = TypeVar("T")
KEPT = "batches.json"


def is_out_of_memory(error: BaseException) -> bool:
    """Of the device or of the host; torch's CPU allocator has no error of its own."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)


def smaller_batches(
    work: Work,
    phase: str,
    batches: Sequence[Tensor],
    attempt: Callable[[list[Tensor]], Iterator[T]],
    afresh: Callable[[], None] = lambda: None,
    key: Key = ("calibration",),
) -> Iterator[T]:
    """What `attempt` yields for the batches (sequences × tokens, int64); each time the memory is exhausted in it, it is asked again with
    batches half as large, down to one sequence. What it yielded before must be kept by whoever consumes it: it continues there.

    How small the batches have become is kept in the run's state, so that a resumed run goes on with the same ones. afresh: called before
    another attempt. Raises QuantError(code="memory") when single sequences are too many.
    """
    file = work.directory.state_folder / KEPT
    sizes = _read(file).get(phase, [])
    if sizes:
        _note(work, phase, sizes[-1], key)
    while True:
        parts = divided(batches, sizes)
        largest = max(len(part) for part in parts)
        reason = ""
        try:
            yield from attempt(parts)
            return
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        # Only here is the error gone, and with its frames everything that they held.
        _release(work)
        if largest == 1:
            raise _exhausted(work, phase, parts[0].shape[-1], reason, key)
        sizes = [*sizes, largest // 2]
        replace_text(file, json.dumps(_read(file) | {phase: sizes}) + "\n")
        _note(work, phase, sizes[-1], key)
        afresh()


def divided(batches: Sequence[Tensor], sizes: Sequence[int]) -> list[Tensor]:
    """The batches in parts of at most so many sequences, by one size after the other."""
    parts = [*batches]
    for size in sizes:
        parts = [part for batch in parts for part in batch.split(size)]
    return parts


def fitted(hidden: Sequence[Tensor] | None, batches: Sequence[Tensor]) -> list[Tensor] | None:
    """Hidden states of larger batches (sequences × tokens × width) as those of the smaller ones that they were divided into."""
    if hidden is None or len(hidden) == len(batches):
        return None if hidden is None else [*hidden]
    lengths = iter([len(batch) for batch in batches])
    parts: list[Tensor] = []
    for states in hidden:
        left = states
        while len(left):
            count = next(lengths)
            # A part of its own: what is a view of the whole keeps all of it.
            parts.append(left[:count].clone())
            left = left[count:]
    return parts


def _read(file: Path) -> dict[str, list[int]]:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _note(work: Work, phase: str, size: int, key: Key) -> None:
    what = "sequences go" if size > 1 else "sequence goes"
    message = f"the memory of {work.device} did not suffice in the phase {phase}: only {size} {what} through a block at a time"
    work.problem("warning", "memory-retry", message, key)


def _exhausted(work: Work, phase: str, length: int, reason: str, key: Key) -> QuantError:
    return QuantError(
        f"the memory of {work.device} does not suffice in the phase {phase}, even for one sequence of {length} tokens at a time: {reason}",
        code="memory",
        advice="Use fewer or shorter samples, or more memory; quant-engine preflight says how many fit.",
        key=key,
    )


def _release(work: Work) -> None:
    for index in range(work.model.block_count):
        work.model.free_block(index)
    work.model.free_head()
    gc.collect()
    release_freed()
    if work.device.startswith("cuda"):
        torch.cuda.empty_cache()

"""What a run has finished, durable after every block, and the identity that a resume must share with it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from quant_engine.atomic import replace_text
from quant_engine.checkpoint.durable import save_tensors
from quant_engine.errors import QuantError

if TYPE_CHECKING:
    from torch import Tensor

Then = Literal["block", "head", "nothing"]
_HEAD = "head"
_SHARE = 10
"""Hidden states are saved when as many times their cost has passed: what a run spends on them stays below a tenth."""
_NOTHING = 0.1
"""Seconds that are spent on every block."""


class Journal:
    """One phase's blocks in `folder`: `00003.json` says that the blocks up to 3 are done that no earlier file names, `00003.safetensors`
    holds the hidden states after block 3.

    The JSON file is written last, so blocks count only when all that the next one needs is on the disk. Hidden states of earlier blocks are
    removed. Of a large model they can take longer to write than a block to compute: then they are not saved after every block, and a run
    that is continued does the blocks since then again (docs/decisions/0021-hidden-states.md).
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._waiting: list[Any] = []
        """Layers of blocks that are done since the hidden states were saved."""
        self._saved_at, self._cost = clock(), 0.0
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, block: int | None, layers: Sequence[Any], hidden: Sequence[Tensor], then: Then = "block") -> None:
        """Record a finished block: its layers as JSON objects, and the batches' hidden states after it. block None: the head. then: what
        comes next; nothing that is needed for the head, or behind the last block, waits."""
        if block is None:
            replace_text(self._folder / f"{_HEAD}.json", json.dumps(list(layers)))
            return
        self._waiting += layers
        if then == "block" and not self._is_due():
            return
        own = self._folder / f"{block:05d}.safetensors"
        if then != "nothing":
            started = self._clock()
            save_tensors(own, own.with_name(f".{own.name}"), {str(n): tensor for n, tensor in enumerate(hidden)})
            self._saved_at = self._clock()
            self._cost = self._saved_at - started
        replace_text(own.with_suffix(".json"), json.dumps(self._waiting))
        self._waiting = []
        for earlier in self._folder.glob("[0-9]*.safetensors"):
            if earlier != own:
                earlier.unlink(missing_ok=True)

    @property
    def done(self) -> int:
        """Number of blocks that are done: the next one to do."""
        return max((int(file.stem) + 1 for file in self._files()), default=0)

    @property
    def head_done(self) -> bool:
        return (self._folder / f"{_HEAD}.json").exists()

    def layers(self) -> list[Any]:
        """The layers of all finished blocks, in order."""
        files = [*self._files(), *([self._folder / f"{_HEAD}.json"] if self.head_done else [])]
        return [layer for file in files for layer in json.loads(file.read_text(encoding="utf-8"))]

    def hidden(self) -> list[Tensor] | None:
        """Hidden states after the last finished block; None before the first, and where nothing needs them. Blocks after it are forgotten:
        who asks goes on from there."""
        self._waiting = []
        file = self._folder / f"{self.done - 1:05d}.safetensors"
        if self.done == 0 or not file.exists():
            return None
        from safetensors.torch import load_file

        tensors = load_file(file)
        return [tensors[str(index)] for index in range(len(tensors))]

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("[0-9]*.json"))

    def _is_due(self) -> bool:
        return self._cost < _NOTHING or self._clock() - self._saved_at >= _SHARE * self._cost


class UnitJournal:
    """Units of one phase that are done in any order and need nothing of each other: `NAME.json` in `folder` says that NAME is done."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, layers: Sequence[Any]) -> None:
        """layers: as JSON objects."""
        replace_text(self._folder / f"{name}.json", json.dumps(list(layers)))

    def has(self, name: str) -> bool:
        return (self._folder / f"{name}.json").exists()

    def layers(self, names: Sequence[str]) -> list[Any]:
        """Of those of the named units that are done."""
        done = [self._folder / f"{name}.json" for name in names if self.has(name)]
        return [layer for file in done for layer in json.loads(file.read_text(encoding="utf-8"))]


def code_hash() -> str:
    """SHA-256 over the engine's own source files: another version of the code may round differently."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def flatten(value: Any, prefix: str) -> dict[str, str]:
    """A nested value as `prefix.key.0` → JSON text, so that a difference can be named."""
    if isinstance(value, Mapping) and value:
        return {name: text for key, item in value.items() for name, text in flatten(item, f"{prefix}.{key}").items()}
    if isinstance(value, (list, tuple)) and value:
        return {
            name: text for index, item in enumerate(value) for name, text in flatten(item, f"{prefix}.{index}").items()
        }
    return {prefix: json.dumps(value)}


def hold_identity(path: Path, identity: Mapping[str, str]) -> None:
    """Store the identity at the first start; later compare with it.

    Raises QuantError(code="resume-mismatch") that names the fields that differ: the resumed run would not end in the same bytes.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(dict(identity), indent=1, sort_keys=True) + "\n")
        return
    stored: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    details = differences(stored, identity)
    if details:
        raise QuantError(
            f"the run cannot be continued: {details}",
            code="resume-mismatch",
            advice="Restore what differs, or start a new run.",
        )


def differences(stored: Mapping[str, str], identity: Mapping[str, str]) -> str:
    """The fields that differ, with both values; empty when none does."""
    differing = sorted(name for name in stored.keys() | identity.keys() if stored.get(name) != identity.get(name))
    return "; ".join(f"{name} (was {_short(stored.get(name))}, is {_short(identity.get(name))})" for name in differing)


def _short(value: str | None) -> str:
    if value is None:
        return "absent"
    return value if len(value) <= 40 else value[:12] + "…"

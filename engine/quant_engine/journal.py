"""What a run has finished, durable after every block, and the identity that a resume must share with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quant_engine.atomic import replace_text
from quant_engine.checkpoint.durable import save_tensors
from quant_engine.errors import QuantError

if TYPE_CHECKING:
    from torch import Tensor

_HEAD = "head"


class Journal:
    """One phase's blocks in `folder`: `00003.json` says that block 3 is done, `00003.safetensors` holds the hidden states after it.

    The JSON file is written last, so a block counts only when all it needs is on the disk. Hidden states of earlier blocks are removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, block: int | None, layers: Sequence[Any], hidden: Sequence[Tensor]) -> None:
        """Record a finished block: its layers as JSON objects, and the batches' hidden states after it. block None: the head."""
        name = _HEAD if block is None else f"{block:05d}"
        if block is not None:
            self._save_hidden(self._folder / f"{name}.safetensors", hidden)
        replace_text(self._folder / f"{name}.json", json.dumps(list(layers)))
        if block:
            (self._folder / f"{block - 1:05d}.safetensors").unlink(missing_ok=True)

    @property
    def done(self) -> int:
        """Number of blocks that are done: the next one to do."""
        count = 0
        while (self._folder / f"{count:05d}.json").exists():
            count += 1
        return count

    @property
    def head_done(self) -> bool:
        return (self._folder / f"{_HEAD}.json").exists()

    def layers(self) -> list[Any]:
        """The layers of all finished blocks, in order."""
        names = [f"{block:05d}" for block in range(self.done)] + ([_HEAD] if self.head_done else [])
        return [
            layer for name in names for layer in json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
        ]

    def hidden(self) -> list[Tensor] | None:
        """Hidden states after the last finished block; None before the first."""
        if self.done == 0:
            return None
        from safetensors.torch import load_file

        tensors = load_file(self._folder / f"{self.done - 1:05d}.safetensors")
        return [tensors[str(index)] for index in range(len(tensors))]

    def _save_hidden(self, path: Path, hidden: Sequence[Tensor]) -> None:
        save_tensors(path, path.with_name(f".{path.name}"), {str(n): tensor for n, tensor in enumerate(hidden)})


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

"""A recipe against the files it names: checkpoint headers, texts, output and disk. No tensor is read, no torch needed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine import preflight
from quant_engine.advice import of_missing_model
from quant_engine.assignment import Storage, fused_layers
from quant_engine.check_budget import budget
from quant_engine.check_data import check_data, short_data
from quant_engine.check_dtypes import bfloat16_only
from quant_engine.check_layers import LayerCheck
from quant_engine.errors import QuantError
from quant_engine.recipe import Budget, Calibration
from quant_engine.right_values import RightValues
from quant_engine.structure import Finding
from quant_engine.tokens import has_tokenizer
from quant_engine.yaml_source import Key, Span

if TYPE_CHECKING:
    from quant_engine.checkpoint import Checkpoint, LinearInfo

_MODEL: Key = ("model",)
_OUTPUT: Key = ("output",)
_BUDGET: Key = ("quantize", "budget")


def target(folder: Path, written: str) -> Path:
    """A path of the recipe: `~` is the home folder, relative ones count from the recipe's folder. What can be no path stays as it is
    written: nothing is there."""
    try:
        return (folder / Path(written).expanduser()).resolve()
    except (RuntimeError, ValueError, OSError):  # an unknown user after ~, a null character, a name that is too long
        return folder / written


def _possible(written: str, path: Path) -> bool:
    """Whether the system could have such a path."""
    try:
        Path(written).expanduser()
        path.exists()
    except (RuntimeError, ValueError, OSError):
        return False
    return "\0" not in written


def _is(test: Callable[[], bool]) -> bool:
    """The answer about a path; False for a path that the system refuses."""
    try:
        return test()
    except (ValueError, OSError):
        return False


def _writable(folder: Path) -> bool:
    """Whether this user may make files there. Where disks of no size are (/proc), nobody can, whatever its permissions say."""
    return os.access(folder, os.W_OK | os.X_OK) and shutil.disk_usage(folder).total > 0


def longest_sequence(checkpoint: Checkpoint) -> int | None:
    """Positions that the model has; None when its config does not say."""
    most = checkpoint.config.get("max_position_embeddings")
    return most if isinstance(most, int) else None


class FileCheck:
    def __init__(self, values: RightValues, folder: Path, free: Callable[[Path], int], kept: int = 0) -> None:
        """kept: bytes of resume data that need no more room."""
        self._values = values
        self._folder = folder
        self._free = free
        self._kept = kept

    def check(self, runs: Path, ignore_output: bool) -> Iterator[Finding]:
        """ignore_output: it may exist and nothing is written there."""
        for section in ("calibration", "evaluate"):
            yield from self._data((section, "data"))
        output = [] if ignore_output else list(self._output(runs))
        yield from output
        model = self._values.scalar(_MODEL, str)
        if model is None:
            return
        try:
            checkpoint = self._open(*model)
        except QuantError as error:
            yield Finding(error.code, error.message, model[1], advice=error.advice)
            return
        yield from self._tokenizer(checkpoint, *model)
        yield from self._sequence_lengths(checkpoint)
        yield from self._short(checkpoint)
        yield from self._layers(checkpoint, model[0], None if ignore_output or output else runs)

    def _open(self, written: str, span: Span) -> Checkpoint:
        """The checkpoint, or the reason why it cannot be quantized as a QuantError in the recipe's words."""
        from quant_engine.architectures.registry import family_for
        from quant_engine.checkpoint import Checkpoint
        from quant_engine.checkpoint.consistency import refuse_contradictions

        path = target(self._folder, written)
        if not _is(path.is_dir):
            message = f'no checkpoint at "{written}": the folder does not exist'
            raise QuantError(message, code="model-missing", advice=of_missing_model(written, path))
        try:
            checkpoint = Checkpoint.open(path)
            refuse_contradictions(checkpoint)
        except QuantError as error:
            message = error.message.replace(str(path), written)
            message += ": convert them to safetensors" if error.code == "model-not-safetensors" else ""
            raise QuantError(message, code=error.code, advice=error.advice) from None
        if checkpoint.quantization is not None:
            message = f'"{written}" is already quantized ({checkpoint.quantization.method})'
            raise QuantError(message, code="model-quantized")
        family_for(checkpoint)
        return checkpoint

    def _layers(self, checkpoint: Checkpoint, model: str, runs: Path | None) -> Iterator[Finding]:
        from quant_engine.checkpoint import list_linears

        linears = list_linears(checkpoint)
        layers = LayerCheck(self._values, linears, model)
        yield from layers.findings
        yield from bfloat16_only(self._values, checkpoint.dtype)
        fused = fused_layers(linears, checkpoint.architecture)
        yield from layers.fused(fused)
        yield from budget(self._values, layers, Storage.of(checkpoint, linears), fused)
        if runs is not None:
            yield from self._disk(checkpoint, linears, layers, runs)

    def _data(self, key: Key) -> Iterator[Finding]:
        found = self._values.scalar(key, str)
        if found is not None and found[0]:
            yield from check_data(*found, target(self._folder, found[0]))

    def _short(self, checkpoint: Checkpoint) -> Iterator[Finding]:
        for section in ("calibration", "evaluate"):
            found = self._values.scalar((section, "data"), str)
            if found is not None:
                yield from short_data(self._values, section, target(self._folder, found[0]), longest_sequence(checkpoint))

    def _tokenizer(self, checkpoint: Checkpoint, written: str, span: Span) -> Iterator[Finding]:
        texts = any(self._values.is_written((section,)) for section in ("calibration", "evaluate"))
        if texts and not has_tokenizer(checkpoint.path):
            yield Finding("tokenizer", f'"{written}" has no tokenizer', span)

    def _sequence_lengths(self, checkpoint: Checkpoint) -> Iterator[Finding]:
        most = longest_sequence(checkpoint)
        for section in ("calibration", "evaluate"):
            found = self._values.scalar((section, "sequence_length"), float)
            if found and most is not None and found[0] > most:
                message = f"{int(found[0])} is above the model's maximum of {most} tokens"
                yield Finding("sequence-too-long", message, found[1])

    def _output(self, runs: Path) -> Iterator[Finding]:
        found, model = self._values.scalar(_OUTPUT, str), self._values.scalar(_MODEL, str)
        if found is None:
            return
        written, span = found
        path = target(self._folder, written)
        source = target(self._folder, model[0]) if model else None
        if not _possible(written, path):
            yield Finding("output-unwritable", f'"{written}" cannot be made: it is no path on this system', span)
        elif path == source and path.exists():
            yield Finding("output-is-model", "the output is the checkpoint itself", span)
        elif source and source in path.parents and _is(source.is_dir):
            yield Finding("output-is-model", "the output lies inside the checkpoint", span)
        elif runs.resolve() in (path, *path.parents):
            yield Finding("output-unwritable", f'"{written}" cannot be made: run directories are kept there', span)
        elif path.exists() or os.path.lexists(self._folder / Path(written).expanduser()):
            yield Finding("output-exists", f'"{written}" exists already; choose another folder or remove it', span)
        else:
            parent = preflight.existing_parent(path)
            reason = "is not a folder" if not parent.is_dir() else None if _writable(parent) else "cannot be written"
            if reason:
                yield Finding("output-unwritable", f'"{written}" cannot be made: "{parent}" {reason}', span)

    def _weighs(self) -> bool:
        """Whether a budget weighs noise by importance, as `Work.objective` decides it."""
        limited = any(self._values.node((*_BUDGET, name)) is not None for name in ("bits_per_weight", "size"))
        written = self._values.scalar((*_BUDGET, "objective"), str)
        return limited and (written[0] if written else Budget.model_fields["objective"].default) == "importance"

    def _tokens(self, checkpoint: Checkpoint) -> int:
        """Of the calibration data, at most; 0 without any."""
        if not self._values.is_written(("calibration",)):
            return 0
        samples = self._values.scalar(("calibration", "samples"), float)
        length = self._values.scalar(("calibration", "sequence_length"), float)
        fields = Calibration.model_fields
        most = min(fields["sequence_length"].default, longest_sequence(checkpoint) or 1 << 20)
        return int((samples[0] if samples else fields["samples"].default) * (length[0] if length else most))

    def _disk(
        self, checkpoint: Checkpoint, linears: list[LinearInfo], layers: LayerCheck, runs: Path
    ) -> Iterator[Finding]:
        found = self._values.scalar(_OUTPUT, str)
        if found is None:
            return
        written, span = found
        path = target(self._folder, written)
        needs = preflight.needs(checkpoint, linears, layers.assignment, self._tokens(checkpoint), self._weighs())
        if preflight.same_disk(path, runs):
            # Of a run without calibration data what is kept is a part of the output.
            kept = needs.output + needs.state if needs.apart == needs.output else needs.state
            places = [(path, written, needs.output + needs.state - min(kept, self._kept))]
        else:
            places = [(path, written, needs.output), (runs, str(runs), max(0, needs.apart - self._kept))]
        for place, shown, needed in places:
            free = self._free(place)
            if needed > free:
                size, left = preflight.format_bytes(needed), preflight.format_bytes(free)
                yield Finding("disk-space", f'about {size} are needed for "{shown}", {left} are free', span)

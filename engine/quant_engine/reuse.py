"""Measurements of earlier runs: what another run has measured on the same data with the same code is not measured again.

A measurement of a candidate depends on the checkpoint, the calibration tokens, the code with its libraries, the kind of device and the
format of the output, and on nothing else that a recipe says; its label is its method, scheme and arguments. All of that is a run's
measurement identity, kept in its result.json beside the numbers, which JSON keeps to the last bit.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quant_engine.atomic import replace_text
from quant_engine.errors import QuantError
from quant_engine.journal import differences
from quant_engine.result import Measurement
from quant_engine.run_directory import IMPORTANCE, RECORD, read_record, read_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quant_engine.checkpoint import Checkpoint
    from quant_engine.events import RunRecord
    from quant_engine.result import LayerResult, Objective, Result
    from quant_engine.run_directory import RunDirectory
    from quant_engine.walk import MeasuredLayer

log = logging.getLogger(__name__)
REUSED = "reused.json"
_DONE = ("done", "done-with-fallbacks")


@dataclass
class Reused:
    """What was found. by: candidate label → run that measured it; taken: → run whose result.json has it; layers: by name, with these
    candidates. importance_by: the run that measured the importance; importance: whether that stands in the run directory."""

    by: dict[str, str] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)
    layers: dict[str, MeasuredLayer] = field(default_factory=dict)
    importance_by: str | None = None
    importance: bool = False


def measurement_identity(
    shared: Mapping[str, str], checkpoint: Checkpoint, seed: int | None, output: str
) -> dict[str, str]:
    """shared: what a resume compares of data, code and device. Weight files count with their time too, because a resume comes soon and a
    reuse perhaps years later, and a resume compares samples of large files. seed: of the tokens, known by them, and of the importance;
    None: there are no calibration data, and only measurements without them are alike. output: the format that candidates are stored in,
    which has a say in their scales and bits."""
    files = sorted({tensor.file for tensor in checkpoint.tensors.values()})
    modified = {f"checkpoint.{file.name}.modified": json.dumps(file.stat().st_mtime_ns) for file in files}
    seeds = {} if seed is None else {"calibration seed": json.dumps(seed)}
    return {**shared, **modified, **seeds, "output format": output}


def digest(identity: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(identity), sort_keys=True).encode()).hexdigest()


def find(
    directory: RunDirectory, identity: Mapping[str, str], layers: Sequence[str], labels: Sequence[str], objective: Objective
) -> Reused:
    """What finished runs beside the run's directory have measured: each candidate from the newest that has it.

    layers: names that a measurement must cover. objective: with "importance" only weighed measurements are taken, and the importance
    itself is copied into the directory, for candidates that are still missing and for later runs. Why the newest run of the same checkpoint
    does not serve is logged. Raises QuantError(code="disk-space") or ("output-write") when the copy fails.
    """
    found, explained = Reused(), False
    for source, record in _finished(directory.folder):
        if record.measurement != digest(identity):
            explained = explained or (record.model == directory.record.model and _explain(source, identity))
            continue
        if all(label in found.by for label in labels) and (objective == "noise" or found.importance):
            break
        result = _result(source)
        if result is None or result.identity != identity:
            continue
        explained = True
        if objective == "importance" and not found.importance:
            _take_importance(found, source, result, directory.folder, layers)
        for label in labels:
            if label not in found.by and _covers(result, label, layers, objective):
                _take(found, source.name, result, label, objective)
    return found


def store(found: Reused, state: Path) -> None:
    """Make the decision durable: a resume must not decide otherwise because a run was added or removed meanwhile."""
    layers = [
        {**vars(layer), "candidates": {label: one.model_dump(mode="json") for label, one in layer.candidates.items()}}
        for layer in found.layers.values()
    ]
    replace_text(state / REUSED, json.dumps({**vars(found), "layers": layers}))


def recall(state: Path) -> Reused | None:
    """What `store` wrote; None before it did."""
    from quant_engine.walk import MeasuredLayer

    if not (state / REUSED).exists():
        return None
    stored: dict[str, Any] = json.loads((state / REUSED).read_text(encoding="utf-8"))
    layers = {}
    for layer in stored.pop("layers"):
        candidates = {label: Measurement.model_validate(one) for label, one in layer["candidates"].items()}
        layers[layer["name"]] = MeasuredLayer(**{**layer, "candidates": candidates})
    return Reused(**stored, layers=layers)


def _finished(folder: Path) -> Iterator[tuple[Path, RunRecord]]:
    """Directories of runs that are done beside `folder`, newest first."""
    records: list[tuple[str, str, Path, RunRecord]] = []
    for path in folder.parent.glob(f"*/{RECORD}"):
        if path.parent == folder:
            continue
        try:
            record = read_record(path.parent)
        except QuantError:
            continue
        if record.state in _DONE and record.measurement is not None:
            records.append((record.finished or record.updated, record.run, path.parent, record))
    for *_, source, record in sorted(records, key=lambda one: one[:2], reverse=True):
        yield source, record


def _explain(source: Path, identity: Mapping[str, str]) -> bool:
    """Log what keeps the measurements of `source` from being taken; whether it has any."""
    result = _result(source)
    if result is None or not result.measured_by:
        return False
    log.info("measurements of the run %s are not taken: %s", source.name, differences(result.identity, identity))
    return True


def _result(source: Path) -> Result | None:
    try:
        return read_result(source)
    except QuantError as error:
        log.info("measurements of the run %s are not taken: %s", source.name, error.message)
        return None


def _covers(result: Result, label: str, layers: Sequence[str], objective: Objective) -> bool:
    if label not in result.measured_by or (objective == "importance" and result.importance_by is None):
        return False
    measured = {layer.name for layer in result.layers if label in layer.candidates}
    return measured.issuperset(layers)


def _take(found: Reused, source: str, result: Result, label: str, objective: Objective) -> None:
    found.by[label], found.taken[label] = result.measured_by[label], source
    if objective == "importance":
        found.importance_by = found.importance_by or result.importance_by
    for layer in result.layers:
        if label not in layer.candidates:
            continue
        one = layer.candidates[label]
        # As if it had been measured for this objective.
        one = one if objective == "importance" else one.model_copy(update={"predicted_kl": None})
        found.layers.setdefault(layer.name, _without_candidates(layer)).candidates[label] = one


def _without_candidates(layer: LayerResult) -> MeasuredLayer:
    from quant_engine.walk import MeasuredLayer

    return MeasuredLayer(layer.name, layer.group, layer.tokens, layer.signal, {})


def _take_importance(found: Reused, source: Path, result: Result, folder: Path, layers: Sequence[str]) -> None:
    from safetensors import SafetensorError, safe_open

    from quant_engine.checkpoint.durable import replace, write_failure

    file, temporary = source / IMPORTANCE, folder / f".{IMPORTANCE}"
    if result.importance_by is None:
        return
    try:
        with safe_open(file, framework="numpy") as tensors:  # type: ignore[no-untyped-call]
            if not set(tensors.keys()).issuperset(layers):
                return
    except (OSError, SafetensorError):
        return
    try:
        shutil.copyfile(file, temporary)
        replace(temporary, folder / IMPORTANCE)
    except OSError as error:
        raise write_failure(error, temporary) from error
    finally:
        temporary.unlink(missing_ok=True)
    found.importance_by, found.importance = result.importance_by, True

"""The run directory: the one thing a run tells the world through (docs/decisions/0001-run-directory.md)."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from quant_engine import events
from quant_engine.atomic import replace_text
from quant_engine.errors import QuantError
from quant_engine.events import Event, RunRecord
from quant_engine.result import Result

RECORD, EVENTS, RESULT = "run.json", "events.jsonl", "result.json"
RECIPE, REQUEST, STATE, SECONDS = "recipe.quant.yaml", "request.json", "state", "seconds.json"
IMPORTANCE = "importance.safetensors"
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")


def now() -> str:
    """UTC, ISO 8601 with milliseconds, for example 2026-01-31T09:05:00.123Z."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def recipe_name(recipe: Path) -> str:
    name = re.sub(r"(\.quant)?\.ya?ml$", "", recipe.name)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "recipe"


def create_folder(runs: Path, recipe: Path, name: str | None) -> Path:
    """A new folder `<utc time>-<recipe name>` (or `name`) in `runs`; names that are taken get a number.

    Whoever gives a name may have made the folder already, to watch it or to keep the log there: it is taken when it is no run yet.
    Raises QuantError(code="run-exists") when it is one, ("bad-usage") when `name` is no plain folder name.
    """
    if name is not None and not _NAME.match(name):
        raise QuantError(
            f'"{name}" cannot name a run', code="bad-usage", advice="Use letters, digits, dots, dashes and underscores."
        )
    stem = name or f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{recipe_name(recipe)}"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            folder = runs / (stem if number == 1 else f"{stem}-{number}")
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                if name is not None and not (folder / RECORD).exists():
                    return folder
                if name is not None:
                    raise QuantError(
                        f'the run "{name}" exists already', code="run-exists", advice="Choose another --id."
                    ) from None
    except OSError as error:
        message = f'no run directory can be made in "{runs}": {error.strerror}'
        raise QuantError(message, code="runs-unwritable", advice="Choose another folder with --runs.") from None
    raise QuantError(
        f'"{runs}" has too many runs named {stem}', code="run-exists", advice="Choose another folder with --runs."
    )


def read_record(folder: Path) -> RunRecord:
    """Raises QuantError(code="run-missing")."""
    try:
        return RunRecord.model_validate_json((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        nothing = "it has no run.json" if folder.is_dir() else "there is no such folder"
        reason = nothing if isinstance(error, FileNotFoundError) else getattr(error, "strerror", None) or "run.json is not a run's record"
        raise QuantError(
            f'"{folder}" is not a run directory: {reason}',
            code="run-missing",
            advice="Give the folder that has a run.json.",
        ) from None


def read_result(folder: Path) -> Result:
    """Raises QuantError(code="result-missing")."""
    try:
        return Result.model_validate_json((folder / RESULT).read_text(encoding="utf-8"))
    except OSError:
        from quant_engine.running import how_it_stands

        record = read_record(folder)
        how, works = how_it_stands(record)
        can_go_on = (folder / STATE).is_dir() and (record.resumable or record.error is None)
        advice = "Wait for its end." if works else "Continue it with --resume." if can_go_on else "Start it anew."
        if record.error is not None:
            how += f": {record.error.message}"
            advice = " ".join(filter(None, (record.advice, advice)))
        raise QuantError(f'the run "{folder.name}" has no result: {how}', code="result-missing", advice=advice) from None
    except ValueError:
        raise QuantError(f'"{folder / RESULT}" is damaged', code="result-missing", advice="Repeat the run.") from None


class RunDirectory:
    """Writes a run's record and events. Safe to use from the thread that watches for signals."""

    def __init__(self, folder: Path, record: RunRecord, on_event: Callable[[Event], None] | None = None) -> None:
        self.folder = folder
        self.record = record
        self._on_event = on_event
        self._lock = threading.RLock()
        self._sequence = _repair_events(folder / EVENTS)
        self._events = (folder / EVENTS).open("a", encoding="utf-8")
        self._write_record()

    @property
    def state_folder(self) -> Path:
        return self.folder / STATE

    def event(self, kind: type[Event], **fields: Any) -> None:
        """Append one event; its line is complete in the file before anyone else hears of it."""
        with self._lock:
            self._sequence += 1
            event = kind(sequence=self._sequence, time=now(), **fields)
            self._events.write(event.model_dump_json() + "\n")
            self._events.flush()
        if self._on_event:
            self._on_event(event)

    def stop(self, event: type[Event], said: dict[str, Any], **fields: Any) -> None:
        """Event and record of a run that did not end well: it is heard also when the disk can no longer be written."""
        try:
            self.event(event, **said)
        except OSError:
            if self._on_event:
                self._on_event(event(sequence=self._sequence, time=now(), **said))
        with suppress(OSError):
            self.update(**fields)

    def update(self, **fields: Any) -> None:
        """Change fields of the record and replace run.json."""
        with self._lock:
            self.record = self.record.model_copy(update={**fields, "updated": now()})
            self._write_record()

    def ask_to_cancel(self) -> None:
        """State `cancelling`, unless the run has ended meanwhile."""
        with self._lock:
            if self.record.state not in ("starting", "running"):
                return
            self.update(state="cancelling")
            counter = self.record.progress
            if counter:
                said = {"phase": counter.phase, "done": counter.done, "total": counter.total}
                self.event(events.Progress, **said, message="cancelling at the next layer; once more ends it now")

    def keep_seconds(self, seconds: dict[str, float]) -> None:
        """Time spent in each phase so far; a resumed run adds to it."""
        if self.state_folder.is_dir():
            replace_text(self.state_folder / SECONDS, json.dumps(seconds))

    def kept_seconds(self) -> dict[str, float]:
        path = self.state_folder / SECONDS
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def write_result(self, result: Result) -> None:
        replace_text(self.folder / RESULT, result.model_dump_json(indent=1) + "\n")

    def sync(self) -> None:
        with self._lock:
            os.fsync(self._events.fileno())

    def remove_state(self) -> None:
        shutil.rmtree(self.state_folder, ignore_errors=True)

    def close(self) -> None:
        """Whoever wrote a line has heard of a disk that is full; what is still in the buffer cannot be saved here."""
        with self._lock:
            with suppress(OSError):
                os.fsync(self._events.fileno())
            with suppress(OSError):
                self._events.close()

    def _write_record(self) -> None:
        replace_text(self.folder / RECORD, self.record.model_dump_json(indent=1) + "\n")


def _repair_events(path: Path) -> int:
    """Cut off a line that a killed process left unfinished; the sequence number of the last whole one."""
    if not path.exists():
        return 0
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with path.open("r+b") as stream:
            stream.truncate(len(whole))
    lines = whole.splitlines()
    return int(json.loads(lines[-1])["sequence"]) if lines else 0

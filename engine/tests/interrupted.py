"""A process for tests: runs or resumes a recipe and stops itself in the middle, by the signal that it is told.

python interrupted.py SIGNAL PHASE DONE (start RECIPE OUTPUT RUNS | resume FOLDER)
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from quant_engine import events
from quant_engine.run import Request, resume, start

number, phase, done, action, *rest = sys.argv[1:]
folder: list[Path] = []


def stop_here(event: events.Event) -> None:
    if not (isinstance(event, events.Progress) and (event.phase, event.done) == (phase, int(done)) and event.message):
        return
    if event.message.startswith("cancelling"):
        return
    os.kill(os.getpid(), getattr(signal, number))
    # The main thread stays busy here: the state must change all the same.
    record = (folder[0] if action == "resume" else next(Path(rest[2]).iterdir())) / "run.json"
    while json.loads(record.read_text())["state"] != "cancelling":
        time.sleep(0.01)


if action == "start":
    recipe, output, runs = map(Path, rest)
    outcome = start(Request("run", recipe, (f"output={output}",), "cpu", runs), on_event=stop_here)
else:
    folder.append(Path(rest[0]))
    outcome = resume(folder[0], on_event=stop_here)
sys.exit(outcome.exit_code)

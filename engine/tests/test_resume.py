"""Stopping a run by signals and going on with it: the same bytes as without the stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quant_engine.errors import QuantError
from quant_engine.events import Event, PhaseStarted, RunRecord
from quant_engine.journal import Journal
from quant_engine.result import Result
from quant_engine.run import Request, resume, start
from small_workspace import environment, files, make_workspace, quant_engine

INTERRUPTED = Path(__file__).with_name("interrupted.py")
BLOCKS = 3


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the uninterrupted run's output in `quantized` and its result in `whole.json`."""
    recipe = make_workspace(tmp_path_factory.mktemp("resume"), BLOCKS)
    done = start(Request("run", recipe, (f"output={recipe.parent / 'quantized'}",), "cpu"))
    assert done.result is not None
    (recipe.parent / "whole.json").write_text(done.result.model_dump_json())
    return recipe.parent


def stopped(workspace: Path, place: Path, number: str, phase: str, done: int) -> tuple[int, Path]:
    """Exit code and run directory of a run that got a signal after `done` units of a phase."""
    command = [sys.executable, INTERRUPTED, number, phase, done, "start", workspace / "small.quant.yaml"]
    command += [place / "out", place / "runs"]
    result = subprocess.run([*map(str, command)], env=environment(), capture_output=True, text=True, timeout=300)
    (folder,) = (place / "runs").iterdir()
    return result.returncode, folder


def record_of(folder: Path) -> RunRecord:
    return RunRecord.model_validate_json((folder / "run.json").read_text())


def assert_same_as_uninterrupted(workspace: Path, place: Path, folder: Path) -> None:
    assert files(place / "out") == files(workspace / "quantized")
    whole = Result.model_validate_json((workspace / "whole.json").read_text())
    result = Result.model_validate_json((folder / "result.json").read_text())
    assert result.layers == whole.layers and result.scores == whole.scores
    assert not (folder / "state").exists()
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert [event["resumed"] for event in events if event["type"] == "started"] == [False, True]


@pytest.mark.parametrize(("phase", "done"), [("measure", 2), ("quantize", 1), ("evaluate", 2)])
def test_sigint_stops_at_the_block_and_the_rest_follows(workspace: Path, tmp_path: Path, phase: str, done: int) -> None:
    code, folder = stopped(workspace, tmp_path, "SIGINT", phase, done)
    record = record_of(folder)
    assert (code, record.state, record.resumable) == (130, "cancelled", True)
    assert record.progress is not None and (record.progress.phase, record.progress.done) == (phase, done)
    assert (tmp_path / "out").exists() is (phase == "evaluate")
    spent = json.loads((folder / "state" / "seconds.json").read_text())
    resumed = quant_engine("run", "--resume", folder, "--json")
    assert resumed.returncode == 0, resumed.stderr
    seconds = json.loads(resumed.stdout)["seconds"]
    assert phase in spent and all(seconds[name] >= round(spent[name], 3) for name in spent)
    assert_same_as_uninterrupted(workspace, tmp_path, folder)
    totals = [line for line in resumed.stderr.splitlines() if line.startswith(f"{phase}: ")]
    skipped = 0 if phase == "evaluate" else done
    assert totals[1].startswith(f"{phase}: {skipped + 1}/")


def test_sigterm_is_a_cancellation_too(workspace: Path, tmp_path: Path) -> None:
    code, folder = stopped(workspace, tmp_path, "SIGTERM", "prepare", 3)
    assert (code, record_of(folder).state) == (130, "cancelled")


@pytest.mark.parametrize(("phase", "done"), [("measure", 1), ("quantize", 2), ("write", 1)])
def test_sigkill_leaves_a_directory_that_can_be_resumed(workspace: Path, tmp_path: Path, phase: str, done: int) -> None:
    code, folder = stopped(workspace, tmp_path, "SIGKILL", phase, done)
    assert (code, record_of(folder).state) == (-signal.SIGKILL, "running")
    with (folder / "events.jsonl").open("a") as stream:
        stream.write('{"sequence": 99, "ti')
    assert resume(folder).exit_code == 0
    assert_same_as_uninterrupted(workspace, tmp_path, folder)


def test_a_run_can_be_stopped_again_and_again(workspace: Path, tmp_path: Path) -> None:
    _, folder = stopped(workspace, tmp_path, "SIGINT", "measure", 1)
    command = [sys.executable, str(INTERRUPTED), "SIGKILL", "quantize", "1", "resume", str(folder)]
    again = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)
    assert again.returncode == -signal.SIGKILL, again.stderr
    assert resume(folder).exit_code == 0
    assert files(tmp_path / "out") == files(workspace / "quantized")


def test_the_second_signal_ends_a_busy_process_now(tmp_path: Path) -> None:
    program = """
import os, signal
from quant_engine.cancel import listening
with listening() as cancellation:
    cancellation.on_first = lambda: print("first", flush=True)
    cancellation.on_second = lambda: print("second", flush=True)
    print("ready", flush=True)
    while True:
        sum(range(10**6))
"""
    child = subprocess.Popen([sys.executable, "-c", program], env=environment(), stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    heard = [child.stdout.readline()]
    for _ in range(2):
        child.send_signal(signal.SIGINT)
        heard.append(child.stdout.readline())
    assert heard == ["ready\n", "first\n", "second\n"]
    assert child.wait(timeout=60) == 130


def test_overrides_hold_for_the_resumed_run(workspace: Path, tmp_path: Path) -> None:
    """The copy of the recipe is the recipe's own text; what was set on the command line is kept beside it."""
    _, folder = stopped(workspace, tmp_path, "SIGINT", "quantize", 1)
    assert (folder / "recipe.quant.yaml").read_bytes() == (workspace / "small.quant.yaml").read_bytes()
    assert json.loads((folder / "request.json").read_text())["overrides"] == [f"output={tmp_path / 'out'}"]
    assert resume(folder).record is not None
    assert (tmp_path / "out" / "config.json").exists()


def test_what_differs_is_named(workspace: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    recipe = make_workspace(place)
    _, folder = stopped(place, tmp_path, "SIGINT", "quantize", 1)
    before = files(folder / "state")
    good = files(place)
    text = place / "calibration.jsonl"
    text.write_text(text.read_text().replace("the", "teh"))
    config = place / "model" / "config.json"
    config.write_text(config.read_text().replace('"use_cache": true', '"use_cache": false'))
    refused = quant_engine("run", "--resume", folder)
    assert refused.returncode == 2
    assert "calibration tokens" in refused.stderr and "checkpoint.config.json" in refused.stderr
    assert "[resume-mismatch]" in refused.stderr
    after = files(folder / "state")
    assert {name for name in after if after[name] != before.get(name)} == {"seconds.json"}
    assert not (tmp_path / "out").exists()
    recipe.write_text(recipe.read_text().replace("samples: 8", "samples: 9"))
    with pytest.raises(QuantError) as caught:
        resume(folder, recipe=recipe)
    assert caught.value.code == "resume-mismatch" and "recipe.calibration.samples" in caught.value.message
    for name, data in good.items():
        (place / name).write_bytes(data)
    assert resume(folder, recipe=recipe).exit_code == 0, "what differed was restored"


def test_a_done_run_a_running_run_and_no_run_cannot_be_resumed(workspace: Path, tmp_path: Path) -> None:
    (done,) = (workspace / "runs").iterdir()
    with pytest.raises(QuantError) as caught:
        resume(done)
    assert caught.value.code == "not-resumable"
    with pytest.raises(QuantError) as caught:
        resume(tmp_path)
    assert caught.value.code == "run-missing"
    _, folder = stopped(workspace, tmp_path, "SIGKILL", "measure", 1)
    record = record_of(folder)
    import psutil

    mine = {"pid": os.getpid(), "pid_started": psutil.Process().create_time()}
    (folder / "run.json").write_text(record.model_copy(update=mine).model_dump_json())
    with pytest.raises(QuantError) as caught:
        resume(folder)
    assert caught.value.code == "run-active" and str(os.getpid()) in caught.value.message
    # The same number, but another process: the run's own is gone.
    (folder / "run.json").write_text(record.model_copy(update={**mine, "pid_started": 1.0}).model_dump_json())
    assert resume(folder).exit_code == 0


def test_a_cancel_stops_between_layers_not_only_between_blocks(workspace: Path, tmp_path: Path) -> None:
    def ask_while_the_first_block_is_measured(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.phase == "measure":
            os.kill(os.getpid(), signal.SIGINT)
            (folder,) = runs.iterdir()
            while '"cancelling"' not in (folder / "run.json").read_text():
                time.sleep(0.01)

    runs = tmp_path / "runs"
    request = Request("run", workspace / "small.quant.yaml", (f"output={tmp_path / 'out'}",), "cpu", runs)
    outcome = start(request, on_event=ask_while_the_first_block_is_measured)
    assert outcome.exit_code == 130 and outcome.record is not None and outcome.folder is not None
    assert (outcome.record.state, outcome.record.resumable) == ("cancelled", True)
    assert not Journal(outcome.folder / "state" / "measure").done

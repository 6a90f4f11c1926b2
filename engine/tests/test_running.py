"""One process for each run directory, one run for each output, and another output for a run that is resumed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from quant_engine.errors import QuantError
from quant_engine.events import RunRecord
from quant_engine.run import Request, resume, start
from quant_engine.running import held
from small_workspace import environment, files, make_workspace, quant_engine


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path, blocks=1).parent


def run_in_this_process(workspace: Path, state: str) -> Path:
    """A run directory whose process is this one: it is alive as long as the test."""
    done = start(Request("run", workspace / "small.quant.yaml", (f"output={workspace / 'first'}",), "cpu"))
    assert done.folder is not None and done.record is not None
    mine = {"state": state, "pid": os.getpid(), "pid_started": psutil.Process().create_time()}
    (done.folder / "run.json").write_text(done.record.model_copy(update=mine).model_dump_json())
    for path in (workspace / "first").iterdir():
        path.unlink()
    (workspace / "first").rmdir()
    return done.folder


def test_an_output_that_an_active_run_will_write_is_refused_at_once(workspace: Path) -> None:
    active = run_in_this_process(workspace, "running")
    refused = quant_engine("run", "small.quant.yaml", "--output", "first", cwd=workspace)
    assert refused.returncode == 2 and "[output-claimed]" in refused.stderr and active.name in refused.stderr
    assert "--output" in refused.stderr.splitlines()[-1], "what to do"
    assert [path.name for path in (workspace / "runs").iterdir()] == [active.name], "no second run directory"


def test_a_run_without_a_result_says_whether_anybody_works_on_it(workspace: Path) -> None:
    folder = run_in_this_process(workspace, "running")
    (folder / "result.json").unlink()
    (folder / "state").mkdir()
    works = quant_engine("show", folder)
    assert works.returncode == 2 and f"process {os.getpid()} is working on it" in works.stderr and "--resume" not in works.stderr
    record = RunRecord.model_validate_json((folder / "run.json").read_text())
    (folder / "run.json").write_text(record.model_copy(update={"pid_started": 1.0}).model_dump_json())
    gone = quant_engine("show", folder)
    assert f"it was interrupted (process {os.getpid()} is gone)" in gone.stderr and "Continue it with --resume." in gone.stderr


def test_a_resumed_run_says_that_its_recipe_has_changed(workspace: Path) -> None:
    folder = run_in_this_process(workspace, "failed")
    assert "own copy" not in quant_engine("run", "--resume", folder).stderr
    recipe = workspace / "small.quant.yaml"
    recipe.write_text(recipe.read_text() + "# new\n")
    told = quant_engine("run", "--resume", folder).stderr
    assert f"{recipe} is not (or no longer) what this run's own copy of it says; the run goes on with its copy." in told


def test_a_run_that_ended_claims_nothing(workspace: Path) -> None:
    run_in_this_process(workspace, "failed")
    assert quant_engine("run", "small.quant.yaml", "--output", "first", cwd=workspace).returncode == 0


def test_the_output_of_a_stopped_run_can_be_changed(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The output was taken meanwhile: nothing that was computed is lost."""
    whole = start(Request("run", workspace / "small.quant.yaml", (f"output={workspace / 'whole'}",), "cpu"))
    assert whole.exit_code == 0
    from quant_engine import stages

    def taken(work: object) -> None:
        (workspace / "quantized").mkdir()
        raise QuantError("taken", code="output-exists")

    monkeypatch.setattr(stages, "write", taken)
    from quant_engine import run

    monkeypatch.setitem(run.STAGES, "run", (*run.STAGES["run"][:4], taken))
    failed = start(Request("run", workspace / "small.quant.yaml", device="cpu"))
    assert failed.exit_code == 1 and failed.folder is not None and failed.record is not None and failed.record.resumable
    monkeypatch.undo()
    stuck = quant_engine("run", "--resume", failed.folder, cwd=workspace)
    assert stuck.returncode == 2 and "[output-exists]" in stuck.stderr
    moved = quant_engine("run", "--resume", failed.folder, "--output", "other", cwd=workspace)
    assert moved.returncode == 0, moved.stderr
    assert files(workspace / "other") == files(workspace / "whole")
    record = RunRecord.model_validate_json((failed.folder / "run.json").read_text())
    assert record.output == str(workspace / "other") and record.state == "done"
    assert not list((workspace / "quantized").iterdir())


def test_two_processes_cannot_resume_one_run(workspace: Path) -> None:
    folder = run_in_this_process(workspace, "cancelled")
    (folder / "state").mkdir()
    with held(folder), pytest.raises(QuantError) as caught:
        resume(folder)
    assert caught.value.code == "run-active" and caught.value.advice


def test_a_checkpoint_of_somebody_else_at_the_output_is_not_taken_for_the_run_s_own(workspace: Path) -> None:
    """Killed while it wrote; meanwhile another run finished to the same folder."""
    command = [sys.executable, "-c", KILLED, str(workspace / "small.quant.yaml")]
    first = subprocess.run(command, env=environment(), capture_output=True, timeout=300, check=False)
    assert first.returncode == -9, first.stderr
    (folder,) = (workspace / "runs").iterdir()
    assert (folder / "state" / "publishing").exists() and not (workspace / "quantized").exists()
    other = ("quantize.default=rtn-w2a16-g64", f"output={workspace / 'quantized'}")
    assert start(Request("run", workspace / "small.quant.yaml", other, "cpu", workspace / "other-runs")).exit_code == 0
    before = files(workspace / "quantized")
    refused = quant_engine("run", "--resume", folder, cwd=workspace)
    assert refused.returncode == 2 and "[output-exists]" in refused.stderr
    assert files(workspace / "quantized") == before
    assert quant_engine("run", "--resume", folder, "--output", "own", cwd=workspace).returncode == 0


KILLED = """
import os, signal, sys
from pathlib import Path
from quant_engine import stages
from quant_engine.run import Request, start
mark = stages.mark_published
stages.mark_published = lambda *places: (mark(*places), os.kill(os.getpid(), signal.SIGKILL))
start(Request("run", Path(sys.argv[1]), device="cpu"))
"""


def test_a_run_tells_what_it_is_doing_within_a_block(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from quant_engine import events, work

    monkeypatch.setattr(work, "_NEWS_SECONDS", 0.0)
    told: list[events.Progress] = []
    request = Request("run", workspace / "small.quant.yaml", (), "cpu")
    done = start(request, on_event=lambda event: told.append(event) if isinstance(event, events.Progress) else None)
    assert done.exit_code == 0
    measuring = [event.message for event in told if event.phase == "measure" and event.done == 0]
    assert "model.layers.0.self_attn.q_proj, k_proj, v_proj: gptq-w3a16-g32" in measuring
    assert "model.layers.0.mlp.down_proj: rtn-w8a16-g64" in [event.message for event in told if event.phase == "quantize"]
    assert done.record is not None and done.record.progress is not None and done.record.progress.seconds_left == 0

"""A run takes what earlier runs have measured with the same data, and ends as if it had measured itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from quant_engine.result import Result
from quant_engine.run import Request, resume, start
from small_workspace import ENGINE, environment, files, make_workspace, quant_engine

INTERRUPTED = Path(__file__).with_name("interrupted.py")
BLOCKS = 2
BOTH = ("rtn-w4a16-g32", "gptq-w3a16-g32")
WEIGHED = "quantize={default: rtn-w4a16-g32, budget: {bits_per_weight: 3.8, objective: importance}}"
PLAIN = "quantize={default: rtn-w4a16-g32, budget: {bits_per_weight: 3.8, objective: noise}}"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path, BLOCKS).parent


def do(workspace: Path, action: Any, name: str, *overrides: str, fresh: bool = False, runs: str = "runs") -> Result:
    """One run in this process; its checkpoint is written to the folder `name`."""
    every = (*overrides, f"output={workspace / name}")
    request = Request(action, workspace / "small.quant.yaml", every, "cpu", workspace / runs, name, fresh)
    done = start(request)
    assert done.exit_code == 0 and done.result is not None
    return done.result


def candidates(*labels: str) -> str:
    return f"candidates=[{', '.join(labels)}]"


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def phases(workspace: Path, name: str) -> dict[str, int]:
    """By phase how many of its units were done in this process."""
    found: dict[str, int] = {}
    for event in events(workspace / "runs" / name):
        if event["type"] == "phase":
            found[event["phase"]] = -1
        elif event["type"] == "progress":
            found[event["phase"]] += 1
    return found


def summary(result: Result) -> dict[str, Any]:
    """All of result.json that does not name the run or its time and memory."""
    own = {"run", "output", "measured_by", "importance_by", "seconds", "peak_memory_bytes"}
    return json.loads(result.model_dump_json(exclude=own))


def assert_same(workspace: Path, found: Result, expected: Result) -> None:
    assert summary(found) == summary(expected)
    if found.output is not None:
        assert files(Path(found.output)) == files(Path(str(expected.output)))


def test_a_run_after_a_sensitivity_run_measures_nothing_and_ends_in_the_same_bytes(workspace: Path) -> None:
    assert quant_engine("sensitivity", "small.quant.yaml", "--id", "first", cwd=workspace).returncode == 0
    done = quant_engine("run", "small.quant.yaml", "--id", "second", "--output", "second", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert f"measured already in the run first: {', '.join(BOTH)}" in done.stderr
    assert f"measured by    first: {', '.join(BOTH)}" in done.stdout
    assert f"measurements of the run first are taken: {', '.join(BOTH)}" in (workspace / "runs" / "second" / "engine.log").read_text()
    found = Result.model_validate_json((workspace / "runs" / "second" / "result.json").read_text())
    assert found.measured_by == dict.fromkeys(BOTH, "first")
    assert phases(workspace, "second") == {"prepare": 3, "measure": 0, "choose": 1, "quantize": 2, "write": 1, "evaluate": 5}
    said = events(workspace / "runs" / "second")
    assert [(event["run"], event["candidates"]) for event in said if event["type"] == "reused"] == [("first", list(BOTH))]
    measured = {event["layer"]: event["candidates"] for event in said if event["type"] == "layer-measured"}
    assert measured == {layer.name: json.loads(layer.model_dump_json())["candidates"] for layer in found.layers}
    anew = quant_engine("run", "small.quant.yaml", "--id", "anew", "--output", "anew", "--fresh", "--json", cwd=workspace)
    expected = Result.model_validate_json(anew.stdout)
    assert expected.measured_by == dict.fromkeys(BOTH, "anew") and phases(workspace, "anew")["measure"] == BLOCKS + 1
    assert_same(workspace, found, expected)
    assert "measured by" not in quant_engine("show", "runs/anew", cwd=workspace).stdout


def test_only_what_is_missing_is_measured_whoever_measured_the_rest(workspace: Path) -> None:
    """From a sensitivity run and a run, the newest first; a run that took measurements names who made them."""
    rest = ("smoothquant-w8a8", "awq-w4a16-g32")
    do(workspace, "sensitivity", "first", candidates(BOTH[0]))
    do(workspace, "run", "second", candidates(rest[0], BOTH[0]))
    do(workspace, "sensitivity", "third", candidates(BOTH[1]))
    order = (BOTH[1], rest[1], BOTH[0], rest[0])
    found = do(workspace, "run", "last", candidates(*order), PLAIN)
    assert found.measured_by == {BOTH[1]: "third", rest[1]: "last", BOTH[0]: "first", rest[0]: "second"}
    assert phases(workspace, "last")["measure"] == BLOCKS + 1
    taken = [(event["run"], event["candidates"]) for event in events(workspace / "runs" / "last") if event["type"] == "reused"]
    assert taken == [("third", [BOTH[1]]), ("second", [BOTH[0], rest[0]])]
    expected = do(workspace, "run", "anew", candidates(*order), PLAIN, fresh=True)
    assert_same(workspace, found, expected)
    assert [list(layer.candidates) for layer in found.layers] == [list(order)] * len(found.layers)


def test_importance_is_taken_too(workspace: Path) -> None:
    first = do(workspace, "sensitivity", "first", WEIGHED)
    assert first.importance_by == "first" and (workspace / "runs" / "first" / "importance.safetensors").exists()
    second = do(workspace, "run", "second", WEIGHED)
    assert second.importance_by == "first"
    assert "importance" not in phases(workspace, "second") and phases(workspace, "second")["measure"] == 0
    assert_same(workspace, second, do(workspace, "run", "anew", WEIGHED, runs="others"))
    shutil.rmtree(workspace / "runs" / "first")
    third = do(workspace, "run", "third", WEIGHED, candidates(*BOTH, "rtn-w8a8"))
    assert third.importance_by == "first" and third.measured_by["rtn-w8a8"] == "third"
    assert "importance" not in phases(workspace, "third") and phases(workspace, "third")["measure"] == BLOCKS + 1
    assert_same(workspace, third, do(workspace, "run", "third-anew", WEIGHED, candidates(*BOTH, "rtn-w8a8"), runs="others", fresh=True))


def test_importance_that_is_gone_is_measured_again(workspace: Path) -> None:
    do(workspace, "sensitivity", "first", WEIGHED)
    file = workspace / "runs" / "first" / "importance.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    labels = candidates(*BOTH, "rtn-w8a8")
    found = do(workspace, "run", "second", WEIGHED, labels)
    assert found.measured_by == {**dict.fromkeys(BOTH, "first"), "rtn-w8a8": "second"} and found.importance_by == "second"
    assert phases(workspace, "second")["importance"] == 2 * BLOCKS + 1
    assert_same(workspace, found, do(workspace, "run", "anew", WEIGHED, labels, fresh=True))


def test_what_was_weighed_serves_where_nothing_is_weighed_and_not_the_other_way_round(workspace: Path) -> None:
    do(workspace, "sensitivity", "weighed", WEIGHED)
    plain = do(workspace, "sensitivity", "plain", PLAIN)
    assert plain.measured_by == dict.fromkeys(BOTH, "weighed") and plain.importance_by is None
    assert_same(workspace, plain, do(workspace, "sensitivity", "anew", PLAIN, fresh=True))
    shutil.rmtree(workspace / "runs" / "weighed")
    weighed = do(workspace, "sensitivity", "again", WEIGHED)
    assert weighed.measured_by == dict.fromkeys(BOTH, "again") and weighed.importance_by == "again"


def other_arguments(workspace: Path) -> None:
    recipe = workspace / "small.quant.yaml"
    recipe.write_text(recipe.read_text().replace("rtn-w4a16-g32,", "{ method: rtn, scheme: W4A16, group_size: 32, range: mse },"))


def other_text(workspace: Path) -> None:
    text = workspace / "calibration.jsonl"
    text.write_text(text.read_text().replace("the", "teh"))


def other_seed(workspace: Path) -> None:
    recipe = workspace / "small.quant.yaml"
    recipe.write_text(recipe.read_text().replace("seed: 0", "seed: 1"))


def other_weights(workspace: Path) -> None:
    """The same header and size, and the same time."""
    file = workspace / "model" / "model.safetensors"
    time = file.stat().st_mtime_ns
    data = bytearray(file.read_bytes())
    data[-2] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(time, time))


def rewritten_weights(workspace: Path) -> None:
    os.utime(workspace / "model" / "model.safetensors", ns=(1, 1))


def other_config(workspace: Path) -> None:
    config = workspace / "model" / "config.json"
    config.write_text(config.read_text().replace('"use_cache": true', '"use_cache": false'))


def other_threads(workspace: Path) -> None:
    torch.set_num_threads(torch.get_num_threads() + 1)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def assert_measured_anew(workspace: Path, field: str, second: Result) -> None:
    assert second.measured_by == dict.fromkeys(BOTH, "second") and phases(workspace, "second")["measure"] == BLOCKS + 1
    log = (workspace / "runs" / "second" / "engine.log").read_text()
    (line,) = [line for line in log.splitlines() if "measurements of the run first are not taken" in line]
    assert " INFO " in line and field in line


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    ("change", "field"),
    [
        (other_text, "calibration tokens (was"),
        (other_seed, "calibration seed (was 0, is 1)"),
        (other_weights, ": checkpoint.model.safetensors (was"),
        (rewritten_weights, ": checkpoint.model.safetensors.modified (was"),
        (other_config, ": checkpoint.config.json (was"),
        (other_threads, ": device (was cpu with"),
    ],
)
def test_nothing_is_taken_when_anything_differs_and_the_log_says_what(
    workspace: Path, change: Callable[[Path], None], field: str
) -> None:
    do(workspace, "sensitivity", "first")
    change(workspace)
    assert_measured_anew(workspace, field, do(workspace, "sensitivity", "second"))


def other_library(workspace: Path) -> str:
    """Another scipy, as far as its metadata says, is found first."""
    about = workspace / "packages" / "scipy-9.9.9.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: scipy\nVersion: 9.9.9\n")
    return os.pathsep.join([str(ENGINE), str(about.parent)])


def other_code(workspace: Path) -> str:
    shutil.copytree(ENGINE / "quant_engine", workspace / "code" / "quant_engine", ignore=shutil.ignore_patterns("__pycache__"))
    with (workspace / "code" / "quant_engine" / "calibration.py").open("a") as stream:
        stream.write("\n# Another line.\n")
    return str(workspace / "code")


@pytest.mark.parametrize(("change", "field"), [(other_library, ": version.scipy (was"), (other_code, ": code (was")])
def test_nothing_is_taken_from_other_software(workspace: Path, change: Callable[[Path], str], field: str) -> None:
    do(workspace, "sensitivity", "first")
    command = [sys.executable, "-m", "quant_engine", "sensitivity", "small.quant.yaml", "--id", "second", "--json"]
    variables = environment(PYTHONPATH=change(workspace))
    done = subprocess.run(command, cwd=workspace, env=variables, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "measured already" not in done.stderr
    assert_measured_anew(workspace, field, Result.model_validate_json(done.stdout))


def test_another_argument_is_another_candidate(workspace: Path) -> None:
    do(workspace, "sensitivity", "first")
    other_arguments(workspace)
    second = do(workspace, "sensitivity", "second")
    assert list(second.measured_by.values()) == ["second", "first"] and len(second.candidates) == 2
    assert second.candidates[0] != BOTH[0]


@pytest.mark.parametrize("state", ["failed", "cancelled", "running"])
def test_only_runs_that_are_done_count(workspace: Path, state: str) -> None:
    do(workspace, "sensitivity", "first")
    record = workspace / "runs" / "first" / "run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "state": state}))
    assert do(workspace, "sensitivity", "second").measured_by == dict.fromkeys(BOTH, "second")


def test_a_damaged_neighbour_is_passed_over(workspace: Path) -> None:
    do(workspace, "sensitivity", "old")
    do(workspace, "sensitivity", "damaged", fresh=True)
    do(workspace, "sensitivity", "incomplete", fresh=True)
    (workspace / "runs" / "damaged" / "result.json").write_text("{")
    file = workspace / "runs" / "incomplete" / "result.json"
    result = json.loads(file.read_text())
    del result["layers"][3]["candidates"][BOTH[0]]
    file.write_text(json.dumps(result))
    (workspace / "runs" / "strange").mkdir()
    (workspace / "runs" / "strange" / "run.json").write_text("[]")
    found = do(workspace, "run", "last")
    assert found.measured_by == {BOTH[0]: "old", BOTH[1]: "incomplete"}
    assert_same(workspace, found, do(workspace, "run", "anew", fresh=True))


@pytest.mark.parametrize(("phase", "done"), [("measure", 1), ("quantize", 1)])
def test_a_resumed_run_keeps_to_what_it_took_also_when_that_is_gone(workspace: Path, phase: str, done: int) -> None:
    recipe = workspace / "small.quant.yaml"
    recipe.write_text(recipe.read_text().replace("candidates: [rtn", "candidates: [rtn-w8a8, rtn"))
    do(workspace, "sensitivity", "first", candidates(*BOTH))
    command = [sys.executable, INTERRUPTED, "SIGKILL", phase, done, "start", recipe, workspace / "out", workspace / "runs"]
    before = set((workspace / "runs").iterdir())
    killed = subprocess.run([*map(str, command)], env=environment(), capture_output=True, text=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (folder,) = set((workspace / "runs").iterdir()) - before
    shutil.rmtree(workspace / "runs" / "first")
    resumed = resume(folder)
    assert resumed.exit_code == 0 and resumed.result is not None
    assert resumed.result.measured_by == {"rtn-w8a8": folder.name, **dict.fromkeys(BOTH, "first")}
    expected = do(workspace, "run", "anew", runs="others")
    assert_same(workspace, resumed.result, expected)


def test_fresh_belongs_to_the_run_and_not_to_a_resume(workspace: Path) -> None:
    done = quant_engine("run", "--resume", "runs/none", "--fresh", cwd=workspace)
    assert done.returncode == 2 and "--fresh cannot be given with --resume" in done.stderr
    do(workspace, "sensitivity", "first", fresh=True)
    assert json.loads((workspace / "runs" / "first" / "request.json").read_text())["fresh"] is True

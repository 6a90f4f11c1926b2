"""Runs without calibration data that are stopped, that write to another disk, and what is said before them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from quant_engine.check import check
from quant_engine.checkpoint import Checkpoint
from quant_engine.run import Request, resume, start
from quant_engine.run_directory import read_record
from small_workspace import ENGINE, environment, files, make_workspace, quant_engine

RECIPE = """\
model: model
candidates: [rtn-w4a16-g32, fp8_dynamic]
quantize:
  default: rtn-w4a16-g32
  rules:
    - { layers: "*.down_proj", use: fp8_block }
    - { layers: "*.o_proj", use: { method: hqq, scheme: W4A16_ASYM, group_size: 32 } }
    - { layers: lm_head, use: rtn-w8a8 }
evaluate: { data: held-out.txt, samples: 4, sequence_length: 32 }
output: quantized
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the output of a run that nothing stopped."""
    folder = make_workspace(tmp_path_factory.mktemp("resume"), shard="150KB").parent
    (folder / "small.quant.yaml").write_text(RECIPE)
    assert start(Request("run", folder / "small.quant.yaml", device="cpu")).exit_code == 0
    return folder


@pytest.mark.parametrize(
    ("phase", "done"), [("measure", 2), ("choose", 1), ("quantize", 1), ("quantize", 3), ("quantize", 5), ("write", 1)]
)
def test_a_killed_run_continues_to_the_same_bytes(workspace: Path, tmp_path: Path, phase: str, done: int) -> None:
    out, runs = tmp_path / "out", tmp_path / "runs"
    recipe = workspace / "small.quant.yaml"
    command = [sys.executable, ENGINE / "tests" / "interrupted.py", "SIGKILL", phase, done, "start", recipe, out, runs]
    killed = subprocess.run([*map(str, command)], env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert killed.returncode == -9, killed.stderr
    assert out.exists() == (phase == "write") and not list(tmp_path.glob(".out*"))
    (folder,) = runs.iterdir()
    resumed = resume(folder)
    assert resumed.exit_code == 0 and resumed.record is not None
    assert files(out) == files(workspace / "quantized")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "runs"] and not (folder / "state").exists()


def test_what_is_done_is_not_done_again(workspace: Path, tmp_path: Path) -> None:
    command = [sys.executable, ENGINE / "tests" / "interrupted.py", "SIGINT", "quantize", "3", "start", workspace / "small.quant.yaml"]
    stopped = subprocess.run(
        [*map(str, command), str(tmp_path / "out"), str(tmp_path / "runs")], env=environment(), capture_output=True, text=True, check=False
    )
    assert stopped.returncode == 130, stopped.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    before = len((folder / "events.jsonl").read_text().splitlines())
    kept = {path.stem for path in (folder / "state" / "quantize").glob("*.json")}
    assert {"others", "block-00000", "block-00001"} <= kept
    assert resume(folder).exit_code == 0
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()[before:]]
    again = {event["layer"].split(".")[2] for event in events if event["type"] == "layer-quantized" and "layers" in event["layer"]}
    assert again == {"2"} - {name[-1] for name in kept if name.startswith("block")}
    assert not [event for event in events if event["type"] == "layer-measured"]
    assert files(tmp_path / "out") == files(workspace / "quantized")


def test_another_checkpoint_is_not_continued(workspace: Path, tmp_path: Path) -> None:
    model = make_workspace(tmp_path).parent / "model"
    (tmp_path / "small.quant.yaml").write_text(RECIPE)
    arguments = ["SIGKILL", "quantize", "2", "start", tmp_path / "small.quant.yaml", tmp_path / "out", tmp_path / "runs"]
    command = [sys.executable, ENGINE / "tests" / "interrupted.py", *arguments]
    assert subprocess.run([*map(str, command)], env=environment(), capture_output=True, check=False).returncode == -9
    weights = model / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    (folder,) = (tmp_path / "runs").iterdir()
    assert resume(folder).exit_code == 2
    error = read_record(folder).error
    assert error is not None and error.code == "resume-mismatch" and "model.safetensors" in error.message


def test_an_output_on_another_disk_is_a_copy(workspace: Path, tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second disk")
    with tempfile.TemporaryDirectory(dir=other) as elsewhere:
        out = Path(elsewhere) / "out"
        done = start(Request("run", workspace / "small.quant.yaml", (f"output={out}",), "cpu", tmp_path / "runs"))
        assert done.exit_code == 0
        assert files(out) == files(workspace / "quantized")
        assert [path.name for path in Path(elsewhere).iterdir()] == ["out"]


def test_an_output_that_appears_meanwhile_is_left_alone(workspace: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def take(event: object) -> None:
        if getattr(event, "phase", None) == "write":
            out.mkdir(exist_ok=True)

    done = start(Request("run", workspace / "small.quant.yaml", (f"output={out}",), "cpu", tmp_path / "runs"), on_event=take)
    assert done.record is not None and done.record.error is not None and done.record.error.code == "output-exists"
    assert list(out.iterdir()) == [] and done.folder is not None
    again = resume(done.folder, output=tmp_path / "other")
    assert again.exit_code == 0 and files(tmp_path / "other") == files(workspace / "quantized")


def test_preflight_knows_the_bytes_and_finds_what_needs_data(workspace: Path) -> None:
    done = quant_engine("preflight", "small.quant.yaml", "--set", "output=other", "--device", "cpu", "--json", cwd=workspace)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    written = Checkpoint.open(workspace / "quantized")
    assert said["output"]["exact"] and said["output"]["tensor_bytes"] == written.bytes
    assert said["output"]["file_bytes"] == sum(path.stat().st_size for path in (workspace / "quantized").iterdir())
    assert [phase["phase"] for phase in said["phases"]] == ["prepare", "measure", "quantize", "write", "evaluate"]
    assert (said["calibration_tokens"], said["held_out_tokens"]) == (0, 128)
    # What takes less than the probe's clock can tell apart is forecast as nothing.
    assert said["phases"][0]["seconds"] > 0 and all(phase["seconds"] >= 0 and phase["host_bytes"] > 0 for phase in said["phases"])
    fitted = ("--set", "quantize.default=gptq-w4a16-g32", "--set", "output=other")
    refused = quant_engine("preflight", "small.quant.yaml", *fitted, cwd=workspace)
    assert refused.returncode == 2 and "[calibration-missing]" in refused.stderr


def test_an_override_can_take_the_section_away(workspace: Path) -> None:
    recipe = workspace / "walked.quant.yaml"
    recipe.write_text(RECIPE + "calibration: { data: calibration.jsonl }\n")
    checked = check(recipe, overrides=("calibration=null", "output=other"))
    assert checked.recipe is not None and checked.recipe.calibration is None and checked.diagnostics == []

"""`quant-engine show` of runs that were stopped: what their finished blocks have, and the command that continues them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from quant_engine.result import Result
from small_workspace import environment, make_workspace, quant_engine

INTERRUPTED = Path(__file__).with_name("interrupted.py")
STREAMED = "model: model\ncandidates: [rtn-w4a16-g32]\nquantize: { default: rtn-w8a16-g64 }\noutput: quantized\n"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("unfinished"), 3).parent


def stopped(workspace: Path, place: Path, number: str, phase: str, done: int) -> Path:
    command = [sys.executable, INTERRUPTED, number, phase, done, "start", workspace / "small.quant.yaml", place / "out", place / "runs"]
    subprocess.run([*map(str, command)], env=environment(), capture_output=True, text=True, timeout=300, check=False)
    (folder,) = (place / "runs").iterdir()
    return folder


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if re.match(r"\s*\d? (self_attn|mlp)\.", line)]


def test_a_killed_run_shows_what_it_has_measured(workspace: Path, tmp_path: Path) -> None:
    folder = stopped(workspace, tmp_path, "SIGKILL", "measure", 2)
    shown = quant_engine("show", folder)
    assert shown.returncode == 0, shown.stderr
    assert {row[0] for row in rows(shown.stdout)} == {"0", "1"} and len(rows(shown.stdout)) == 14
    assert "was interrupted" in shown.stdout and "measure: 2 of 4 blocks" in shown.stdout and "14 layers measured" in shown.stdout
    assert "what was done" not in shown.stdout and "*" not in shown.stdout


def test_a_killed_run_shows_what_it_has_quantized_and_its_command_goes_on(workspace: Path, tmp_path: Path) -> None:
    folder = stopped(workspace, tmp_path, "SIGKILL", "quantize", 1)
    shown, as_json = quant_engine("show", folder), json.loads(quant_engine("show", folder, "--json").stdout)
    measured, done = shown.stdout.split("what was done")
    assert len(rows(measured)) == 21 and len(rows(done)) == 7
    assert "quantize: 1 of 3 blocks" in done and "22 layers measured, 7 layers quantized" in done
    assert [layer["block"] for layer in as_json["quantized"]] == [0] * 7 and as_json["record"]["run"] == folder.name
    command = shlex.split(next(line for line in done.splitlines() if line.startswith("Continue with: ")).partition(": ")[2])
    assert quant_engine(*command[1:]).returncode == 0
    result = Result.model_validate_json((folder / "result.json").read_text())
    for layer, row, stored in zip(result.layers, rows(done), as_json["quantized"], strict=False):
        assert layer.achieved is not None and row[2] == layer.applied and row[3] == f"{layer.achieved.sqnr_db:.1f}"
        assert stored["achieved"]["noise"] == layer.achieved.noise and stored["name"] == layer.name
    assert "has no result" not in quant_engine("show", folder).stdout


def test_a_cancelled_run_without_calibration_data_shows_its_layers_too(workspace: Path, tmp_path: Path) -> None:
    other = tmp_path / "workspace"
    other.mkdir()
    (other / "model").symlink_to(workspace / "model")
    (other / "small.quant.yaml").write_text(STREAMED)
    folder = stopped(other, tmp_path, "SIGINT", "quantize", 3)
    shown = quant_engine("show", folder).stdout
    # The first step is the tensors that are copied.
    assert {row[0] for row in rows(shown.partition("what was done")[2])} == {"0", "1"}
    assert "it is cancelled" in shown and "quantize: 3 of 4 steps" in shown and f"--resume {folder}" in shown


def test_a_run_that_has_finished_no_block_says_why_there_is_nothing(workspace: Path, tmp_path: Path) -> None:
    folder = stopped(workspace, tmp_path, "SIGINT", "prepare", 3)
    shown = quant_engine("show", folder)
    assert shown.returncode == 2 and "has no result: it is cancelled" in shown.stderr and "--resume" in shown.stderr

"""The objective of budgets: whether it predicts what a model loses, what a run makes of it, and stopping in its passes."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from objective_bench import SAMPLES, Sizes, Trial, loss
from quant_engine import preflight
from quant_engine.check import check
from quant_engine.checkpoint import Checkpoint, list_linears
from quant_engine.events import RunRecord
from quant_engine.result import Result
from quant_engine.run import Request, resume, start
from small_workspace import environment, files, make_text, make_workspace, quant_engine

INTERRUPTED = Path(__file__).with_name("interrupted.py")
BLOCKS = 2
RECIPE = """\
model: model
calibration: {{ data: calibration.jsonl, samples: 8, sequence_length: 32 }}
candidates: [rtn-w3a16-g32, gptq-w4a16-g64, rtn-w8a8]
quantize:
  default: rtn-w4a16-g32
  budget: {budget}
  rules: [{{ layers: lm_head, use: rtn-w8a16-channel }}]
evaluate: {{ data: held-out.txt, samples: 4, sequence_length: 32 }}
output: {output}
"""


def test_importance_predicts_the_kl_divergence_of_random_assignments_of_the_sample() -> None:
    """44 assignments over five candidates, one with quantized inputs: the same weights, put into transformers' model."""
    candidates = ["gptq-w2a16", "rtn-w3a16", "gptq-w4a16", "smoothquant-w8a8", "rtn-w8a16"]
    trial = Trial(SAMPLES / "checkpoints" / "tiny-llama-pydoc", candidates, Sizes(sequences=24, length=128, held_out=8))
    correlations, measured = trial.correlations(44, seed=0)
    assert len(measured) == 44 and max(measured) > 3 * min(measured)
    assert correlations["importance"] >= 0.95
    assert correlations["importance"] > correlations["noise"] + 0.02
    # Second order, the diagonal alone: the right size, not the right number. GPTQ, fitted to these few tokens, is flattered by them.
    for name in ("rtn-w3a16", "smoothquant-w8a8", "rtn-w8a16"):
        uniform = trial.uniform(candidates.index(name))
        assert 0.5 < loss(uniform, "importance") / trial.kl(uniform) < 1.5, name


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("objective"), BLOCKS).parent


def write(workspace: Path, budget: str, output: str) -> Path:
    path = workspace / f"{output}.quant.yaml"
    path.write_text(RECIPE.format(budget=budget, output=output))
    return path


def run(recipe: Path) -> tuple[Result, list[str]]:
    """The result, and the phases in order."""
    outcome = start(Request("run", recipe, device="cpu"))
    assert outcome.exit_code == 0 and outcome.result is not None and outcome.folder is not None
    events = [json.loads(line) for line in (outcome.folder / "events.jsonl").read_text().splitlines()]
    return outcome.result, [event["phase"] for event in events if event["type"] == "phase"]


def test_a_budget_by_importance_says_what_it_predicts(workspace: Path) -> None:
    result, phases = run(write(workspace, "{ bits_per_weight: 5.5, objective: importance }", "weighed"))
    assert phases == ["prepare", "importance", "measure", "choose", "quantize", "write", "evaluate"]
    assert result.pareto is not None and result.pareto.objective == "importance"
    for layer in result.layers:
        losses = [found.predicted_kl for found in layer.candidates.values()]
        assert len(losses) == 3 and all(found is not None and found > 0 for found in losses), layer.name
    free = [layer for layer in result.layers if layer.rule == "budget"]
    assert result.pareto.unmeasured == ["lm_head"], "whose rule asks for what is no candidate"
    chosen = math.fsum(layer.candidates[layer.asked].predicted_kl or 0 for layer in free if layer.asked)
    assert result.predicted_loss is not None and result.predicted_loss == pytest.approx(chosen, rel=1e-12)
    below = [point for point in result.pareto.points if point.bits_per_weight <= 5.5]
    assert len(below) > 1 and result.predicted_loss <= below[-1].predicted_loss * (1 + 1e-12)
    shown = quant_engine("show", next((workspace / "runs").glob("*-weighed"))).stdout
    assert "Bits against predicted KL divergence" in shown
    assert re.search(rf"predicted KL +{result.predicted_loss:.4g} +nats of KL divergence, without 1 layer whose rule", shown)
    assert "asks for no candidate: in size and bits, not in predicted KL divergence and dB." in shown
    assert quant_engine("recipe", next((workspace / "runs").glob("*-weighed")), "--point", "3").stdout.count("nats of KL divergence") == 1


@pytest.mark.parametrize("budget", ["{ bits_per_weight: 5.5, objective: noise }", "{ min_sqnr: 10 }", "null"])
def test_without_it_nothing_is_weighed(workspace: Path, budget: str) -> None:
    result, phases = run(write(workspace, budget, f"plain-{len(budget)}"))
    assert "importance" not in phases and "importance" not in result.seconds
    assert result.pareto is not None and result.pareto.objective == "noise"
    assert all(found.predicted_kl is None for layer in result.layers for found in layer.candidates.values())


def test_experts_are_weighed_too(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, 1, "mixtral").parent
    recipe = write(workspace, "{ bits_per_weight: 5.5, objective: importance }", "experts")
    recipe.write_text(recipe.read_text().replace("rtn-w8a8]", "rtn-w8a16-channel]").replace("gptq-w4a16-g64", "rtn-w4a16-g64"))
    result, _ = run(recipe)
    experts = [layer for layer in result.layers if ".experts." in layer.name]
    assert len(experts) == 12 and len({layer.asked for layer in experts}) == 1
    assert all(found.predicted_kl for layer in experts if layer.tokens for found in layer.candidates.values())


@pytest.fixture(scope="module")
def whole(workspace: Path) -> Result:
    return run(write(workspace, "{ bits_per_weight: 5.5, objective: importance }", "whole"))[0]


@pytest.mark.parametrize(("number", "done"), [("SIGINT", 1), ("SIGKILL", 2), ("SIGINT", 3), ("SIGKILL", 4), ("SIGKILL", 5)])
def test_a_run_stopped_while_it_weighs_continues_to_the_same_bytes(
    workspace: Path, whole: Result, tmp_path: Path, number: str, done: int
) -> None:
    command = [sys.executable, INTERRUPTED, number, "importance", done, "start", workspace / "whole.quant.yaml"]
    command += [tmp_path / "out", tmp_path / "runs"]
    stopped = subprocess.run([*map(str, command)], env=environment(), capture_output=True, text=True, timeout=300)
    (folder,) = (tmp_path / "runs").iterdir()
    record = RunRecord.model_validate_json((folder / "run.json").read_text())
    assert record.progress is not None and (record.progress.phase, record.progress.done) == ("importance", done)
    assert stopped.returncode == (130 if number == "SIGINT" else -signal.SIGKILL)
    resumed = resume(folder)
    assert resumed.exit_code == 0 and resumed.result is not None
    assert files(tmp_path / "out") == files(workspace / "whole")
    assert resumed.result.layers == whole.layers and resumed.result.pareto == whole.pareto
    assert resumed.result.predicted_loss == whole.predicted_loss


def test_an_objective_beside_a_smallest_sqnr_is_a_finding(workspace: Path) -> None:
    checked = check(write(workspace, "{ min_sqnr: 10, objective: noise }", "both"))
    assert [(one.line, one.column, one.severity, one.code, one.message) for one in checked.diagnostics] == [
        (
            6, 27, "error", "exclusive-keys",
            '"objective" and "min_sqnr" exclude each other; only one of min_sqnr, objective can be written',
        )
    ]  # fmt: skip
    (unknown,) = check(write(workspace, "{ bits_per_weight: 5, objective: gradient }", "unknown")).diagnostics
    assert unknown.message == 'unknown value "gradient"; expected one of: noise, importance'


def test_the_disk_must_have_room_for_what_every_block_reads(workspace: Path) -> None:
    checkpoint = Checkpoint.open(workspace / "model")
    linears = list_linears(checkpoint)

    def state(tokens: int, weighs: bool) -> int:
        return preflight.needs(checkpoint, linears, {}, tokens, weighs).state - preflight.needs(checkpoint, linears, {}, 1).state

    hidden = 64 * 2  # bytes of one token between two blocks
    places = BLOCKS + 1 + 1  # before each block and the head, and gradients
    assert state(10_000, True) == pytest.approx(1.02 * 10_000 * hidden * places, rel=1e-3)
    assert state(10_000_000, True) == state(10_000_000, False) == pytest.approx(1.02 * 10_000_000 * hidden * 2, rel=1e-3)
    # The check asks for the same: a disk that would do for the one objective is too small for the other.
    recipe = write(workspace, "{ bits_per_weight: 5, objective: noise }", "room")
    make_text(workspace / "long.jsonl", documents=400)
    recipe.write_text(recipe.read_text().replace("samples: 8", "samples: 1000").replace("data: calibration", "data: long"))
    free = 3 * 1000 * 32 * hidden
    assert not check(recipe, free=lambda _: free).diagnostics
    recipe.write_text(recipe.read_text().replace("noise }", "importance }"))
    (finding,) = check(recipe, free=lambda _: free).diagnostics
    assert finding.code == "disk-space"


def test_a_sensitivity_run_weighs_too(workspace: Path) -> None:
    recipe = write(workspace, "{ size: 200 kB, objective: importance }", "only")
    done = quant_engine("sensitivity", recipe, "--fresh", "--json", cwd=workspace)
    assert done.returncode == 0, done.stderr
    result = Result.model_validate_json(done.stdout)
    assert result.pareto is not None and result.pareto.objective == "importance"
    assert all(found.predicted_kl for layer in result.layers for found in layer.candidates.values())
    assert f"importance: {2 * BLOCKS + 1}/{2 * BLOCKS + 1} block 0" in done.stderr

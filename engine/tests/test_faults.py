"""What can go wrong with weights, texts, disks and signals ends in a named state and never in a corrupt output: docs/faults.md."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from every_use import every_use, parsed
from quant_engine.events import RunRecord
from quant_engine.result import LayerResult, Result
from quant_engine.run import Request, resume, start
from small_workspace import environment, files, make_workspace, quant_engine

BLOCK = "model.layers.0."
INTERRUPTED = Path(__file__).with_name("interrupted.py")
WIDTH = 64


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path, 1).parent


def change_weights(workspace: Path, change: Callable[[dict[str, Tensor]], object]) -> dict[str, Tensor]:
    file = workspace / "model" / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})
    return tensors


def run(workspace: Path, *overrides: str) -> tuple[int, Result]:
    done = start(Request("run", workspace / "small.quant.yaml", (*overrides,), "cpu"))
    assert done.result is not None, done.record
    return done.exit_code, done.result


def layer_of(result: Result, kind: str) -> LayerResult:
    return next(layer for layer in result.layers if layer.kind == kind)


def logits(folder: Path, watched: dict[str, Tensor] | None = None) -> Tensor:
    """Of the checkpoint as transformers loads it; the outputs of the layers that `watched` names are put there."""
    import transformers

    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder)
    for name in watched or {}:
        model.get_submodule(name).register_forward_hook(lambda _, __, output, name=name: (watched or {}).update({name: output}))
    with torch.no_grad():
        return model(torch.arange(1, 25).reshape(1, -1)).logits


@pytest.mark.parametrize("command", ["run", "sensitivity"])
def test_activations_that_overflow_are_named_and_nothing_is_written(workspace: Path, command: str) -> None:
    def overflow(tensors: dict[str, Tensor]) -> None:
        for kind in ("gate_proj", "up_proj"):
            tensors[f"{BLOCK}mlp.{kind}.weight"] *= 1e20

    change_weights(workspace, overflow)
    failed = quant_engine(command, "small.quant.yaml", "--id", "one", cwd=workspace)
    assert failed.returncode == 1
    assert f"error: the inputs of {BLOCK}mlp.down_proj are not all finite [not-finite]" in failed.stderr
    record = RunRecord.model_validate_json((workspace / "runs" / "one" / "run.json").read_text())
    assert (record.state, record.resumable) == ("failed", False) and record.advice and "bfloat16" in record.advice
    assert not list(workspace.glob("*quantized*"))


def test_outputs_whose_squares_float32_cannot_hold_are_measured_all_the_same(workspace: Path) -> None:
    change_weights(workspace, lambda tensors: tensors[f"{BLOCK}self_attn.o_proj.weight"].mul_(1e30))
    overrides = ("quantize.default=rtn-w4a16-g32", "candidates=[rtn-w4a16-g32, rtn-w8a8]", "evaluate=null")
    _, result = run(workspace, *overrides)
    (folder,) = (workspace / "runs").iterdir()
    assert Result.model_validate_json((folder / "result.json").read_text()) == result
    out = layer_of(result, "o_proj")
    assert 1e50 < out.signal < 1e70 and out.achieved is not None and 10 < (out.achieved.sqnr_db or 0) < 40
    assert all(found.state == "finite" and found.noise > 1e45 for found in out.candidates.values())


def test_a_method_whose_weights_overflow_is_named(workspace: Path) -> None:
    """The scale of a tensor of the largest bfloat16 values is no bfloat16 value."""
    change_weights(workspace, lambda tensors: tensors[f"{BLOCK}self_attn.v_proj.weight"].fill_(3.3e38))
    failed = quant_engine("run", "small.quant.yaml", "--id", "one", cwd=workspace)
    assert failed.returncode == 1 and "[not-finite]" in failed.stderr and "Traceback" not in failed.stderr
    assert not list(workspace.glob("*quantized*"))


def test_weights_that_are_not_finite_are_named_and_nothing_is_written(workspace: Path) -> None:
    def damage(tensors: dict[str, Tensor]) -> None:
        tensors[f"{BLOCK}self_attn.o_proj.weight"][3, 4] = float("nan")

    change_weights(workspace, damage)
    failed = quant_engine("run", "small.quant.yaml", cwd=workspace)
    assert failed.returncode == 1 and f"the weights of {BLOCK}self_attn.o_proj are not all finite [model-broken]" in failed.stderr
    assert not list(workspace.glob("*quantized*"))


def test_a_hessian_that_is_not_positive_definite_gets_more_damping_and_says_so(workspace: Path) -> None:
    """Eight tokens for 64 and 128 inputs, and a damping far below what float64 keeps of their Gram matrix."""
    use = "quantize.default={method: gptq, scheme: W4A16, group_size: 32, damping: 1.0e-18}"
    code, result = run(workspace, use, "calibration.samples=1", "calibration.sequence_length=8", "candidates=[]", "evaluate=null")
    assert code == 0
    raised = [layer.damping for layer in result.layers if layer.applied and layer.applied.startswith("gptq")]
    assert len(raised) == 6 and all(damping is not None and damping > 1e-18 for damping in raised)
    assert bool(torch.isfinite(logits(workspace / "quantized")).all())


def test_a_layer_that_gets_no_signal_falls_back_and_the_run_says_so(workspace: Path) -> None:
    change_weights(workspace, lambda tensors: tensors[f"{BLOCK}mlp.up_proj.weight"].zero_())
    done = quant_engine("run", "small.quant.yaml", "--set", "quantize.rules=[]", "--id", "one", cwd=workspace)
    assert done.returncode == 3, done.stderr
    result = Result.model_validate_json((workspace / "runs" / "one" / "result.json").read_text())
    down = layer_of(result, "down_proj")
    assert (down.asked, down.applied) == ("gptq-w3a16-g32", "rtn-w3a16-g32") and down.fallback
    assert down.achieved is not None and down.achieved.state == "zero-signal"
    assert RunRecord.model_validate_json((workspace / "runs" / "one" / "run.json").read_text()).state == "done-with-fallbacks"
    shown = quant_engine("show", "runs/one", cwd=workspace).stdout
    assert f"{BLOCK}mlp.down_proj: rtn-w3a16-g32 was applied instead of gptq-w3a16-g32" in shown


Q, DOWN = f"{BLOCK}self_attn.q_proj", f"{BLOCK}mlp.down_proj"


def odd(tensors: dict[str, Tensor]) -> None:
    """A channel that is never excited, rows of zeros, and groups in which all weights are equal."""
    tensors[f"{BLOCK}input_layernorm.weight"][5] = 0
    tensors[f"{Q}.weight"][7] = 0
    tensors[f"{BLOCK}self_attn.k_proj.weight"][:, :32] = 0.25
    tensors[f"{DOWN}.weight"][9] = -0.5
    tensors[f"{DOWN}.weight"][10] = 0


@pytest.mark.parametrize("use", [pytest.param(use, id=parsed(use).label) for use in every_use(WIDTH)])
def test_dead_channels_zero_rows_and_equal_groups_suit_every_method(workspace: Path, use: dict[str, Any]) -> None:
    change_weights(workspace, odd)
    code, result = run(workspace, f"quantize={json.dumps({'default': use})}", f"candidates=[{json.dumps(use)}]")
    applied = [layer for layer in result.layers if layer.applied]
    # MXFP4's powers of two cannot take over a scale.
    unscaled = ("o_proj", "down_proj") if parsed(use).label == "smoothquant-mxfp4" else ()
    labels = ["rtn-mxfp4" if layer.name.endswith(unscaled or ("\0",)) else parsed(use).label for layer in applied]
    assert code == 0 and len(labels) == 7 and [layer.applied for layer in applied] == labels
    assert all(layer.achieved is not None and layer.achieved.state in ("finite", "infinite") for layer in applied)
    outputs: dict[str, Tensor] = {Q: torch.empty(0), DOWN: torch.empty(0)}
    found = logits(workspace / "quantized", outputs)
    assert bool(torch.isfinite(found).all()) and result.scores.kl is not None
    assert outputs[Q].numel() and not bool(outputs[Q][..., 7].any()) and not bool(outputs[DOWN][..., 10].any())


def test_a_tied_head_is_kept_and_stays_tied(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, 1, tie_word_embeddings=True).parent
    done = quant_engine("run", "small.quant.yaml", cwd=workspace)
    assert done.returncode == 0, done.stderr
    before, after = (load_file(workspace / name / "model.safetensors") for name in ("model", "quantized"))
    assert torch.equal(after["model.embed_tokens.weight"], before["model.embed_tokens.weight"])
    assert not [name for name in after if name.startswith("lm_head")]
    assert bool(torch.isfinite(logits(workspace / "quantized")).all())
    named = quant_engine("check", "small.quant.yaml", cwd=workspace)
    assert "lm_head" not in named.stdout


def test_a_group_that_does_not_divide_is_refused_before_anything_is_made(workspace: Path) -> None:
    refused = quant_engine("run", "small.quant.yaml", "--set", "quantize.default=gptq-w4a16-g128", cwd=workspace)
    assert refused.returncode == 2 and "group size 128 does not divide the input width 64" in refused.stderr
    assert "[group-size]" in refused.stderr and not (workspace / "runs").exists()


def test_samples_of_one_token_are_joined(workspace: Path) -> None:
    (workspace / "calibration.jsonl").write_text("".join(json.dumps({"text": letter}) + "\n" for letter in "abcdefgh" * 40))
    done = quant_engine("run", "small.quant.yaml", "--json", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert Result.model_validate_json(done.stdout).calibration_tokens == 8 * 32


@pytest.mark.parametrize(("text", "code"), [("a", "data-empty"), ("ab", "")])
def test_one_token_is_no_text_and_two_are_a_sequence_with_a_warning(workspace: Path, text: str, code: str) -> None:
    (workspace / "calibration.jsonl").write_text(json.dumps({"text": text}) + "\n")
    done = quant_engine("run", "small.quant.yaml", "--set", "quantize.rules=[]", cwd=workspace)
    if code:
        assert done.returncode == 1 and f"[{code}]" in done.stderr
        assert not list(workspace.glob("*quantized*"))
        return
    assert done.returncode == 0, done.stderr
    assert "[data-short]" in done.stdout and "[data-few]" in done.stdout
    assert bool(torch.isfinite(logits(workspace / "quantized")).all())


@pytest.mark.parametrize("phase", ["measure", "quantize", "evaluate"])
@pytest.mark.parametrize("calibrated", [True, False])
def test_sigterm_ends_as_cancelled_and_can_be_resumed(workspace: Path, phase: str, calibrated: bool) -> None:
    if not calibrated:
        without_calibration(workspace / "small.quant.yaml")
    recipe, out, runs = workspace / "small.quant.yaml", workspace / "out", workspace / "stopped"
    command = [sys.executable, INTERRUPTED, "SIGTERM", phase, "1", "start", recipe, out, runs]
    stopped = subprocess.run([*map(str, command)], env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert stopped.returncode == 130, stopped.stderr
    (folder,) = runs.iterdir()
    record = RunRecord.model_validate_json((folder / "run.json").read_text())
    assert (record.state, record.resumable, out.exists()) == ("cancelled", True, phase == "evaluate")
    assert resume(folder).exit_code == 0
    assert start(Request("run", recipe, (), "cpu")).exit_code == 0
    assert files(out) == files(workspace / "quantized")


def without_calibration(recipe: Path) -> None:
    lines = recipe.read_text().replace("gptq", "hqq").splitlines(keepends=True)
    recipe.write_text("".join(line for line in lines if not line.startswith("calibration")))


FULL = """
import os, sys
from pathlib import Path
from quant_engine import events
from quant_engine.run import Request, start
place, phase = Path(sys.argv[1]), sys.argv[2]
def fill(event):
    if isinstance(event, events.Progress) and (event.phase, event.done) == (phase, 0):
        with (place / "ballast").open("wb", buffering=0) as ballast:
            try:
                while ballast.write(bytes(4096)):
                    pass
            except OSError:
                pass
done = start(Request("run", Path(sys.argv[3]), (f"output={place / 'out'}",), "cpu", place / "runs"), on_event=fill)
left = [path.name for path in place.iterdir() if path.name not in ("runs", "ballast")]
print(done.exit_code, done.record.error.code, left, sep="|")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a small disk is made of a mounted tmpfs")
@pytest.mark.parametrize("phase", ["measure", "quantize", "write"])
@pytest.mark.parametrize("calibrated", [True, False])
def test_a_disk_that_really_fills_up_in_mid_write_leaves_nothing_half_written(workspace: Path, phase: str, calibrated: bool) -> None:
    """The run and its output are on a disk of their own, which something else fills while the run works."""
    if not calibrated:
        without_calibration(workspace / "small.quant.yaml")
    disk = workspace / "disk"
    disk.mkdir()
    mounted = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*mounted, f"mount -t tmpfs -o size=4k tmpfs {disk}"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this system lets nobody mount")
    again = '"$1" -m quant_engine run --resume "$0"/runs/* --json >&2'
    program = f'mount -t tmpfs -o size=24m tmpfs "$0" && "$@" && rm "$0/ballast" && {again} && cp -r "$0" "$0-after"'
    command = [*mounted, program, str(disk), sys.executable, "-c", FULL, str(disk), phase, str(workspace / "small.quant.yaml")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1|disk-space|[]\n", "failed, with its name, without an output or a part of one"
    assert start(Request("run", workspace / "small.quant.yaml", (), "cpu")).exit_code == 0
    assert files(Path(f"{disk}-after") / "out") == files(workspace / "quantized"), "continued when there was room"

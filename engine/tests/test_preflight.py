"""What preflight says, beside what the command then writes and takes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from quant_engine.calibration import statistics_of
from quant_engine.checkpoint import Checkpoint, LinearInfo, list_linears
from quant_engine.layers import no_tick, quantize_group
from quant_engine.preflight.sizes import output_of, quantized_tensors
from quant_engine.protocol import Preflight
from quant_engine.stack import Layer
from quant_engine.uses import SHORT_USES, resolve
from small_workspace import environment, make_workspace, quant_engine

RULES = """\
  rules:
    - { layers: "*.mlp.gate_proj", use: fp8 }
    - { layers: "*.mlp.up_proj", use: fp8_dynamic }
    - { layers: "*.o_proj", use: rtn-nvfp4a16 }
    - { layers: "*.q_proj", use: rtn-mxfp4a16 }
    - { layers: "*.k_proj", use: none }
    - { layers: "*.1.*.v_proj", use: rtn-nvfp4 }
    - { layers: "*.v_proj", use: rtn-w8a8 }
    - { layers: lm_head, use: gptq-w8a16-g32 }
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("preflight")).parent


def said(recipe: Path, *options: str) -> Preflight:
    done = quant_engine("preflight", recipe, "--device", "cpu", "--json", *options)
    assert done.returncode == 0, done.stderr
    return Preflight.model_validate_json(done.stdout)


def ran(recipe: Path, *options: str) -> dict[str, Any]:
    done = quant_engine("run", recipe, "--device", "cpu", "--json", *options)
    assert done.returncode in (0, 3), done.stderr
    return json.loads(done.stdout)


def edited(workspace: Path, name: str, before: str, after: str) -> Path:
    text = (workspace / "small.quant.yaml").read_text()
    assert before in text
    recipe = workspace / f"{name}.quant.yaml"
    recipe.write_text(text.replace(before, after).replace("output: quantized", f"output: {name}"))
    return recipe


RULE = """\
  rules:
    - { layers: "*.down_proj", use: { method: rtn, scheme: W8A16, group_size: 64 } }
"""


def test_bytes_and_bits_are_those_of_the_written_checkpoint(workspace: Path) -> None:
    recipe = edited(workspace, "mixed", RULE, RULES)
    found, result = said(recipe), ran(recipe)
    assert found.output is not None and found.output.exact
    assert found.output.tensor_bytes == result["sizes"]["quantized_bytes"] == Checkpoint.open(workspace / "mixed").bytes
    assert found.output.file_bytes == sum(file.stat().st_size for file in (workspace / "mixed").iterdir())
    assert found.output.bits_per_weight == pytest.approx(result["sizes"]["bits_per_weight"], rel=1e-12)
    assert found.output.model_bits_per_weight == pytest.approx(result["sizes"]["model_bits_per_weight"], rel=1e-12)


@pytest.mark.parametrize("short", [*SHORT_USES])
def test_the_tensors_of_a_layer_are_those_of_its_method(short: str) -> None:
    use = resolve(short)
    assert use is not None
    W, X = torch.randn(48, 256).to(torch.bfloat16), torch.randn(600, 256).to(torch.bfloat16)
    layer = Layer("x", "x input", torch.nn.Linear(256, 48, bias=False, dtype=torch.bfloat16).requires_grad_(False))
    layer.weight.data.copy_(W)
    tensors: dict[str, torch.Tensor] = {}
    quantize_group([layer], statistics_of([X]), {"x": use}, tensors, no_tick)
    linear = LinearInfo("x", 0, 48, 256)
    expected = {tensor.name: (tuple(tensor.shape), tensor.bytes) for tensor in quantized_tensors([linear], {"x": use}, "bfloat16")}
    assert {name: (tuple(tensor.shape), tensor.nbytes) for name, tensor in tensors.items()} == expected


def test_nothing_is_left_behind_and_nothing_is_written(workspace: Path) -> None:
    before = {path.name for path in workspace.iterdir()}
    said(edited(workspace, "small2", "samples: 8", "samples: 4"))
    assert {path.name for path in workspace.iterdir()} - before == {"small2.quant.yaml"}


@pytest.fixture(scope="module")
def everywhere(workspace: Path) -> dict[str, Preflight]:
    """By use: what is said when all layers get it."""
    recipe = workspace / "small.quant.yaml"
    return {use: said(recipe, "--set", f"quantize.default={use}") for use in ("gptq-w3a16-g32", "rtn-w4a16-g32")}


@pytest.mark.parametrize(
    "budget", ["bits_per_weight: 5.5", "bits_per_weight: 5.5, objective: noise", "size: 250 kB", "min_sqnr: 14"]
)
def test_a_budget_has_a_range_that_holds_what_is_written(workspace: Path, everywhere: dict[str, Preflight], budget: str) -> None:
    name = re.sub(r"[^a-z0-9]+", "-", f"budget {budget}")
    recipe = edited(workspace, name, "quantize:\n", f"quantize:\n  budget: {{ {budget} }}\n")
    found, result = said(recipe), ran(recipe)
    output = found.output
    assert output is not None and not output.exact and output.least is not None and output.most is not None
    written = result["sizes"]["quantized_bytes"]
    assert output.least.tensor_bytes <= written <= output.most.tensor_bytes
    assert output.least.bits_per_weight <= result["sizes"]["bits_per_weight"] <= output.most.bits_per_weight
    for bound, use in ((output.least, "gptq-w3a16-g32"), (output.most, "rtn-w4a16-g32")):
        same = everywhere[use].output
        assert same is not None
        assert (bound.tensor_bytes, bound.bits_per_weight) == (same.tensor_bytes, pytest.approx(same.bits_per_weight))
    assert ("importance" in [phase.phase for phase in found.phases]) == ("noise" not in budget and "min_sqnr" not in budget)


@pytest.mark.parametrize("architecture", ["gemma2", "phi3", "opt", "gpt_neox", "qwen3_moe"])
def test_other_architectures(tmp_path: Path, architecture: str) -> None:
    recipe = make_workspace(tmp_path, 2 if architecture == "gemma2" else 3, architecture)
    recipe.write_text(recipe.read_text().replace(RULE, ""))
    found, result = said(recipe), ran(recipe)
    assert found.output is not None and found.output.tensor_bytes == result["sizes"]["quantized_bytes"]
    assert found.output.file_bytes == sum(file.stat().st_size for file in (tmp_path / "quantized").iterdir())
    assert {phase.phase for phase in found.phases} == set(result["seconds"]) - {"choose"}


@pytest.mark.parametrize("changes", [{"tie_word_embeddings": True}, {"shard": "60KB"}, {"dtype": torch.float16}, {"norms": torch.float32}])
def test_tied_sharded_and_mixed_dtypes(workspace: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    shutil.copytree(workspace, tmp_path / "w", ignore=shutil.ignore_patterns("model", "runs", "quantized"))
    shutil.copytree(workspace / "model", tmp_path / "w/model", ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    norms = changes.pop("norms", None) if "norms" in changes else None
    tiny.save_tiny(tmp_path / "w/model", vocab_size=257, max_position_embeddings=256, eos_token_id=0, bos_token_id=None, **changes)
    if norms is not None:
        file = tmp_path / "w/model/model.safetensors"
        save_file({name: t.to(norms) if "norm" in name else t for name, t in load_file(file).items()}, file, {"format": "pt"})
    recipe = edited(tmp_path / "w", "awq", "default: gptq-w3a16-g32", "default: awq-w4a16-g32")
    found, result = said(recipe), ran(recipe)
    assert found.output is not None and found.output.tensor_bytes == result["sizes"]["quantized_bytes"]
    assert found.output.file_bytes == sum(file.stat().st_size for file in (tmp_path / "w/awq").iterdir())


def test_several_output_files_are_counted_too(llama: Checkpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from quant_engine.checkpoint import CheckpointWriter, config_layers, quantization_config, write

    linears = list_linears(llama)
    uses = {linear.name: resolve("none") for linear in linears}
    monkeypatch.setattr(write, "MAX_SHARD_BYTES", 40_000)
    monkeypatch.setattr(write.named_shards, "__defaults__", (40_000,))
    CheckpointWriter(tmp_path / "out", llama, tmp_path / "state").publish(quantization_config(config_layers(llama, uses)), 40_000)
    assert len(list((tmp_path / "out").glob("*.safetensors"))) > 2
    assert output_of(llama, linears, uses).files == sum(file.stat().st_size for file in (tmp_path / "out").iterdir())


def test_phases_are_all_there_and_add_up(workspace: Path) -> None:
    found = said(workspace / "small.quant.yaml")
    assert [phase.phase for phase in found.phases] == ["prepare", "measure", "quantize", "write", "evaluate"]
    assert all(phase.seconds > 0 and phase.host_bytes > 50_000_000 and phase.device_bytes is None for phase in found.phases)
    assert found.seconds == pytest.approx(sum(phase.seconds for phase in found.phases), abs=0.01)
    assert found.host_bytes == max(phase.host_bytes for phase in found.phases)
    (disk,) = found.disks
    assert found.output is not None and disk.needed_bytes > found.output.file_bytes and disk.free_bytes > 0


def test_a_bad_recipe_is_refused_with_its_findings(workspace: Path) -> None:
    done = quant_engine("preflight", workspace / "small.quant.yaml", "--json", "--set", "calibration.samples=0")
    document = Preflight.model_validate_json(done.stdout)
    assert done.returncode == 2 and [finding.code for finding in document.findings] == ["out-of-range"] and not document.phases
    assert "[out-of-range]" in done.stderr
    done = quant_engine("preflight", workspace / "absent.quant.yaml")
    assert done.returncode == 2 and "[recipe-missing]" in done.stderr


def test_the_text_fits_80_columns(workspace: Path) -> None:
    command = [sys.executable, "-m", "quant_engine", "preflight", str(workspace / "small.quant.yaml"), "--device", "cpu"]
    done = subprocess.run(command, env=environment(COLUMNS="80"), capture_output=True, text=True, timeout=300, check=True)
    lines = [line.rstrip() for line in done.stdout.splitlines() if "disk" not in line]
    assert max(map(len, lines)) <= 80
    for word in ("measure", "quantize", "evaluate", "bits per", "probed for"):
        assert word in done.stdout
    assert os.fspath(workspace) in done.stdout


def test_a_terminated_preflight_leaves_nothing(workspace: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "quant_engine", "preflight", str(workspace / "small.quant.yaml"), "--device", "cpu"]
    quiet = subprocess.DEVNULL
    started = subprocess.Popen([*command, "--runs", str(tmp_path)], env=environment(), stdout=quiet, stderr=quiet)
    while not (left := list(tmp_path.glob(".preflight-*"))) and started.poll() is None:
        time.sleep(0.05)
    assert left, "it ended before it could be stopped"
    started.terminate()
    assert started.wait(60) not in (0, -signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []

"""Runs without calibration data, by the command: what they write is what a walk over calibration tokens writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from every_use import parsed, uses_of
from quant_engine.checkpoint import Checkpoint, list_linears
from quant_engine.formats.stored import decompressed, formats_of
from quant_engine.methods import METHODS
from quant_engine.result import Result
from quant_engine.run import Request, start
from small_workspace import files, make_workspace, quant_engine

CALIBRATION = "calibration: { data: calibration.jsonl, samples: 4, sequence_length: 32 }\n"
MIXED = """\
  default: rtn-w4a16-g32
  rules:
    - { layers: "*.0.self_attn.*", use: none }
    - { layers: "*.down_proj", use: fp8_dynamic }
    - { layers: "*.gate_proj", use: { method: hqq, scheme: W3A16_ASYM, group_size: 32 } }
    - { layers: "*.up_proj", use: rtn-w8a8 }
    - { layers: "*.o_proj", use: { method: rtn, scheme: NVFP4A16 } }
    - { layers: lm_head, use: { method: rtn, scheme: W4A16, group_size: 32, range: mse } }
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("stream")).parent


def write(folder: Path, name: str, quantize: str, more: str = "", model: str = "model") -> Path:
    recipe = folder / f"{name}.quant.yaml"
    recipe.write_text(f"model: {model}\n{more}quantize:\n{quantize}output: {name}\n")
    return recipe


def both(folder: Path, name: str, quantize: str, model: str = "model") -> tuple[Path, Path]:
    """The outputs of the same recipe without and with calibration data."""
    for kind, more in (("streamed", ""), ("walked", CALIBRATION)):
        outcome = start(Request("run", write(folder, f"{name}-{kind}", quantize, more, model), device="cpu", runs=folder / "runs" / name))
        assert outcome.exit_code == 0, outcome.checked.diagnostics or outcome.record
    return folder / f"{name}-streamed", folder / f"{name}-walked"


def data_free() -> list[dict[str, Any]]:
    uses = [use for method in METHODS.values() for use in uses_of(method, 64)]
    return [use for use in uses if parsed(use).needs_calibration is None]


def label(use: dict[str, Any]) -> str:
    return parsed(use).label


@pytest.mark.parametrize("use", data_free(), ids=label)
def test_every_use_that_needs_no_data_writes_the_bytes_of_a_walk(workspace: Path, use: dict[str, Any]) -> None:
    assert len(data_free()) > 12 and {use["method"] for use in data_free()} == {"rtn", "fp8", "hqq"}
    name = "".join(letter if letter.isalnum() else "-" for letter in label(use))
    quantize = f"  default: {json.dumps(use)}\n  rules:\n    - {{ layers: lm_head, use: {json.dumps(use)} }}\n"
    streamed, walked = both(workspace, name, quantize)
    assert files(streamed) == files(walked)


@pytest.mark.parametrize(
    ("architecture", "overrides"),
    [
        ("llama", {}),
        ("llama", {"tie_word_embeddings": True, "shard": "100KB"}),
        ("llama", {"dtype": torch.float16, "shard": "60KB"}),
        ("llama", {"dtype": torch.float32}),
        ("qwen2", {}),
        ("phi3", {}),
        ("opt", {}),
        ("gpt_neox", {}),
        ("gemma3", {}),
    ],
    ids=str,
)
def test_mixed_schemes_of_every_kind_of_checkpoint(tmp_path: Path, architecture: str, overrides: dict[str, Any]) -> None:
    make_workspace(tmp_path, 2, architecture, **overrides)
    quantize = MIXED
    if overrides.get("tie_word_embeddings") or architecture == "gemma3":
        quantize = "".join(line for line in MIXED.splitlines(keepends=True) if "lm_head" not in line)
    streamed, walked = both(tmp_path, "mixed", quantize)
    assert files(streamed) == files(walked)
    config = json.loads((streamed / "config.json").read_text())["quantization_config"]
    assert len(config["config_groups"]) > 1 or architecture in ("phi3", "opt", "gpt_neox")


@pytest.mark.parametrize("architecture", ["mixtral", "qwen3_moe"])
def test_experts_are_layers_like_others(tmp_path: Path, architecture: str) -> None:
    make_workspace(tmp_path, 2, architecture, shard="200KB")
    streamed, walked = both(tmp_path, "experts", "  default: rtn-w4a16-g32\n")
    assert files(streamed) == files(walked)
    names = [linear.name for linear in list_linears(Checkpoint.open(tmp_path / "model"))]
    assert any(".experts." in name for name in names)


def test_several_files_and_pieces_of_a_layer_change_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from quant_engine.checkpoint import write as writing
    from quant_engine.streaming import layer, writer

    make_workspace(tmp_path, 2)
    monkeypatch.setattr(layer, "_WEIGHTS", 300)  # four rows of 64, or what packed zero points need
    monkeypatch.setattr(writer, "MAX_SHARD_BYTES", 50_000)
    monkeypatch.setattr(writing.named_shards, "__defaults__", (50_000,))
    monkeypatch.setattr(writer.ShardWriter.__init__, "__defaults__", (50_000,))
    monkeypatch.setattr(writing.CheckpointWriter.publish, "__defaults__", (50_000, lambda folder: None))
    streamed, walked = both(tmp_path, "pieces", MIXED)
    assert len(list(streamed.glob("*.safetensors"))) > 2
    assert files(streamed) == files(walked)


def test_the_record_says_what_became_of_the_weights(workspace: Path) -> None:
    outcome = start(Request("run", write(workspace, "record", MIXED), device="cpu"))
    result = outcome.result
    assert result is not None and result.calibration_tokens == 0 and "calibration tokens" not in result.identity
    source = load_file(workspace / "model" / "model.safetensors")
    written = Checkpoint.open(workspace / "record")
    config = json.loads((workspace / "record" / "config.json").read_text())["quantization_config"]
    for layer in result.layers:
        if layer.applied is None:
            assert layer.achieved is None
            continue
        assert layer.achieved is not None and layer.achieved.of == "weights" and layer.tokens == 0
        W = source[f"{layer.name}.weight"].double()
        stored = written.load(name for name in written.tensors if name.startswith(layer.name))
        parts = {name.rpartition(".")[2]: tensor for name, tensor in stored.items()}
        formats = formats_of(config, layer.name)
        assert formats is not None
        noise = (decompressed(parts, formats[0]).double() - W).square().sum()
        assert layer.achieved.noise == pytest.approx(float(noise), rel=1e-6)
        assert layer.signal == pytest.approx(float(W.square().sum()), rel=1e-6)
        assert layer.achieved.sqnr_db == pytest.approx(float(10 * torch.log10(W.square().sum() / noise)), abs=1e-5)


def test_the_command_evaluates_on_held_out_text_and_says_that_sqnr_is_of_weights(workspace: Path) -> None:
    section = "evaluate: { data: held-out.txt, samples: 4, sequence_length: 32 }\n"
    recipe = write(workspace, "evaluated", "  default: rtn-w8a16-channel\n", section)
    done = quant_engine("run", recipe, "--device", "cpu", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert "weights" in done.stdout and "achieved" not in done.stdout and "says nothing of a layer's output" in done.stdout
    (folder,) = (workspace / "runs").glob("*-evaluated")
    scores = Result.model_validate_json((folder / "result.json").read_text()).scores
    assert scores.kl is not None and scores.perplexity is not None and scores.baseline_perplexity is not None


def test_without_evaluation_neither_transformers_nor_a_tokenizer_is_needed(workspace: Path) -> None:
    recipe = write(workspace, "alone", MIXED)
    done = quant_engine("run", recipe, "--device", "cpu", "--json", cwd=workspace, python=("-X", "importtime"))
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "torch" in imported and not imported & {"transformers", "tokenizers", "sympy"}
    assert "torch._dynamo" not in done.stderr, "which takes seconds to import"


def test_candidates_are_compared_by_their_weights_and_a_budget_chooses(workspace: Path) -> None:
    candidates = "candidates: [rtn-w4a16-g32, hqq-w4a16-g32, rtn-w8a16]\n"
    budget = "  default: none\n  budget: { bits_per_weight: 6, objective: noise }\n"
    recipe = write(workspace, "budget", budget, candidates.replace("rtn-w8a16]", "rtn-w8a16-g32]"))
    runs = workspace / "runs" / "budget"
    measured = start(Request("sensitivity", recipe, device="cpu", runs=runs))
    assert measured.exit_code == 0 and measured.result is not None
    assert {one.of for layer in measured.result.layers for one in layer.candidates.values()} == {"weights"}
    assert all(len(layer.candidates) == 3 for layer in measured.result.layers)
    outcome = start(Request("run", recipe, device="cpu", runs=runs))
    assert outcome.exit_code == 0 and outcome.result is not None and measured.folder is not None
    assert set(outcome.result.measured_by.values()) == {measured.folder.name}, "measurements are taken from the run before"
    assert outcome.result.sizes.bits_per_weight <= 6 and outcome.result.pareto is not None
    for layer in outcome.result.layers:
        if layer.applied is not None and layer.achieved is not None:
            assert layer.achieved == layer.candidates[layer.applied]


def test_weights_that_are_not_finite_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    make_workspace(tmp_path, 2)
    model = tmp_path / "model" / "model.safetensors"
    tensors = load_file(model)
    tensors["model.layers.1.mlp.up_proj.weight"][3, 5] = float("nan")
    save_file(tensors, model, metadata={"format": "pt"})
    outcome = start(Request("run", write(tmp_path, "broken", "  default: rtn-w4a16-g32\n"), device="cpu"))
    assert outcome.record is not None and outcome.record.error is not None
    assert (outcome.exit_code, outcome.record.error.code) == (1, "model-broken")
    assert "model.layers.1.mlp.up_proj" in outcome.record.error.message
    assert not (tmp_path / "broken").exists()

"""Runs whose output is GPTQ's own layout, through the real command: what is stored, how much, what reads it, and stopping half-way."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import layouts_by_hand as hand
import tiny
from quant_engine import output_format
from quant_engine.architectures.decoder import open_model
from quant_engine.assignment import Storage
from quant_engine.benchmarks.perplexity import Evaluated, evaluate
from quant_engine.check import check
from quant_engine.checkpoint import Checkpoint, list_linears
from quant_engine.conversion.gptq import layout_for
from quant_engine.conversion.layer import LayerFormat
from quant_engine.formats.grid import encode, find_grid
from quant_engine.formats.scheme import SCHEMES, OutputFormat
from quant_engine.methods.types import Quantized, Report
from quant_engine.recipe import Recipe
from quant_engine.result import Result, Scores
from quant_engine.tokens import held_out_tokens, load_tokenizer
from quant_engine.uses import Use
from quant_engine.yaml_source import Source, plain
from small_workspace import environment, files, make_workspace, quant_engine

INTERRUPTED = Path(__file__).with_name("interrupted.py")
RULES = """\
  rules:
    - { layers: "*.mlp.down_proj", use: { method: gptq, scheme: W3A16_ASYM, group_size: 32, actorder: group, groups: dynamic } }
    - { layers: "*.1.self_attn.o_proj", use: none }
    - { layers: lm_head, use: rtn-w8a16-channel }
"""
RECIPE = f"""\
model: model
calibration: {{ data: calibration.jsonl, samples: 16, sequence_length: 32 }}
candidates: [{{ method: gptq, scheme: W4A16, group_size: 32, actorder: group }}, rtn-w8a16-channel]
quantize:
  default: {{ method: gptq, scheme: W4A16, group_size: 32, actorder: group }}
{RULES}evaluate: {{ data: held-out.txt, samples: 4, sequence_length: 32 }}
output: quantized
output_format: VERSION
"""
VERSIONS = ("gptq", "gptq_v2")


def make(folder: Path, version: str, recipe: str = RECIPE, **overrides: Any) -> Path:
    path = make_workspace(folder, 2, **{"vocab_size": 288, **overrides})
    path.write_text(recipe.replace("VERSION", version))
    return path


def ran(recipe: Path, *options: str) -> Result:
    done = quant_engine("run", recipe, "--device", "cpu", "--json", *options)
    assert done.returncode == 0, done.stderr
    return Result.model_validate_json(done.stdout)


@pytest.fixture(scope="module", params=VERSIONS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Result]:
    """Version, workspace and result of a run that nobody stopped."""
    recipe = make(tmp_path_factory.mktemp(request.param), request.param)
    return request.param, recipe.parent, ran(recipe)


def dequantized(tensors: dict[str, torch.Tensor], name: str, bits: int, version: str) -> torch.Tensor:
    """(out × in) float64, from the layout's definition: w[c, j] = scales[g_idx[j], c]·(code[j, c] − zero[g_idx[j], c])."""
    words, zeros, scales, group = (tensors[f"{name}.{part}"] for part in ("qweight", "qzeros", "scales", "g_idx"))
    inputs, outputs = len(group), scales.shape[1]
    assert scales.dtype == torch.float16 and words.dtype == zeros.dtype == group.dtype == torch.int32
    codes = torch.tensor([hand.unstream(column, bits, inputs) for column in words.t().tolist()])
    stored = torch.tensor([hand.unstream(row, bits, outputs) for row in zeros.tolist()])
    zero = (stored + (version == "gptq")) % (1 << bits)
    return (scales.double()[group] * (codes.t() - zero[group])).t()


def bits_of(name: str) -> int:
    return 8 if name == "lm_head" else 3 if name.endswith("down_proj") else 4


def layers_in(tensors: dict[str, torch.Tensor]) -> list[str]:
    return [name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight")]


def decoded_copy(workspace: Path, version: str, bits: Callable[[str], int] = bits_of) -> Checkpoint:
    """A float checkpoint of the weights that the output stands for."""
    folder = workspace / "decoded"
    shutil.copytree(workspace / "model", folder)
    original, stored = load_file(folder / "model.safetensors"), load_file(workspace / "quantized" / "model.safetensors")
    for name in layers_in(stored):
        dtype = original[f"{name}.weight"].dtype
        original[f"{name}.weight"] = dequantized(stored, name, bits(name), version).to(dtype).contiguous()
    save_file(original, folder / "model.safetensors", {"format": "pt"})
    return Checkpoint.open(folder)


def scores_of(workspace: Path, decoded: Checkpoint) -> Scores:
    data = held_out_tokens(load_tokenizer(decoded.path), workspace / "held-out.txt", 4, 32, workspace / "calibration.jsonl")
    original = open_model(Checkpoint.open(workspace / "model"))
    return evaluate(data.batches, Evaluated(original), Evaluated(open_model(decoded))).scores()


def test_the_figures_are_those_of_the_decoded_weights(whole: tuple[str, Path, Result]) -> None:
    version, workspace, result = whole
    scores = result.scores
    assert scores.kl is not None and scores.perplexity is not None and 0 < scores.kl.value < math.inf
    decoded = decoded_copy(workspace, version)
    expected = scores_of(workspace, decoded)
    assert (scores.perplexity, scores.kl, scores.same_top) == (expected.perplexity, expected.kl, expected.same_top)
    both = Checkpoint.open(workspace / "quantized"), decoded
    written, read = (open_model(checkpoint).read_block(1).state_dict() for checkpoint in both)
    assert written.keys() == read.keys() and all(torch.equal(tensor, read[name]) for name, tensor in written.items())


def test_layers_that_read_one_input_have_one_order_of_full_groups(whole: tuple[str, Path, Result]) -> None:
    _, workspace, _ = whole
    stored = load_file(workspace / "quantized" / "model.safetensors")
    orders = {name.removesuffix(".g_idx"): order for name, order in stored.items() if name.endswith(".g_idx")}
    for block in (0, 1):
        query, key, value = (orders[f"model.layers.{block}.self_attn.{kind}_proj"] for kind in "qkv")
        assert torch.equal(query, key) and torch.equal(key, value)
        assert query.bincount().tolist() == [32, 32] and not torch.equal(query, torch.arange(64, dtype=torch.int32) // 32)
    assert not bool(orders["lm_head"].any())


def test_the_config_says_what_readers_ask(whole: tuple[str, Path, Result]) -> None:
    version, workspace, _ = whole
    config = json.loads((workspace / "quantized" / "config.json").read_text())["quantization_config"]
    wanted = {"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": True, "desc_act": True, "lm_head": True}
    assert wanted.items() <= config.items() and config["format"] == config["checkpoint_format"] == version
    kept, *others = config["dynamic"].items()
    assert kept[0].startswith("-:") and "model\\.layers\\.1\\.self_attn\\.o_proj" in kept[0]
    entries = [entry for pattern, entry in others if "down_proj" in pattern or "lm_head" in pattern]
    head = {"bits": 8, "group_size": -1, "sym": True, "desc_act": False}
    assert {"bits": 3, "group_size": 32, "sym": False} in entries and head in entries
    found = quant_engine("inspect", workspace / "quantized", "--json")
    assert json.loads(found.stdout)["quantization"]["format"] == version


def test_an_order_among_layers_without_groups_is_said_for_its_layers() -> None:
    """vLLM takes desc_act of a config with one scale for each output for no; rules override both."""
    wide = [LayerFormat(name, 64, 64, 8, None, True) for name in ("a", "b")]
    config = layout_for("gptq").config([*wide, LayerFormat("c", 64, 64, 4, 32, True, ordered=True)], [], "lm_head")
    assert (config["group_size"], config["desc_act"]) == (-1, True)
    assert config["dynamic"] == {"+:(?:c)$": {"bits": 4, "group_size": 32, "sym": True, "desc_act": True}}


def test_every_byte_is_known_before(whole: tuple[str, Path, Result]) -> None:
    version, workspace, result = whole
    recipe = Recipe.model_validate(plain(Source(RECIPE.replace("VERSION", version)).root))
    checkpoint = Checkpoint.open(workspace / "model")
    linears = list_linears(checkpoint)
    storage = Storage.of(checkpoint, linears)
    deciders = {layer.name: layer.rule for layer in result.layers}
    given: dict[str | int | None, Use | None] = {"default": recipe.quantize.default_use, **dict(enumerate(recipe.quantize.rule_uses))}
    chosen = [(linear, use) for linear in linears if (use := given.get(deciders[linear.name])) is not None]
    assert result.sizes.quantized_bytes == storage.tensor_bytes + sum(storage.added_bytes(linear, use) for linear, use in chosen)
    stored = Checkpoint.open(workspace / "quantized").tensors
    for linear, use in chosen:
        parts = [stored[f"{linear.name}.{part}"].bytes for part in ("qweight", "qzeros", "scales", "g_idx")]
        assert sum(parts) == use.weight_format.stored_bytes(linear.outputs, linear.inputs, 2)
        assert storage.bits(linear, use) == 8 * sum(parts)
    shutil.copytree(workspace, workspace.parent / f"before-{version}", ignore=shutil.ignore_patterns("quantized", "runs"))
    said = quant_engine("preflight", workspace.parent / f"before-{version}" / "small.quant.yaml", "--json")
    assert said.returncode == 0, said.stderr
    forecast = json.loads(said.stdout)["output"]
    assert forecast["tensor_bytes"] == result.sizes.quantized_bytes
    assert forecast["file_bytes"] == sum(file.stat().st_size for file in (workspace / "quantized").iterdir())
    assert forecast["bits_per_weight"] == pytest.approx(result.sizes.bits_per_weight)


@pytest.mark.parametrize(("phase", "done"), [("measure", 1), ("quantize", 1), ("quantize", 3), ("evaluate", 1)])
def test_a_killed_run_goes_on_to_the_same_bytes(whole: tuple[str, Path, Result], tmp_path: Path, phase: str, done: int) -> None:
    version, workspace, result = whole
    if version != "gptq" and phase != "quantize":
        pytest.skip("versions differ in nothing but a block's tensors")
    command = [sys.executable, INTERRUPTED, "SIGKILL", phase, done, "start", workspace / "small.quant.yaml"]
    command += [tmp_path / "out", tmp_path / "runs"]
    killed = subprocess.run([*map(str, command)], env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert killed.returncode == -9
    (folder,) = (tmp_path / "runs").iterdir()
    resumed = quant_engine("run", "--resume", folder, "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert files(tmp_path / "out") == files(workspace / "quantized")
    again = Result.model_validate_json(resumed.stdout)
    assert (again.layers, again.scores) == (result.layers, result.scores)


@pytest.mark.parametrize("version", VERSIONS)
def test_without_an_order_it_is_the_conversion_of_the_usual_output(tmp_path: Path, version: str) -> None:
    """bfloat16 scales are values that float16 has: the same codes, and one layout code for both ways."""
    plain_recipe = RECIPE.replace(", actorder: group", "").replace(", groups: dynamic", "")
    recipe = make(tmp_path, version, plain_recipe)
    ran(recipe)
    ran(recipe, "--set", "output_format=compressed-tensors", "--output", str(tmp_path / "usual"))
    converted = quant_engine("convert", tmp_path / "usual", "--to", version, tmp_path / "converted")
    assert converted.returncode == 0, converted.stderr
    first, second = files(tmp_path / "quantized"), files(tmp_path / "converted")
    configs = [json.loads(one.pop("config.json")) for one in (first, second)]
    assert configs[0] == configs[1]
    # In a file tensors lie in the order of the source's.
    assert len(first.pop("model.safetensors")) == len(second.pop("model.safetensors")) and first == second
    stored = [load_file(tmp_path / name / "model.safetensors") for name in ("quantized", "converted")]
    assert stored[0].keys() == stored[1].keys() and all(torch.equal(tensor, stored[1][name]) for name, tensor in stored[0].items())


def test_an_ordered_output_has_no_way_back_and_another_version(whole: tuple[str, Path, Result], tmp_path: Path) -> None:
    version, workspace, _ = whole
    for target in ("compressed-tensors", "awq"):
        refused = quant_engine("convert", workspace / "quantized", "--to", target, tmp_path / target)
        assert refused.returncode == 2 and "[conversion-refused]" in refused.stderr and not (tmp_path / target).exists()
    assert "desc_act" in quant_engine("convert", workspace / "quantized", "--to", "compressed-tensors", tmp_path / "x").stderr
    other = next(one for one in VERSIONS if one != version)
    done = quant_engine("convert", workspace / "quantized", "--to", other, tmp_path / "other")
    assert done.returncode == 0, done.stderr
    before, after = (load_file(folder / "model.safetensors") for folder in (workspace / "quantized", tmp_path / "other"))
    name = "model.layers.0.mlp.down_proj"
    assert torch.equal(dequantized(before, name, 3, version), dequantized(after, name, 3, other))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_codes_are_made_for_the_scales_that_are_stored(tmp_path: Path, dtype: torch.dtype) -> None:
    text = RECIPE.replace(RULES, "").replace("method: gptq", "method: rtn").replace(", actorder: group", "")
    recipe = make(tmp_path, "gptq_v2", text)
    tiny.save_tiny(tmp_path / "model", dtype=dtype, vocab_size=288, num_hidden_layers=2, max_position_embeddings=256, eos_token_id=0)
    result = ran(recipe)
    original, stored = load_file(tmp_path / "model" / "model.safetensors"), load_file(tmp_path / "quantized" / "model.safetensors")
    for name in layers_in(stored):
        W, scales = original[f"{name}.weight"].double(), stored[f"{name}.scales"].double().t()
        steps = scales.repeat_interleave(32, 1)
        # Ties fall either way in the engine's float32.
        same = dequantized(stored, name, 4, "gptq_v2") == (W / steps).round().clamp(-8, 7) * steps
        assert float(same.double().mean()) >= 0.9999
        torch.testing.assert_close(scales, W.reshape(len(W), -1, 32).abs().amax(-1) / 7.5, rtol=2**-11, atol=0)
    expected = scores_of(tmp_path, decoded_copy(tmp_path, "gptq_v2", lambda name: 4))
    assert (result.scores.perplexity, result.scores.kl) == (expected.perplexity, expected.kl)


def test_a_measurement_for_another_format_is_not_reused(whole: tuple[str, Path, Result]) -> None:
    version, workspace, _ = whole
    again = quant_engine("sensitivity", workspace / "small.quant.yaml", "--json")
    assert again.returncode == 0, again.stderr
    taken = json.loads(again.stdout)
    assert all(run != taken["run"] for run in taken["measured_by"].values())
    other = next(one for one in VERSIONS if one != version)
    fresh = quant_engine("sensitivity", workspace / "small.quant.yaml", "--json", "--set", f"output_format={other}")
    found = json.loads(fresh.stdout)
    assert all(run == found["run"] for run in found["measured_by"].values())


@pytest.mark.parametrize(("layout", "noted"), [("gptq", True), ("gptq_v2", False), ("compressed-tensors", False)])
def test_zero_points_that_readers_of_the_first_version_may_misread_are_noted(layout: OutputFormat, noted: bool) -> None:
    """Weights that are all positive have the lowest code as their zero point."""
    weight = torch.rand(32, 64, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16) + 0.1
    grid = find_grid(weight, SCHEMES["W4A16_ASYM"].weights.with_group_size(32).stored_as(layout), weight.dtype)
    note = output_format.noted(Quantized(encode(weight, grid), grid, Report())).note
    assert (note or "").startswith("64 zero points are 0") is noted


def test_what_a_layer_is_too_narrow_for_is_said_before(tmp_path: Path) -> None:
    """Widths that 32 does not divide, and zero points that do not fill words: of candidates, the default and rules."""
    recipe = make_workspace(tmp_path, 2, intermediate_size=72)
    recipe.write_text("""\
model: model
calibration: { data: calibration.jsonl, samples: 16, sequence_length: 32 }
candidates: [rtn-w4a16-channel]
quantize:
  default: { method: gptq, scheme: W4A16, group_size: channel }
  rules:
    - { layers: lm_head, use: rtn-w8a16-channel }
    - { layers: "*.up_proj", use: rtn-w3a16-channel }
    - { layers: "*.o_proj", use: { method: rtn, scheme: W8A16, group_size: 32 } }
output: quantized
output_format: gptq
""")
    found = [(one.line, one.column, one.message) for one in check(recipe).diagnostics if one.code == "output-format"]
    reason = "GPTQ packs 32 inputs at a time, and 32 does not divide the layer's 72"
    down = f"model.layers.0.mlp.down_proj cannot be stored in GPTQ's format: {reason}"
    assert found == [
        (3, 14, down),
        (5, 36, down),
        (7, 31, words("lm_head", 257, 8)),
        (8, 35, words("model.layers.0.mlp.up_proj", 72, 3)),
    ]


def words(layer: str, outputs: int, bits: int) -> str:
    reason = f"GPTQ packs the zero points of all outputs into whole 32-bit words, and {outputs} of {bits} bits are none"
    return f"{layer} cannot be stored in GPTQ's format: {reason}"


def test_experts_too(tmp_path: Path) -> None:
    recipe = make_workspace(tmp_path, 1, "mixtral", vocab_size=288)
    recipe.write_text(RECIPE.replace(RULES, "").replace("VERSION", "gptq").replace("samples: 16", "samples: 64"))
    done = quant_engine("run", recipe, "--device", "cpu", "--json")
    assert done.returncode in (0, 3), done.stderr
    result = Result.model_validate_json(done.stdout)
    stored = load_file(tmp_path / "quantized" / "model.safetensors")
    expert = next(name for name in stored if ".experts.0." in name and name.endswith(".qweight"))
    assert f"{expert.removesuffix('qweight')}g_idx" in stored
    assert result.scores.kl is not None and 0 < result.scores.kl.value < 1

"""Mixtures of experts: each expert is measured and quantized on the tokens routed to it, and what is written loads."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import tiny
from quant_engine.architectures.decoder import open_model
from quant_engine.check import check
from quant_engine.checkpoint import Checkpoint, CheckpointWriter, list_linears
from quant_engine.errors import QuantError
from quant_engine.methods import METHODS
from quant_engine.methods.rtn import RtnArguments
from quant_engine.methods.types import Statistics
from quant_engine.uses import Use, parse_short
from quant_engine.walk import QuantizedLayer, measure, quantize
from small_workspace import make_workspace, quant_engine
from test_load import BATCHES, assert_loads_exactly, written

MANY = tiny.tokens(3, sequences=4, length=64)
CANDIDATES = [parse_short(name) for name in ("rtn-w4a16-g32", "gptq-w3a16-g32")]
EXPERTS = {"mixtral": ("block_sparse_moe", "w1", "w3", "w2"), "qwen3_moe": ("mlp", "gate_proj", "up_proj", "down_proj")}


@pytest.fixture(params=EXPERTS)
def architecture(request: pytest.FixtureRequest) -> str:
    return request.param


def routed_inputs(folder: Path, block: int, batches: list[torch.Tensor]) -> dict[int, tuple[torch.Tensor, ...]]:
    """By expert, from transformers' whole model: its tokens, the input of its last layer (both float64), its weights."""
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder).requires_grad_(False)
    experts = model.model.layers[block].mlp.experts
    calls: list[tuple[torch.Tensor, torch.Tensor]] = []
    experts.register_forward_pre_hook(lambda _, arguments: calls.append(arguments[:2]))
    for batch in batches:
        model(batch)
    found = {}
    for number in range(experts.num_experts):
        X = torch.cat([hidden[(chosen == number).any(1)] for hidden, chosen in calls])
        gate, up = experts.gate_up_proj[number].chunk(2)
        H = torch.nn.functional.silu(X @ gate.t()) * (X @ up.t())
        found[number] = (X.double(), H.double(), gate, up, experts.down_proj[number])
    return found


def test_measured_sqnr_of_every_expert_is_that_of_its_own_tokens(architecture: str, tmp_path: Path):
    checkpoint = Checkpoint.open(tiny.save_tiny(tmp_path / "model", architecture, torch.float32))
    first = next(iter(measure(open_model(checkpoint), MANY, CANDIDATES)))
    layers = {layer.name: layer for layer in first.layers}
    module, *names = EXPERTS[architecture]
    total = 0
    for number, (X, H, *weights) in routed_inputs(checkpoint.path, 0, MANY).items():
        total += len(X)
        for name, weight, inputs in zip(names, weights, (X, X, H), strict=True):
            layer = layers[f"model.layers.0.{module}.experts.{number}.{name}"]
            assert layer.tokens == len(X)
            signal = float((inputs @ weight.double().t()).square().sum())
            assert layer.signal == pytest.approx(signal, rel=1e-4)
            statistics = Statistics(inputs.t() @ inputs, len(inputs))
            for use in CANDIDATES:
                found = layer.candidates[use.label]
                enough = use.method == "rtn" or len(inputs) >= inputs.shape[1]
                method = METHODS[use.method if enough else "rtn"]
                arguments = use.arguments if enough else method.arguments()
                candidate = method.quantize(weight, statistics, use.weight_format, arguments).dequantize()
                noise = float((inputs @ (candidate - weight).double().t()).square().sum())
                assert found.sqnr_db == pytest.approx(10 * math.log10(signal / noise), abs=0.02)
                assert (found.fallback is None) == enough
    assert total == 2 * sum(batch.numel() for batch in MANY)


def quantized(source: Checkpoint, folder: Path, use: str, batches: list[torch.Tensor]) -> tuple[dict[str, QuantizedLayer], Path]:
    chosen: dict[str, Use | None] = {linear.name: parse_short(use) for linear in list_linears(source)}
    blocks = list(quantize(open_model(source), batches, chosen, CheckpointWriter(folder / "output", source, folder / "state")))
    return {layer.name: layer for block in blocks for layer in block.layers}, folder / "state" / "pieces"


def test_an_expert_with_too_few_tokens_is_an_entry_with_its_reason(architecture: str, tmp_path: Path):
    source = Checkpoint.open(tiny.save_tiny(tmp_path / "model", architecture))
    layers, pieces = quantized(source, tmp_path / "gptq", "gptq-w4a16-g32", BATCHES)
    few = [layer for layer in layers.values() if layer.fallback]
    module, *_ = EXPERTS[architecture]
    assert few and all(f".{module}.experts." in layer.name for layer in few)
    _, plain = quantized(source, tmp_path / "rtn", "rtn-w4a16-g32", BATCHES)
    for layer in few:
        inputs = next(linear.inputs for linear in list_linears(source) if linear.name == layer.name)
        assert layer.tokens < inputs and layer.asked == "gptq-w4a16-g32" and layer.applied == "rtn-w4a16-g32"
        assert layer.fallback == f"{layer.tokens} calibration tokens were routed to this expert, fewer than its {inputs} inputs"
    first = [layer.name for layer in few if ".layers.0." in layer.name]
    ours, theirs = (load_file(folder / "block-00000.safetensors") for folder in (pieces, plain))
    assert first and all(torch.equal(ours[f"{name}.weight_packed"], theirs[f"{name}.weight_packed"]) for name in first)


def test_round_to_nearest_needs_no_tokens_and_has_no_reason_to_give(architecture: str, tmp_path: Path):
    source = Checkpoint.open(tiny.save_tiny(tmp_path / "model", architecture))
    layers, _ = quantized(source, tmp_path, "rtn-w4a16-g32", tiny.tokens(1, 1, 2))
    assert len(layers) == len(list_linears(source))
    assert [layer for layer in layers.values() if layer.fallback] == []
    unused = [layer for layer in layers.values() if layer.tokens == 0]
    assert unused and all(layer.achieved.state == "zero-signal" for layer in unused)


def test_the_last_layer_of_an_expert_is_quantized_on_what_its_quantized_first_layers_give(architecture: str, tmp_path: Path):
    source = Checkpoint.open(tiny.save_tiny(tmp_path / "model", architecture, torch.float32))
    layers, _ = quantized(source, tmp_path, "rtn-w3a16-g32", MANY)
    # The reference: the float model with what was quantized before, attention and the experts' first layers, rounded.
    module, *names = EXPERTS[architecture]
    use = parse_short("rtn-w3a16-g32")
    stored = load_file(source.path / "model.safetensors")
    for name, weight in stored.items():
        is_first = f".0.{module}.experts." in name and not name.endswith(f"{names[2]}.weight")
        if is_first or (name.startswith("model.layers.0.self_attn") and name.endswith("_proj.weight")):
            stored[name] = METHODS["rtn"].quantize(weight, Statistics(torch.eye(1), 0), use.weight_format, RtnArguments()).dequantize()
    folder = tmp_path / "rounded"
    folder.mkdir()
    save_file(stored, folder / "model.safetensors")
    (folder / "config.json").write_text((source.path / "config.json").read_text())
    for number, (X, H, *weights) in routed_inputs(folder, 0, MANY).items():
        layer = layers[f"model.layers.0.{module}.experts.{number}.{names[2]}"]
        assert layer.tokens == len(X)
        assert layer.signal == pytest.approx(float((H @ weights[2].double().t()).square().sum()), rel=1e-3)


def test_experts_in_another_format_than_the_rest(architecture: str, tmp_path: Path):
    source = Checkpoint.open(tiny.save_tiny(tmp_path / "model", architecture))

    def choose(name: str) -> str | None:
        return "rtn-w8a16-channel" if ".experts." in name else None if name == "lm_head" else "rtn-w4a16-g32"

    output = written(source, tmp_path, choose)
    groups = output.config["quantization_config"]["config_groups"].values()
    assert [target for group in groups for target in group["targets"] if "experts" in target] == [r"re:.*\.experts\.\d+\..*"]
    assert_loads_exactly(output, source)


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda name: "rtn-w8a16-g32" if ".experts.1." in name else "rtn-w4a16-g32", "need one weight format"),
        (lambda name: "rtn-w4a16-channel" if name.endswith(("w2", "down_proj")) else "rtn-w4a16-g32", "need one weight format"),
        (lambda name: None if ".experts.3." in name else "rtn-w4a16-g32", "need one weight format"),
        (lambda name: None if ".experts." in name else "rtn-w4a16-g32", "cannot stay as they are"),
        (lambda name: "rtn-w8a8", "not quantized inputs"),
        (lambda name: "rtn-w4a16_asym-g32", "cannot have zero points"),
    ],
    ids=["one expert", "one projection", "an expert kept", "all experts kept", "inputs", "zero points"],
)
def test_what_no_loader_could_read_is_refused_before_computing(
    choose: Callable[[str], str | None], message: str, architecture: str, tmp_path: Path
):
    source = Checkpoint.open(tiny.save_tiny(tmp_path / "model", architecture))
    with pytest.raises(QuantError, match=message) as caught:
        written(source, tmp_path, choose)
    assert caught.value.code == "experts-mixed" and caught.value.advice
    assert not (tmp_path / "state").exists()


def test_experts_stacked_on_disk_are_refused(tmp_path: Path):
    folder = tiny.save_tiny(tmp_path / "model", "qwen3_moe")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.mlp.experts.gate_up_proj"] = torch.zeros(8, 64, 64, dtype=torch.bfloat16)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(QuantError, match=r"model\.layers\.0\.mlp\.experts\.gate_up_proj holds all experts") as caught:
        open_model(Checkpoint.open(folder))
    assert caught.value.code == "model-unsupported"


def test_a_missing_expert_is_named(architecture: str, tmp_path: Path):
    folder = tiny.save_tiny(tmp_path / "model", architecture)
    tensors = load_file(folder / "model.safetensors")
    module, gate, *_ = EXPERTS[architecture]
    gone = f"model.layers.0.{module}.experts.1.{gate}.weight"
    del tensors[gone]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(QuantError, match=gone.replace(".", r"\.")) as caught:
        open_model(Checkpoint.open(folder))
    assert caught.value.code == "model-broken"


def test_a_run_lists_every_expert_with_its_tokens(tmp_path: Path):
    recipe = make_workspace(tmp_path, blocks=1, architecture="mixtral")
    rule = '    - { layers: "*.down_proj", use: { method: rtn, scheme: W8A16, group_size: 64 } }'
    text = recipe.read_text()
    recipe.write_text(text.replace(rule, '    - { layers: "*.experts.2.*", use: rtn-w8a16-g32 }'))
    (found,) = [one for one in check(recipe).diagnostics if one.severity == "error"]
    assert found.code == "experts-mixed" and found.line == 7
    recipe.write_text(text.replace(rule, '    - { layers: "*.self_attn.*", use: rtn-w8a16-g32 }'))
    done = quant_engine("run", recipe, "--json", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    result = json.loads(done.stdout)
    experts = [layer for layer in result["layers"] if ".experts." in layer["name"]]
    assert len(experts) == 12 == sum(linear.is_expert for linear in list_linears(Checkpoint.open(tmp_path / "model")))
    assert sum(layer["tokens"] for layer in experts) == 3 * 2 * 8 * 32
    few = {layer["name"] for layer in experts if layer["tokens"] < layer["inputs"]}
    assert few and {layer["name"] for layer in result["layers"] if layer["fallback"]} == few
    assert {problem["layer"] for problem in result["problems"] if problem["code"] == "fallback"} == few

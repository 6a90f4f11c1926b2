"""Layers that serving engines run as one matrix have one NVFP4 factor, by every path; what a loader computes follows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from small_workspace import files, make_workspace, quant_engine

SETS = (("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), ("mlp.gate_proj", "mlp.up_proj"))
CALIBRATION = "calibration: { data: calibration.jsonl, samples: 4, sequence_length: 32, seed: 0 }\n"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("fused"), 2).parent


def written(workspace: Path, name: str, quantize: str, more: str = CALIBRATION) -> dict[str, Tensor]:
    (workspace / f"{name}.quant.yaml").write_text(f"model: model\n{more}quantize: {quantize}\noutput: {name}\n")
    ran = quant_engine("run", f"{name}.quant.yaml", "--id", name, cwd=workspace)
    assert ran.returncode == 0, ran.stderr
    return load_file(workspace / name / "model.safetensors")


def amplitude(workspace: Path, *names: str) -> float:
    source = load_file(workspace / "model" / "model.safetensors")
    return max(float(source[f"{name}.weight"].abs().max()) for name in names)


def names_of(block: int, parts: tuple[str, ...]) -> list[str]:
    return [f"model.layers.{block}.{part}" for part in parts]


@pytest.mark.parametrize(
    ("use", "more"),
    [*((f"{method}-{scheme}", CALIBRATION) for method in ("rtn", "gptq") for scheme in ("nvfp4", "nvfp4a16")), ("rtn-nvfp4a16", "")],
)
def test_fused_layers_share_the_factor_of_the_largest_weight(workspace: Path, use: str, more: str) -> None:
    tensors = written(workspace, f"{use}-{'walked' if more else 'streamed'}", f"{{ default: {use} }}", more)
    for block in (0, 1):
        for parts in (*SETS, ("self_attn.o_proj",), ("mlp.down_proj",)):
            names = names_of(block, parts)
            expected = 448.0 * 6.0 / amplitude(workspace, *names)
            for name in names:
                assert tensors[f"{name}.weight_global_scale"].item() == pytest.approx(expected, rel=1e-6)
            if "input_global_scale" in " ".join(tensors):
                assert len({tensors[f"{name}.input_global_scale"].item() for name in names}) == 1
    alone = {448.0 * 6.0 / amplitude(workspace, name) for name in names_of(0, SETS[0])}
    assert len(alone) > 1, "each layer for itself would have its own"


def test_a_layer_of_the_set_with_another_scheme_has_no_say(workspace: Path) -> None:
    quantize = '{ default: rtn-nvfp4a16, rules: [{ layers: "*.v_proj", use: rtn-w8a16-g32 }] }'
    walked, streamed = (written(workspace, f"torn-{bool(more)}", quantize, more) for more in (CALIBRATION, ""))
    names = names_of(0, SETS[0][:2])
    for name in names:
        expected = 448.0 * 6.0 / amplitude(workspace, *names)
        assert walked[f"{name}.weight_global_scale"].item() == pytest.approx(expected, rel=1e-6)
    assert walked.keys() == streamed.keys() and files(workspace / "torn-True") == files(workspace / "torn-False")


def test_two_methods_of_one_set_share_it_too(workspace: Path) -> None:
    tensors = written(workspace, "methods", '{ default: rtn-nvfp4, rules: [{ layers: "*.k_proj", use: gptq-nvfp4 }] }')
    for block in (0, 1):
        assert len({tensors[f"{name}.weight_global_scale"].item() for name in names_of(block, SETS[0])}) == 1


def test_a_loader_computes_what_was_measured(workspace: Path) -> None:
    from transformers import AutoModelForCausalLM

    written(workspace, "loaded", "{ default: rtn-nvfp4a16 }", "")
    record = json.loads((workspace / "runs" / "loaded" / "result.json").read_text())
    model = AutoModelForCausalLM.from_pretrained(workspace / "loaded", dtype=torch.bfloat16)
    model(torch.tensor([[1, 2, 3]]))
    source = load_file(workspace / "model" / "model.safetensors")
    for layer in record["layers"][:14]:
        module, weight = model.get_submodule(layer["name"]), source[f"{layer['name']}.weight"].double()
        # The identity's outputs are the weights' columns.
        columns = torch.eye(weight.shape[1], dtype=torch.bfloat16)
        noise = float((module(columns).t().double() - weight).square().sum())
        assert noise == pytest.approx(layer["achieved"]["noise"], rel=1e-4), layer["name"]

"""A checkpoint that is quantized already is known as such, however it says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import layouts_by_hand as hand
from quant_engine.check import check
from quant_engine.checkpoint import Checkpoint
from small_workspace import make_workspace

GROUP = {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int", "symmetric": False, "strategy": "group", "group_size": 64}}
CHANNEL = {"targets": ["lm_head"], "weights": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"}}
SECTIONS: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    ({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True}, ("gptq", "gptq", [4], [128], True)),
    ({"quant_method": "gptq", "bits": 4, "group_size": 128, "checkpoint_format": "gptq_v2"}, ("gptq", "gptq_v2", [4], [128], None)),
    ({"method": "gptq", "format": "gptq", "bits": 3, "group_size": -1, "sym": False}, ("gptq", "gptq", [3], [-1], False)),
    (
        {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "dynamic": {"+:a": {"bits": 8, "sym": False}, "-:b": {}}},
        ("gptq", "gptq", [4, 8], [128], None),
    ),
    ({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "GEMM"}, ("awq", "gemm", [4], [128], False)),
    ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64, "zero_point": False}, ("awq", "gemm", [4], [64], True)),
    (
        {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": GROUP}},
        ("compressed-tensors", "pack-quantized", [4], [64], False),
    ),
    (
        {"quant_method": "compressed-tensors", "format": "mixed-precision", "config_groups": {"group_0": GROUP, "group_1": CHANNEL}},
        ("compressed-tensors", "mixed-precision", [4, 8], [-1, 64], None),
    ),
    ({"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}, ("fp8", None, [8], [], None)),
    ({"quant_method": "bitsandbytes", "load_in_4bit": True}, ("bitsandbytes", None, [4], [], None)),
    ({"quant_method": "hqq"}, ("hqq", None, [], [], None)),
    ({"bits": 4, "desc_act": False}, ("gptq", "gptq", [4], [], None)),
    ({"bits": 4}, ("unknown", None, [4], [], None)),
]


@pytest.fixture
def folder(llama_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(llama_folder, tmp_path / "model"))


def write_section(folder: Path, section: dict[str, Any], key: str = "quantization_config") -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: section}))


def found(folder: Path) -> tuple[Any, ...]:
    one = Checkpoint.open(folder).quantization
    assert one is not None
    return one.method, one.format, one.bits, one.group_sizes, one.symmetric


@pytest.mark.parametrize(("section", "expected"), SECTIONS)
def test_a_section_of_the_config(section: dict[str, Any], expected: tuple[Any, ...], folder: Path) -> None:
    write_section(folder, section)
    assert found(folder) == expected


def test_older_and_nested_keys(folder: Path) -> None:
    section, expected = SECTIONS[6]
    write_section(folder, section, "compression_config")
    assert found(folder) == expected
    (folder / "config.json").write_text(json.dumps({"text_config": {"quantization_config": section}}))
    assert found(folder) == expected


@pytest.mark.parametrize(
    ("file", "document", "expected"),
    [
        ("quantize_config.json", {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True}, ("gptq", "gptq", [4], [128], True)),
        ("quant_config.json", {"zero_point": True, "q_group_size": 128, "w_bit": 4, "version": "GEMM"}, ("awq", "gemm", [4], [128], False)),
        ("hf_quant_config.json", {"quantization": {"quant_algo": "FP8"}}, ("modelopt", "fp8", [], [], None)),
    ],
)
def test_a_file_beside_the_config(file: str, document: dict[str, Any], expected: tuple[Any, ...], folder: Path) -> None:
    (folder / file).write_text(json.dumps(document))
    assert found(folder) == expected
    assert file not in [other.name for other in Checkpoint.open(folder).other_files]
    (folder / file).unlink()
    assert Checkpoint.open(folder).quantization is None


@pytest.mark.parametrize(("layout", "method"), [("gptq", "gptq"), ("awq", "awq"), ("compressed-tensors", "compressed-tensors")])
def test_tensors_alone_tell(layout: str, method: str, folder: Path) -> None:
    """quantize_config.json of early GPTQ and AWQ tools names no method either."""
    name = "model.layers.0.mlp.up_proj"
    truth = hand.make_truth(128, 64, 4, 32, symmetric=False)
    stored = load_file(folder / "model.safetensors")
    del stored[f"{name}.weight"]
    stored |= {f"{name}.{part}": tensor for part, tensor in hand.tensors(layout, truth).items()}
    save_file(stored, folder / "model.safetensors")
    checkpoint = Checkpoint.open(folder)
    assert checkpoint.quantization is not None and checkpoint.quantization.method == method
    assert checkpoint.parameters == sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values()) - sum(
        tensor.numel() for tensor in hand.tensors(layout, truth).values()
    ) + 128 * 64
    if layout != "compressed-tensors":
        (folder / "quantize_config.json").write_text(json.dumps({"bits": 4, "group_size": 32}))
        assert found(folder)[0] == method


def test_eight_bit_floats_without_a_config(folder: Path) -> None:
    stored = load_file(folder / "model.safetensors")
    stored["model.layers.0.mlp.up_proj.weight"] = stored["model.layers.0.mlp.up_proj.weight"].to(torch.float8_e4m3fn)
    save_file(stored, folder / "model.safetensors")
    assert found(folder)[0] == "fp8"


@pytest.mark.parametrize("beside", [False, True], ids=["config.json", "quantize_config.json"])
@pytest.mark.parametrize("method", ["gptq", "awq", "fp8", "bitsandbytes", "compressed-tensors"])
def test_check_refuses_to_quantize_it_again(method: str, beside: bool, tmp_path: Path) -> None:
    recipe = make_workspace(tmp_path / "work", blocks=1)
    section = {"quant_method": method, "bits": 4, "group_size": 128}
    if beside:
        (recipe.parent / "model" / "quantize_config.json").write_text(json.dumps(section))
    else:
        write_section(recipe.parent / "model", section)
    (diagnostic,) = check(recipe).diagnostics
    assert (diagnostic.code, diagnostic.message) == ("model-quantized", f'"model" is already quantized ({method})')

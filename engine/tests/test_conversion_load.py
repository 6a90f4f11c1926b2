"""Converted checkpoints of a whole model: compressed-tensors ones are loaded by transformers, the others decoded by hand (no reader of
GPTQ or AWQ is among the engine's packages); all against the model whose weights are the source's, dequantized."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import layouts_by_hand as hand
import tiny
from quant_engine.checkpoint import Checkpoint, list_linears
from quant_engine.conversion import convert
from quant_engine.inspection import inspect

BATCH = tiny.tokens(1)[0]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("original") / "model"
    tiny.save_tiny(folder, "qwen2", torch.float16, hidden_size=64, intermediate_size=128, use_sliding_window=False)
    return Checkpoint.open(folder)


def quantized(original: Checkpoint, folder: Path, layout: str, bits: int, size: int, symmetric: bool) -> dict[str, hand.Truth]:
    """The model with random codes in place of every layer of its blocks; biases stay."""
    truths = {
        linear.name: hand.make_truth(linear.outputs, linear.inputs, bits, size, symmetric=symmetric, seed=seed)
        for seed, linear in enumerate(list_linears(original))
        if linear.block is not None
    }
    stored = original.load(original.tensors)
    kept = {name: tensor for name, tensor in stored.items() if name.removesuffix(".weight") not in truths}
    hand.save(folder, layout, truths, kept, original.config)
    return truths


def logits(original: Checkpoint, weights: dict[str, torch.Tensor]) -> torch.Tensor:
    """Of the original model with other weights in its blocks."""
    model = transformers.AutoModelForCausalLM.from_pretrained(original.path)
    for name, weight in weights.items():
        model.get_submodule(name).weight.data = weight.to(torch.float16)
    with torch.no_grad():
        return model(BATCH).logits


@pytest.mark.parametrize(("layout", "bits"), [*((layout, bits) for layout in ("gptq", "gptq_v2") for bits in (2, 3, 4, 8)), ("awq", 4)])
def test_compressed_tensors_results_load_with_the_logits_of_the_source(layout: str, bits: int, original: Checkpoint, tmp_path: Path):
    truths = quantized(original, tmp_path / "source", layout, bits, 32, symmetric=True)
    done = convert(tmp_path / "source", "compressed-tensors", tmp_path / "out")
    assert done.warnings == [] and done.quantization.symmetric is True
    loaded = tiny.reference_logits(tmp_path / "out", BATCH)
    expected = logits(original, {name: truth.weight() for name, truth in truths.items()})
    assert float((loaded - expected).abs().max()) == 0
    assert not torch.equal(loaded, logits(original, {}))


@pytest.mark.parametrize("layout", ["gptq", "gptq_v2", "awq"])
def test_other_results_decode_to_the_logits_of_the_source(layout: str, original: Checkpoint, tmp_path: Path):
    truths = quantized(original, tmp_path / "source", "compressed-tensors", 4, 32, symmetric=True)
    source = tiny.reference_logits(tmp_path / "source", BATCH)
    convert(tmp_path / "source", layout, tmp_path / "out")
    stored = hand.load(tmp_path / "out")
    decoded = {name: hand.read(layout, stored, name, 4, 32).weight() for name in truths}
    assert torch.equal(logits(original, decoded), source)
    kept = original.load(original.tensors)
    assert all(torch.equal(stored[name], kept[name]) for name in kept if name.removesuffix(".weight") not in truths)


def test_zero_points_come_with_a_word_on_who_reads_them_and_how(original: Checkpoint, tmp_path: Path):
    truths = quantized(original, tmp_path / "source", "awq", 4, 32, symmetric=False)
    done = convert(tmp_path / "source", "compressed-tensors", tmp_path / "out")
    (warning,) = done.warnings
    assert "transformers 5.17 to 5.22 with compressed-tensors 0.19 or 0.20, and vLLM, read them" in warning
    assert "CompressedTensorsConfig(dequantize=True)" in warning
    how = transformers.CompressedTensorsConfig(dequantize=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", quantization_config=how)
    with torch.no_grad():
        assert torch.equal(model(BATCH).logits, logits(original, {name: truth.weight() for name, truth in truths.items()}))


def test_compressed_tensors_itself_decompresses_zero_points(original: Checkpoint, tmp_path: Path):
    """The library's own decompressor, without the model loader that cannot lay them out."""
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    truths = quantized(original, tmp_path / "source", "awq", 4, 32, symmetric=False)
    convert(tmp_path / "source", "compressed-tensors", tmp_path / "out")
    stored = hand.load(tmp_path / "out")
    (group,) = hand.read_section(tmp_path / "out")["config_groups"].values()
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs.model_validate(group["weights"]))
    compressor: Any = BaseCompressor.get_value_from_registry("pack-quantized")
    for name, truth in truths.items():
        parts = {part: stored[f"{name}.{part}"] for part in ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point")}
        found = compressor.decompress(parts, scheme)["weight"]
        assert torch.equal(found, truth.weight().half())


@pytest.mark.parametrize(("layout", "symmetric"), [("gptq", True), ("gptq_v2", False), ("awq", False), ("compressed-tensors", True)])
def test_layers_are_shown_with_their_real_shapes(layout: str, symmetric: bool, original: Checkpoint, tmp_path: Path):
    quantized(original, tmp_path / "source", layout, 4, 32, symmetric)
    checkpoint = Checkpoint.open(tmp_path / "source")
    assert list_linears(checkpoint) == list_linears(original) and checkpoint.parameters == original.parameters
    shown, plain = inspect(tmp_path / "source"), inspect(original.path)
    assert {module.name: module.shape for module in shown.modules} == {module.name: module.shape for module in plain.modules}
    assert [module.name for module in shown.modules if module.quantizable] == ["lm_head"]
    found = shown.quantization
    assert found is not None and found.format == {"awq": "gemm", "compressed-tensors": "pack-quantized"}.get(layout, layout)
    assert (found.bits, found.group_sizes, found.symmetric) == ([4], [32], symmetric)
    # An architecture whose layers are not listed shows the same shapes.
    config = json.loads((tmp_path / "source" / "config.json").read_text())
    (tmp_path / "source" / "config.json").write_text(json.dumps(config | {"architectures": ["Unheard"]}))
    assert [module.shape for module in inspect(tmp_path / "source").modules] == [module.shape for module in shown.modules]

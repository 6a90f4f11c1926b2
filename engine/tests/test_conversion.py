"""Conversions of quantized checkpoints: every pair of layouts keeps every weight, as a reader finds that shares no code with the engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import layouts_by_hand as hand
from quant_engine.checkpoint import Checkpoint
from quant_engine.conversion import LAYOUTS, convert
from quant_engine.errors import QuantError

CONFIG = {"architectures": ["Unheard"], "model_type": "unheard", "torch_dtype": "float16"}
LAYER = "model.layers.0.mlp.up_proj"
PAIRS = [(source, target) for source in LAYOUTS for target in LAYOUTS if source != target]
SIZES = {32: "g32", 64: "g64", 128: "g128", -1: "channel"}


def others() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {
        "model.embed_tokens.weight": torch.randn(10, 128, generator=generator).half(),
        "model.norm.weight": torch.randn(128, generator=generator).bfloat16(),
        f"{LAYER}.bias": torch.randn(32, generator=generator).half(),
        "model.layers.0.mlp.router.weight": torch.randn(4, 128, generator=generator),
        "lm_head.weight": torch.randn(10, 128, generator=generator).half(),
    }


def source_of(folder: Path, layout: str, truth: hand.Truth, **more: object) -> Path:
    return hand.save(folder, layout, {LAYER: truth}, others(), CONFIG, **more)


def possible(pair: tuple[str, str], bits: int, size: int) -> bool:
    return "awq" not in pair or (bits == 4 and (size > 0 or pair[1] != "awq"))


CASES = [
    pytest.param(pair, bits, size, symmetric, id=f"{pair[0]}-{pair[1]}-w{bits}-{SIZES[size]}-{'sym' if symmetric else 'asym'}")
    for pair in PAIRS
    for bits in (2, 3, 4, 8)
    for size in SIZES
    for symmetric in (True, False)
    if possible(pair, bits, size)
]


@pytest.mark.parametrize(("pair", "bits", "size", "symmetric"), CASES)
def test_every_pair_keeps_every_weight(pair: tuple[str, str], bits: int, size: int, symmetric: bool, tmp_path: Path):
    truth = hand.make_truth(32, 128, bits, size, symmetric=symmetric)
    source = source_of(tmp_path / "source", pair[0], truth)
    done = convert(source, pair[1], tmp_path / "out")
    stored = hand.load(tmp_path / "out")
    found = hand.read(pair[1], stored, LAYER, bits, size)
    assert (found.codes == truth.codes).all() and (found.zeros == truth.zeros).all() and (found.order == truth.order).all()
    assert torch.equal(found.scales, truth.scales)
    assert torch.equal(found.weight(), truth.weight())
    kept = others()
    assert {name for name in stored if not name.startswith(f"{LAYER}.") or name.endswith(".bias")} == kept.keys()
    assert all(torch.equal(stored[name], tensor) and stored[name].dtype == tensor.dtype for name, tensor in kept.items())
    assert (done.layers, done.scales, done.scales_rounded, done.largest_scale_change) == (1, truth.scales.numel(), 0, 0.0)
    quantization = Checkpoint.open(tmp_path / "out").quantization
    assert quantization is not None and quantization == done.quantization
    assert (quantization.bits, quantization.group_sizes) == ([bits], [size])
    # AWQ's config has no word for symmetric; its readers always use the zero points.
    assert quantization.symmetric is (symmetric and pair[1] != "awq")


@pytest.mark.parametrize(("pair", "bits", "size", "symmetric"), [case for case in CASES if case.values[1] == 4 and case.values[2] == 32])
def test_there_and_back_is_the_same_bytes(pair: tuple[str, str], bits: int, size: int, symmetric: bool, tmp_path: Path):
    source = source_of(tmp_path / "source", pair[0], hand.make_truth(32, 128, bits, size, symmetric=symmetric))
    convert(source, pair[1], tmp_path / "there")
    convert(tmp_path / "there", pair[0], tmp_path / "back")
    before, after = hand.load(source), hand.load(tmp_path / "back")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before)


@pytest.mark.parametrize("target", ["gptq", "gptq_v2"])
def test_an_order_of_columns_passes_between_layouts_that_have_one(target: str, tmp_path: Path):
    """compressed-tensors before 0.20 stored one, as weight_g_idx."""
    truth = hand.make_truth(32, 128, 4, 32, symmetric=True, ordered=True)
    source = source_of(tmp_path / "source", "compressed-tensors", truth)
    stored = hand.load(source) | {f"{LAYER}.weight_g_idx": torch.from_numpy(truth.order).to(torch.int32)}
    hand.save_file(stored, source / "model.safetensors")
    convert(source, target, tmp_path / "out")
    found = hand.read(target, hand.load(tmp_path / "out"), LAYER, 4, 32)
    assert torch.equal(found.weight(), truth.weight()) and hand.read_section(tmp_path / "out")["desc_act"] is True
    convert(tmp_path / "out", "gptq_v2" if target == "gptq" else "gptq", tmp_path / "again")
    again = hand.read("gptq_v2" if target == "gptq" else "gptq", hand.load(tmp_path / "again"), LAYER, 4, 32)
    assert torch.equal(again.weight(), truth.weight())


def test_an_order_that_is_no_order_is_dropped(tmp_path: Path):
    """desc_act with static groups: g_idx is plain. An unused weight_g_idx of compressed-tensors is all −1."""
    truth = hand.make_truth(32, 128, 4, 32, symmetric=True)
    source = source_of(tmp_path / "source", "gptq", truth, desc_act=True)
    convert(source, "compressed-tensors", tmp_path / "out")
    stored = hand.load(tmp_path / "out")
    assert torch.equal(hand.read("compressed-tensors", stored, LAYER, 4, 32).weight(), truth.weight())
    assert f"{LAYER}.weight_g_idx" not in stored
    hand.save_file(stored | {f"{LAYER}.weight_g_idx": torch.full((128,), -1, dtype=torch.int32)}, tmp_path / "out" / "model.safetensors")
    convert(tmp_path / "out", "awq", tmp_path / "awq")
    assert torch.equal(hand.read("awq", hand.load(tmp_path / "awq"), LAYER, 4, 32).weight(), truth.weight())


def test_a_last_group_that_is_narrower_passes_between_versions_of_gptq(tmp_path: Path):
    truth = hand.make_truth(32, 96, 4, 64, symmetric=False)
    source = source_of(tmp_path / "source", "gptq", truth)
    convert(source, "gptq_v2", tmp_path / "out")
    assert torch.equal(hand.read("gptq_v2", hand.load(tmp_path / "out"), LAYER, 4, 64).weight(), truth.weight())


def test_version_one_wraps_each_zero_point_by_itself(tmp_path: Path):
    """Eight zero points 0, 1, 0, 15 …: a subtraction from the whole word would borrow from the neighbours."""
    truth = hand.make_truth(8, 32, 4, 32, symmetric=False)
    truth.zeros[:, 0] = [0, 1, 0, 15, 8, 0, 0, 2]
    done = convert(source_of(tmp_path / "source", "gptq_v2", truth), "gptq", tmp_path / "one")
    (word,) = hand.load(tmp_path / "one")[f"{LAYER}.qzeros"].flatten().tolist()
    assert f"{word & 0xFFFFFFFF:08X}" == "1FF7EF0F"
    (warning,) = done.warnings
    assert warning.startswith("4 zero points are 0")
    back = convert(tmp_path / "one", "gptq_v2", tmp_path / "two")
    (word,) = hand.load(tmp_path / "two")[f"{LAYER}.qzeros"].flatten().tolist()
    assert f"{word & 0xFFFFFFFF:08X}" == "2008F010"
    (doubt,) = back.warnings
    assert doubt.startswith("4 zero points of the source are stored as the largest code")


@pytest.mark.parametrize("bits", [5, 6, 7])
def test_widths_that_only_compressed_tensors_has(bits: int, tmp_path: Path):
    source = source_of(tmp_path / "source", "compressed-tensors", hand.make_truth(32, 128, bits, 32, symmetric=True))
    with pytest.raises(QuantError, match=f"{LAYER} cannot be converted: GPTQ has 2, 3, 4 and 8 bits, and the layer has {bits}"):
        convert(source, "gptq", tmp_path / "out")


def test_shards_and_other_files(tmp_path: Path):
    source = source_of(tmp_path / "source", "awq", hand.make_truth(32, 128, 4, 32, symmetric=False))
    (source / "tokenizer.json").write_bytes(b'{"\xc3\xa9": 1}\r\n')
    (source / "quantize_config.json").write_text("{}")
    convert(source, "gptq_v2", tmp_path / "out", max_shard_bytes=3000)
    assert len(list((tmp_path / "out").glob("*.safetensors"))) > 2
    assert hand.load(tmp_path / "out").keys() == Checkpoint.open(tmp_path / "out").tensors.keys()
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == b'{"\xc3\xa9": 1}\r\n'
    assert not (tmp_path / "out" / "quantize_config.json").exists()
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert {key: value for key, value in config.items() if key != "quantization_config"} == CONFIG
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_same_conversion_twice_is_the_same_bytes(tmp_path: Path):
    source = source_of(tmp_path / "source", "awq", hand.make_truth(32, 128, 4, 32, symmetric=False))
    outputs = []
    for run in ("one", "two"):
        convert(source, "gptq", tmp_path / run)
        outputs.append({file.name: file.read_bytes() for file in (tmp_path / run).iterdir()})
    assert outputs[0] == outputs[1]


def test_layers_that_are_kept_are_named_in_each_layout(tmp_path: Path):
    truth = hand.make_truth(32, 128, 4, 32, symmetric=True)
    source = source_of(tmp_path / "source", "gptq_v2", truth)
    convert(source, "compressed-tensors", tmp_path / "ct")
    section = hand.read_section(tmp_path / "ct")
    assert sorted(section["ignore"]) == ["lm_head", "model.layers.0.mlp.router"]
    (group,) = section["config_groups"].values()
    assert group["targets"] == ["Linear"] and group["weights"]["symmetric"] is True
    convert(source, "awq", tmp_path / "awq")
    assert sorted(hand.read_section(tmp_path / "awq")["modules_to_not_convert"]) == ["lm_head", "model.layers.0.mlp.router"]
    convert(tmp_path / "ct", "gptq", tmp_path / "gptq")
    section = hand.read_section(tmp_path / "gptq")
    assert section["dynamic"] == {r"-:(?:model\.layers\.0\.mlp\.router)$": {}}
    assert (section["lm_head"], section["sym"], section["desc_act"]) == (False, True, False)
    assert section["format"] == section["checkpoint_format"] == "gptq"

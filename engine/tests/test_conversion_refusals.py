"""What a conversion refuses, says or survives."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import layouts_by_hand as hand
from quant_engine.checkpoint import write
from quant_engine.conversion import convert
from quant_engine.errors import QuantError
from test_conversion import CONFIG, LAYER, others, source_of


def refused(source: Path, target: str, code: str = "conversion-refused") -> str:
    out = source.parent / "refused"
    with pytest.raises(QuantError) as caught:
        convert(source, target, out)
    assert caught.value.code == code and caught.value.advice
    assert sorted(path.name for path in source.parent.iterdir()) == [source.name]
    return caught.value.message


def edited(source: Path, change: Callable[[dict], object]) -> Path:
    config = json.loads((source / "config.json").read_text())
    change(config["quantization_config"])
    (source / "config.json").write_text(json.dumps(config))
    return source


@pytest.mark.parametrize("target", ["compressed-tensors", "awq"])
@pytest.mark.parametrize("source", ["gptq", "gptq_v2"])
def test_an_order_of_columns(source: str, target: str, tmp_path: Path):
    truth = hand.make_truth(32, 128, 4, 32, symmetric=True, ordered=True)
    message = refused(source_of(tmp_path / "model", source, truth, desc_act=True), target)
    assert LAYER in message and "in another order (desc_act)" in message


@pytest.mark.parametrize(
    ("source", "target", "shape", "bits", "size", "words"),
    [
        ("gptq", "awq", (32, 128), 8, 32, "AWQ has 4 bits, and the layer has 8"),
        ("compressed-tensors", "awq", (12, 128), 4, 32, "8 does not divide the layer's 12"),
        ("compressed-tensors", "awq", (32, 128), 4, -1, "one scale for each output"),
        ("compressed-tensors", "gptq", (32, 80), 4, 16, "32 does not divide the layer's 80"),
        ("compressed-tensors", "gptq", (36, 128), 4, 32, "36 of 4 bits are none"),
        ("gptq", "compressed-tensors", (32, 96), 4, 64, "its group size 64 does not divide its 96 inputs"),
        ("gptq", "awq", (32, 96), 4, 64, "its group size 64 does not divide its 96 inputs"),
    ],
)
def test_what_a_layout_cannot_hold(source: str, target: str, shape: tuple[int, int], bits: int, size: int, words: str, tmp_path: Path):
    truth = hand.make_truth(*shape, bits, size, symmetric=True)
    message = refused(source_of(tmp_path / "model", source, truth), target)
    assert LAYER in message and words in message


def test_a_quantized_head_goes_everywhere_but_to_awq(tmp_path: Path):
    truth, other = (hand.make_truth(32, 128, 4, 32, symmetric=True, seed=seed) for seed in (0, 1))
    tensors = {name: tensor for name, tensor in others().items() if name != "lm_head.weight"}
    source = hand.save(tmp_path / "model", "compressed-tensors", {"lm_head": truth, LAYER: other}, tensors, CONFIG)
    assert "the blocks alone" in refused(source, "awq")
    convert(source, "gptq", tmp_path / "out")
    assert hand.read_section(tmp_path / "out")["lm_head"] is True


def test_what_is_not_quantized_unknown_or_there_already(tmp_path: Path):
    source = source_of(tmp_path / "model", "gptq", hand.make_truth(32, 128, 4, 32, symmetric=True))
    assert "is in the format gptq already" in refused(source, "gptq")
    assert 'did you mean "gptq_v2"?' in refused(source, "gptq-v2", "unknown-layout")
    edited(source, lambda section: section.update(checkpoint_format="marlin"))
    assert "quantized as gptq, marlin" in refused(source, "awq")
    edited(source, lambda section: section.update(quant_method="bitsandbytes"))
    assert "quantized as bitsandbytes" in refused(source, "awq")
    (source / "config.json").write_text(json.dumps(CONFIG))
    hand.save_file({"lm_head.weight": torch.zeros(4, 4)}, source / "model.safetensors")
    assert "is not quantized" in refused(source, "awq")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda group: group.update(input_activations={"num_bits": 8, "type": "int"}), "its inputs are quantized too (8 bits)"),
        (lambda group: group.update(format="float-quantized"), "stored as float-quantized"),
        (lambda group: group["weights"].update(type="float"), "only pack-quantized integers"),
        (lambda group: group["weights"].update(strategy="tensor"), "shared by tensor"),
        (lambda group: group.update(targets=["other"]), "no config group"),
    ],
)
def test_formats_of_compressed_tensors_without_a_counterpart(change: Callable[[dict], object], words: str, tmp_path: Path):
    source = source_of(tmp_path / "model", "compressed-tensors", hand.make_truth(32, 128, 4, 32, symmetric=True))
    edited(source, lambda section: change(section["config_groups"]["group_0"]))
    message = refused(source, "gptq")
    assert LAYER in message and words in message


def test_a_layer_beside_the_packed_ones_that_is_quantized_otherwise(tmp_path: Path):
    source = source_of(tmp_path / "model", "compressed-tensors", hand.make_truth(32, 128, 4, 32, symmetric=True))
    other = {"model.layers.0.x.weight": torch.zeros(8, 8, dtype=torch.int8), "model.layers.0.x.weight_scale": torch.ones(8, 1)}
    hand.save_file(hand.load(source) | other, source / "model.safetensors")
    assert "model.layers.0.x cannot be converted: it is not stored as pack-quantized" in refused(source, "gptq")


def test_a_cache_that_is_quantized(tmp_path: Path):
    truth = hand.make_truth(32, 128, 4, 32, symmetric=True)
    source = source_of(tmp_path / "model", "compressed-tensors", truth, kv_cache_scheme={"num_bits": 8})
    assert "kv_cache_scheme" in refused(source, "gptq")


def test_words_that_are_padded(tmp_path: Path):
    source = source_of(tmp_path / "model", "compressed-tensors", hand.make_truth(32, 128, 3, 32, symmetric=True))
    stored = hand.load(source) | {f"{LAYER}.weight_packed": torch.zeros(32, 13, dtype=torch.int32)}
    hand.save_file(stored, source / "model.safetensors")
    assert "padded" in refused(source, "gptq")


KINDS = [(part, kind) for part in ("qzeros", "scales", "g_idx", "qweight") for kind in ("shape", "dtype")]


@pytest.mark.parametrize(("part", "kind"), [*KINDS, ("qzeros", "absent"), ("scales", "absent")])
def test_tensors_that_do_not_belong_together(part: str, kind: str, tmp_path: Path):
    source = source_of(tmp_path / "model", "gptq", hand.make_truth(32, 128, 4, 32, symmetric=True))
    stored = hand.load(source)
    name = f"{LAYER}.{part}"
    if kind == "absent":
        del stored[name]
    else:
        stored[name] = torch.cat([stored[name], stored[name]]) if kind == "shape" else stored[name].to(torch.int64)
    hand.save_file(stored, source / "model.safetensors")
    message = refused(source, "awq", "model-broken")
    assert LAYER in message


def test_columns_of_groups_that_do_not_exist(tmp_path: Path):
    source = source_of(tmp_path / "model", "gptq", hand.make_truth(32, 128, 4, 32, symmetric=True))
    stored = hand.load(source)
    stored[f"{LAYER}.g_idx"][3] = 4
    hand.save_file(stored, source / "model.safetensors")
    assert "groups that do not exist" in refused(source, "gptq_v2", "model-broken")


# Scales


@pytest.mark.parametrize("target", ["gptq", "awq"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_scales_that_float16_rounds_are_counted(target: str, dtype: torch.dtype, tmp_path: Path):
    truth = hand.make_truth(32, 128, 4, 32, symmetric=True, dtype=dtype)
    truth.scales[3, 1] = 1e-7
    done = convert(source_of(tmp_path / "model", "compressed-tensors", truth), target, tmp_path / "out")
    found = hand.read(target, hand.load(tmp_path / "out"), LAYER, 4, 32)
    assert (found.codes == truth.codes).all() and torch.equal(found.scales, truth.scales.half())
    change = ((truth.scales.half().double() - truth.scales.double()) / truth.scales.double()).abs()
    assert done.scales_rounded == int((change > 0).sum()) == (1 if dtype == torch.bfloat16 else 128)
    assert done.largest_scale_change == pytest.approx(change.max().item()) and 0.1 < done.largest_scale_change < 0.25


def test_bfloat16_scales_in_the_usual_range_are_exact(tmp_path: Path):
    truth = hand.make_truth(32, 128, 4, 32, symmetric=False, dtype=torch.bfloat16)
    done = convert(source_of(tmp_path / "model", "compressed-tensors", truth), "awq", tmp_path / "out")
    assert done.scales_rounded == 0
    assert torch.equal(hand.read("awq", hand.load(tmp_path / "out"), LAYER, 4, 32).weight(), truth.weight())


@pytest.mark.parametrize("value", [1e5, float("inf"), float("nan")])
def test_a_scale_beyond_float16_is_an_error(value: float, tmp_path: Path):
    truth = hand.make_truth(32, 128, 4, 32, symmetric=True, dtype=torch.float32)
    truth.scales[3, 1] = value
    assert LAYER in refused(source_of(tmp_path / "model", "compressed-tensors", truth), "gptq", "scale-overflow")


# Mixed checkpoints


def mixed(folder: Path) -> tuple[Path, dict[str, hand.Truth]]:
    """Two widths and group sizes, one layer asymmetric, each named by its config group."""
    stem = "model.layers.0"
    truths = {
        f"{stem}.self_attn.{kind}": hand.make_truth(32, 128, 8, -1, symmetric=True, seed=seed)
        for seed, kind in enumerate(("q_proj", "k_proj", "v_proj"))
    }
    truths[f"{stem}.mlp.down_proj"] = hand.make_truth(32, 128, 4, 64, symmetric=False, seed=3)
    truths |= {f"{stem}.mlp.{kind}": hand.make_truth(32, 128, 4, 32, symmetric=True, seed=4) for kind in ("a", "b", "c", "d")}
    source = hand.save(folder, "compressed-tensors", truths, others(), CONFIG)
    kinds = {name: json.dumps(hand.compressed_arguments(truth)) for name, truth in truths.items()}
    groups = {
        f"group_{number}": {"targets": [name for name, kind in kinds.items() if kind == one], "weights": json.loads(one)}
        for number, one in enumerate(dict.fromkeys(kinds.values()))
    }
    return edited(source, lambda section: section.update(config_groups=groups)), truths


@pytest.mark.parametrize("version", ["gptq", "gptq_v2"])
def test_a_mixed_checkpoint_becomes_gptq_with_rules(version: str, tmp_path: Path):
    source, truths = mixed(tmp_path / "model")
    done = convert(source, version, tmp_path / "out")
    assert any("`dynamic`" in warning for warning in done.warnings)
    stored, section = hand.load(tmp_path / "out"), hand.read_section(tmp_path / "out")
    for name, truth in truths.items():
        assert torch.equal(hand.read(version, stored, name, truth.bits, truth.group_size).weight(), truth.weight())
        assert rule(section, name) == {"bits": truth.bits, "group_size": truth.group_size, "sym": truth.symmetric}
    assert rule(section, "model.layers.0.mlp.router") is False
    # vLLM asks for the fused layer.
    assert rule(section, "model.layers.0.self_attn.qkv_proj") == {"bits": 8, "group_size": -1, "sym": True}
    # And back.
    convert(tmp_path / "out", "compressed-tensors", tmp_path / "back")
    stored = hand.load(tmp_path / "back")
    for name, truth in truths.items():
        assert torch.equal(hand.read("compressed-tensors", stored, name, truth.bits, truth.group_size).weight(), truth.weight())
    groups = hand.read_section(tmp_path / "back")["config_groups"].values()
    assert {name: group["weights"] for group in groups for name in group["targets"]} == {
        name: hand.compressed_arguments(truth) for name, truth in truths.items()
    }


def rule(section: dict, name: str) -> dict | bool:
    """As readers look a layer up: the first rule that matches its beginning; False: not quantized."""
    base = {key: section[key] for key in ("bits", "group_size", "sym")}
    for pattern, entries in section["dynamic"].items():
        if pattern.startswith("-:"):
            if re.match(pattern.removeprefix("-:"), name):
                return False
        elif re.match(pattern.removeprefix("+:"), name):
            return base | entries
    return base


def test_a_mixed_checkpoint_is_too_much_for_awq(tmp_path: Path):
    source, _ = mixed(tmp_path / "model")
    assert "_proj cannot be converted: AWQ has 4 bits, and the layer has 8 (2 more layers cannot either)" in refused(source, "awq")
    two = {"a.x": hand.make_truth(32, 128, 4, 32, symmetric=True), "a.y": hand.make_truth(32, 128, 4, 64, symmetric=True)}
    shutil.rmtree(source)
    hand.save(source, "gptq", two, {}, CONFIG, dynamic={r"+:a\.y": {"group_size": 64}})
    assert "one group size for all layers, and a.x has 32, a.y 64" in refused(source, "awq")


def test_a_rule_that_is_no_expression(tmp_path: Path):
    truth = hand.make_truth(32, 128, 4, 32, symmetric=True)
    source = source_of(tmp_path / "model", "gptq", truth, dynamic={"+:*": {"bits": 8}})
    assert "which is no regular expression" in refused(source, "gptq_v2", "model-broken")


# Faults


def test_an_output_that_exists_is_untouched(tmp_path: Path):
    source = source_of(tmp_path / "model", "gptq", hand.make_truth(32, 128, 4, 32, symmetric=True))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("x")
    for output in (tmp_path / "out", source):
        before = sorted(path.name for path in output.iterdir())
        with pytest.raises(QuantError) as caught:
            convert(source, "awq", output)
        assert caught.value.code == "output-exists" and sorted(path.name for path in output.iterdir()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "out"]


def test_a_small_disk_is_refused_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = source_of(tmp_path / "model", "gptq", hand.make_truth(32, 128, 4, 32, symmetric=True))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    assert "1.0 kB are free" in refused(source, "awq", "disk-space")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["disk full", "interrupt"])
@pytest.mark.parametrize("place", ["write_shard", "save_file"])
def test_a_failure_in_the_middle_leaves_nothing(error: BaseException, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = source_of(tmp_path / "model", "gptq", hand.make_truth(32, 128, 4, 32, symmetric=True))

    def fail(file: Path, *_: object, **__: object) -> None:
        file.write_bytes(b"the beginning")
        raise error

    if place == "write_shard":
        monkeypatch.setattr(write, "write_shard", fail)
    else:
        monkeypatch.setattr("safetensors.torch.save_file", lambda _, file: fail(file))
    with pytest.raises((QuantError, KeyboardInterrupt)) as caught:
        convert(source, "awq", tmp_path / "deep" / "er" / "out")
    assert isinstance(caught.value, KeyboardInterrupt) or caught.value.code == "disk-space"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_a_killed_process_left_is_removed_and_a_running_one_s_is_not(tmp_path: Path):
    source = source_of(tmp_path / "model", "gptq", hand.make_truth(32, 128, 4, 32, symmetric=True))
    gone, alive = tmp_path / ".out.converting-999999999", tmp_path / ".out.converting-1"
    for folder in (gone, alive):
        (folder / "pieces").mkdir(parents=True)
    convert(source, "awq", tmp_path / "out")
    assert not gone.exists() and alive.exists()

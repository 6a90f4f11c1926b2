"""Measuring and quantizing a whole model, against plain float64 references that know nothing of greenlets or Gram
matrices."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

import tiny
from quant_engine.architectures.decoder import open_model
from quant_engine.calibration import statistics_of
from quant_engine.checkpoint import Checkpoint, CheckpointWriter, list_linears
from quant_engine.errors import QuantError
from quant_engine.formats.packing import unpack
from quant_engine.layers import Layer, measure_group, no_tick, quantize_group
from quant_engine.methods import METHODS
from quant_engine.methods.types import Statistics
from quant_engine.uses import Use, parse_short
from quant_engine.walk import QuantizedBlock, measure, piece_name, quantize

CANDIDATES = [parse_short(name) for name in ("rtn-w4a16-g32", "gptq-w3a16-g32", "gptq-w8a16-channel")]
BATCHES = tiny.tokens(3, sequences=2, length=40)


def writer_for(checkpoint: Checkpoint, folder: Path) -> CheckpointWriter:
    return CheckpointWriter(folder / "output", checkpoint, folder / "state")


def inputs_of(model: Any, name: str) -> torch.Tensor:
    """Everything a layer is given while the model reads all batches: (tokens × in), float64."""
    seen: list[torch.Tensor] = []
    hook = model.get_submodule(name).register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].double()))
    with torch.no_grad():
        for batch in BATCHES:
            model(batch)
    hook.remove()
    return torch.cat([x.reshape(-1, x.shape[-1]) for x in seen])


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_measured_sqnr_equals_a_forward_for_each_candidate(architecture: str, tmp_path: Path):
    checkpoint = Checkpoint.open(tiny.save_tiny(tmp_path / "model", architecture))
    blocks = list(measure(open_model(checkpoint), BATCHES, CANDIDATES, head=True))
    assert [block.block for block in blocks] == [0, 1, None]
    layers = {layer.name: layer for block in blocks for layer in block.layers}
    assert list(layers) == [linear.name for linear in list_linears(checkpoint)]
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(checkpoint.path)
    for name, layer in layers.items():
        X = inputs_of(model, name)
        weight: torch.Tensor = model.get_submodule(name).weight.detach()
        y = X @ weight.double().t()
        assert layer.tokens == X.shape[0] == 240
        assert layer.signal == pytest.approx(float(y.square().sum()), rel=1e-4)
        for use in CANDIDATES:
            found = layer.candidates[use.label]
            statistics = Statistics(X.t() @ X, X.shape[0])
            candidate = METHODS[use.method].quantize(weight, statistics, use.weight_format, use.arguments).dequantize()
            noise = float((y - X @ candidate.double().t()).square().sum())
            assert found.sqnr_db == pytest.approx(10 * math.log10(layer.signal / noise), abs=0.01)
            assert found.bits_per_weight == use.weight_format.bits_per_weight(X.shape[1])
            assert found.damping == (0.01 if use.method == "gptq" else None)


def test_layers_that_share_an_input_carry_the_same_group(llama: Checkpoint):
    first = next(iter(measure(open_model(llama), BATCHES, CANDIDATES[:1])))
    groups = [layer.group for layer in first.layers]
    assert len(set(groups)) == 4
    assert groups[0] == groups[1] == groups[2] and groups[4] == groups[5]


def assignment(checkpoint: Checkpoint, choose: Callable[[str], str | None]) -> dict[str, Use | None]:
    names = ((linear.name, choose(linear.name)) for linear in list_linears(checkpoint))
    return {name: parse_short(use) if use else None for name, use in names}


def mixed(name: str) -> str | None:
    """Different methods and formats within one input group, a kept layer, and the head."""
    if name.endswith("k_proj"):
        return "rtn-w8a16-channel"
    if name.endswith("1.mlp.gate_proj"):
        return None
    return "gptq-w4a16-g32" if name == "lm_head" else "gptq-w3a16-g32"


def packed_weight(tensors: dict[str, torch.Tensor], name: str, use: Use) -> torch.Tensor:
    rows, columns = tensors[f"{name}.weight_shape"].tolist()
    codes = unpack(tensors[f"{name}.weight_packed"], use.weight_format.num_bits, columns)
    scales = tensors[f"{name}.weight_scale"]
    return codes.to(scales.dtype) * scales.repeat_interleave(columns // scales.shape[1], 1)


def test_quantization_is_truly_sequential(llama: Checkpoint, tmp_path: Path):
    """Reference: transformers' whole model, quantized layer by layer, every layer's inputs collected anew after the one
    before."""
    from safetensors.torch import load_file

    chosen = assignment(llama, mixed)
    writer = writer_for(llama, tmp_path)
    blocks = list(quantize(open_model(llama), BATCHES, chosen, writer))
    layers = {layer.name: layer for block in blocks for layer in block.layers}
    written = {}
    for block in blocks:
        assert writer.has(piece_name(block.block))
        written |= load_file(tmp_path / "state" / "pieces" / f"{piece_name(block.block)}.safetensors")
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(llama.path).requires_grad_(False)
    order = [["q_proj", "k_proj", "v_proj"], ["o_proj"], ["gate_proj", "up_proj"], ["down_proj"], ["lm_head"]]
    for block in (0, 1, None):
        for kinds in order:
            members = [linear.name for linear in list_linears(llama) if linear.block == block and linear.kind in kinds]
            for name in members:
                if chosen[name] is None:
                    continue
                X = inputs_of(model, name)
                use = chosen[name]
                assert use is not None
                weight: torch.Tensor = model.get_submodule(name).weight.data
                statistics = Statistics(X.t() @ X, X.shape[0])
                expected = METHODS[use.method].quantize(weight, statistics, use.weight_format, use.arguments)
                ours = packed_weight(written, name, use)
                assert float((ours == expected.dequantize()).double().mean()) >= 0.995, name
                signal = float((X @ weight.double().t()).square().sum())
                noise = float((X @ (ours.double() - weight.double()).t()).square().sum())
                achieved = layers[name].achieved
                assert achieved.sqnr_db == pytest.approx(10 * math.log10(signal / noise), abs=0.01)
                if use.method == "gptq":
                    assert layers[name].damping == 0.01
                    assert layers[name].loss == pytest.approx(expected.report.loss, rel=0.02)
            for name in members:
                use = chosen[name]
                if use is not None:
                    model.get_submodule(name).weight.data.copy_(packed_weight(written, name, use))
    kept = {name for name, use in chosen.items() if use is None}
    assert set(layers) == set(chosen) - kept and len(kept) == 1


def everything(llama: Checkpoint) -> dict[str, Use | None]:
    return assignment(llama, lambda name: None if name == "lm_head" else "gptq-w4a16-g32")


def test_each_linear_runs_once_for_each_batch(llama: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[int] = []
    original = nn.Linear.forward

    def counting(self: nn.Linear, x: torch.Tensor) -> torch.Tensor:
        if x.shape[1] == 40:
            calls.append(id(self))
        return original(self, x)

    monkeypatch.setattr(nn.Linear, "forward", counting)
    steps = quantize(open_model(llama), BATCHES, everything(llama), writer_for(llama, tmp_path))
    for _ in steps:
        assert len(calls) == 7 * len(BATCHES) and all(calls.count(layer) == len(BATCHES) for layer in set(calls))
        calls.clear()


def test_the_same_inputs_give_the_same_bytes(llama: Checkpoint, tmp_path: Path):
    pieces = []
    for run in ("first", "second"):
        list(quantize(open_model(llama), BATCHES, everything(llama), writer_for(llama, tmp_path / run)))
        pieces.append([file.read_bytes() for file in sorted((tmp_path / run).rglob("*.safetensors"))])
    assert len(pieces[0]) == 2 and pieces[0] == pieces[1]


@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_walk_ends_in_the_same_bytes(stop: int, llama: Checkpoint, tmp_path: Path):
    chosen = assignment(llama, lambda name: "gptq-w4a16-g32")
    whole = list(quantize(open_model(llama), BATCHES, chosen, writer_for(llama, tmp_path / "whole")))
    steps = quantize(open_model(llama), BATCHES, chosen, writer_for(llama, tmp_path / "resumed"))
    done: list[QuantizedBlock] = [next(steps) for _ in range(stop)]
    hidden = [state.clone() for state in done[-1].hidden]
    steps.close()  # type: ignore[attr-defined]
    writer = writer_for(llama, tmp_path / "resumed")
    done += quantize(open_model(llama), BATCHES, chosen, writer, start=stop, hidden=hidden)
    assert [block.layers for block in done] == [block.layers for block in whole]
    files = [sorted((tmp_path / run / "state").rglob("*.safetensors")) for run in ("whole", "resumed")]
    assert len(files[0]) == 3 and [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]


def test_a_resumed_measurement_is_the_same(llama: Checkpoint):
    steps = measure(open_model(llama), BATCHES, CANDIDATES, head=True)
    whole = [next(steps)]
    hidden = [state.clone() for state in whole[0].hidden]
    whole += steps
    resumed = list(measure(open_model(llama), BATCHES, CANDIDATES, start=1, hidden=hidden, head=True))
    assert [block.layers for block in resumed] == [block.layers for block in whole[1:]]


def test_a_tick_that_raises_stops_between_layers(llama: Checkpoint, tmp_path: Path):
    class StopHereError(Exception):
        pass

    count = 0

    def tick(doing: str = "") -> None:
        nonlocal count
        count += 1
        if count == 5:
            raise StopHereError

    writer = writer_for(llama, tmp_path)
    with pytest.raises(StopHereError):
        next(quantize(open_model(llama), BATCHES, everything(llama), writer, tick=tick))
    assert not writer.has(piece_name(0))


def test_a_group_size_that_does_not_divide_stops_before_any_work(llama: Checkpoint, tmp_path: Path):
    chosen = assignment(llama, lambda name: "rtn-w4a16-g256" if name.endswith("1.mlp.up_proj") else None)
    with pytest.raises(QuantError, match="256 does not divide the input width 64 of model.layers.1.mlp.up_proj") as caught:
        next(quantize(open_model(llama), BATCHES, chosen, writer_for(llama, tmp_path)))
    assert caught.value.code == "group-size"


def test_weights_that_are_not_finite_are_named(tmp_path: Path):
    from safetensors.torch import load_file, save_file

    folder = tiny.save_tiny(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.self_attn.o_proj.weight"][0, 0] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    steps = measure(open_model(Checkpoint.open(folder)), BATCHES, CANDIDATES)
    next(steps)
    with pytest.raises(QuantError, match="model.layers.1.self_attn.o_proj are not all finite") as caught:
        next(steps)
    assert caught.value.code == "model-broken"


def test_a_layer_that_gets_no_signal_falls_back_and_says_so(tmp_path: Path):
    from safetensors.torch import load_file, save_file

    folder = tiny.save_tiny(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"].zero_()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    checkpoint = Checkpoint.open(folder)
    first = next(quantize(open_model(checkpoint), BATCHES, everything(checkpoint), writer_for(checkpoint, tmp_path)))
    down = next(layer for layer in first.layers if layer.name.endswith("down_proj"))
    assert (down.asked, down.applied) == ("gptq-w4a16-g32", "rtn-w4a16-g32")
    assert down.fallback and down.achieved.state == "zero-signal" and down.achieved.fallback == down.fallback
    assert all(layer.fallback is None for layer in first.layers if layer is not down)


def test_rows_in_parts_give_what_one_call_gives(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    module = torch.nn.Linear(64, 100, bias=False, dtype=torch.bfloat16).requires_grad_(False)
    layer = Layer("lm_head", "lm_head input", module)
    statistics = statistics_of([torch.randn(300, 64).bfloat16()])
    for label in ("rtn-w4a16-g32", "gptq-w3a16-g32"):
        whole = measure_group([layer], statistics, [parse_short(label)], no_tick)[0]
        monkeypatch.setattr("quant_engine.stack._ROWS", 33)
        parts = measure_group([layer], statistics, [parse_short(label)], no_tick)[0]
        monkeypatch.undo()
        assert parts.signal == whole.signal
        assert parts.candidates[label].noise == pytest.approx(whole.candidates[label].noise, rel=1e-4)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_inputs_that_are_not_finite_stop_at_the_first_layer_that_reads_them(value: float):
    def layer(name: str) -> Layer:
        return Layer(name, "input", torch.nn.Linear(64, 8, bias=False, dtype=torch.bfloat16).requires_grad_(False))

    X = torch.randn(300, 64).bfloat16()
    X[7, 5] = value
    layers, use = [layer("q_proj"), layer("k_proj")], parse_short("gptq-w4a16-g32")
    before = layers[0].weight.clone()
    with pytest.raises(QuantError, match="the inputs of q_proj are not all finite") as measured:
        measure_group(layers, statistics_of([X]), [use], no_tick)
    with pytest.raises(QuantError) as quantized:
        quantize_group(layers, statistics_of([X]), {"q_proj": use, "k_proj": use}, {}, no_tick)
    assert (measured.value.code, quantized.value.code) == ("not-finite", "not-finite")
    assert torch.equal(layers[0].weight, before)

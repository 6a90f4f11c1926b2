"""How far a quantized model's layers are from the original's, against hooks on transformers' own two models; and of weights alone in the
result of a run with rounded inputs."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quant_engine.checkpoint import Checkpoint
from quant_engine.result import Result
from quant_engine.run import Request, start
from quant_engine.tokens import held_out_tokens, load_tokenizer
from small_workspace import make_workspace

USES = (
    "candidates=[rtn-w8a8, rtn-w4a16-g32]",
    "quantize.default=rtn-w8a8",
    'quantize.rules=[{ layers: "*.0.*.v_proj", use: none }, { layers: "*.mlp.*", use: rtn-w3a16-g32 }, { layers: lm_head, use: none }]',
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    recipe = make_workspace(tmp_path_factory.mktemp("accumulated"), blocks=2)
    outcome = start(Request("run", recipe, (*USES, "evaluate.samples=5"), "cpu"))
    assert outcome.exit_code == 0 and outcome.result is not None
    return recipe.parent, outcome.result


def outputs(folder: Path, names: list[str], batches: list[Tensor]) -> dict[str, Tensor]:
    """What each layer of transformers' whole model puts out, all tokens one after the other."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    found: dict[str, list[Tensor]] = {name: [] for name in names}

    def keep(parts: list[Tensor], _: nn.Module, __: object, output: Tensor) -> None:
        parts.append(output.flatten(0, 1))

    with torch.no_grad():
        # Compressed layers are decompressed by a first pass.
        model(batches[0])
        for name, parts in found.items():
            model.get_submodule(name).register_forward_hook(partial(keep, parts))
        for batch in batches:
            model(batch)
    return {name: torch.cat(parts).double() for name, parts in found.items()}


def test_errors_accumulate_as_in_transformers(ran: tuple[Path, Result]) -> None:
    folder, result = ran
    layers = {layer.name: layer for layer in result.layers if layer.block is not None}
    batches = held_out_tokens(load_tokenizer(folder / "model"), folder / "held-out.txt", 5, 32).batches
    assert result.output is not None
    before, after = (outputs(path, [*layers], batches) for path in (folder / "model", Path(result.output)))
    for name, layer in layers.items():
        found = layer.accumulated
        assert found is not None
        y, error = before[name], after[name] - before[name]
        assert found.signal == pytest.approx(float(y.square().sum()), rel=1e-5)
        assert found.noise == pytest.approx(float(error.square().sum()), rel=1e-5, abs=1e-12)
        if layer.asked is None and name.startswith("model.layers.0"):
            assert found.state == "infinite", "a layer that is kept, on inputs that nothing has changed yet"
        else:
            assert found.sqnr_db == pytest.approx(10 * math.log10(found.signal / found.noise))
    (head,) = (layer for layer in result.layers if layer.block is None)
    assert head.accumulated is None


SCALED = (
    "candidates=[]",
    "quantize.default=rtn-w8a16-g32",
    'quantize.rules=[{ layers: "*.o_proj", use: awq-w8a16-g32 }, { layers: "*.down_proj", use: awq-w8a16-g32 }, '
    "{ layers: lm_head, use: none }]",
)


def factors(folder: Path, written: Path, name: str) -> Tensor:
    """What the layer behind v_proj or up_proj multiplies its outputs with (out,): from the weights that transformers loads, column by
    column the best factor between the two checkpoints; equal for the query heads that share a value."""
    from transformers import AutoModelForCausalLM

    behind = name.replace("v_proj", "o_proj").replace("up_proj", "down_proj")
    models: list[Any] = [AutoModelForCausalLM.from_pretrained(path) for path in (folder, written)]
    with torch.no_grad():
        models[1](torch.zeros(1, 2, dtype=torch.int64))
    before, after = (model.get_submodule(behind).weight.detach().double() for model in models)
    found = (before * after).sum(0) / before.square().sum(0)
    config = models[0].config
    heads = config.num_attention_heads // config.num_key_value_heads if "v_proj" in name else 1
    return found.reshape(-1, heads, config.head_dim).mean(1).flatten() if heads > 1 else found


def test_a_scale_that_a_layer_took_over_is_no_error(tmp_path: Path) -> None:
    """v_proj is divided by what o_proj multiplies with, and up_proj by what down_proj does."""
    recipe = make_workspace(tmp_path, blocks=2)
    outcome = start(Request("run", recipe, (*SCALED, "evaluate.samples=5"), "cpu"))
    result = outcome.result
    assert outcome.exit_code == 0 and result is not None and result.output is not None, outcome
    layers = {layer.name: layer for layer in result.layers if layer.block is not None}
    batches = held_out_tokens(load_tokenizer(tmp_path / "model"), tmp_path / "held-out.txt", 5, 32).batches
    before, after = (outputs(path, [*layers], batches) for path in (tmp_path / "model", Path(result.output)))
    for name, layer in layers.items():
        y, written = before[name], after[name]
        if name.endswith(("v_proj", "up_proj")):
            factor = factors(tmp_path / "model", Path(result.output), name)
            assert float((factor - 1).abs().max()) > 0.1
            written = written * factor
        assert layer.accumulated is not None
        noise = float((y - written).square().sum())
        assert layer.accumulated.noise == pytest.approx(noise, rel=0.05), name
        assert layer.accumulated.sqnr_db is not None and layer.accumulated.sqnr_db > 25, name


def test_a_layer_behind_others_is_further_off_than_alone(ran: tuple[Path, Result]) -> None:
    last = next(layer for layer in ran[1].layers if layer.name == "model.layers.1.self_attn.q_proj")
    assert last.accumulated is not None and last.accumulated.sqnr_db is not None and last.achieved is not None
    assert last.achieved.sqnr_db is not None and last.accumulated.sqnr_db < last.achieved.sqnr_db - 3


def test_weights_alone_are_told_where_inputs_are_rounded_too(ran: tuple[Path, Result]) -> None:
    for layer in ran[1].layers:
        rounded, plain = layer.candidates["rtn-w8a8"], layer.candidates["rtn-w4a16-g32"]
        assert plain.weight_only_db is None
        assert rounded.weight_only_db is not None and rounded.sqnr_db is not None and rounded.weight_only_db > rounded.sqnr_db


def test_without_the_original_nothing_is_compared(ran: tuple[Path, Result], tmp_path: Path) -> None:
    recipe = ran[0] / "small.quant.yaml"
    uses = (*USES, "evaluate.samples=5", "evaluate.baseline=false", f"output={tmp_path / 'out'}")
    outcome = start(Request("run", recipe, uses, "cpu", tmp_path / "runs"))
    assert outcome.result is not None and all(layer.accumulated is None for layer in outcome.result.layers)
    assert Checkpoint.open(tmp_path / "out").quantization is not None


def test_a_mixture_of_experts_is_compared_where_both_models_give_the_same_tokens(tmp_path: Path) -> None:
    recipe = make_workspace(tmp_path, blocks=2, architecture="mixtral")
    outcome = start(Request("run", recipe, ("candidates=[]", "quantize.default=rtn-w4a16-g32", "quantize.rules=[]"), "cpu"))
    assert outcome.result is not None
    for layer in outcome.result.layers:
        assert (layer.accumulated is None) == (".experts." in layer.name or layer.block is None), layer.name

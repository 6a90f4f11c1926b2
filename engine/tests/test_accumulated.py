"""How far a quantized model's layers are from the original's, against hooks on transformers' own two models; and of weights alone in the
result of a run with rounded inputs."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

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

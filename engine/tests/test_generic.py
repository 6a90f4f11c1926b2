"""Architectures without a file of their own: walked when the walk is transformers' own forward pass, else refused with what is missing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from quant_engine.architectures.decoder import open_model
from quant_engine.checkpoint import Checkpoint, list_linears
from quant_engine.errors import QuantError
from small_workspace import environment, make_workspace, quant_engine
from test_architectures import walk_logits
from test_load import assert_loads_exactly, written


@pytest.mark.parametrize("architecture", ["olmo2", "starcoder2", "phi", "vault_gemma"])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_logits_equal_the_whole_model(architecture: str, tied: bool, tmp_path: Path):
    folder = tiny.save_tiny(tmp_path / "model", architecture, tie_word_embeddings=tied)
    checkpoint = Checkpoint.open(folder)
    assert [linear.name for linear in list_linears(checkpoint) if linear.block is None] == ([] if tied else ["lm_head"])
    (batch,) = tiny.tokens(1)
    (logits,) = walk_logits(open_model(checkpoint), [batch])
    assert torch.equal(logits, tiny.reference_logits(folder, batch))
    assert checkpoint.walk_verified


@pytest.mark.parametrize("architecture", ["starcoder2", "phi"])
def test_what_is_written_loads_exactly(architecture: str, tmp_path: Path):
    source = Checkpoint.open(tiny.save_tiny(tmp_path / "model", architecture))
    output = written(source, tmp_path, lambda name: None if name.endswith("v_proj") else "gptq-w4a16-g32")
    assert_loads_exactly(output, source)
    assert list_linears(output) == list_linears(source)


@pytest.mark.parametrize(
    ("architecture", "sizes"), [("granite", {"logits_scaling": 8.0}), ("cohere", {}), ("granite", {"logits_scaling": 1.001})], ids=str
)
def test_logits_that_the_walk_does_not_compute_are_refused(architecture: str, sizes: dict[str, Any], tmp_path: Path):
    """Both multiply the logits by a factor of their config, which no tensor's name tells."""
    checkpoint = Checkpoint.open(tiny.save_tiny(tmp_path / "model", architecture, torch.float32, **sizes))
    assert list_linears(checkpoint)
    with pytest.raises(QuantError, match="its logits are not what its blocks, final norm and head compute") as caught:
        open_model(checkpoint)
    assert caught.value.code == "model-unsupported" and not checkpoint.walk_verified


def changed(folder: Path, config: dict[str, Any], tensors: dict[str, torch.Tensor | None]) -> Path:
    document = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**document, **config}))
    stored = {**load_file(folder / "model.safetensors"), **tensors}
    save_file({name: tensor.clone() for name, tensor in stored.items() if tensor is not None}, folder / "model.safetensors")
    return folder


ROW = torch.zeros(64)
TABLE = torch.zeros(tiny.VOCABULARY, 64)


@pytest.mark.parametrize(
    ("config", "tensors", "missing"),
    [
        ({"architectures": ["Novel"]}, {}, "transformers has no language model of that name"),
        ({"architectures": []}, {}, "transformers has no language model of that name"),
        ({"num_hidden_layers": None}, {}, "config.json has no usable num_hidden_layers"),
        ({"num_hidden_layers": 3}, {}, "there are no 3 numbered blocks"),
        ({}, {"model.layers.1.extra.weight": ROW}, "there are no 2 numbered blocks among its tensors, all with the same names"),
        ({}, {"model.layers.0.e.w": ROW[:, None, None], "model.layers.1.e.w": ROW[:, None, None]}, "its blocks hold e.w"),
        ({}, {f"model.layers.{i}.experts.{j}.w": ROW for i in (0, 1) for j in (0, 1)}, "its blocks hold experts.0.w"),
        ({"vocab_size": 7}, {}, "there is no embedding of vocab_size (7) rows in model"),
        ({}, {"model.other.weight": TABLE}, "model.embed_tokens.weight and model.other.weight are both possible"),
        ({}, {"model.norm.weight": None}, "there is no final norm in model"),
        ({}, {"model.other.weight": ROW}, "model.norm.weight and model.other.weight are both possible"),
        ({}, {"lm_head.weight": None}, "there is no head of vocab_size (96) rows"),
    ],
    ids=lambda value: value.replace(" ", "-")[:40] if isinstance(value, str) else "",
)
def test_what_is_missing_is_named(config: dict[str, Any], tensors: dict[str, torch.Tensor | None], missing: str, tmp_path: Path):
    checkpoint = Checkpoint.open(changed(tiny.save_tiny(tmp_path / "model", "starcoder2"), config, tensors))
    assert list_linears(checkpoint) == []
    with pytest.raises(QuantError) as caught:
        open_model(checkpoint)
    assert caught.value.code == "model-unsupported" and caught.value.advice
    assert missing in caught.value.message


def test_a_weight_that_is_no_linear_layer_in_transformers_model(tmp_path: Path):
    """Names alone cannot tell: the header of a model with embeddings inside its blocks looks like one with linear layers."""
    folder = tiny.save_tiny(tmp_path / "model", "starcoder2")
    extra: dict[str, torch.Tensor | None] = {f"model.layers.{block}.table.weight": torch.zeros(8, 64) for block in (0, 1)}
    with pytest.raises(QuantError, match=r"model\.layers\.0\.table is NoneType, not a linear layer") as caught:
        open_model(Checkpoint.open(changed(folder, {}, extra)))
    assert caught.value.code == "model-unsupported"


def test_a_pass_that_fails_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from transformers.models.starcoder2.modeling_starcoder2 import Starcoder2DecoderLayer

    def forward(self: Any, hidden: torch.Tensor, **arguments: Any) -> torch.Tensor:
        raise TypeError("a block that wants something else")

    monkeypatch.setattr(Starcoder2DecoderLayer, "forward", forward)
    with pytest.raises(QuantError, match="a pass through its blocks fails .TypeError: a block that wants something else") as caught:
        open_model(Checkpoint.open(tiny.save_tiny(tmp_path / "model", "starcoder2")))
    assert caught.value.code == "model-unsupported"


def test_a_layer_that_runs_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from transformers.models.starcoder2.modeling_starcoder2 import Starcoder2MLP

    once = Starcoder2MLP.forward
    monkeypatch.setattr(Starcoder2MLP, "forward", lambda self, hidden: once(self, hidden) + once(self, hidden * 2))
    with pytest.raises(QuantError, match=r"layers\.0\.mlp\.c_fc of Starcoder2ForCausalLM runs 2 times") as caught:
        open_model(Checkpoint.open(tiny.save_tiny(tmp_path / "model", "starcoder2")))
    assert caught.value.code == "model-unsupported"


def test_layers_do_not_share_a_tensor_that_changed_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from transformers.models.starcoder2.modeling_starcoder2 import Starcoder2MLP

    def forward(self: Any, hidden: torch.Tensor) -> torch.Tensor:
        first = self.c_fc(hidden)
        return self.c_proj(self.act(first)) + self.extra(hidden.mul_(2))

    def initialise(self: Any, config: Any) -> None:
        original(self, config)
        self.extra = torch.nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    original = Starcoder2MLP.__init__
    monkeypatch.setattr(Starcoder2MLP, "__init__", initialise)
    monkeypatch.setattr(Starcoder2MLP, "forward", forward)
    model = open_model(Checkpoint.open(tiny.save_tiny(tmp_path / "model", "starcoder2")))
    model.load_block(0)
    assert ["model.layers.0.mlp.extra"] in model.input_groups(0)


def test_a_recipe_for_an_architecture_without_a_file_runs_and_its_check_needs_no_torch(tmp_path: Path):
    recipe = make_workspace(tmp_path, blocks=2, architecture="olmo2")
    script = f"""
import sys, pathlib
from quant_engine.check import check
assert check(pathlib.Path({str(recipe)!r})).diagnostics == []
assert "torch" not in sys.modules and "transformers" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], env=environment(), check=True)
    done = quant_engine("run", recipe, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["architecture"] == "Olmo2ForCausalLM"
    assert all(layer["applied"] for layer in result["layers"] if layer["block"] is not None)
    assert result["problems"] == []

"""The engine's block-by-block logits are transformers' own, for every architecture, and only one block is ever in
memory."""

import gc
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from quant_engine.architectures.decoder import DecoderModel, open_model
from quant_engine.architectures.registry import supported
from quant_engine.checkpoint import Checkpoint, list_linears
from quant_engine.checkpoint.consistency import refuse_contradictions
from quant_engine.errors import QuantError


def walk_logits(model: DecoderModel, batches: list[torch.Tensor], source: Checkpoint | None = None) -> list[torch.Tensor]:
    states = model.embed(batches, source)
    for index in range(model.block_count):
        model.load_block(index, source)
        for state in states:
            state.hidden = model.run_block(index, state)
        model.free_block(index)
    head = model.load_head(source)
    logits = [torch.cat(list(head.logits(state.hidden))).view(*state.hidden.shape[:2], -1) for state in states]
    model.free_head()
    return logits


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_logits_equal_the_whole_model(architecture: str, dtype: torch.dtype, tmp_path: Path):
    folder = tiny.save_tiny(tmp_path / "model", architecture, dtype)
    batches = [*tiny.tokens(2), *tiny.tokens(1, sequences=1, length=40)]
    for batch, logits in zip(batches, walk_logits(open_model(Checkpoint.open(folder)), batches), strict=True):
        reference = tiny.reference_logits(folder, batch)
        assert logits.dtype == reference.dtype == dtype
        assert torch.equal(logits, reference)


def test_logits_in_chunks_are_the_same_but_for_the_last_bit(llama: Checkpoint):
    model = open_model(llama)
    (state,) = model.embed(tiny.tokens(1))
    head = model.load_head()
    chunks = list(head.logits(state.hidden, chunk=7))
    assert [len(chunk) for chunk in chunks] == [7, 7, 7, 7, 7, 7, 6]
    whole = torch.cat(list(head.logits(state.hidden)))
    torch.testing.assert_close(torch.cat(chunks), whole, rtol=2**-7, atol=2**-9)


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_hidden_states_are_bit_identical(architecture: str, tmp_path: Path):
    import transformers

    folder = tiny.save_tiny(tmp_path / "model", architecture)
    (batch,) = tiny.tokens(1)
    whole = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        expected = whole.base_model(batch, output_hidden_states=True).hidden_states
    model = open_model(Checkpoint.open(folder))
    (state,) = model.embed([batch])
    assert torch.equal(state.hidden, expected[0])
    for index in range(model.block_count):
        model.load_block(index)
        state.hidden = model.run_block(index, state)
        model.free_block(index)
        if index + 1 < model.block_count:
            assert torch.equal(state.hidden, expected[index + 1])
    assert torch.equal(model.load_head().norm(state.hidden), expected[-1])


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_tied_and_sharded_checkpoints(architecture: str, tmp_path: Path):
    folder = tiny.save_tiny(tmp_path / "model", architecture, torch.float16, shard="60KB", tie_word_embeddings=True)
    assert len(list(folder.glob("*.safetensors"))) > 2
    assert [linear for linear in list_linears(Checkpoint.open(folder)) if linear.block is None] == []
    (batch,) = tiny.tokens(1)
    (logits,) = walk_logits(open_model(Checkpoint.open(folder)), [batch])
    assert torch.equal(logits, tiny.reference_logits(folder, batch))


def test_the_sliding_window_matters_in_these_tests(tmp_path: Path):
    (batch,) = tiny.tokens(1)
    logits = [
        walk_logits(
            open_model(Checkpoint.open(tiny.save_tiny(tmp_path / str(window), "mistral", sliding_window=window))),
            [batch],
        )[0]
        for window in (8, None)
    ]
    assert torch.equal(logits[0][:, :8], logits[1][:, :8])
    assert float((logits[0] - logits[1]).abs().max()) > 0.01


def test_a_tied_head_that_config_json_does_not_mention(tmp_path: Path):
    folder = tiny.save_tiny(tmp_path / "model", "gemma2", tie_word_embeddings=True)
    config = json.loads((folder / "config.json").read_text())
    del config["tie_word_embeddings"]
    (folder / "config.json").write_text(json.dumps(config))
    (batch,) = tiny.tokens(1)
    (logits,) = walk_logits(open_model(Checkpoint.open(folder)), [batch])
    assert torch.equal(logits, tiny.reference_logits(folder, batch))


@pytest.mark.parametrize(
    "sizes",
    [
        {"do_layer_norm_before": False},
        {"do_layer_norm_before": False, "word_embed_proj_dim": 64},
        {"word_embed_proj_dim": 64, "enable_bias": False},
        {"layer_norm_elementwise_affine": False},
    ],
    ids=str,
)
def test_the_variants_of_opt(sizes: dict[str, Any], tmp_path: Path):
    folder = tiny.save_tiny(tmp_path / "model", "opt", **sizes)
    (batch,) = tiny.tokens(1)
    (logits,) = walk_logits(open_model(Checkpoint.open(folder)), [batch])
    assert torch.equal(logits, tiny.reference_logits(folder, batch))


@pytest.mark.parametrize("parallel", [True, False])
def test_attention_and_mlp_of_gpt_neox_side_by_side_or_not(parallel: bool, tmp_path: Path):
    folder = tiny.save_tiny(tmp_path / "model", "gpt_neox", use_parallel_residual=parallel)
    (batch,) = tiny.tokens(1)
    (logits,) = walk_logits(open_model(Checkpoint.open(folder)), [batch])
    assert torch.equal(logits, tiny.reference_logits(folder, batch))


@pytest.mark.parametrize("architecture", ["gemma2", "gemma3"])
def test_the_bound_of_the_logits_and_both_attentions_matter_in_these_tests(architecture: str, tmp_path: Path):
    (batch,) = tiny.tokens(1)
    logits = []
    variants: list[dict[str, Any]] = [{}, {"final_logit_softcapping": None}, {"layer_types": ["full_attention"] * 2}]
    for changed in variants:
        folder = tiny.save_tiny(tmp_path / str(len(logits)), architecture, **changed)
        logits += walk_logits(open_model(Checkpoint.open(folder)), [batch])
    bounded, free, full = logits
    assert float(bounded.abs().max()) < 1 < float(free.abs().max())
    assert not torch.equal(bounded[:, 8:], full[:, 8:])


GROUPS = {
    "phi3": [["qkv_proj"], ["o_proj"], ["gate_up_proj"], ["down_proj"]],
    "opt": [["q_proj", "k_proj", "v_proj"], ["out_proj"], ["fc1"], ["fc2"]],
    "gpt_neox": [["query_key_value"], ["dense"], ["dense_h_to_4h"], ["dense_4h_to_h"]],
    "mixtral": [["q_proj", "k_proj", "v_proj"], ["o_proj"], *[["w1", "w3"], ["w2"]] * 4],
}
LLAMA_GROUPS = [["q_proj", "k_proj", "v_proj"], ["o_proj"], ["gate_proj", "up_proj"], ["down_proj"]]


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_layers_that_share_an_input_are_found_in_execution_order(architecture: str, tmp_path: Path):
    model = open_model(Checkpoint.open(tiny.save_tiny(tmp_path / "model", architecture)))
    model.load_block(1)
    groups = model.input_groups(1)
    found = [sorted(name.rpartition(".")[2] for name in names) for names in groups]
    assert found == [sorted(kinds) for kinds in GROUPS.get(architecture, LLAMA_GROUPS)]
    listed = [linear.name for linear in list_linears(model.checkpoint) if linear.block == 1]
    assert sorted(listed) == sorted(name for names in groups for name in names)


def test_a_layer_that_reads_what_another_one_read_earlier_shares_its_statistics(tmp_path: Path):
    """Attention and MLP of Phi run side by side on one norm's output: fc1 reads what q, k and v read, after dense has run."""
    model = open_model(Checkpoint.open(tiny.save_tiny(tmp_path / "model", "phi")))
    model.load_block(0)
    kinds = [sorted(name.rpartition(".")[2] for name in names) for names in model.input_groups(0)]
    assert kinds == [["fc1", "k_proj", "q_proj", "v_proj"], ["dense"], ["fc2"]]


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_headers_that_lack_a_layer_contradict_the_config(architecture: str, tmp_path: Path):
    folder = tiny.save_tiny(tmp_path / "model", architecture)
    refuse_contradictions(Checkpoint.open(folder))
    tensors = load_file(folder / "model.safetensors")
    gone = [linear.name for linear in list_linears(Checkpoint.open(folder)) if linear.block == 1 and "experts" not in linear.name][-1]
    del tensors[f"{gone}.weight"]
    save_file(tensors, folder / "model.safetensors")
    if architecture != "qwen3_moe":
        with pytest.raises(QuantError, match=f"the weights have no {gone}") as caught:
            refuse_contradictions(Checkpoint.open(folder))
        assert caught.value.code == "model-broken"
    with pytest.raises(QuantError, match=gone):
        open_model(Checkpoint.open(folder))


@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "qwen3", "phi3", "opt", "gpt_neox", "mixtral"])
def test_headers_of_a_block_without_the_norm_that_others_have_contradict_the_config(architecture: str, tmp_path: Path):
    folder = tiny.save_tiny(tmp_path / "model", architecture, num_hidden_layers=3)
    refuse_contradictions(Checkpoint.open(folder))
    tensors = load_file(folder / "model.safetensors")
    gone = next(name for name in tensors if re.search(r"\.1\..*norm", name))
    del tensors[gone]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(QuantError, match=f"the weights have no {gone}"):
        refuse_contradictions(Checkpoint.open(folder))


def live_floats() -> int:
    gc.collect()
    tensors = {
        item.untyped_storage().data_ptr(): item.untyped_storage().nbytes()
        for item in gc.get_objects()
        if type(item) in (torch.Tensor, torch.nn.Parameter) and item.device.type != "meta" and item.dtype == torch.bfloat16
    }
    return sum(tensors.values())


def test_at_most_one_block_is_materialised(tmp_path: Path):
    checkpoint = Checkpoint.open(tiny.save_tiny(tmp_path / "deep", num_hidden_layers=6))
    block = sum(info.bytes for name, info in checkpoint.tensors.items() if name.startswith("model.layers.0."))
    before = live_floats()
    model = open_model(checkpoint)
    states = model.embed(tiny.tokens(1, 1, 8))
    hidden = sum(state.hidden.nbytes for state in states)
    # Slack: masks and positions (8 tokens), never a matrix of the block (≥ 4096 bytes each).
    slack = 4000
    assert live_floats() - before <= hidden + slack
    for index in range(model.block_count):
        model.load_block(index)
        assert block <= live_floats() - before <= block + 2 * hidden + slack
        for state in states:
            state.hidden = model.run_block(index, state)
        model.free_block(index)
        assert live_floats() - before <= 2 * hidden + slack


def test_an_unknown_architecture_lists_the_supported_ones(tmp_path: Path):
    folder = tiny.save_tiny(tmp_path / "model")
    config = (folder / "config.json").read_text().replace("LlamaForCausalLM", "NovelForCausalLM")
    (folder / "config.json").write_text(config)
    checkpoint = Checkpoint.open(folder)
    assert list_linears(checkpoint) == []
    with pytest.raises(QuantError) as caught:
        open_model(checkpoint)
    assert caught.value.code == "model-unsupported"
    assert '"NovelForCausalLM"' in caught.value.message
    assert all(name in caught.value.message for name in supported())
    assert "transformers has no language model of that name" in caught.value.message
    assert supported() == [
        "GPTNeoXForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM", "LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM",
        "OPTForCausalLM", "Phi3ForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "Qwen3MoeForCausalLM",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "pattern"),
    [
        ('"intermediate_size": 128', '"intermediate_size": 96', r"layers\.0\.mlp\.\w+\.weight has shape"),
        ('"num_attention_heads": 4', '"num_attention_heads": "four"', r"config\.json"),
    ],
    ids=["weights of other shapes", "a value that transformers refuses"],
)
def test_a_config_that_does_not_fit_is_a_broken_model(before: str, after: str, pattern: str, tmp_path: Path):
    config = tiny.save_tiny(tmp_path / "model") / "config.json"
    text = config.read_text()
    assert before in text
    config.write_text(text.replace(before, after))
    with pytest.raises(QuantError, match=pattern) as caught:
        open_model(Checkpoint.open(tmp_path / "model"))
    assert caught.value.code == "model-broken" and caught.value.advice

"""A factor of a linear layer's input channels moves into the operation before it without changing what the model computes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from apply_fold import apply_fold
from quant_engine.architectures.decoder import DecoderModel, open_model
from quant_engine.architectures.folds import Fold, folds_of, fused_shared_heads, interleaved_heads, second_half, shared_heads
from quant_engine.checkpoint import Checkpoint, list_linears

NOISE = 1e-5


def opened(folder: Path, architecture: str, **overrides: Any) -> DecoderModel:
    return open_model(Checkpoint.open(tiny.save_tiny(folder, architecture, torch.float32, **overrides)))


def folds(model: DecoderModel, index: int) -> Iterator[tuple[Fold, Any, list[Any], torch.Tensor]]:
    """Each fold of the loaded block with its modules and random factors between 0.4 and 2.5, equal where columns share a row."""
    prefix = model.linears[0].name.partition(".0.")[0]
    for fold in folds_of(model.checkpoint, index):
        modules: list[Any] = [model.module(f"{prefix}.{index}.{name}") for name in (fold.previous, *fold.layers)]
        previous, *layers = modules
        columns = layers[0].weight.shape[1]
        of_rows = torch.exp(torch.rand(previous.weight.shape[0]) * 1.8 - 0.9)
        yield fold, previous, layers, of_rows[list(fold.rows_for(model.checkpoint.config, columns))]


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_all_folds_together_leave_the_logits(architecture: str, tmp_path: Path):
    torch.manual_seed(0)
    model = opened(tmp_path / "model", architecture)
    plain, folded = (model.embed(tiny.tokens(1))[0] for _ in range(2))
    for index in range(model.block_count):
        model.load_block(index)
        plain.hidden = model.run_block(index, plain)
        for fold, previous, layers, scales in folds(model, index):
            apply_fold(fold, model.checkpoint.config, previous, layers, scales)
        folded.hidden = model.run_block(index, folded)
    head = model.load_head()
    expected, found = (torch.cat(list(head.logits(state.hidden))) for state in (plain, folded))
    assert distance(found, expected) < NOISE
    assert not torch.equal(found, expected)


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_each_fold_leaves_its_block_and_half_a_fold_does_not(architecture: str, tmp_path: Path):
    torch.manual_seed(1)
    model = opened(tmp_path / "model", architecture)
    (state,) = model.embed(tiny.tokens(1, sequences=4, length=60))
    for index in range(model.block_count):
        model.load_block(index)
        expected = model.run_block(index, state)
        each = [re.sub(r"[1-9]", "*", fold.previous) for fold, *_ in folds(model, index)]
        assert len(each) >= 3
        # Of folds that differ only in the expert's number the first two.
        for number in [each.index(name) for name in dict.fromkeys(each)]:
            model.load_block(index)
            fold, previous, layers, scales = list(folds(model, index))[number]
            apply_fold(fold, model.checkpoint.config, previous, layers, scales)
            change = distance(model.run_block(index, state), expected)
            assert change < NOISE, fold
            for layer in layers:
                layer.weight.data.div_(scales)
            assert distance(model.run_block(index, state), expected) > 100 * NOISE, fold
        state.hidden = expected


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_every_linear_layer_behind_a_norm_is_folded(architecture: str, tmp_path: Path):
    """Only a layer behind an activation function without a gate (GELU) has no operation before it that could take a factor."""
    checkpoint = Checkpoint.open(tiny.save_tiny(tmp_path / "model", architecture))
    family: Any = checkpoint.family
    for index in range(family.block_count(checkpoint.config)):
        named = {f"{family.blocks}.{index}.{layer}" for fold in folds_of(checkpoint, index) for layer in fold.layers}
        missing = {linear.name for linear in list_linears(checkpoint) if linear.block == index} - named
        assert {name.rpartition(".")[2] for name in missing} == ({"dense_4h_to_h"} if architecture == "gpt_neox" else set())


def test_what_opt_cannot_fold_is_not_offered(tmp_path: Path):
    def previous(**overrides: Any) -> list[str]:
        folder = tiny.save_tiny(tmp_path / str(overrides), "opt", **overrides)
        return [fold.previous for fold in folds_of(Checkpoint.open(folder), 0)]

    assert previous() == ["self_attn_layer_norm", "self_attn.v_proj", "final_layer_norm", "fc1"]
    assert previous(do_layer_norm_before=False) == ["self_attn.v_proj", "fc1"]
    assert previous(activation_function="gelu") == ["self_attn_layer_norm", "self_attn.v_proj", "final_layer_norm"]


def test_rows_of_fused_and_shared_projections():
    shared = {"num_attention_heads": 4, "num_key_value_heads": 2}
    assert shared_heads(shared, 8) == [0, 1, 0, 1, 2, 3, 2, 3]
    assert fused_shared_heads(shared, 8) == [12, 13, 12, 13, 14, 15, 14, 15]
    assert interleaved_heads(shared, 8) == [4, 5, 10, 11, 16, 17, 22, 23]
    assert list(second_half(shared, 3)) == [3, 4, 5]
    assert shared_heads({"num_attention_heads": 2, "num_key_value_heads": None}, 4) == [0, 1, 2, 3]


def test_factors_that_do_not_fit_are_refused():
    fold = Fold("v", ("o",), "linear", rows=shared_heads)
    config = {"num_attention_heads": 2, "num_key_value_heads": 1}
    v, o = torch.nn.Linear(4, 2), torch.nn.Linear(4, 4)
    with pytest.raises(ValueError, match="the same row of v"):
        apply_fold(fold, config, v, [o], torch.tensor([1.0, 2.0, 1.0, 3.0]))
    for wrong in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="positive and finite"):
            apply_fold(fold, config, v, [o], torch.tensor([wrong, 2.0, wrong, 2.0]))

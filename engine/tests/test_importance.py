"""Mean squared gradients, block by block, against one backward pass through transformers' whole model; stopping in between; and what
a budget makes of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import tiny
from quant_engine.architectures.decoder import open_model
from quant_engine.architectures.registry import family_for
from quant_engine.architectures.routed import expert_of
from quant_engine.calibration import noise_of, statistics_of
from quant_engine.checkpoint import Checkpoint
from quant_engine.errors import QuantError
from quant_engine.importance import Store, passes, some_of
from quant_engine.importance.loss import fisher_gradient
from quant_engine.outputs import output_energies
from quant_engine.sensitivity import noisy_row_energies, row_energies
from quant_engine.stack import input_quantizer
from quant_engine.uses import parse_short

SEED = 3
ARCHITECTURES = ["llama", "gemma2", "gemma3", "phi3", "opt", "gpt_neox", "mixtral", "qwen3_moe"]


def importance_of(folder: Path, place: Path, batches: list[Tensor]) -> dict[str, Tensor]:
    model = open_model(Checkpoint.open(folder))
    store = Store(place, model.block_count)
    for _ in passes(model, batches, store, SEED):
        pass
    return store.importance()


class Gradients:
    """Squares of the gradients of what `watch` was told, from hooks on the tensors themselves."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Tensor]] = defaultdict(list)

    def watch(self, name: str, output: Tensor) -> None:
        output.register_hook(lambda gradient: self.rows[name].append(gradient.flatten(0, -2).double().square()))

    def means(self) -> dict[str, Tensor]:
        return {name: torch.cat(rows).mean(0) for name, rows in self.rows.items()}


class ExpertCalls(TorchFunctionMode):
    """Notes the outputs of linear functions whose weights are one expert's part of stacked weights."""

    def __init__(self, note: Callable[[Tensor, Tensor], None]) -> None:
        super().__init__()
        self._note = note

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        output = function(*arguments, **(named or {}))
        if function is nn.functional.linear:
            self._note(arguments[1], output)
        return output


@contextmanager
def watched(model: Any, folder: Path, gradients: Gradients) -> Iterator[None]:
    checkpoint = Checkpoint.open(folder)
    family = family_for(checkpoint)
    experts: dict[int, list[tuple[str, slice]]] = {}
    hooks = []
    for linear in open_model(checkpoint).linears:
        block, _, inner = linear.name.removeprefix(f"{family.blocks}.").partition(".")
        expert = expert_of(family.experts, inner)
        if expert is None:
            module = model.get_output_embeddings() if linear.block is None else model.get_submodule(linear.name)
            hooks.append(module.register_forward_hook(lambda _, __, output, name=linear.name: gradients.watch(name, output)))
            continue
        assert family.experts is not None
        stacked = model.get_submodule(f"{family.blocks}.{block}.{family.experts.module}")
        if expert.projection == family.experts.down:
            experts[stacked.down_proj[expert.number].data_ptr()] = [(linear.name, slice(None))]
            continue
        width = stacked.gate_up_proj.shape[1] // 2
        part = slice(None, width) if expert.projection == family.experts.gate else slice(width, None)
        experts.setdefault(stacked.gate_up_proj[expert.number].data_ptr(), []).append((linear.name, part))

    def note(weight: Tensor, output: Tensor) -> None:
        for name, part in experts.get(weight.data_ptr(), []):
            output.register_hook(
                lambda gradient, name=name, part=part: gradients.rows[name].append(gradient[:, part].double().square())
            )

    with ExpertCalls(note):
        yield
    for hook in hooks:
        hook.remove()


def reference(folder: Path, batches: list[Tensor]) -> dict[str, Tensor]:
    """One backward pass of Σ ε·√p·log p through the whole model in float32, √p held constant: its gradient at the logits is the random
    vector of `fisher_gradient`, for the same signs ε."""
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, experts_implementation="eager").eval()
    model.requires_grad_(True)
    generator, gradients = torch.Generator().manual_seed(SEED), Gradients()
    with watched(model, folder, gradients):
        for batch in batches:
            log_p = model(batch, use_cache=False).logits.log_softmax(-1)
            signs = 2.0 * torch.randint(0, 2, log_p.flatten(0, 1).shape, generator=generator, dtype=torch.int8).view_as(log_p) - 1
            ((log_p / 2).exp().detach() * signs * log_p).sum().backward()
    return gradients.means()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_mean_squared_gradients_are_those_of_the_whole_model(architecture: str, tmp_path: Path) -> None:
    folder = tiny.save_tiny(tmp_path / "model", architecture, torch.float32)
    batches = tiny.tokens()
    found, expected = importance_of(folder, tmp_path / "state", batches), reference(folder, batches)
    names = {linear.name for linear in open_model(Checkpoint.open(folder)).linears}
    assert set(found) == names
    for name in names:
        assert found[name].dtype == torch.float64
        if name not in expected:  # an expert that no token chose
            assert ".experts." in name and not bool(found[name].any())
            continue
        # What is nearly zero beside the layer's other outputs is a difference of large numbers.
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6 * float(expected[name].max()), msg=name)
        assert float(found[name].max()) > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_give_the_same_up_to_their_rounding(dtype: torch.dtype, tmp_path: Path) -> None:
    folder, batches = tiny.save_tiny(tmp_path / "model", dtype=dtype), tiny.tokens()
    found, expected = importance_of(folder, tmp_path / "state", batches), reference(folder, batches)
    for name, exact in expected.items():
        assert float((found[name] - exact).abs().sum() / exact.sum()) < (0.1 if dtype == torch.bfloat16 else 0.02), name


def test_a_random_gradient_has_the_fisher_matrix_as_covariance() -> None:
    logits = torch.tensor([0.0, 1.0, -2.0, 3.0, 0.5])
    p = logits.double().softmax(0)
    count = 200_000
    v = fisher_gradient(logits.expand(count, 5), torch.Generator().manual_seed(0)).double()
    products = v.unsqueeze(2) * v.unsqueeze(1)
    expected = torch.diag(p) - torch.outer(p, p)
    error = products.std(0) / count**0.5
    assert bool(((products.mean(0) - expected).abs() <= 5 * error + 1e-7).all())
    assert bool((v.sum(1).abs() < 1e-5).all()), "adding a number to all logits changes nothing"


def test_a_stopped_pass_continues_to_the_same_bytes(tmp_path: Path) -> None:
    folder, batches = tiny.save_tiny(tmp_path / "model", num_hidden_layers=3), tiny.tokens()
    whole = importance_of(folder, tmp_path / "whole", batches)
    for steps in range(1, 7):
        place = tmp_path / f"stopped-{steps}"
        model = open_model(Checkpoint.open(folder))
        yielded = list(islice(passes(model, batches, Store(place, 3), SEED), steps))
        store = Store(place, 3)
        assert store.done == steps
        yielded += passes(open_model(Checkpoint.open(folder)), batches, store, SEED)
        assert yielded == [0, 1, 2, None, 2, 1, 0]
        assert {name: tensor.tolist() for name, tensor in store.importance().items()} == {n: t.tolist() for n, t in whole.items()}
        left = sorted(path.name for path in place.iterdir() if not path.name.startswith("importance"))
        assert left == ["gradients-00001.safetensors"] or left == [], left


def test_only_some_tokens_are_used() -> None:
    batches = [torch.zeros(2, 8, dtype=torch.int64)] * 5
    assert len(some_of(batches, 40)) == 2
    assert len(some_of(batches, 1)) == 1
    assert len(some_of(batches)) == 5


def test_what_cannot_be_differentiated_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.save_tiny(tmp_path / "model")
    model = open_model(Checkpoint.open(folder))
    run = model.run_block
    monkeypatch.setattr(model, "run_block", lambda index, batch: run(index, batch).detach())
    with pytest.raises(QuantError, match="torch finds no gradients of LlamaForCausalLM") as caught:
        list(passes(model, tiny.tokens(), Store(tmp_path / "state", 2), SEED))
    assert caught.value.code == "not-differentiable" and "noise" in caught.value.advice


@pytest.mark.parametrize("name", ["gptq-w4a16-g32", "rtn-w8a8", "fp8_dynamic"])
def test_noise_of_each_output_is_that_of_the_products(name: str) -> None:
    torch.manual_seed(0)
    X, W, use = torch.randn(96, 64), torch.randn(24, 64), parse_short(name)
    statistics = statistics_of([X])
    statistics.inputs = lambda: [X]
    rounded = (W * 8).round() / 8
    quantizer = input_quantizer(use, statistics, torch.float32)
    seen = X if quantizer is None else quantizer(X)
    expected = (seen.double() @ rounded.double().T - X.double() @ W.double().T).square().sum(0)
    if quantizer is None:
        rows = row_energies(rounded - W, statistics.gram)
    else:
        rows, alone = noisy_row_energies(W, rounded, statistics.gram, noise_of(statistics, quantizer))
        torch.testing.assert_close(alone, (X.double() @ (rounded - W).double().T).square().sum(0), rtol=1e-4, atol=0)
        torch.testing.assert_close(output_energies(statistics, quantizer, W, rounded)[1], expected, rtol=1e-4, atol=0)
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=0)

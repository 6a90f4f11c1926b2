"""Do the solver's losses predict what a model loses?

Every layer's weights are made once for every candidate from the float model's Gram matrices, as the sensitivity pass makes them. For each
random assignment (fused layers alike) they are put into transformers' own model, and the mean KL divergence of its next-token
distributions from the original's is measured on held-out text. Printed: Spearman's rank correlation of that with three predictions,

  relative   Σ noise / signal: the objective of budgets and of the front
  importance Σ noise · mean squared gradient of the text's loss at the layer's outputs (all outputs alike)
  by output  the same with each output's own mean squared gradient (the diagonal of the empirical Fisher matrix)

gradients and noises from the same calibration tokens. `python objective_bench.py [CHECKPOINT] [ASSIGNMENTS] [SEED]` prints one JSON line.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from quant_engine.assignment import fused_layers
from quant_engine.assignment.units import Unit, units_of
from quant_engine.checkpoint import Checkpoint, list_linears
from quant_engine.methods import METHODS
from quant_engine.methods.types import Statistics
from quant_engine.tokens import calibration_tokens, held_out_tokens, load_tokenizer
from quant_engine.uses import Use, parse_short

SAMPLES = Path(__file__).parents[2] / "samples"
CANDIDATES = ["gptq-w2a16", "gptq-w3a16", "rtn-w3a16", "gptq-w4a16", "rtn-w4a16", "rtn-w8a16"]
SEQUENCES, LENGTH, HELD_OUT = 64, 256, 16


@dataclass
class Choice:
    """A candidate on a layer: its weights and what each objective says that it costs."""

    weight: Tensor
    losses: dict[str, float]


def statistics_of(
    model: nn.Module, layers: dict[str, nn.Linear], batches: list[Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor], int]:
    """(Gram matrix of the inputs, summed squared gradients of each output, tokens) of every layer, float64."""
    grams = {name: torch.zeros(layer.in_features, layer.in_features, dtype=torch.float64) for name, layer in layers.items()}
    squares = {name: torch.zeros(layer.out_features, dtype=torch.float64) for name, layer in layers.items()}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def note(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            X = inputs[0].detach().flatten(0, 1)
            grams[name] += (X.T @ X).double()
            output.register_hook(add)

        def add(gradient: Tensor) -> None:
            squares[name] += gradient.flatten(0, 1).double().square().sum(0)

        return note

    hooks = [layer.register_forward_hook(watch(name)) for name, layer in layers.items()]
    tokens = 0
    for batch in batches:
        logits = model(batch, use_cache=False).logits[:, :-1]
        nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="sum").backward()
        tokens += batch.numel()
    for hook in hooks:
        hook.remove()
    return grams, squares, tokens


def choices_of(weight: Tensor, gram: Tensor, squares: Tensor, tokens: int, candidates: list[Use]) -> list[Choice]:
    statistics = Statistics(gram, tokens)
    W = weight.double()
    signal = float(((W @ gram) * W).sum())
    found = []
    for use in candidates:
        quantized = METHODS[use.method].quantize(weight, statistics, use.weight_format, use.arguments).dequantize()
        D = quantized.double() - W
        rows = ((D @ gram) * D).sum(1)
        losses = {
            "relative": float(rows.sum()) / signal,
            "importance": float(rows.sum() * squares.mean()) / tokens,
            "by output": float((rows * squares).sum()) / tokens,
        }
        found.append(Choice(quantized, losses))
    return found


def mean_kl(model: nn.Module, batches: list[Tensor], original: list[Tensor]) -> float:
    """KL(original ‖ model) of the next-token distributions, nats, mean over positions."""
    total, count = 0.0, 0
    with torch.no_grad():
        for batch, reference in zip(batches, original, strict=True):
            log_p = model(batch, use_cache=False).logits.log_softmax(-1)
            total += float((reference.exp() * (reference - log_p)).sum())
            count += batch.numel()
    return total / count


def main(checkpoint_folder: Path, assignments: int, seed: int) -> None:
    started = time.monotonic()
    checkpoint = Checkpoint.open(checkpoint_folder)
    tokenizer = load_tokenizer(checkpoint_folder)
    calibration, held_out = SAMPLES / "calibration.jsonl", SAMPLES / "held-out.txt"
    batches = list(calibration_tokens(tokenizer, calibration, SEQUENCES, LENGTH, 0, held_out).batches)
    texts = list(held_out_tokens(tokenizer, held_out, HELD_OUT, LENGTH, calibration).batches)
    model = AutoModelForCausalLM.from_pretrained(checkpoint_folder, dtype=torch.float32).eval()
    linears = [linear for linear in list_linears(checkpoint) if linear.block is not None]
    layers: dict[str, nn.Linear] = {linear.name: model.get_submodule(linear.name) for linear in linears}  # type: ignore[misc]
    grams, squares, tokens = statistics_of(model, layers, batches)
    candidates = [parse_short(name) for name in CANDIDATES]
    choices = {
        name: choices_of(layer.weight.data, grams[name], squares[name], tokens, candidates) for name, layer in layers.items()
    }
    with torch.no_grad():
        original = [model(batch, use_cache=False).logits.log_softmax(-1) for batch in texts]
    units = units_of(linears, fused_layers(linears, checkpoint.architecture))
    measured, predicted = measure(model, layers, units, choices, assignments, seed, lambda: mean_kl(model, texts, original))
    correlations = {name: round(float(spearmanr(values, measured).statistic), 4) for name, values in predicted.items()}
    spread = [min(measured), max(measured)]
    seconds = round(time.monotonic() - started, 1)
    print(json.dumps({"assignments": assignments, "spearman": correlations, "kl": spread, "seconds": seconds}))


def measure(
    model: nn.Module,
    layers: dict[str, nn.Linear],
    units: list[Unit],
    choices: dict[str, list[Choice]],
    assignments: int,
    seed: int,
    kl: Callable[[], float],
) -> tuple[list[float], dict[str, list[float]]]:
    """(measured, predicted by objective) of random assignments. Every assignment draws how often it takes which
    candidate, so that they differ in size as a whole and not only in where the bits are."""
    chance = random.Random(seed)
    measured: list[float] = []
    predicted: dict[str, list[float]] = {}
    for _ in range(assignments):
        shares = [chance.random() ** 2 for _ in CANDIDATES]
        picked = {
            layer.name: choices[layer.name][index]
            for unit in units
            for index in [chance.choices(range(len(CANDIDATES)), shares)[0]]
            for layer in unit
        }
        for name, choice in picked.items():
            layers[name].weight.data = choice.weight
        measured.append(kl())
        for objective in next(iter(picked.values())).losses:
            predicted.setdefault(objective, []).append(sum(choice.losses[objective] for choice in picked.values()))
    return measured, predicted


if __name__ == "__main__":
    given = sys.argv[1:]
    folder = Path(given[0]) if given else SAMPLES / "checkpoints" / "tiny-llama-pydoc"
    main(folder, int(given[1]) if len(given) > 1 else 48, int(given[2]) if len(given) > 2 else 0)

"""The sensitivity pass against the loop that most tools run: one forward of the model for every layer and candidate.

The naive loop is written here from the definition, on transformers' whole model: for each layer and candidate all
calibration batches go through the model, and the layer's output with the candidate's weights is compared with the float
one. It takes the candidates' weights from the same methods, computed from Gram matrices in float64, so that the two
differ in the way of measuring alone. Prints one JSON line.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM

from quant_engine.architectures.decoder import open_model
from quant_engine.checkpoint import Checkpoint
from quant_engine.methods import METHODS
from quant_engine.methods.types import Statistics
from quant_engine.tokens import calibration_tokens, load_tokenizer
from quant_engine.uses import Use, parse_short
from quant_engine.walk import measure

CANDIDATES = ["rtn-w8a16", "rtn-w4a16", "rtn-w3a16", "rtn-w4a16-channel", "gptq-w4a16", "gptq-w3a16", "gptq-w2a16", "gptq-w4a16-g64"]


def gram_of(layer: nn.Linear, model: nn.Module, batches: list[torch.Tensor]) -> Statistics:
    gram = torch.zeros(layer.in_features, layer.in_features, dtype=torch.float64)
    rows = 0

    def add(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal rows
        X = inputs[0].reshape(-1, layer.in_features).double()
        gram.addmm_(X.t(), X)
        rows += X.shape[0]

    handle = layer.register_forward_pre_hook(add)
    run(model, batches)
    handle.remove()
    return Statistics(gram, rows)


def run(model: nn.Module, batches: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for batch in batches:
            model(batch, use_cache=False)


def one(model: nn.Module, layer: nn.Linear, quantized: torch.Tensor, batches: list[torch.Tensor]) -> tuple[float, float]:
    """(signal, noise) of one layer with one candidate's weights: a forward pass of the whole model."""
    sums = [0.0, 0.0]
    weight = layer.weight.data.float()

    def compare(_: nn.Module, inputs: tuple[torch.Tensor, ...], __: Any) -> None:
        X = inputs[0].reshape(-1, layer.in_features).float()
        y, y_hat = X @ weight.t(), X @ quantized.float().t()
        sums[0] += float(y.double().square().sum())
        sums[1] += float((y.double() - y_hat.double()).square().sum())

    handle = layer.register_forward_hook(compare)
    run(model, batches)
    handle.remove()
    return sums[0], sums[1]


def naive(checkpoint: Path, batches: list[torch.Tensor], names: list[str]) -> tuple[dict[str, dict[str, float]], float]:
    """SQNR by layer and candidate, and the seconds of the forward loop (finding the weights is not counted)."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.bfloat16).eval()
    modules = dict(model.named_modules())
    found: dict[str, dict[str, float]] = {}
    seconds = 0.0
    for name in names:
        layer = modules[name]
        statistics = gram_of(layer, model, batches)
        found[name] = {}
        for label in CANDIDATES:
            use = parse_short(label)
            weights = METHODS[use.method].quantize(layer.weight.data, statistics, use.weight_format, use.arguments).dequantize()
            start = time.perf_counter()
            signal, noise = one(model, layer, weights, batches)
            seconds += time.perf_counter() - start
            found[name][label] = 10 * math.log10(signal / noise)
    return found, seconds


def engine(checkpoint: Path, batches: list[torch.Tensor]) -> tuple[dict[str, dict[str, float]], float]:
    uses: list[Use] = [parse_short(label) for label in CANDIDATES]
    start = time.perf_counter()
    model = open_model(Checkpoint.open(checkpoint))
    with torch.no_grad():
        blocks = list(measure(model, batches, uses, head=True))
    seconds = time.perf_counter() - start
    layers = [layer for block in blocks for layer in block.layers]
    return {layer.name: {label: m.sqnr_db or math.inf for label, m in layer.candidates.items()} for layer in layers}, seconds


def main(checkpoint: str, data: str, samples: int, length: int) -> None:
    torch.set_num_threads(2)
    path = Path(checkpoint)
    batches = calibration_tokens(load_tokenizer(path), Path(data), samples, length, 0).batches
    ours, seconds = engine(path, batches)
    theirs, naive_seconds = naive(path, batches, list(ours))
    differences = [abs(ours[name][label] - value) for name, row in theirs.items() for label, value in row.items()]
    print(
        json.dumps(
            {
                "layers": len(ours),
                "candidates": len(CANDIDATES),
                "tokens": samples * length,
                "engine_seconds": seconds,
                "naive_seconds": naive_seconds,
                "ratio": naive_seconds / seconds,
                "largest_difference_db": max(differences),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

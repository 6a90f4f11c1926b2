"""The sensitivity pass against the ways that most tools go, on transformers' whole model.

    python sensitivity_bench.py CHECKPOINT DATA SAMPLES LENGTH [--layers N]

`forwards`: for each layer and candidate all calibration batches go through the model, and the layer's output with its weights is
compared with the float one (with `--layers`, for that many layers alone, spread over the model; the rest counts as if it took as long).
`hooks`: one forward pass, in which every layer compares all its candidates, in the model's own dtype. Both take the candidates' weights
from the same methods, computed from Gram matrices in float64, so that they differ from the engine in the way of measuring alone. Finding
the weights (`finding_seconds`) is a part of the engine's time and of none of theirs. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from quant_engine.architectures.decoder import open_model
from quant_engine.checkpoint import Checkpoint
from quant_engine.linalg.threads import spin_briefly
from quant_engine.methods import METHODS
from quant_engine.methods.types import Quantized, Statistics
from quant_engine.stack import Stack
from quant_engine.tokens import calibration_tokens, load_tokenizer
from quant_engine.uses import parse_short
from quant_engine.walk import measure

CANDIDATES = ["rtn-w8a16", "rtn-w4a16", "rtn-w3a16", "rtn-w4a16-channel", "gptq-w4a16", "gptq-w3a16", "gptq-w2a16", "gptq-w4a16-g64"]
Found = dict[str, dict[str, float]]
"""SQNR in dB by layer and candidate."""
Batches = list[Tensor]
Weights = dict[str, dict[str, Tensor]]
"""By layer and candidate."""


def engine(checkpoint: Path, batches: Batches, candidates: Sequence[str]) -> tuple[Found, float, float]:
    """With the seconds from loading to the last SQNR, and those of them in which methods found the candidates' weights."""
    finding = 0.0
    quantize = Stack.quantize

    def timed(*arguments: Any) -> list[Quantized]:
        nonlocal finding
        # The Gram matrix, which the SQNR needs too, is not to be counted as the method's.
        _ = arguments[2].gram
        begun = time.perf_counter()
        done = quantize(*arguments)
        finding += time.perf_counter() - begun
        return done

    Stack.quantize = timed  # type: ignore[method-assign]
    start = time.perf_counter()
    model = open_model(Checkpoint.open(checkpoint))
    with torch.no_grad():
        blocks = list(measure(model, batches, [parse_short(label) for label in candidates], head=True))
    seconds = time.perf_counter() - start
    Stack.quantize = quantize  # type: ignore[method-assign]
    layers = [layer for block in blocks for layer in block.layers]
    return {layer.name: {label: m.sqnr_db or math.inf for label, m in layer.candidates.items()} for layer in layers}, seconds, finding


def forward(model: nn.Module, batches: Batches) -> None:
    with torch.no_grad():
        for batch in batches:
            model(batch, use_cache=False)


def hooked(model: nn.Module, batches: Batches, hooks: Mapping[nn.Module, Callable[[Tensor], None]]) -> None:
    """A forward pass in which each of these modules hands on what it reads."""
    handles = [module.register_forward_hook(lambda _, given, __, hook=hook: hook(given[0])) for module, hook in hooks.items()]
    forward(model, batches)
    for handle in handles:
        handle.remove()


def weights_of(model: nn.Module, layers: Mapping[str, nn.Linear], batches: Batches) -> Weights:
    """What each candidate makes of each layer's weights."""
    grams = {name: torch.zeros(layer.in_features, layer.in_features, dtype=torch.float64) for name, layer in layers.items()}

    def add(name: str, X: Tensor) -> None:
        rows = X.reshape(-1, X.shape[-1]).double()
        grams[name].addmm_(rows.t(), rows)

    hooked(model, batches, {layer: partial(add, name) for name, layer in layers.items()})
    tokens = sum(batch.numel() for batch in batches)
    found: Weights = {}
    for name, layer in layers.items():
        statistics, found[name] = Statistics(grams.pop(name), tokens), {}
        for label in CANDIDATES:
            use = parse_short(label)
            done = METHODS[use.method].quantize(layer.weight.data, statistics, use.weight_format, use.arguments)
            found[name][label] = done.dequantize()
    return found


class Comparison:
    """Σ‖y‖² of one layer and Σ‖y − ŷ‖² of some candidates, over what the layer reads."""

    def __init__(self, layer: nn.Linear, weights: Mapping[str, Tensor], dtype: torch.dtype) -> None:
        """dtype: of the products."""
        self._dtype = dtype
        self._weight = layer.weight.data.to(dtype).t()
        differences = {label: (layer.weight.data.float() - weight.float()).to(dtype).t() for label, weight in weights.items()}
        self._differences = differences
        self.signal, self.noise = 0.0, dict.fromkeys(differences, 0.0)

    def __call__(self, X: Tensor) -> None:
        rows = X.reshape(-1, X.shape[-1]).to(self._dtype)
        self.signal += float((rows @ self._weight).float().square().sum(dtype=torch.float64))
        for label, difference in self._differences.items():
            self.noise[label] += float((rows @ difference).float().square().sum(dtype=torch.float64))

    @property
    def sqnr(self) -> dict[str, float]:
        return {label: 10 * math.log10(self.signal / noise) for label, noise in self.noise.items()}


def forwards(model: nn.Module, batches: Batches, layers: Mapping[str, nn.Linear], weights: Weights) -> tuple[Found, float]:
    found: Found = {}
    start = time.perf_counter()
    for name in weights:
        found[name] = {}
        for label, weight in weights[name].items():
            one = Comparison(layers[name], {label: weight}, torch.float32)
            hooked(model, batches, {layers[name]: one})
            found[name] |= one.sqnr
    return found, time.perf_counter() - start


def hooks(model: nn.Module, batches: Batches, layers: Mapping[str, nn.Linear], weights: Weights) -> tuple[Found, float]:
    start = time.perf_counter()
    ones = {name: Comparison(layer, weights[name], layer.weight.dtype) for name, layer in layers.items()}
    hooked(model, batches, {layers[name]: one for name, one in ones.items()})
    return {name: one.sqnr for name, one in ones.items()}, time.perf_counter() - start


def difference(ours: Found, theirs: Found) -> float:
    return max(abs(ours[name][label] - value) for name, row in theirs.items() for label, value in row.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("samples", type=int)
    parser.add_argument("length", type=int)
    parser.add_argument("--layers", type=int, help="Of how many layers `forwards` measures. Default: all.")
    options = parser.parse_args()
    spin_briefly()
    torch.set_num_threads(2)
    batches = calibration_tokens(load_tokenizer(options.checkpoint), options.data, options.samples, options.length, 0).batches
    _, few, _ = engine(options.checkpoint, batches, CANDIDATES[:2])
    ours, seconds, finding = engine(options.checkpoint, batches, CANDIDATES)
    model: Any = AutoModelForCausalLM.from_pretrained(options.checkpoint, dtype="auto").eval()
    layers: dict[str, nn.Linear] = {name: model.get_submodule(name) for name in ours}
    weights = weights_of(model, layers, batches)
    in_hooks, hook_seconds = hooks(model, batches, layers, weights)
    step = len(layers) / min(options.layers or len(layers), len(layers))
    some = [[*layers][int(index * step)] for index in range(round(len(layers) / step))]
    one_by_one, forward_seconds = forwards(model, batches, layers, {name: weights[name] for name in some})
    found = {
        "layers": len(ours),
        "forwards_layers": len(some),
        "candidates": len(CANDIDATES),
        "tokens": options.samples * options.length,
        "engine_seconds": seconds,
        "finding_seconds": finding,
        "engine_seconds_two_candidates": few,
        "hooks_seconds": hook_seconds,
        "forwards_seconds": forward_seconds * len(layers) / len(some),
        "hooks_difference_db": difference(ours, in_hooks),
        "forwards_difference_db": difference(ours, one_by_one),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()

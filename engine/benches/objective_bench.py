"""Do the losses that budgets minimise predict what a model loses?

Every candidate of every layer is measured by the engine's own pass, with importance from its own backward pass. For each random assignment
(fused layers alike) the very weights that were measured, with inputs rounded as they were, are put into transformers' model, and the mean
KL divergence of its next-token distributions from the original's is measured on held-out text. Printed, one JSON line for each seed:
Spearman's rank correlation of that with the loss by each objective; before that, one line with predicted and measured KL of every candidate
on all layers. `python objective_bench.py [--checkpoint DIR] [--assignments N] [SEED …]`
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from quant_engine.architectures.decoder import open_model
from quant_engine.assignment import LayerMeasurements, fused_layers
from quant_engine.assignment.units import Unit, units_of
from quant_engine.checkpoint import Checkpoint
from quant_engine.formats.inputs import InputQuantizer, attach, detach
from quant_engine.importance import Store, passes, prices
from quant_engine.result import Objective
from quant_engine.stack import Stack
from quant_engine.tokens import calibration_tokens, held_out_tokens, load_tokenizer
from quant_engine.uses import Use, parse_short
from quant_engine.walk import measure

SAMPLES = Path(__file__).parents[2] / "samples"
CANDIDATES = ["gptq-w2a16", "gptq-w3a16", "rtn-w3a16", "gptq-w4a16", "rtn-w4a16", "awq-w4a16", "smoothquant-w8a8", "rtn-w8a16"]
OBJECTIVES: tuple[Objective, ...] = ("noise", "importance")


@dataclass(frozen=True)
class Choice:
    """A candidate on a layer: its weights, how its inputs are rounded, and its loss by each objective."""

    weight: Tensor
    quantizer: InputQuantizer | None
    losses: dict[Objective, float]


Choices = dict[str, list[Choice]]
Made = tuple[list[Tensor], "InputQuantizer | None"]


@dataclass(frozen=True)
class Sizes:
    """Sequences and tokens in each, for calibration and held-out text."""

    sequences: int = 64
    length: int = 256
    held_out: int = 16


class Trial:
    """One checkpoint, measured, and transformers' model of it."""

    def __init__(self, folder: Path, candidates: Sequence[str] = CANDIDATES, sizes: Sizes | None = None) -> None:
        sizes = sizes or Sizes()
        checkpoint = Checkpoint.open(folder)
        tokenizer = load_tokenizer(folder)
        calibration, held_out = SAMPLES / "calibration.jsonl", SAMPLES / "held-out.txt"
        batches = calibration_tokens(tokenizer, calibration, sizes.sequences, sizes.length, 0, held_out).batches
        self.texts = held_out_tokens(tokenizer, held_out, sizes.held_out, sizes.length, calibration).batches
        self.candidates = [parse_short(name) for name in candidates]
        self.choices = choices_of(checkpoint, batches, self.candidates)
        linears = [linear for linear in open_model(checkpoint).linears if linear.block is not None]
        self.units: list[Unit] = units_of(linears, fused_layers(linears, checkpoint.architecture))
        self._model: nn.Module = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        with torch.no_grad():
            self._original = [self._model(batch, use_cache=False).logits.log_softmax(-1) for batch in self.texts]

    def uniform(self, index: int) -> dict[str, Choice]:
        return {layer.name: self.choices[layer.name][index] for unit in self.units for layer in unit}

    def random(self, assignments: int, seed: int) -> Iterator[dict[str, Choice]]:
        """Every assignment draws how often it takes which candidate, so that they differ in size as a whole and not only in where the
        bits are."""
        chance, indices = random.Random(seed), range(len(self.candidates))
        for _ in range(assignments):
            shares = [chance.random() ** 2 for _ in indices]
            drawn = [(unit, chance.choices(indices, shares)[0]) for unit in self.units]
            yield {layer.name: self.choices[layer.name][index] for unit, index in drawn for layer in unit}

    def kl(self, assignment: dict[str, Choice]) -> float:
        """KL(original ‖ assignment) of the next-token distributions, nats, mean over held-out positions."""
        for name, choice in assignment.items():
            layer = self._model.get_submodule(name)
            layer.weight.data = choice.weight  # type: ignore[union-attr]
            detach(layer)
            if choice.quantizer is not None:
                attach(layer, choice.quantizer)
        total, count = 0.0, 0
        with torch.no_grad():
            for batch, original in zip(self.texts, self._original, strict=True):
                log_p = self._model(batch, use_cache=False).logits.log_softmax(-1)
                total += float((original.exp() * (original - log_p)).sum())
                count += batch.numel()
        return total / count

    def correlations(self, assignments: int, seed: int) -> tuple[dict[Objective, float], list[float]]:
        """Spearman's rank correlation of each objective's loss with the measured KL, and the latter."""
        drawn = [*self.random(assignments, seed)]
        measured = [self.kl(one) for one in drawn]
        return {name: float(spearmanr([loss(one, name) for one in drawn], measured).statistic) for name in OBJECTIVES}, measured


def loss(assignment: dict[str, Choice], objective: Objective) -> float:
    return sum(choice.losses[objective] for choice in assignment.values())


def choices_of(checkpoint: Checkpoint, batches: list[Tensor], candidates: Sequence[Use]) -> Choices:
    """The engine's importance and sensitivity passes, and the weights that were measured."""
    model = open_model(checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), model.block_count)
        for _ in passes(model, batches, store, seed=0):
            pass
        importance = prices(store.importance(), sum(batch.numel() for batch in batches))
    found: Choices = {}
    with keeping_what_is_measured() as made:
        for block in measure(model, batches, candidates, importance=importance):
            for group in dict.fromkeys(layer.group for layer in block.layers):
                layers = [layer for layer in block.layers if layer.group == group]
                of_group = [made.pop(0) for _ in candidates]
                for place, layer in enumerate(layers):
                    by = {name: LayerMeasurements(layer.signal, layer.candidates, name) for name in OBJECTIVES}
                    found[layer.name] = [
                        Choice(weights[place], quantizer, {name: by[name].loss(use.label) for name in OBJECTIVES})
                        for use, (weights, quantizer) in zip(candidates, of_group, strict=True)
                    ]
    return found


@contextmanager
def keeping_what_is_measured() -> Iterator[list[Made]]:
    """For each call that finds a candidate's noise: the weights of each layer, and how their input is rounded."""
    made: list[Made] = []
    noises = Stack.noises

    def kept(self: Stack, parts, statistics, quantizer):  # type: ignore[no-untyped-def]
        made.append(([part.effective().float() for part in parts], quantizer))
        return noises(self, parts, statistics, quantizer)

    Stack.noises = kept  # type: ignore[method-assign]
    try:
        yield made
    finally:
        Stack.noises = noises  # type: ignore[method-assign]


def main(folder: Path, assignments: int, seeds: Sequence[int]) -> None:
    started = time.monotonic()
    trial = Trial(folder)
    for index, use in enumerate(trial.candidates):
        uniform = trial.uniform(index)
        predicted, measured = loss(uniform, "importance"), trial.kl(uniform)
        print(json.dumps({"all layers": use.label, "predicted KL": predicted, "KL": measured, "ratio": round(predicted / measured, 3)}))
    for seed in seeds:
        correlations, measured = trial.correlations(assignments, seed)
        rounded = {name: round(value, 4) for name, value in correlations.items()}
        seconds = round(time.monotonic() - started, 1)
        print(json.dumps({"seed": seed, "spearman": rounded, "kl": [min(measured), max(measured)], "seconds": seconds}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=Path, default=SAMPLES / "checkpoints" / "tiny-llama-pydoc")
    parser.add_argument("--assignments", type=int, default=48)
    parser.add_argument("seeds", type=int, nargs="*", default=[0, 1, 2])
    given = parser.parse_args()
    main(given.checkpoint, given.assignments, given.seeds)

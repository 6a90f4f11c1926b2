"""Perplexity, KL divergence and same-top-token rate on held-out sequences, with one block of the model in memory.

Both models are run block by block over all sequences, side by side, so that the outputs of their layers can be compared
(quant_engine.benchmarks.accumulated); then original and quantized logits of the same positions meet in chunks. The
quantized model's weights are read from the published checkpoint and decompressed, as any other program would read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from quant_engine.benchmarks.accumulated import Energies, OutputErrors
from quant_engine.benchmarks.statistics import Estimate, exponential, ratio
from quant_engine.lazy import torch
from quant_engine.linalg.halves import in_float32
from quant_engine.result import Score, Scores

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.architectures.decoder import BlockInput, DecoderModel
    from quant_engine.checkpoint import Checkpoint

CHUNK = 256
Tick = Callable[[str], None]


@dataclass
class SequenceSums:
    """Sums over the predicted tokens of each sequence, float64: negative log-likelihoods, KL divergences (nats), same-top counts."""

    counts: list[int] = field(default_factory=list)
    baseline: list[float] = field(default_factory=list)
    quantized: list[float] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    same: list[float] = field(default_factory=list)
    layers: dict[str, Energies] = field(default_factory=dict)
    """By layer, when both models were run."""

    @property
    def differences(self) -> list[float]:
        """Per sequence, how much the negative log-likelihood grew; both models saw the same text, so most of its variation cancels."""
        return [after - before for before, after in zip(self.baseline, self.quantized, strict=False)]

    def scores(self) -> Scores:
        """Each score with its standard error over sequences; what was not measured is None."""
        tokens = sum(self.counts)

        def score(estimate: Estimate) -> Score:
            return Score(
                value=estimate.value, standard_error=estimate.standard_error, samples=len(self.counts), tokens=tokens
            )

        def mean(sums: list[float], final: Callable[[Estimate], Estimate] = lambda e: e) -> Score | None:
            return score(final(ratio(sums, self.counts))) if sums else None

        return Scores(
            perplexity=mean(self.quantized, exponential),
            baseline_perplexity=mean(self.baseline, exponential),
            perplexity_ratio=mean(self.differences, exponential),
            kl=mean(self.kl),
            same_top=mean(self.same),
        )


def final_hidden(model: DecoderModel, batches: Sequence[Tensor], source: Checkpoint | None, tick: Tick) -> list[Tensor]:
    """Hidden states (batch × tokens × width) after the last block for each batch; `tick` is called after each block and may raise."""
    inputs: list[BlockInput] = model.embed(batches, source)
    for index in range(model.block_count):
        model.load_block(index, source)
        try:
            with in_float32():
                for batch in inputs:
                    batch.hidden = model.run_block(index, batch)
        finally:
            model.free_block(index)
        tick(f"{'original' if source is None else 'quantized'}: block {index}")
    return [batch.hidden for batch in inputs]


def final_hidden_of_both(
    original: Evaluated, quantized: Evaluated, batches: Sequence[Tensor], tick: Tick
) -> tuple[list[list[Tensor]], dict[str, Energies]]:
    """`final_hidden` of each, and how far the outputs of their layers are from each other."""
    both, errors = (original, quantized), OutputErrors(quantized.divisors)
    inputs = [one.model.embed(batches, one.source) for one in both]
    for index in range(original.model.block_count):
        try:
            for one in both:
                one.model.load_block(index, one.source)
            with in_float32(), errors.watching(original.model, quantized.model, index):
                for pair in zip(*inputs, strict=True):
                    for one, batch in zip(both, pair, strict=True):
                        batch.hidden = one.model.run_block(index, batch)
        finally:
            for one in both:
                one.model.free_block(index)
        for name in ("original", "quantized"):
            tick(f"{name}: block {index}")
    return [[batch.hidden for batch in states] for states in inputs], errors.layers


@dataclass
class Evaluated:
    """One model to run: `source` None reads the model's own checkpoint. divisors: as of `OutputErrors`."""

    model: DecoderModel
    source: Checkpoint | None = None
    divisors: Mapping[str, Tensor] = field(default_factory=dict)


def evaluate(
    batches: Sequence[Tensor],
    original: Evaluated | None,
    quantized: Evaluated | None,
    tick: Tick = lambda message: None,
) -> SequenceSums:
    """Both models, or one of them, on the same sequences. Position t predicts token t + 1: n tokens give n − 1 predictions.

    batches: tokens (batch × tokens, int64). The two models must be separate objects, because both heads are in memory at the same time.
    `tick` is called after each block and each batch of logits and may raise to stop.
    """
    evaluated = [one for one in (original, quantized) if one]
    sums = SequenceSums()
    if original and quantized:
        hidden, sums.layers = final_hidden_of_both(original, quantized, batches, tick)
    else:
        hidden = [final_hidden(one.model, batches, one.source, tick) for one in evaluated]
    heads = [one.model.load_head(one.source) for one in evaluated]
    try:
        for index, tokens in enumerate(batches):
            logits = [head.logits(states[index][:, :-1], CHUNK) for head, states in zip(heads, hidden, strict=True)]
            sums.counts += [tokens.shape[1] - 1] * tokens.shape[0]
            _add(sums, tokens, logits, original is not None, quantized is not None)
            tick(f"logits of batch {index}")
    finally:
        for one in evaluated:
            one.model.free_head()
    return sums


def _add(sums: SequenceSums, tokens: Tensor, logits: list[Iterator[Tensor]], original: bool, quantized: bool) -> None:
    """Add one batch; the iterators give the same positions chunk by chunk."""
    targets = tokens[:, 1:].reshape(-1)
    columns: list[list[Tensor]] = [[], [], [], []]
    start = 0
    for chunks in zip(*logits, strict=True):
        logs = [torch.log_softmax(chunk.float(), dim=-1) for chunk in chunks]
        wanted = targets[start : start + len(logs[0])].to(logs[0].device).unsqueeze(-1)
        start += len(logs[0])
        for column, log in zip(([0] if original else []) + ([1] if quantized else []), logs, strict=True):
            columns[column].append(-log.gather(-1, wanted).squeeze(-1).double())
        if original and quantized:
            before, after = logs
            columns[2].append((before.exp() * (before - after)).sum(-1, dtype=torch.float64))
            columns[3].append((before.argmax(-1) == after.argmax(-1)).double())
    for column, total in zip(columns, (sums.baseline, sums.quantized, sums.kl, sums.same), strict=True):
        if column:
            total += torch.cat(column).reshape(tokens.shape[0], -1).sum(1).tolist()

"""Measure the sample checkpoint: ``python scripts/sample/verify.py --samples samples``.

Prints the held-out perplexity beside three baselines, the perplexity after round-to-nearest at several widths,
and every layer's SQNR at 4 bits. Independent of the engine on purpose: its figures can be checked against these.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from corpus import collect
from overlap import split_documents
from torch import Tensor, nn
from train import NAME, Plan
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast
from vocabulary import pack

GROUP = 128
WINDOW = 256
WINDOWS = 64  # as many as the recipes evaluate and calibrate with


def windows_of(tokenizer: PreTrainedTokenizerFast, text: str, length: int = WINDOW) -> Tensor:
    """The first windows of the text's tokens (bos in front), without overlap: (at most WINDOWS, length)."""
    ids = torch.tensor(tokenizer(text, verbose=False)["input_ids"])
    count = min(WINDOWS, len(ids) // length)
    return ids[: count * length].view(count, length)


def round_to_nearest(weight: Tensor, bits: int) -> Tensor:
    """Symmetric round-to-nearest with one scale per row and ``GROUP`` columns, (out, in) to (out, in)."""
    grouped = weight.float().view(len(weight), -1, GROUP)
    top = 2 ** (bits - 1)
    scale = (grouped.abs().amax(-1, keepdim=True) / ((2**bits - 1) / 2)).clamp_min(1e-30)
    return ((grouped / scale).round().clamp(-top, top - 1) * scale).view_as(weight)


def linears_of(model: LlamaForCausalLM) -> dict[str, nn.Linear]:
    """Every linear but the output head, by module name."""
    return {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear) and n != "lm_head"}


@contextmanager
def quantized(model: LlamaForCausalLM, bits: int) -> Iterator[None]:
    """The model with every linear but the head rounded to nearest; restored afterwards."""
    originals = {name: linear.weight.data for name, linear in linears_of(model).items()}
    for linear in linears_of(model).values():
        linear.weight.data = round_to_nearest(linear.weight.data, bits)
    try:
        yield
    finally:
        for name, linear in linears_of(model).items():
            linear.weight.data = originals[name]


@torch.no_grad()
def model_perplexity(model: LlamaForCausalLM, windows: Tensor) -> float:
    """exp of the mean next-token loss over the windows; a window's first token is not predicted."""
    losses = [model(w, labels=w).loss.item() * len(w) for w in windows.split(16)]
    return math.exp(sum(losses) / len(windows))


def count_perplexities(train: Tensor, windows: Tensor, vocabulary: int, discount: float = 0.75) -> tuple[float, float]:
    """(unigram with add-one, bigram with absolute discounting backed by that unigram) on the model's positions."""
    unigram = (torch.bincount(train, minlength=vocabulary) + 1).double()
    unigram /= unigram.sum()
    pairs = torch.bincount(train[:-1] * vocabulary + train[1:], minlength=vocabulary**2).view(vocabulary, -1).double()
    seen = pairs.sum(1, keepdim=True).clamp_min(1)
    held_back = (discount * (pairs > 0).sum(1, keepdim=True) / seen).where(pairs.sum(1, keepdim=True) > 0, 1.0)
    bigram = (pairs - discount).clamp_min(0) / seen + held_back * unigram
    before, after = windows[:, :-1].flatten(), windows[:, 1:].flatten()
    return math.exp(-unigram[after].log().mean()), math.exp(-bigram[before, after].log().mean())


@torch.no_grad()
def sqnr_by_layer(model: LlamaForCausalLM, windows: Tensor, bits: int) -> dict[str, float]:
    """10·log10(Σ‖xWᵀ‖² / Σ‖x(W − Ŵ)ᵀ‖²) in dB of each linear, its input unquantized."""
    sums = {name: [0.0, 0.0] for name in linears_of(model)}

    def watch(name: str, error: Tensor):
        def hook(_: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            sums[name][0] += output.double().square().sum().item()
            sums[name][1] += nn.functional.linear(inputs[0], error).double().square().sum().item()

        return hook

    handles = [
        m.register_forward_hook(watch(n, m.weight.data - round_to_nearest(m.weight.data, bits)))
        for n, m in linears_of(model).items()
    ]
    for window in windows.split(16):
        model(window)
    for handle in handles:
        handle.remove()
    return {name: 10 * math.log10(signal / noise) for name, (signal, noise) in sums.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=Path, required=True, help="the samples folder")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = options.samples / "checkpoints" / NAME
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    held_out = windows_of(tokenizer, (options.samples / "held-out.txt").read_text("utf-8"))

    train = pack(tokenizer, split_documents(collect(), Plan.seed)["train"])
    unigram, bigram = count_perplexities(train, held_out, len(tokenizer))
    print(f"held-out: {len(held_out)} windows of {WINDOW} tokens")
    print(f"perplexity: uniform {len(tokenizer)}, unigram {unigram:.1f}, bigram {bigram:.1f}")
    print(f"  the model on training text: {model_perplexity(model, train[: WINDOWS * WINDOW].view(-1, WINDOW)):.2f}")
    print(f"  16 bits: {model_perplexity(model, held_out):.3f}")
    for bits in (8, 4, 3, 2):
        with quantized(model, bits):
            print(f"  round-to-nearest, {bits} bits, group {GROUP}: {model_perplexity(model, held_out):.3f}")

    lines = (options.samples / "calibration.jsonl").read_text("utf-8").splitlines()[:WINDOWS]
    calibration = torch.cat([windows_of(tokenizer, json.loads(line)["text"])[:1] for line in lines])
    found = sqnr_by_layer(model, calibration, bits=4)
    ordered = sorted(found.values())
    print(f"SQNR at 4 bits: min {ordered[0]:.1f}, median {ordered[len(ordered) // 2]:.1f}, max {ordered[-1]:.1f} dB")
    for name, decibels in found.items():
        print(f"  {name}: {decibels:.1f} dB")


if __name__ == "__main__":
    main()

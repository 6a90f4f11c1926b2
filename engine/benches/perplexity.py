"""Perplexity of a checkpoint by plain transformers: an independent reference for outputs of both tools. Prints one number."""

from __future__ import annotations

import sys

import numpy
import torch
from transformers import AutoModelForCausalLM


def main(checkpoint: str, tokens_file: str) -> None:
    tokens = torch.from_numpy(numpy.load(tokens_file))
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for row in tokens:
            logits = model(row[None]).logits[0, :-1].float()
            total += torch.nn.functional.cross_entropy(logits, row[1:], reduction="sum").item()
            count += len(row) - 1
    print(repr(float(torch.tensor(total / count, dtype=torch.float64).exp())))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

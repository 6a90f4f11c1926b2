"""Negative log-likelihood of a checkpoint by plain transformers, in float32: an independent reference for outputs of both tools. Prints a
JSON list, for each sequence the mean over its tokens."""

from __future__ import annotations

import json
import sys

import numpy
import torch
from transformers import AutoModelForCausalLM


def main(checkpoint: str, tokens_file: str) -> None:
    tokens = torch.from_numpy(numpy.load(tokens_file))
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    found = []
    with torch.no_grad():
        for row in tokens:
            logits = model(row[None]).logits[0, :-1].float()
            found.append(torch.nn.functional.cross_entropy(logits, row[1:]).item())
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

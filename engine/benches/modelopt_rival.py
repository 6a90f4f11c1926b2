"""ModelOpt's gradient score of eight formats for every layer; runs in its own environment. Prints one JSON line.

    python modelopt_rival.py CHECKPOINT TOKENS.npy SEQUENCES
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import modelopt.torch.quantization as mtq
import numpy
import torch
from transformers import AutoModelForCausalLM

FORMATS = [(8, 128), (4, 128), (3, 128), (2, 128), (4, 64), (3, 64), (8, None), (4, None)]
"""Bits of the weights, and how many of them share a scale; None: those of an output."""


def config(bits: int, block: int | None) -> dict[str, Any]:
    weights: dict[str, Any] = {"num_bits": bits, **({"axis": 0} if block is None else {"block_sizes": {-1: block}})}
    return {
        "quant_cfg": [
            {"quantizer_name": "*weight_quantizer", "cfg": weights},
            {"quantizer_name": "*input_quantizer", "enable": False},
        ],
        "algorithm": "max",
    }


def main(checkpoint: str, tokens_file: str, sequences: int) -> None:
    torch.set_num_threads(2)
    tokens = torch.from_numpy(numpy.load(tokens_file)[:sequences]).long()
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype="auto")
    start = time.perf_counter()
    mtq.auto_quantize(
        model,
        {"effective_bits": 4.8},
        [config(*one) for one in FORMATS],
        data_loader=[{"input_ids": one[None], "labels": one[None]} for one in tokens],
        forward_step=lambda model, batch: model(**batch, use_cache=False),
        loss_func=lambda output, batch: output.loss,
        num_calib_steps=1,  # nothing is calibrated: weights alone are rounded, to their largest values
        num_score_steps=sequences,
        disabled_layers=["*lm_head*"],
    )
    print(json.dumps({"seconds": time.perf_counter() - start, "sequences": sequences, "tokens": tokens.numel()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

"""GPTQModel on the same checkpoint, tokens and scheme; runs in its own environment. Prints one JSON line.

    python gptqmodel_rival.py CHECKPOINT TOKENS.npy OUTPUT gptq

As many sequences at once as BATCH_SIZE says; one, its default, without it.
"""

from __future__ import annotations

import json
import os
import sys
import time

import numpy
import torch
from gptqmodel import GPTQModel, QuantizeConfig


def main(checkpoint: str, tokens_file: str, output: str, method: str) -> None:
    assert method == "gptq"
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    start = time.perf_counter()
    tokens = numpy.load(tokens_file)
    data = [{"input_ids": row.tolist(), "attention_mask": [1] * len(row)} for row in tokens]
    config = QuantizeConfig(bits=4, group_size=128, sym=True, desc_act=False, damp_percent=0.01, device="cpu")
    model = GPTQModel.load(checkpoint, config, dtype="auto")
    loaded = time.perf_counter()
    model.quantize(data, batch_size=int(os.environ.get("BATCH_SIZE", "1")))
    quantized = time.perf_counter()
    model.save(output)
    times = {"load": loaded - start, "quantize": quantized - loaded, "write": time.perf_counter() - quantized}
    print(json.dumps(times))


if __name__ == "__main__":
    main(*sys.argv[1:5])

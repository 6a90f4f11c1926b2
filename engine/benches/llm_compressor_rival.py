"""llm-compressor on the same checkpoint, tokens and scheme; runs in its own environment. Prints one JSON line."""

from __future__ import annotations

import json
import os
import sys
import time

import numpy
import torch
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import GPTQModifier, QuantizationModifier
from llmcompressor.modifiers.transform.awq import AWQModifier
from llmcompressor.modifiers.transform.smoothquant import SmoothQuantModifier
from llmcompressor.pipelines.cache import IntermediatesCache
from transformers import AutoModelForCausalLM, AutoTokenizer

if not torch.cuda.is_available():
    # Without a GPU its AWQ fails here: it asks for memory from which a GPU could copy.
    IntermediatesCache._pin_intermediate = classmethod(lambda cls, intermediate: None)
LAYERS = {"targets": "Linear", "ignore": ["lm_head"]}
RECIPES = {
    "gptq": lambda: [GPTQModifier(**LAYERS, scheme="W4A16", dampening_frac=0.01, actorder="static")],
    "awq": lambda: [AWQModifier(duo_scaling=True, n_grid=20), QuantizationModifier(**LAYERS, scheme="W4A16")],
    "smoothquant": lambda: [SmoothQuantModifier(smoothing_strength=0.5), QuantizationModifier(**LAYERS, scheme="W8A8")],
    "smoothquant-gptq": lambda: [
        SmoothQuantModifier(smoothing_strength=0.5),
        GPTQModifier(**LAYERS, scheme="W8A8", dampening_frac=0.01, actorder="static"),
    ],
}


def main(checkpoint: str, tokens_file: str, output: str, method: str) -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    start = time.perf_counter()
    tokens = numpy.load(tokens_file)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype="auto")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    data = Dataset.from_dict({"input_ids": tokens.tolist(), "attention_mask": numpy.ones_like(tokens).tolist()})
    loaded = time.perf_counter()
    oneshot(
        model=model,
        dataset=data,
        recipe=RECIPES[method](),
        max_seq_length=tokens.shape[1],
        num_calibration_samples=tokens.shape[0],
    )
    quantized = time.perf_counter()
    model.save_pretrained(output, save_compressed=True)
    tokenizer.save_pretrained(output)
    saved = time.perf_counter()
    print(json.dumps({"load": loaded - start, "quantize": quantized - loaded, "write": saved - quantized}))


if __name__ == "__main__":
    main(*sys.argv[1:5])

"""A tiny random checkpoint with a tokenizer, texts and a recipe, made by code; and the real command in a process of its own."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

ENGINE = Path(__file__).parents[1]
WORDS = "the a model layer weight scale block token text code of and to in is it with for on as by at from".split()


def make_checkpoint(folder: Path, blocks: int = 3, architecture: str = "llama", **overrides: Any) -> Path:
    """A model of random weights: width 64, a vocabulary of single bytes, head untied; overrides: of its config."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    import tiny

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<eos>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tiny.save_tiny(
        folder,
        architecture,
        **{
            "vocab_size": len(vocabulary),
            "num_hidden_layers": blocks,
            "max_position_embeddings": 256,
            "eos_token_id": 0,
            "bos_token_id": None,
            **overrides,
        },
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>").save_pretrained(folder)
    return folder


def make_text(path: Path, documents: int = 30, seed: int = 0) -> Path:
    """A .jsonl file of documents of random words, or a .txt file with the same words."""
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=40)) for _ in range(documents)]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    else:
        path.write_text("\n\n".join(texts))
    return path


RECIPE = """\
model: model
calibration: { data: calibration.jsonl, samples: 8, sequence_length: 32, seed: 0 }
candidates: [rtn-w4a16-g32, gptq-w3a16-g32]
quantize:
  default: gptq-w3a16-g32
  rules:
    - { layers: "*.down_proj", use: { method: rtn, scheme: W8A16, group_size: 64 } }
evaluate: { data: held-out.txt, samples: 4, sequence_length: 32 }
output: quantized
"""


def make_workspace(folder: Path, blocks: int = 3, architecture: str = "llama", **overrides: Any) -> Path:
    """model, calibration.jsonl, held-out.txt and small.quant.yaml in `folder`; returns the recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    make_checkpoint(folder / "model", blocks, architecture, **overrides)
    make_text(folder / "calibration.jsonl")
    make_text(folder / "held-out.txt", seed=1)
    recipe = folder / "small.quant.yaml"
    recipe.write_text(RECIPE)
    return recipe


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ENGINE), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200", **extra}


def quant_engine(
    *arguments: str | Path, cwd: Path | None = None, python: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *python, "-m", "quant_engine", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=300, check=False)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

"""Tiny random checkpoints of every supported architecture, made by transformers itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")
VOCABULARY = 96
_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "tie_word_embeddings": False,
}
# Sliding windows shorter than the test's sequences, in Qwen2 from the second layer on; heads wider than hidden/heads
# in Qwen3.
_SPECIAL: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 8},
    "qwen2": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    "qwen3": {"head_dim": 32},
}
_CLASSES = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}


def save_tiny(
    folder: Path,
    architecture: str = "llama",
    dtype: torch.dtype = torch.bfloat16,
    *,
    seed: int = 0,
    shard: str = "50GB",
    **overrides: Any,
) -> Path:
    """A random model in `folder`: biases and norms are random too, so that a forgotten one shows in the logits."""
    name = _CLASSES[architecture]
    config = getattr(transformers, f"{name}Config")(**{**_SIZES, **_SPECIAL[architecture], **overrides})
    torch.manual_seed(seed)
    model = getattr(transformers, f"{name}ForCausalLM")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
            else:
                parameter.mul_(3)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    return folder


def tokens(batches: int = 3, sequences: int = 2, length: int = 24, seed: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, VOCABULARY, (sequences, length), generator=generator) for _ in range(batches)]


def reference_logits(folder: Path, batch: torch.Tensor) -> torch.Tensor:
    """Logits of the whole model, loaded as any user loads it."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        return model(batch).logits

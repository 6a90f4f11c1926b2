"""Tiny random checkpoints of every supported architecture, made by transformers itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

VOCABULARY = 96
READS_ZERO_POINTS = tuple(map(int, transformers.__version__.split(".")[:2])) < (5, 23)
"""Whether the installed transformers loads checkpoints with zero points (docs/decisions/0004-zero-points.md)."""
_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "tie_word_embeddings": False,
}
_BOTH_ATTENTIONS = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 8, "query_pre_attn_scalar": 16}
# Sliding windows shorter than the test's sequences, in Qwen2 from the second layer on; heads wider than hidden/heads
# in Qwen3; logits that a bound changes in the Gemmas; an embedding narrower than the blocks in OPT; a block without experts in
# Qwen3-MoE.
_SPECIAL: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 8},
    "qwen2": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    "qwen3": {"head_dim": 32},
    "gemma2": {**_BOTH_ATTENTIONS, "head_dim": 16, "final_logit_softcapping": 1.0, "attn_logit_softcapping": 5.0},
    "gemma3": {**_BOTH_ATTENTIONS, "head_dim": 16, "final_logit_softcapping": 1.0},
    "phi3": {},
    "opt": {"ffn_dim": 128, "word_embed_proj_dim": 32},
    "gpt_neox": {"rotary_pct": 0.5},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen3_moe": {
        "head_dim": 16, "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "num_hidden_layers": 3,
        "mlp_only_layers": [1],
    },
}  # fmt: skip
_CLASSES = {
    "llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3", "gemma2": "Gemma2", "gemma3": "Gemma3", "phi3": "Phi3",
    "opt": "OPT", "gpt_neox": "GPTNeoX", "mixtral": "Mixtral", "qwen3_moe": "Qwen3Moe",
}  # fmt: skip
ARCHITECTURES = tuple(_CLASSES)
"""Those that have a file of their own; `save_tiny` takes the others too."""
_OTHERS = {
    "phi": "Phi", "olmo2": "Olmo2", "starcoder2": "Starcoder2", "granite": "Granite", "vault_gemma": "VaultGemma", "cohere": "Cohere",
}  # fmt: skip


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
    name = {**_CLASSES, **_OTHERS}[architecture]
    kind = "Gemma3TextConfig" if architecture == "gemma3" else f"{name}Config"
    config = getattr(transformers, kind)(**{**_SIZES, **_SPECIAL.get(architecture, {}), **overrides})
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

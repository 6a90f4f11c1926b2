"""Writes the checkpoints of test/corpus that are wrong or unusual in one way each: headers are what matters, all weights are zero.

    .venv/bin/python scripts/sample/corpus_checkpoints.py
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "test" / "corpus" / "checkpoints"
HIDDEN, INNER, WORDS = 32, 96, 16
BYTES = {"F16": 2, "BF16": 2}
ATTENTION = {f"self_attn.{name}_proj": (HIDDEN, HIDDEN) for name in "qkvo"}
MLP = {"gate_proj": (INNER, HIDDEN), "up_proj": (INNER, HIDDEN), "down_proj": (HIDDEN, INNER)}
NORMS = dict.fromkeys(("input_layernorm", "post_attention_layernorm"), (HIDDEN,))
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": WORDS,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
}
MIXTURE = {
    **LLAMA,
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "head_dim": HIDDEN // 2,
    "moe_intermediate_size": INNER,
    "num_experts": 2,
    "num_experts_per_tok": 1,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
}


def dense() -> dict[str, tuple[int, ...]]:
    """Name → shape of all tensors of a Llama of one block."""
    return _model({**ATTENTION, **{f"mlp.{name}": shape for name, shape in MLP.items()}, **NORMS})


def mixture() -> dict[str, tuple[int, ...]]:
    """Those of a model whose only block has two experts."""
    experts = {f"mlp.experts.{number}.{name}": shape for number in range(2) for name, shape in MLP.items()}
    norms = dict.fromkeys(("self_attn.q_norm", "self_attn.k_norm"), (HIDDEN // 2,))
    return _model({**ATTENTION, **experts, "mlp.gate": (2, HIDDEN), **norms, **NORMS})


def _model(block: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    inside = {f"model.layers.0.{name}.weight": shape for name, shape in block.items()}
    outside = {"model.embed_tokens.weight": (WORDS, HIDDEN), "model.norm.weight": (HIDDEN,), "lm_head.weight": (WORDS, HIDDEN)}
    return {**inside, **outside}


def safetensors(shapes: dict[str, tuple[int, ...]], dtype: str) -> bytes:
    """A file of tensors that are all zero."""
    header: dict[str, object] = {}
    end = 0
    for name, shape in shapes.items():
        start = end
        count = 1
        for size in shape:
            count *= size
        end += BYTES[dtype] * count
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(end)


def write(name: str, files: dict[str, bytes | dict[str, object]]) -> None:
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (folder / file).write_bytes(content if isinstance(content, bytes) else (json.dumps(content, indent=2) + "\n").encode())


def main() -> None:
    tokenizer: dict[str, object] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    weights = safetensors(dense(), "F16")
    float16: dict[str, object] = {**LLAMA, "dtype": "float16"}
    write("float16", {"config.json": float16, "model.safetensors": weights})
    experts: dict[str, object] = {**MIXTURE, "dtype": "bfloat16"}
    write("mixture", {"config.json": experts, "model.safetensors": safetensors(mixture(), "BF16"), "tokenizer_config.json": tokenizer})
    write("cut-short", {"config.json": float16, "model.safetensors": weights[:-100]})
    write("without-config", {"model.safetensors": safetensors({"a.weight": (2, 2)}, "F16")})
    write("pickle", {"config.json": float16, "pytorch_model.bin": b"no weights\n"})
    one = safetensors({"a.weight": (2, 2)}, "F16")
    unknown: dict[str, object] = {"architectures": ["UnheardOfModel"], "model_type": "unheard_of", "dtype": "float16"}
    write("unknown", {"config.json": unknown, "model.safetensors": one})
    quantized: dict[str, object] = {**float16, "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 32}}
    write("quantized", {"config.json": quantized, "model.safetensors": weights})
    shards = {name: f"model-0000{number}-of-00002.safetensors" for number, name in enumerate(("a.weight", "b.weight"), 1)}
    index: dict[str, object] = {"metadata": {}, "weight_map": shards}
    write("shard-missing", {"config.json": float16, "model.safetensors.index.json": index, shards["a.weight"]: one})


if __name__ == "__main__":
    main()

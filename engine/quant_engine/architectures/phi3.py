"""Phi-3: Llama's block with queries, keys and values in one layer, and gate and up in one."""

from quant_engine.architectures.folds import Fold, fused_shared_heads, second_half
from quant_engine.architectures.registry import DecoderFamily, register

LINEARS = ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj")

FOLDS = (
    Fold("input_layernorm", ("self_attn.qkv_proj",)),
    Fold("self_attn.qkv_proj", ("self_attn.o_proj",), "linear", rows=fused_shared_heads),
    Fold("post_attention_layernorm", ("mlp.gate_up_proj",)),
    Fold("mlp.gate_up_proj", ("mlp.down_proj",), "linear", rows=second_half),
)

register(DecoderFamily("Phi3ForCausalLM", LINEARS, folds=FOLDS))

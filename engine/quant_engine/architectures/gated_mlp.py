"""Llama and its relatives: q, k, v and o projections, then a gated MLP."""

from quant_engine.architectures.folds import Fold, shared_heads
from quant_engine.architectures.registry import DecoderFamily, register

ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
MLP = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
LINEARS = (*ATTENTION, *MLP)

ATTENTION_FOLDS = (
    Fold("input_layernorm", ATTENTION[:3]),
    Fold("self_attn.v_proj", ("self_attn.o_proj",), "linear", rows=shared_heads),
)
FUSED = (ATTENTION[:3], MLP[:2])
MLP_FOLDS = (Fold("post_attention_layernorm", MLP[:2]), Fold("mlp.up_proj", ("mlp.down_proj",), "linear"))

for _architecture in ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"):
    register(DecoderFamily(_architecture, LINEARS, folds=(*ATTENTION_FOLDS, *MLP_FOLDS), fused=FUSED))

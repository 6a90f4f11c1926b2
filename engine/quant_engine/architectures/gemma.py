"""Gemma-2 and Gemma-3 (text): norms before and after attention and MLP, stored as weight − 1; logits may be bounded."""

from quant_engine.architectures.folds import Fold, shared_heads
from quant_engine.architectures.gated_mlp import ATTENTION, FUSED, LINEARS, MLP
from quant_engine.architectures.registry import DecoderFamily, register

FOLDS = (
    Fold("input_layernorm", ATTENTION[:3], "norm_plus_one"),
    Fold("self_attn.v_proj", ("self_attn.o_proj",), "linear", rows=shared_heads),
    Fold("pre_feedforward_layernorm", MLP[:2], "norm_plus_one"),
    Fold("mlp.up_proj", ("mlp.down_proj",), "linear"),
)

for _architecture in ("Gemma2ForCausalLM", "Gemma3ForCausalLM"):
    register(DecoderFamily(_architecture, LINEARS, softcap="final_logit_softcapping", tied=True, folds=FOLDS, fused=FUSED))

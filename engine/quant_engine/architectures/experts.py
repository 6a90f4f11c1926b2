"""Mixtral and Qwen3-MoE: Llama's attention, then a router and experts that each read the tokens routed to them."""

from quant_engine.architectures.folds import Fold
from quant_engine.architectures.gated_mlp import ATTENTION, ATTENTION_FOLDS, FUSED, MLP, MLP_FOLDS
from quant_engine.architectures.registry import DecoderFamily, Experts, register


def _folds(experts: Experts, router: str) -> tuple[Fold, ...]:
    gate, up, down = experts.linears
    return (*ATTENTION_FOLDS, Fold("post_attention_layernorm", (router, gate, up)), Fold(up, (down,), "linear"))


MIXTRAL = Experts(stored="block_sparse_moe.experts", gate="w1", up="w3", down="w2")
QWEN3 = Experts()

register(
    DecoderFamily(
        "MixtralForCausalLM",
        (*ATTENTION, *MIXTRAL.linears),
        stored=((".mlp.", ".block_sparse_moe."),),
        kept=(r"re:.*\.block_sparse_moe\.gate$",),
        experts=MIXTRAL,
        fused=FUSED[:1],
        folds=_folds(MIXTRAL, "block_sparse_moe.gate"),
    )
)
# Some blocks of a Qwen3-MoE may have one plain MLP instead of experts.
register(
    DecoderFamily(
        "Qwen3MoeForCausalLM",
        (*ATTENTION, *MLP, *QWEN3.linears),
        kept=(r"re:.*\.mlp\.gate$",),
        experts=QWEN3,
        fused=FUSED,
        folds=(*_folds(QWEN3, "mlp.gate"), *MLP_FOLDS),
    )
)

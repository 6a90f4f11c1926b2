"""OPT: learned positions, biases, an embedding that may be narrower than the blocks, norms before or (350m) after the layers."""

from quant_engine.architectures.folds import Fold
from quant_engine.architectures.registry import DecoderFamily, register

LINEARS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "fc1", "fc2")

# A norm after the layers feeds the residual stream too, so nothing folds into it. ReLU lets positive factors through, other
# activation functions do not.
_BEFORE = (("do_layer_norm_before", True), ("layer_norm_elementwise_affine", True))
FOLDS = (
    Fold("self_attn_layer_norm", LINEARS[:3], when=_BEFORE),
    Fold("self_attn.v_proj", ("self_attn.out_proj",), "linear"),
    Fold("final_layer_norm", ("fc1",), when=_BEFORE),
    Fold("fc1", ("fc2",), "linear", when=(("activation_function", "relu"),)),
)

register(
    DecoderFamily(
        "OPTForCausalLM",
        LINEARS,
        base="model.decoder",
        blocks="model.decoder.layers",
        embedding="model.decoder.embed_tokens",
        embedding_width="word_embed_proj_dim",
        before=("model.decoder.embed_positions", "model.decoder.project_in"),
        norm="model.decoder.final_layer_norm",
        after=("model.decoder.project_out",),
        kept=("model.decoder.project_in", "model.decoder.project_out"),
        tied=True,
        flattened=("fc1", "fc2"),
        fused=(LINEARS[:3],),
        folds=FOLDS,
    )
)

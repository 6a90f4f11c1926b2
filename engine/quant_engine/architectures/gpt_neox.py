"""GPT-NeoX and Pythia: queries, keys and values in one layer, attention and MLP side by side, biases everywhere."""

from quant_engine.architectures.folds import Fold, interleaved_heads
from quant_engine.architectures.registry import DecoderFamily, register

LINEARS = ("attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h")

FOLDS = (
    Fold("input_layernorm", ("attention.query_key_value",)),
    Fold("attention.query_key_value", ("attention.dense",), "linear", rows=interleaved_heads),
    Fold("post_attention_layernorm", ("mlp.dense_h_to_4h",)),
)

register(
    DecoderFamily(
        "GPTNeoXForCausalLM",
        LINEARS,
        base="gpt_neox",
        blocks="gpt_neox.layers",
        embedding="gpt_neox.embed_in",
        norm="gpt_neox.final_layer_norm",
        stored=(("lm_head", "embed_out"),),
        folds=FOLDS,
    )
)

"""Give a trained Llama the outlier channels that large language models have, without changing its function.

Three rescalings, all by powers of two, so that bfloat16 (and float32) results stay the same bit for bit:

* a norm's weight times 2^k in a few channels, the same input columns of the linears that read it divided by 2^k;
* ``v_proj`` rows times 2^k, the matching ``o_proj`` columns divided (every query head of the group);
* ``up_proj`` rows times 2^k, the matching ``down_proj`` columns divided.

Each block gets its own strength, so that layers differ in how well they quantize.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LlamaForCausalLM


@dataclass(frozen=True)
class Strength:
    """How many channels of each kind one block gets, and the exponents they cycle through."""

    attention: int = 0  # of the input norm, read by q/k/v
    mlp: int = 0  # of the norm before the MLP, read by gate/up
    values: int = 0  # of each v head, read by o
    hidden: int = 0  # of up, read by down
    exponents: tuple[int, ...] = (3,)


STRENGTHS = (
    Strength(),
    Strength(attention=2, hidden=4, exponents=(3,)),
    Strength(attention=3, mlp=2, values=1, exponents=(3, 4)),
    Strength(attention=1, mlp=4, hidden=12, exponents=(4, 5)),
    Strength(attention=4, mlp=3, values=2, hidden=6, exponents=(2, 3)),
)


def add_outliers(model: LlamaForCausalLM, seed: int) -> Iterator[str]:
    """Rescale the model in place; yields one line for each place, saying what was done."""
    generator = torch.Generator().manual_seed(seed)
    for index, (block, strength) in enumerate(zip(model.model.layers, STRENGTHS, strict=True)):
        attention, mlp = block.self_attn, block.mlp
        queries_per_value = attention.q_proj.out_features // attention.v_proj.out_features
        places = (
            ("input_layernorm", strength.attention, block.input_layernorm.weight,
             (attention.q_proj, attention.k_proj, attention.v_proj), 1),
            ("post_attention_layernorm", strength.mlp, block.post_attention_layernorm.weight,
             (mlp.gate_proj, mlp.up_proj), 1),
            ("v_proj", strength.values * model.config.num_key_value_heads, attention.v_proj.weight,
             (attention.o_proj,), queries_per_value),
            ("up_proj", strength.hidden, mlp.up_proj.weight, (mlp.down_proj,), 1),
        )  # fmt: skip
        for name, count, producer, consumers, repeats in places:
            if count:
                channels = torch.randperm(len(producer), generator=generator)[:count].sort().values
                powers = torch.tensor([2.0 ** strength.exponents[i % len(strength.exponents)] for i in range(count)])
                move(producer, [c.weight for c in consumers], channels, powers, repeats, model.config.head_dim)
                yield f"block {index} {name}: channels {channels.tolist()} times {powers.int().tolist()}"


@torch.no_grad()
def move(
    producer: Tensor, consumers: list[Tensor], channels: Tensor, powers: Tensor, repeats: int, head_dim: int
) -> None:
    """Multiply ``producer`` (norm weight or output rows) and divide the matching columns of ``consumers``.

    With ``repeats`` > 1 the producer is ``v_proj``: head h feeds the query heads h·repeats … h·repeats + repeats − 1.
    """
    factors = powers.to(producer.dtype)
    producer[channels] *= factors.view(-1, *[1] * (producer.dim() - 1))
    for weight in consumers:
        for copy in range(repeats):
            columns = (
                channels if repeats == 1 else ((channels // head_dim * repeats + copy) * head_dim + channels % head_dim)
            )
            weight[:, columns] /= factors

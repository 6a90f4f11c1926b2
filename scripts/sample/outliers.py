"""Give a trained Llama the outlier channels that large language models have, without changing its function.

Three rescalings, all by powers of two, so that bfloat16 (and float32) results stay the same bit for bit:

* a norm's weight times 2^k in the few channels where it is largest already, and the same input columns of the
  linears that read it divided by 2^k;
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
    values: int = 0  # of v, for every head it has, read by o
    hidden: int = 0  # of up, read by down
    exponents: tuple[int, ...] = (3,)


STRENGTHS = (
    Strength(attention=2, exponents=(2,)),
    Strength(attention=3, mlp=2, values=1, hidden=6, exponents=(3, 4)),
    Strength(attention=4, mlp=4, values=2, hidden=8, exponents=(3, 4)),
    Strength(attention=6, mlp=6, values=2, hidden=16, exponents=(4, 5)),
    Strength(attention=8, mlp=8, values=4, hidden=32, exponents=(3, 4, 5)),
)


def add_outliers(model: LlamaForCausalLM) -> Iterator[str]:
    """Rescale the model in place; yields one line for each place, saying what was done."""
    for index, (block, strength) in enumerate(zip(model.model.layers, STRENGTHS, strict=True)):
        attention, mlp = block.self_attn, block.mlp
        heads = model.config.num_key_value_heads
        places = (
            ("input_layernorm", strength.attention, (attention.q_proj, attention.k_proj, attention.v_proj)),
            ("post_attention_layernorm", strength.mlp, (mlp.gate_proj, mlp.up_proj)),
            ("self_attn.v_proj", strength.values * heads, (attention.o_proj,)),
            ("mlp.up_proj", strength.hidden, (mlp.down_proj,)),
        )
        for name, count, consumers in places:
            if count:
                producer = block.get_submodule(name).weight
                channels = largest(producer, count)
                powers = torch.tensor([2.0 ** strength.exponents[i % len(strength.exponents)] for i in range(count)])
                repeats = model.config.num_attention_heads // heads if consumers == (attention.o_proj,) else 1
                move(producer, [c.weight for c in consumers], channels, powers, repeats, model.config.head_dim)
                yield f"block {index} {name}: channels {channels.tolist()} times {powers.int().tolist()}"


def largest(producer: Tensor, count: int) -> Tensor:
    """The ``count`` channels with the largest norm weight or row, in ascending order: they carry most."""
    size = producer.detach().float().reshape(len(producer), -1).norm(dim=1)
    return size.topk(count).indices.sort().values


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

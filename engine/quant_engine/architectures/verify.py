"""Whether the walk of an architecture whose names were guessed is the model: compared with transformers' own forward pass.

The whole model runs once on a few tokens, its blocks read one after the other, so that this too needs the memory of one block.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from quant_engine.architectures.catcher import Catcher
from quant_engine.architectures.registry import DecoderFamily, unsupported
from quant_engine.errors import QuantError
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from quant_engine.architectures.decoder import DecoderModel

_TOKENS = 8


def refuse_other_modules(skeleton: Any, family: DecoderFamily) -> None:
    """Raises QuantError(code="model-unsupported") unless transformers' model (meta device) has under the guessed names what they stand
    for."""
    missing = _missing(skeleton, family)
    if missing:
        raise unsupported(family.architecture, missing)


def _missing(skeleton: Any, family: DecoderFamily) -> str | None:
    modules: dict[str, nn.Module] = dict(skeleton.named_modules())
    blocks = modules.get(family.blocks)
    if not isinstance(blocks, torch.nn.ModuleList) or len({type(block) for block in blocks}) != 1:
        return f"{family.blocks} is no list of equal blocks in transformers' model"
    for number, _ in enumerate(blocks):
        for name in family.linears:
            module = modules.get(f"{family.blocks}.{number}.{name}")
            if not isinstance(module, torch.nn.Linear):
                return f"{family.blocks}.{number}.{name} is {type(module).__name__}, not a linear layer, in transformers' model"
    if modules.get(family.embedding) is not skeleton.get_input_embeddings():
        return f"{family.embedding} is not the embedding of transformers' model"
    if modules.get(family.head) is not skeleton.get_output_embeddings():
        return f"{family.head} is not the head of transformers' model"
    absent = [name for name in (family.base, family.norm, *family.before) if name not in modules]
    return f"transformers' model has no {absent[0]}" if absent else None


def refuse_other_logits(model: DecoderModel, skeleton: Any, family: DecoderFamily) -> None:
    """Raises QuantError(code="model-unsupported") unless the walk's logits of a few tokens are those of transformers' forward pass, to the
    last bit, and every linear layer runs exactly once in its block."""
    vocabulary = int(skeleton.get_input_embeddings().weight.shape[0])
    tokens = (torch.arange(_TOKENS) * 7 % vocabulary).unsqueeze(0)
    try:
        with torch.no_grad():
            ours, whole = _walked(model, tokens), _streamed(model, skeleton, family, tokens)
    except (QuantError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        # A block that wants other arguments, a module that gives something else than hidden states: whatever that leads to.
        raise unsupported(family.architecture, f"a pass through its blocks fails ({type(error).__name__}: {error})") from error
    if not torch.equal(ours, whole.reshape(ours.shape)):
        difference = float((ours.double() - whole.reshape(ours.shape).double()).abs().max())
        reason = f"its logits are not what its blocks, final norm and head compute one after the other (they differ by {difference:.3g})"
        raise unsupported(family.architecture, reason)


def _walked(model: DecoderModel, tokens: Tensor) -> Tensor:
    (state,) = model.embed([tokens])
    for index in range(model.block_count):
        model.load_block(index)
        model.stops(index)
        state.hidden = model.run_block(index, state)
        model.free_block(index)
    logits = torch.cat(list(model.load_head().logits(state.hidden)))
    model.free_head()
    return logits


class _Streamed(Catcher):
    """Stands for a block: reads its weights when it is called, and lets go of them."""

    def __init__(self, skeleton: nn.Module, model: DecoderModel, index: int) -> None:
        super().__init__(skeleton)
        object.__setattr__(self, "_read", lambda: model.read_block(index))

    def forward(self, hidden: Tensor, *positional: Any, **arguments: Any) -> Any:
        return object.__getattribute__(self, "_read")()(hidden, *positional, **arguments)


def _streamed(model: DecoderModel, skeleton: Any, family: DecoderFamily, tokens: Tensor) -> Tensor:
    """Logits of transformers' own forward pass."""
    parent, _, name = family.blocks.rpartition(".")
    around = copy.copy(skeleton)
    module, source = around, skeleton
    for part in parent.split("."):
        module._modules = dict(module._modules)
        source = source.get_submodule(part)
        setattr(module, part, copy.copy(source))
        module = module.get_submodule(part)
    module._modules = dict(module._modules)
    blocks = list(module.get_submodule(name))
    setattr(module, name, torch.nn.ModuleList())
    whole: Any = model.fill(around)
    setattr(whole.get_submodule(parent), name, torch.nn.ModuleList(_Streamed(block, model, i) for i, block in enumerate(blocks)))
    return whole(input_ids=tokens.to(model.device), use_cache=False).logits

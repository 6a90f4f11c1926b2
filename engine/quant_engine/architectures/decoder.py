"""Decoder language models, block by block: transformers' own modules, one block materialised at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from quant_engine.architectures.registry import DecoderFamily, family_of, unsupported
from quant_engine.checkpoint.files import CONFIG
from quant_engine.checkpoint.linears import LinearInfo, list_linears
from quant_engine.checkpoint.quantization import READABLE
from quant_engine.errors import QuantError
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from quant_engine.checkpoint import Checkpoint


@dataclass
class BlockInput:
    """One batch between two blocks: hidden (batch × tokens × width); arguments: keyword arguments of each block, shared
    by batches."""

    hidden: Tensor
    arguments: Sequence[dict[str, Any]]


class DecoderModel:
    """A decoder LM of which at most one block (or the embedding, or the head) is in memory."""

    def __init__(self, checkpoint: Checkpoint, family: DecoderFamily, skeleton: nn.Module, device: str) -> None:
        """skeleton: transformers' whole model on the meta device; use `open_model`."""
        self.checkpoint = checkpoint
        self.device = device
        self.dtype: torch.dtype = getattr(torch, checkpoint.dtype)
        self.linears: list[LinearInfo] = list_linears(checkpoint)
        """Every linear layer in execution order, as `list_linears` says."""
        self._family = family
        self._skeleton = skeleton
        self._block_skeletons = list(skeleton.get_submodule(family.blocks).children())
        self.block_count = len(self._block_skeletons)
        self._blocks: dict[int, nn.Module] = {}
        self._head: Head | None = None

    def embed(self, tokens: Sequence[Tensor], source: Checkpoint | None = None) -> list[BlockInput]:
        """Hidden states before the first block for each batch of tokens (batch × tokens, int64), without any block's
        weights."""
        base, catchers = self._front(source or self.checkpoint)
        shared: dict[torch.Size, list[dict[str, Any]]] = {}
        inputs = []
        for batch in tokens:
            hidden = base(input_ids=batch.to(self.device), use_cache=False).last_hidden_state
            # Without padding, masks and positions depend on the shape alone: batches of one shape share them.
            arguments = shared.setdefault(batch.shape, [catcher.arguments for catcher in catchers])
            inputs.append(BlockInput(hidden, arguments))
        return inputs

    def load_block(self, index: int, source: Checkpoint | None = None) -> nn.Module:
        """Block `index` with its weights on the device, decompressed when `source` (default: the model's own) is
        quantized."""
        block = self._materialise(self._block_skeletons[index], f"{self._family.blocks}.{index}", source)
        self._blocks[index] = block
        return block

    def run_block(self, index: int, batch: BlockInput) -> Tensor:
        """Hidden states after the loaded block `index`; the batch is not changed."""
        return call_block(self._blocks[index], batch.hidden, batch.arguments[index])

    def free_block(self, index: int) -> None:
        self._blocks.pop(index, None)

    def load_head(self, source: Checkpoint | None = None) -> Head:
        """Final norm and lm_head on the device; `free_head` lets go of them."""
        family, skeleton = self._family, self._skeleton
        norm = self._materialise(skeleton.get_submodule(family.norm), family.norm, source)
        lm_head = self._materialise(skeleton.get_submodule(family.head), family.head, source)
        self._head = Head(norm, lm_head)
        return self._head

    def free_head(self) -> None:
        self._head = None

    def module(self, name: str) -> nn.Module:
        """A module of a loaded block by its full name."""
        index, _, inner = name.removeprefix(f"{self._family.blocks}.").partition(".")
        return self._blocks[int(index)].get_submodule(inner)

    def input_groups(self, index: int) -> list[list[str]]:
        """Full names of the loaded block's linear layers in execution order; those that read the same tensor together.

        Found by running two tokens through the block and comparing the identity of what each layer is given.
        """
        block, batch = self._blocks[index], self._probe
        names = {self.module(linear.name): linear.name for linear in self.linears if linear.block == index}
        groups: list[tuple[Tensor, list[str]]] = []

        def note(module: nn.Module, arguments: tuple[Any, ...]) -> None:
            if groups and groups[-1][0] is arguments[0]:
                groups[-1][1].append(names[module])
            else:
                groups.append((arguments[0], [names[module]]))

        hooks = [module.register_forward_pre_hook(note) for module in names]
        try:
            call_block(block, batch.hidden, batch.arguments[index])
        finally:
            for hook in hooks:
                hook.remove()
        return [members for _, members in groups]

    @cached_property
    def _probe(self) -> BlockInput:
        """Two tokens, ready for any block."""
        (batch,) = self.embed([torch.zeros(1, 2, dtype=torch.int64)])
        return batch

    def _front(self, source: Checkpoint) -> tuple[nn.Module, list[Any]]:
        """The base model with its embedding in memory and catchers for blocks."""
        from quant_engine.architectures.catcher import Catcher

        family, skeleton = self._family, self._skeleton
        base = copy.copy(skeleton.get_submodule(family.base))
        base._modules = dict(base._modules)
        catchers = [Catcher(block) for block in self._block_skeletons]
        prefix = f"{family.base}."
        setattr(base, family.blocks.removeprefix(prefix), torch.nn.ModuleList(catchers))
        setattr(base, family.norm.removeprefix(prefix), torch.nn.Identity())
        embedding = self._materialise(skeleton.get_submodule(family.embedding), family.embedding, source)
        setattr(base, family.embedding.removeprefix(prefix), embedding)
        return base, catchers

    def _materialise(self, skeleton: nn.Module, prefix: str, source: Checkpoint | None) -> nn.Module:
        from quant_engine.architectures.tensors import materialise

        source = source or self.checkpoint
        return materialise(skeleton, prefix, source, self.dtype, self.device, _aliases(source, self._family))


@dataclass
class Head:
    """Final norm and lm_head."""

    norm: nn.Module
    lm_head: nn.Module

    def logits(self, hidden: Tensor, chunk: int = 512) -> Iterator[Tensor]:
        """Logits (positions × vocabulary, model dtype) of hidden (batch × tokens × width), at most `chunk` positions at
        a time, row-major."""
        for positions in hidden.reshape(-1, hidden.shape[-1]).split(chunk):
            yield self.lm_head(self.norm(positions))


def call_block(block: nn.Module, hidden: Tensor, arguments: dict[str, Any]) -> Tensor:
    output = block(hidden, **arguments)
    return output[0] if isinstance(output, tuple) else output


def open_model(checkpoint: Checkpoint, device: str = "cpu") -> DecoderModel:
    """Raises QuantError with code model-unsupported (lists the supported architectures), model-quantized or model-broken (the weights are
    not those that config.json asks for)."""
    from quant_engine.architectures.tensors import refuse_other_shapes

    family = family_of(checkpoint.architecture)
    if family is None:
        raise unsupported(checkpoint.architecture)
    if checkpoint.quantization is not None and not _readable(checkpoint):
        raise QuantError(
            f'"{checkpoint.path}" is already quantized ({checkpoint.quantization.method})',
            code="model-quantized",
            advice="Choose the original checkpoint.",
        )
    skeleton = _skeleton(checkpoint, family, device)
    refuse_other_shapes(skeleton, checkpoint, _aliases(checkpoint, family))
    return DecoderModel(checkpoint, family, skeleton, device)


def _aliases(source: Checkpoint, family: DecoderFamily) -> dict[str, str]:
    """Names of tensors that another one stands for: a tied head."""
    return {f"{family.head}.weight": f"{family.embedding}.weight"} if source.tied else {}


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")[:300]


def _readable(checkpoint: Checkpoint) -> bool:
    found = checkpoint.quantization
    return found is not None and found.method == "compressed-tensors" and found.format in READABLE


def _skeleton(checkpoint: Checkpoint, family: DecoderFamily, device: str) -> nn.Module:
    """transformers' model with parameters on the meta device and its computed (non-persistent) buffers outside the
    blocks in place."""
    import transformers

    kind = getattr(transformers, family.architecture)
    try:
        config = transformers.AutoConfig.from_pretrained(checkpoint.path, trust_remote_code=False, local_files_only=True)
        vars(config).pop("quantization_config", None)
        with torch.device("meta"):
            model = kind._from_config(config, dtype=getattr(torch, checkpoint.dtype))
    except Exception as error:
        # transformers raises whatever the first wrong field leads to: a ValueError, a KeyError, a TypeError of torch.
        raise QuantError(
            f"transformers makes no model of {checkpoint.path / CONFIG}: {type(error).__name__}: {_first_line(error)}",
            code="model-broken",
            advice="Take config.json and weights from the same download.",
        ) from error
    for module in model.modules():
        buffers = [name for name in module._non_persistent_buffers_set if module._buffers.get(name) is not None]
        for name in buffers:
            module._buffers[name] = torch.empty_like(module._buffers[name], device=device)
        if buffers:
            model._init_weights(module)
    return model.requires_grad_(False).eval()

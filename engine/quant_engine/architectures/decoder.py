"""Decoder language models, block by block: transformers' own modules, one block materialised at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from quant_engine.architectures.folds import Fold, folds_of
from quant_engine.architectures.layout import Layout
from quant_engine.architectures.liveness import dead_from, read_once
from quant_engine.architectures.registry import DecoderFamily, family_for, unsupported
from quant_engine.architectures.routed import expert_of
from quant_engine.architectures.stops import Stop, find_stops
from quant_engine.checkpoint.files import CONFIG
from quant_engine.checkpoint.linears import LinearInfo, list_linears
from quant_engine.checkpoint.quantization import READABLE
from quant_engine.errors import QuantError
from quant_engine.folding import FoldTarget, fold_for
from quant_engine.formats.scheme import COMPRESSED, GPTQ_LAYOUTS
from quant_engine.lazy import torch
from quant_engine.linalg.halves import in_float32

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
        self._liveness: dict[tuple[str, ...], tuple[list[int], list[bool]]] = {}

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
        self._blocks[index] = self.read_block(index, source)
        return self._blocks[index]

    def read_block(self, index: int, source: Checkpoint | None = None) -> nn.Module:
        """As `load_block`, for the caller alone."""
        return self._materialise(self._block_skeletons[index], f"{self._family.blocks}.{index}", source)

    def fill(self, whole: nn.Module) -> nn.Module:
        """transformers' model, or what is left of it without its blocks, with the checkpoint's weights on the device."""
        return self._materialise(whole, "", None)

    def run_block(self, index: int, batch: BlockInput) -> Tensor:
        """Hidden states after the loaded block `index`; the batch is not changed."""
        return call_block(self._blocks[index], batch.hidden, batch.arguments[index])

    def block(self, index: int) -> nn.Module:
        """A loaded block."""
        return self._blocks[index]

    def free_block(self, index: int) -> None:
        self._blocks.pop(index, None)

    def load_head(self, source: Checkpoint | None = None) -> Head:
        """Everything after the blocks on the device; `free_head` lets go of it."""
        family = self._family
        tail = [self._part(name, source) for name in (family.norm, *family.after) if self._has(name)]
        softcap = getattr(self._skeleton.config, family.softcap) if family.softcap else None
        self._head = Head(torch.nn.Sequential(*tail), self._part(family.head, source), softcap)
        return self._head

    def free_head(self) -> None:
        self._head = None

    def module(self, name: str) -> nn.Module:
        """A module of a loaded block by its full name in the checkpoint; of an expert one with a view of its `weight`."""
        index, _, inner = name.removeprefix(f"{self._family.blocks}.").partition(".")
        block = self._blocks[int(index)]
        expert = expert_of(self._family.experts, inner)
        return expert.module(block) if expert else block.get_submodule(self._family.in_memory(f".{inner}").lstrip("."))

    def fold_target(self, index: int, stored: dict[str, Tensor], layers: Sequence[str]) -> FoldTarget | None:
        """What can take over a scale of the input that `layers` of the loaded block read. stored: what is written of the block so far."""
        prefix = f"{self._family.blocks}.{index}"
        return fold_for(self._folds(index), layers, prefix, self.checkpoint.config, self.module, stored)

    @lru_cache(maxsize=1)  # noqa: B019 (models are few and live as long as the process works on them)
    def _folds(self, index: int) -> list[Fold]:
        return folds_of(self.checkpoint, index)

    def stops(self, index: int) -> list[Stop]:
        """Where a pass through the loaded block is about to read the input of some of its linear layers, in execution order.

        Found by running two tokens through the block. Raises QuantError(code="model-unsupported") for a layer that does not run
        exactly once.
        """
        names = {linear.name: self.module(linear.name) for linear in self.linears if linear.block == index}
        batch = self._probe
        return find_stops(
            self._blocks[index], names, self._family, lambda block: call_block(block, batch.hidden, batch.arguments[index])
        )

    def dead_from(self, index: int, stops: Sequence[Stop]) -> list[int]:
        """Of a pass through the loaded block: for its input, then for each stop's, the first stop from which on nobody reads it.

        Found once for all blocks with the same stops. Of routed experts nothing is known: everything is read to the end.
        """
        return self._found_of(index, stops)[0]

    def read_once(self, index: int, stops: Sequence[Stop]) -> list[bool]:
        """Of a pass through the loaded block: for each stop whether nobody but its layer reads its input. Found as `dead_from`."""
        return self._found_of(index, stops)[1]

    def _found_of(self, index: int, stops: Sequence[Stop]) -> tuple[list[int], list[bool]]:
        if any(stop.experts for stop in stops):
            return [len(stops)] * (len(stops) + 1), [False] * len(stops)
        prefix = f"{self._family.blocks}.{index}."
        kind = (type(self._blocks[index]).__name__, *(name.removeprefix(prefix) for stop in stops for name in stop.groups[0]))
        if kind not in self._liveness:
            batch = self._probe
            run = lambda hidden: call_block(self._blocks[index], hidden, batch.arguments[index])  # noqa: E731
            modules = [stop.module for stop in stops]
            once = read_once(modules, run, batch.hidden)
            alone = [len(stop.groups[0]) == 1 for stop in stops]
            self._liveness[kind] = dead_from(modules, run, batch.hidden), [*map(all, zip(once, alone, strict=True))]
        return self._liveness[kind]

    def input_groups(self, index: int) -> list[list[str]]:
        """Full names of the loaded block's linear layers in execution order; those that read the same tensor together."""
        return [group for stop in self.stops(index) for group in stop.groups]

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
        for name in (family.norm, *family.after):
            if self._has(name):
                setattr(base, name.removeprefix(prefix), torch.nn.Identity())
        for name in (family.embedding, *family.before):
            if self._has(name):
                setattr(base, name.removeprefix(prefix), self._part(name, source))
        return base, catchers

    def _has(self, name: str) -> bool:
        """Whether the model has the module: some families leave a place empty."""
        parent, _, child = name.rpartition(".")
        return getattr(self._skeleton.get_submodule(parent), child, None) is not None

    def _part(self, name: str, source: Checkpoint | None) -> nn.Module:
        return self._materialise(self._skeleton.get_submodule(name), name, source)

    def _materialise(self, skeleton: nn.Module, prefix: str, source: Checkpoint | None) -> nn.Module:
        from quant_engine.architectures.tensors import materialise

        return materialise(skeleton, prefix, Layout(source or self.checkpoint, self._family), self.dtype, self.device)


@dataclass
class Head:
    """What follows the blocks: final norm (and whatever stands between it and the head), then lm_head."""

    norm: nn.Module
    lm_head: nn.Module
    softcap: float | None = None
    """c of logits bounded to c·tanh(logits / c)."""

    def logits(self, hidden: Tensor, chunk: int = 512) -> Iterator[Tensor]:
        """Logits (positions × vocabulary, model dtype) of hidden (batch × tokens × width), at most `chunk` positions at
        a time, row-major."""
        for positions in hidden.reshape(-1, hidden.shape[-1]).split(chunk):
            yield self.bounded(self.outputs(positions))

    def outputs(self, positions: Tensor) -> Tensor:
        """What lm_head computes of hidden states (positions × width)."""
        with in_float32():
            return self.lm_head(self.norm(positions))

    def bounded(self, outputs: Tensor) -> Tensor:
        """Logits of lm_head's outputs."""
        return outputs if self.softcap is None else torch.tanh(outputs / self.softcap) * self.softcap


def call_block(block: nn.Module, hidden: Tensor, arguments: dict[str, Any]) -> Tensor:
    output = block(hidden, **arguments)
    return output[0] if isinstance(output, tuple) else output


def open_model(checkpoint: Checkpoint, device: str = "cpu") -> DecoderModel:
    """Raises QuantError with code model-unsupported (lists the supported architectures), model-quantized or model-broken (the weights are
    not those that config.json asks for)."""
    from quant_engine.architectures.tensors import refuse_other_shapes
    from quant_engine.architectures.verify import refuse_other_logits, refuse_other_modules

    family = family_for(checkpoint)
    if checkpoint.quantization is not None and not _readable(checkpoint):
        raise QuantError(
            f'"{checkpoint.path}" is already quantized ({checkpoint.quantization.method})',
            code="model-quantized",
            advice="Choose the original checkpoint.",
        )
    skeleton = _skeleton(checkpoint, family, device)
    if not family.verified:
        refuse_other_modules(skeleton, family)
    refuse_other_shapes(skeleton, Layout(checkpoint, family))
    model = DecoderModel(checkpoint, family, skeleton, device)
    if not (family.verified or checkpoint.walk_verified):
        refuse_other_logits(model, skeleton, family)
        checkpoint.walk_verified = True
    return model


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")[:300]


def _readable(checkpoint: Checkpoint) -> bool:
    found = checkpoint.quantization
    formats: dict[str, tuple[str, ...]] = {COMPRESSED: READABLE, "gptq": GPTQ_LAYOUTS}
    return found is not None and found.format in formats.get(found.method, ())


def _skeleton(checkpoint: Checkpoint, family: DecoderFamily, device: str) -> nn.Module:
    """transformers' model with parameters on the meta device and its computed (non-persistent) buffers outside the
    blocks in place."""
    import transformers

    kind = getattr(transformers, family.architecture, None)
    if kind is None:
        raise unsupported(family.architecture, "transformers has no class of that name")
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

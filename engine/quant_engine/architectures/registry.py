"""The supported architectures: where each keeps its blocks and in which order a block's linear layers run.

Adding one is a new file in this folder that calls `register`; nothing here may import torch, because listing layers
must stay cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quant_engine.architectures.folds import Fold
from quant_engine.errors import QuantError

if TYPE_CHECKING:
    from quant_engine.checkpoint.read import Checkpoint


@dataclass(frozen=True)
class Experts:
    """A block's experts: one module in memory with all weights stacked, one linear layer for each expert and projection on disk.

    module: with parameters `gate_up_proj` (experts × 2·width × in, gate first) and `down_proj` (experts × out × width).
    stored: name on disk, before the expert's number; gate, up, down: the names after it.
    """

    module: str = "mlp.experts"
    stored: str = "mlp.experts"
    gate: str = "gate_proj"
    up: str = "up_proj"
    down: str = "down_proj"

    @property
    def linears(self) -> tuple[str, str, str]:
        """As in `DecoderFamily.linears`, in execution order."""
        return f"{self.stored}.*.{self.gate}", f"{self.stored}.*.{self.up}", f"{self.stored}.*.{self.down}"


@dataclass(frozen=True)
class DecoderFamily:
    """A decoder LM of transformers, in module names.

    linears: a block's linear layers in execution order (layers a model lacks are skipped), relative to the block, by their names in
    the checkpoint; `*` stands for the number of an expert.
    """

    architecture: str
    """transformers' class, for example LlamaForCausalLM."""
    linears: tuple[str, ...]
    base: str = "model"
    """The module that embeds, runs the blocks and normalises: everything but the head."""
    blocks: str = "model.layers"
    embedding: str = "model.embed_tokens"
    embedding_width: str = "hidden_size"
    """Key of config.json with the embedding's width; "" when it is not known."""
    before: tuple[str, ...] = ()
    """Other modules with weights that the base uses before its blocks; those a model lacks are skipped."""
    norm: str = "model.norm"
    """The final norm; a model may lack it."""
    after: tuple[str, ...] = ()
    """Modules between the final norm and the head, in order; those a model lacks are skipped."""
    head: str = "lm_head"
    softcap: str | None = None
    """Key of config.json with the bound c of the logits, c·tanh(logits / c); no value means no bound."""
    tied: bool = False
    """Whether the head is the embedding when config.json does not say (transformers' default for the class)."""
    stored: tuple[tuple[str, str], ...] = ()
    """Parts of names in memory that may read differently in a checkpoint: (in memory, on disk)."""
    kept: tuple[str, ...] = ()
    """Linear layers outside `linears` and `head`, by full name or `re:` pattern: never quantized, always in a checkpoint's ignore list."""
    experts: Experts | None = None
    folds: tuple[Fold, ...] = ()
    """Where a scale of input channels can move into the operation before: facts of a block's graph for AWQ and SmoothQuant."""
    verified: bool = True
    """False: the names were guessed from the checkpoint, and `open_model` compares with transformers' own forward pass."""
    flattened: tuple[str, ...] = ()
    """Linear layers of a block that transformers gives the tokens of a batch in one dimension."""
    fused: tuple[tuple[str, ...], ...] = ()
    """Linear layers of a block that serving engines run as one matrix, and that therefore need one scheme."""

    def block_count(self, config: dict[str, Any]) -> int:
        count = config.get("num_hidden_layers")
        if type(count) is not int or not 0 < count <= 100_000:
            raise QuantError(
                f"config.json has no usable num_hidden_layers ({count!r})",
                code="model-broken",
                advice="Check config.json.",
            )
        return count

    def on_disk(self, name: str, present: Callable[[str], bool]) -> str:
        """A name in memory as a checkpoint spells it: the first spelling that is `present`, else `name`."""
        spellings = [name, *(name.replace(memory, disk, 1) for memory, disk in self.stored)]
        return next((spelling for spelling in spellings if present(spelling)), name)

    def in_memory(self, name: str) -> str:
        """The inverse of `on_disk`."""
        for memory, disk in self.stored:
            name = name.replace(disk, memory, 1)
        return name


_FAMILIES: dict[str, DecoderFamily] = {}


def register(family: DecoderFamily) -> None:
    if family.architecture in _FAMILIES:
        raise ValueError(f"two architectures are named {family.architecture!r}")
    _FAMILIES[family.architecture] = family


def supported() -> list[str]:
    """The architectures that have a file of their own; others may work all the same (`family_for`)."""
    return sorted(_all())


def family_of(architecture: str) -> DecoderFamily | None:
    """The registered family of that name."""
    return _all().get(architecture)


def family_for(checkpoint: Checkpoint) -> DecoderFamily:
    """The family of a checkpoint, known from headers: the registered one, else what its tensors' names tell.

    Raises QuantError(code="model-unsupported") that names what is missing.
    """
    family = checkpoint.family
    if isinstance(family, str):
        raise unsupported(checkpoint.architecture, family)
    return family


def unsupported(architecture: str, missing: str | None = None) -> QuantError:
    """missing: what a walk block by block would need and the checkpoint does not have."""
    reason = f"; it cannot be walked without a file of its own either: {missing}" if missing else ""
    return QuantError(
        f'architecture "{architecture}" is not supported; supported: {", ".join(supported())}{reason}',
        code="model-unsupported",
        advice="Choose a checkpoint of a supported architecture.",
    )


def _all() -> dict[str, DecoderFamily]:
    import quant_engine.architectures  # noqa: F401  (its import registers every file of the folder)

    return _FAMILIES

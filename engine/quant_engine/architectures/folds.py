"""Where a factor of each input channel of some linear layers can be taken over by the operation before them.

With s > 0 for each input column, the layers' columns × s and the rows of the operation before ÷ s leave the block's output as it is.
AWQ and SmoothQuant choose s; here are the facts about each architecture's graph that they need, without torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from quant_engine.checkpoint.read import Checkpoint

Rows = Callable[[Mapping[str, Any], int], Sequence[int]]
"""(config.json, number of input columns of the layers) → for each column the row of the previous linear layer that feeds it."""


@dataclass(frozen=True)
class Fold:
    """One operation of a block and every layer that reads its output, by names relative to the block.

    A block that lacks one of the names lacks the fold. `*` stands for the number of an expert: in `layers` for all of them when
    `previous` has none, else for the same one. Layers that are never quantized (a router) are scaled with the others.
    """

    previous: str
    layers: tuple[str, ...]
    kind: Literal["norm", "norm_plus_one", "linear"] = "norm"
    """norm: weight and bias ÷ s. norm_plus_one: the norm multiplies by weight + 1. linear: rows of weight and bias ÷ s."""
    rows: Rows | None = None
    """For `linear`: which row feeds which column; None: column j is row j. Columns that share a row must share their factor."""
    when: tuple[tuple[str, Any], ...] = ()
    """Values in config.json without which the operation between does not let factors through; an absent key is as it must be."""

    def holds(self, config: Mapping[str, Any]) -> bool:
        return all(config.get(key, value) == value for key, value in self.when)

    def rows_for(self, config: Mapping[str, Any], columns: int) -> Sequence[int]:
        """For each input column of `layers` the row (channel) of `previous` that feeds it."""
        return range(columns) if self.rows is None else self.rows(config, columns)


def folds_of(checkpoint: Checkpoint, block: int) -> list[Fold]:
    """The folds of one block with the numbers of experts filled in, known from headers. Names are relative to the block."""
    family = checkpoint.family
    if isinstance(family, str):
        return []
    prefix = f"{family.blocks}.{block}."
    weights = (name.removeprefix(prefix).rpartition(".") for name in checkpoint.tensors if name.startswith(prefix))
    modules = dict.fromkeys(module for module, _, part in weights if part in ("weight", "weight_packed"))
    return [one for fold in family.folds if fold.holds(checkpoint.config) for one in _filled_in(fold, [*modules])]


def _filled_in(fold: Fold, modules: Sequence[str]) -> list[Fold]:
    """The fold for each expert, or for all of them together; none in a block that lacks one of its modules."""
    if "*" in fold.previous:
        numbers = [number for name in modules if (number := _number(fold.previous, name))]
        each = [tuple(name.replace("*", number) for name in (fold.previous, *fold.layers)) for number in numbers]
        return [replace(fold, previous=names[0], layers=names[1:]) for names in each if all(name in modules for name in names)]
    found = {layer: [name for name in modules if name == layer or _number(layer, name)] for layer in fold.layers}
    if fold.previous not in modules or not all(found.values()):
        return []
    return [replace(fold, layers=tuple(name for names in found.values() for name in names))]


def _number(pattern: str, name: str) -> str | None:
    """The number that stands in `name` where `pattern` has `*`."""
    start, star, end = pattern.partition("*")
    match = re.fullmatch(re.escape(start) + r"(\d+)" + re.escape(end), name) if star else None
    return match[1] if match else None


def shared_heads(config: Mapping[str, Any], columns: int) -> list[int]:
    """Rows of a value projection: with grouped-query attention several heads' columns read one value head."""
    heads, _, size = _heads(config, columns)
    return [heads[column // size] * size + column % size for column in range(columns)]


def fused_shared_heads(config: Mapping[str, Any], columns: int) -> list[int]:
    """Rows of a projection that stacks queries, keys and values."""
    _, keys, size = _heads(config, columns)
    return [columns + keys * size + row for row in shared_heads(config, columns)]


def interleaved_heads(config: Mapping[str, Any], columns: int) -> list[int]:
    """Rows of a projection that stacks query, key and value head by head."""
    size = columns // config["num_attention_heads"]
    return [column // size * 3 * size + 2 * size + column % size for column in range(columns)]


def second_half(config: Mapping[str, Any], columns: int) -> range:
    """Rows of a projection that stacks gate and up."""
    return range(columns, 2 * columns)


def _heads(config: Mapping[str, Any], columns: int) -> tuple[list[int], int, int]:
    """For each attention head its key-value head; the number of those; the width of a head."""
    count: int = config["num_attention_heads"]
    keys: int = config.get("num_key_value_heads") or count
    return [head * keys // count for head in range(count)], keys, columns // count

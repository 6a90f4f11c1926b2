"""Architectures without a file of their own: names guessed from a checkpoint's headers (docs/decisions/0011-generic-walk.md).

Nothing here imports torch. What is guessed is compared with transformers' model when it is opened (`verify`).
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine.architectures.registry import DecoderFamily
from quant_engine.errors import QuantError

if TYPE_CHECKING:
    from quant_engine.checkpoint.read import Checkpoint

_NUMBERED = re.compile(r"(\D+)\.(\d+)\.(.+)")
_WEIGHT = ".weight"
_PARTS = re.compile(r"\.weight_(scale|shape|zero_point)$")

_SOFTCAP = "final_logit_softcapping"

Shapes = dict[str, tuple[int, ...]]


def read_family(checkpoint: Checkpoint) -> DecoderFamily | str:
    """How to walk the model, or what is missing for that, as the end of a sentence.

    The rule: a class that transformers loads as a language model; as many numbered blocks as config.json has num_hidden_layers, all with
    the same tensors; every two-dimensional weight in them is a linear layer; beside the blocks an embedding (vocabulary × any width) and
    one one-dimensional weight, the final norm; a head (vocabulary × any width) outside the blocks' parent, or one tied to the embedding.
    """
    if checkpoint.architecture not in _language_models():
        return "transformers has no language model of that name"
    try:
        count = DecoderFamily("", ()).block_count(checkpoint.config)
    except QuantError as error:
        return error.message
    shapes = {
        re.sub(r"\.weight_packed$", _WEIGHT, name): tensor.shape
        for name, tensor in checkpoint.tensors.items()
        if not _PARTS.search(name)
    }
    blocks = _blocks(shapes, count)
    if blocks is None:
        return f"there are no {count} numbered blocks among its tensors, all with the same names"
    prefix, inner = blocks
    odd = next((name for name, shape in inner.items() if len(shape) > 2 or re.search(r"\.\d+\.", name)), None)
    if odd:
        return f"its blocks hold {odd}, which is neither a norm nor one linear layer"
    linears = tuple(name.removesuffix(_WEIGHT) for name, shape in inner.items() if len(shape) == 2 and name.endswith(_WEIGHT))
    if not linears:
        return f"no block of {prefix} has a linear layer"
    outside = {name: shape for name, shape in shapes.items() if not name.startswith(f"{prefix}.")}
    return _around(checkpoint, prefix, linears, outside)


@lru_cache(maxsize=1)
def _language_models() -> frozenset[str]:
    """transformers' classes of causal language models, read from its source: importing it would import torch."""
    spec = find_spec("transformers")
    if spec is None or not spec.submodule_search_locations:
        return frozenset()
    file = Path(spec.submodule_search_locations[0]) / "models" / "auto" / "modeling_auto.py"
    section = file.read_text(encoding="utf-8").partition("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES = ")[2].partition("\n)")[0]
    return frozenset(re.findall(r'"(\w+)"\)', section))


def _blocks(shapes: Shapes, count: int) -> tuple[str, Shapes] | None:
    """Name of the largest list of `count` equal blocks, and what the first holds."""
    lists: dict[str, dict[int, Shapes]] = defaultdict(lambda: defaultdict(dict))
    for name, shape in shapes.items():
        match = _NUMBERED.fullmatch(name)
        if match:
            lists[match[1]][int(match[2])][match[3]] = shape
    found = {
        prefix: blocks[0]
        for prefix, blocks in lists.items()
        if blocks.keys() == set(range(count)) and all(block.keys() == blocks[0].keys() for block in blocks.values())
    }
    largest = max(found, key=lambda prefix: sum(math.prod(shape) for shape in found[prefix].values()), default=None)
    return None if largest is None else (largest, found[largest])


def _around(checkpoint: Checkpoint, blocks: str, linears: tuple[str, ...], outside: Shapes) -> DecoderFamily | str:
    """The rest of the family: what stands beside the blocks."""
    base = blocks.rpartition(".")[0]
    if not base:
        return f"{blocks} stands in no module of its own"
    vocabulary = checkpoint.config.get("vocab_size")
    inside = {name: shape for name, shape in outside.items() if name.startswith(f"{base}.")}
    tables = [name for name, shape in outside.items() if len(shape) == 2 and shape[0] == vocabulary]
    embeddings = [name for name in tables if name in inside]
    if len(embeddings) != 1:
        return f"there is no embedding of vocab_size ({vocabulary}) rows in {base}" if not embeddings else _several(embeddings)
    norms = [name for name, shape in inside.items() if len(shape) == 1 and name.endswith(_WEIGHT)]
    if len(norms) != 1:
        return f"there is no final norm in {base}" if not norms else _several(norms)
    heads = [name for name in tables if name not in inside]
    if len(heads) > 1:
        return _several(heads)
    if not heads and checkpoint.config.get("tie_word_embeddings") is False:
        return f"there is no head of vocab_size ({vocabulary}) rows, and config.json ties none to the embedding"
    known = {_module(name) for name in (*embeddings, *norms, *heads)}
    others = [_module(name) for name, shape in outside.items() if len(shape) == 2]
    return DecoderFamily(
        checkpoint.architecture,
        linears,
        base=base,
        blocks=blocks,
        embedding=_module(embeddings[0]),
        embedding_width="",
        before=tuple(dict.fromkeys(_module(name) for name in inside if _module(name) not in known)),
        norm=_module(norms[0]),
        head=_module(heads[0]) if heads else "lm_head",
        softcap=_SOFTCAP if _SOFTCAP in checkpoint.config else None,
        tied=not heads,
        kept=tuple(name for name in dict.fromkeys(others) if name not in known),
        verified=False,
    )


def _module(tensor: str) -> str:
    return tensor.rpartition(".")[0]


def _several(names: list[str]) -> str:
    return f"{' and '.join(sorted(names)[:2])} are both possible, and nothing tells which is meant"

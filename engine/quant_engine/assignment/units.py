"""Layers that have to be quantized alike: serving engines run q, k and v (and gate and up) as one matrix with one scheme."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from quant_engine.architectures.registry import family_of

if TYPE_CHECKING:
    from quant_engine.checkpoint import LinearInfo
    from quant_engine.uses import Use

Unit = tuple["LinearInfo", ...]
"""Layers that get one candidate; its name is that of the first one."""


def fused_layers(linears: Iterable[LinearInfo], architecture: str) -> list[Unit]:
    """The sets of two or more layers that serving engines fuse, as far as the checkpoint has them, block by block."""
    family = family_of(architecture)
    if family is None:
        return []
    by_name = {linear.name: linear for linear in linears}
    blocks = dict.fromkeys(linear.block for linear in by_name.values() if linear.block is not None)
    sets = []
    for block in blocks:
        for parts in family.fused:
            members = tuple(
                by_name[name] for part in parts if (name := f"{family.blocks}.{block}.{part}") in by_name
            )
            if len(members) > 1:
                sets.append(members)
    # Loaders know one format for all experts of a model (docs/decisions/0010-experts.md).
    experts = tuple(linear for linear in by_name.values() if linear.is_expert)
    return [*sets, experts] if len(experts) > 1 else sets


def served_as_one(linears: Iterable[LinearInfo], architecture: str) -> dict[str, str]:
    """Layer → the first of those that serving engines run as one matrix with it. Experts, fused one by one, are not among them."""
    found = (members for members in fused_layers(linears, architecture) if not members[0].is_expert)
    return {member.name: members[0].name for members in found for member in members}


def units_of(layers: Sequence[LinearInfo], fused: Iterable[Unit]) -> list[Unit]:
    """The layers in order, those of a fused set together where the first of them is; without what a rule took out of a
    set, the rest of it is still one unit."""
    wanted = {layer.name for layer in layers}
    unit_of: dict[str, Unit] = {}
    for members in fused:
        unit = tuple(member for member in members if member.name in wanted)
        unit_of.update({member.name: unit for member in unit})
    return list(dict.fromkeys(unit_of.get(layer.name, (layer,)) for layer in layers))


def torn(fused: Iterable[Unit], uses: Mapping[str, Use | None]) -> list[Unit]:
    """The fused sets whose members are stored in different ways, or of which only some are quantized."""
    return [members for members in fused if len({stored_as(uses.get(member.name)) for member in members}) > 1]


def stored_as(use: Use | None) -> object:
    """What has to be the same for layers that are served as one; the method that found the codes is not part of it."""
    # Layers that are served as one have one order of columns too.
    return None if use is None else (use.scheme, use.weight_format, use.arguments.orders_groups)


def torn_messages(found: Iterable[tuple[int, Unit]]) -> list[tuple[int, Unit, str]]:
    """(rule, fused set) of every set that a rule tears, as one sentence for each rule and kind of set, with the first block's set.

    Experts, which no loader reads with different formats, have an error of their own (`experts-mixed`).
    """
    grouped: dict[tuple[int, tuple[str, ...]], list[Unit]] = {}
    for rule, members in found:
        if members[0].is_expert:
            continue
        grouped.setdefault((rule, tuple(member.kind for member in members)), []).append(members)
    messages = []
    for (rule, kinds), sets in grouped.items():
        names = f"{', '.join(kinds[:-1])} and {kinds[-1]}"
        more = f" (and {len(sets) - 1} more)" if len(sets) > 1 else ""
        where = f"of block {sets[0][0].block}{more}"
        text = f"{names} {where} get different schemes; vLLM and SGLang need one for all of them"
        messages.append((rule, sets[0], text))
    return messages

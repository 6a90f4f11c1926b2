"""What a conversion will do, and every reason why it cannot be done, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quant_engine.architectures.registry import family_of
from quant_engine.checkpoint.header import broken
from quant_engine.checkpoint.read import DTYPE_NAMES
from quant_engine.conversion.layer import LayerFormat, plain_order
from quant_engine.conversion.registry import Layout, layout_of, refused, refused_layer
from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.checkpoint import Checkpoint

_HEAD = "lm_head"
Progress = Callable[[str, int, int, str], object]
"""Phase (read, convert), units done, units in all, the unit's name."""


@dataclass(frozen=True)
class Plan:
    """layers: converted, in the checkpoint's order. kept: linear layers that stay, the head among them unless it is converted."""

    source: Checkpoint
    found: Layout
    target: Layout
    layers: list[LayerFormat]
    kept: list[str]
    head: str
    lowest: int
    """Zero points that are the lowest code, which GPTQ's first version cannot store plainly."""


def make_plan(source: Checkpoint, target: Layout, progress: Progress) -> Plan:
    """Raises QuantError with code conversion-refused or model-broken.
    """
    found = layout_of(source)
    if found is target:
        raise refused(f'"{source.path}" is in the format {target.name} already')
    declared = found.layers(source)
    if not declared:
        raise refused(f'"{source.path}" cannot be converted: config says {found.name}, and no layer is stored so')
    layers, lowest = _looked_at(source, found, declared, progress)
    head = head_of(source)
    names = {layer.name for layer in layers}
    kept = [name for name in [*linears_of(source), head] if name not in names]
    plan = Plan(source, found, target, layers, list(dict.fromkeys(kept)), head, lowest)
    _refuse(plan)
    return plan


def _looked_at(
    source: Checkpoint, found: Layout, declared: Sequence[LayerFormat], progress: Progress
) -> tuple[list[LayerFormat], int]:
    """The formats as the data have them, and how many zero points are the lowest code.

    Layouts that always store zero points say "symmetric" in a config at most; layers that are described alike are symmetric when all
    their zero points are in the middle, so that one entry of a config keeps describing them.
    """
    centred: dict[tuple[int, int | None, bool], bool] = {}
    ordered: dict[str, bool] = {}
    lowest = 0
    for number, layer in enumerate(declared, 1):
        parts = load_parts(source, layer.name, found.small)
        zeros = found.zeros(layer, parts)
        centred[layer.kind] = centred.get(layer.kind, True) and (zeros is None or not bool(zeros.any()))
        lowest += 0 if zeros is None else int((zeros == -(1 << (layer.bits - 1))).sum())
        ordered[layer.name] = is_ordered(source, layer, found.order(layer, parts))
        progress("read", number, len(declared), layer.name)
    return [layer.with_(symmetric=centred[layer.kind], ordered=ordered[layer.name]) for layer in declared], lowest


def is_ordered(source: Checkpoint, layer: LayerFormat, order: Tensor | None) -> bool:
    """Whether columns belong to other groups than their places say. Raises QuantError(code="model-broken") for groups that are none."""
    if order is None or torch.equal(order.to(torch.int32), plain_order(layer)):
        return False
    if int(order.min()) < 0 or int(order.max()) >= layer.groups:
        raise broken(source.path, f"{layer.name} has columns of groups that do not exist (it has {layer.groups})")
    return True


def load_parts(source: Checkpoint, module: str, parts: Sequence[str]) -> dict[str, Tensor]:
    """Those of a module's tensors that are there, by their names without the module's."""
    names = [f"{module}.{part}" for part in parts if f"{module}.{part}" in source.tensors]
    return {name.rpartition(".")[2]: tensor for name, tensor in source.load(names).items()}


def _refuse(plan: Plan) -> None:
    reasons = [(layer.name, plan.target.refusal(layer, layer.name == plan.head)) for layer in plan.layers]
    first = [(name, reason) for name, reason in reasons if reason]
    if first:
        name, reason = first[0]
        more = f" ({len(first) - 1} more layers cannot either)" if len(first) > 1 else ""
        raise refused_layer(name, f"{reason}{more}")
    together = plan.target.refuse_together(plan.layers, plan.kept)
    if together:
        raise refused(f'"{plan.source.path}" cannot be converted: {together}')


def head_of(source: Checkpoint) -> str:
    """Name of the output layer."""
    family = family_of(source.architecture)
    return family.head if family else _HEAD


def linears_of(source: Checkpoint) -> list[str]:
    """Modules whose weight is a floating-point matrix and no embedding: everything that a config's `Linear` could mean, routers and
    towers of other architectures too."""
    family = family_of(source.architecture)
    embedding = family.embedding if family else None
    return [
        module
        for module, _, part in (name.rpartition(".") for name in source.tensors)
        if part == "weight"
        and module != embedding
        and "embed" not in module.rpartition(".")[2]
        and len(source.tensors[f"{module}.weight"].shape) == 2
        and source.tensors[f"{module}.weight"].dtype in DTYPE_NAMES
    ]

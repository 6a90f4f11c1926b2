"""What rules and default say about each layer, and which layers they leave to the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from quant_engine.errors import QuantError
from quant_engine.patterns import matches
from quant_engine.yaml_source import Key

if TYPE_CHECKING:
    from quant_engine.checkpoint import LinearInfo
    from quant_engine.recipe import Quantize
    from quant_engine.uses import Use


@dataclass(frozen=True)
class Assigned:
    """use None: the layer stays as it is. rule: index of the deciding rule, `default`, `budget`; None: not a target
    (lm_head unnamed)."""

    use: Use | None
    rule: int | Literal["default", "budget"] | None


def decide(
    linears: Sequence[LinearInfo], section: Quantize, leave_open: bool
) -> tuple[dict[str, Assigned], list[LinearInfo]]:
    """What is decided by name, and the layers that are not: those of the blocks that no rule names, when `leave_open`.

    The first matching rule decides. lm_head is a target only when a rule names it. Raises QuantError(code="group-size").
    """
    decided: dict[str, Assigned] = {}
    left: list[LinearInfo] = []
    uses = section.rule_uses
    for linear in linears:
        index = next((index for index, rule in enumerate(section.rules) if matches(rule.patterns, linear.name)), None)
        if index is not None:
            use = fitting(linear, uses[index], ("quantize", "rules", index, "use"))
            decided[linear.name] = Assigned(use, index)
        elif linear.block is None:
            decided[linear.name] = Assigned(None, None)
        elif leave_open:
            left.append(linear)
        else:
            use = fitting(linear, section.default_use, ("quantize", "default"))
            decided[linear.name] = Assigned(use, "default")
    return decided, left


def fitting(linear: LinearInfo, use: Use | None, key: Key) -> Use | None:
    """`use`, when its groups divide the layer's width. Raises QuantError(code="group-size") at `key`."""
    if use is not None and not use.fits(linear.inputs):
        raise QuantError(
            f"group size {use.group_width} does not divide the input width {linear.inputs} "
            f"of {linear.name}",
            code="group-size",
            advice="Choose a group size that divides it, or `channel`.",
            key=key,
        )
    return use

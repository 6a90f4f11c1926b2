"""Which layer is quantized how: rules, then the budget, then the default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from quant_engine.checkpoint import LinearInfo
    from quant_engine.recipe import Quantize
    from quant_engine.result import Measurement
    from quant_engine.uses import Use


@dataclass(frozen=True)
class LayerMeasurements:
    """What the budget needs of one layer: signal Σ‖y‖² and the candidates' measurements by label."""

    signal: float
    candidates: Mapping[str, Measurement]


@dataclass(frozen=True)
class Assigned:
    """use None: the layer stays as it is. rule: index of the deciding rule, `default`, `budget`; None: not a target (lm_head unnamed)."""

    use: Use | None
    rule: int | Literal["default", "budget"] | None


def assign(
    linears: Sequence[LinearInfo],
    section: Quantize,
    candidates: Sequence[Use] = (),
    measurements: Mapping[str, LayerMeasurements] | None = None,
    scale_bits: int = 16,
) -> dict[str, Assigned]:
    """Every layer's assignment by name, in the order of `linears`.

    The first matching rule decides; layers without one get the budget's choice among `candidates` when the section has a budget (then
    `measurements` is required), else the default. lm_head is a target only when a rule names it.
    Raises QuantError(code="group-size") naming layer, width and the recipe key, ("budget-unreachable") naming the reachable range.
    """
    raise NotImplementedError

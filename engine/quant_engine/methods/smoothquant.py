"""SmoothQuant: outliers move from the inputs, where they hurt, into the weights (Xiao et al., ICML 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from quant_engine.formats.numbers import largest
from quant_engine.formats.scheme import SCHEMES
from quant_engine.lazy import torch
from quant_engine.methods.registry import Arguments, Paper, method
from quant_engine.methods.rounding import Rounding, round_scaled, rounding_field
from quant_engine.methods.types import Quantized

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.formats.scheme import WeightFormat
    from quant_engine.methods.types import Statistics

_LEAST = 1e-5
_WITH_INPUTS = tuple(name for name, scheme in SCHEMES.items() if scheme.inputs is not None and scheme.weights.rows_are_independent)


_STATISTICS: Any = {
    "absmax": "The largest magnitudes, as in the paper's code.",
    "range": "Largest minus smallest value, as in llm-compressor.",
}


class SmoothquantArguments(Arguments):
    strength: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description=(
            "How much of the inputs' spread the weights take over (α of the paper): 0 none, 1 all. Models with massive activations need "
            "0.8 and more. Default: 0.5."
        ),
    )
    statistic: Literal["absmax", "range"] = Field(
        default="absmax",
        description=(
            "What is balanced: `absmax`, the largest magnitudes, as in the paper's code; `range`, largest minus smallest value, as in "
            "llm-compressor. Default: absmax."
        ),
        json_schema_extra={"enumDescriptions": _STATISTICS},
    )
    rounding: Rounding = rounding_field()


_PAPER = Paper(
    "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models",
    "https://arxiv.org/abs/2211.10438",
)


@method("smoothquant", title="SmoothQuant", arguments=SmoothquantArguments, schemes=_WITH_INPUTS, rank=30, scales_inputs=True, paper=_PAPER)
def smoothquant(weight: Tensor, statistics: Statistics, weight_format: WeightFormat, arguments: SmoothquantArguments) -> Quantized:
    """Moves outliers from the inputs into the weights by a factor for each channel, so that both can be rounded to 8 bits.

    weight: W (out × in), all layers that read the input. The factor is folded into the operation before them: a norm, the values before
    the attention's output, the up projection before the down projection. Where there is none, the layer is rounded as it is and the run
    says so.
    """
    scale = None
    if statistics.fold is not None:
        scale = statistics.fold(smoothing_scale(weight, statistics, arguments.strength, arguments.statistic))
    return round_scaled(weight, statistics, weight_format, arguments.rounding, scale)


def smoothing_scale(weight: Tensor, statistics: Statistics, strength: float, statistic: str = "absmax") -> Tensor:
    """s_j = a_j^α / w_j^(1−α) (in,), float32, not below 10⁻⁵.

    absmax: a_j = max|X_j|, w_j = max|W_j| not below 10⁻⁵. range: a_j = max X_j − min X_j, w_j = 2·max|W_j|; where w_j is 0, s_j = a_j.
    """
    columns = largest(weight, 0).float()
    if statistic == "range":
        inputs = (statistics.ranges.highest - statistics.ranges.lowest).float()
        scale = torch.where(columns > 0, inputs**strength / (2 * columns) ** (1 - strength), inputs)
    else:
        scale = statistics.largest.float() ** strength / columns.clamp(min=_LEAST) ** (1 - strength)
    return scale.clamp(min=_LEAST)

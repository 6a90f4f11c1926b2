"""A method made by a test: it rounds to nearest, and always says that it fell back."""

from __future__ import annotations

from pydantic import Field

from quant_engine.methods.registry import Arguments, Paper, method, registered


class ToyArguments(Arguments):
    zeal: int = Field(default=3, ge=1, le=9, description="How hard it tries.")


_PAPER = Paper("On Toys", "https://example.org/toys")


@method("toy", title="Toy", arguments=ToyArguments, schemes=("W4A16",), needs_calibration=False, paper=_PAPER)
def toy(weight, statistics, weight_format, arguments):
    """Rounds like a toy."""
    rtn = registered()["rtn"]
    result = rtn.quantize(weight, statistics, weight_format, rtn.arguments())
    if arguments.zeal > 3:
        result.report.fallback = "too much zeal"
        result.report.applied = "rtn"
    return result

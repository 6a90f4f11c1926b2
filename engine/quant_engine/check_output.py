"""Ways to quantize that the output's format cannot store, as far as the recipe alone tells; no checkpoint, no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from quant_engine.methods.registry import NEEDS_OUTPUT
from quant_engine.output_format import scheme_refusal
from quant_engine.right_values import RightValues
from quant_engine.structure import Finding, Need
from quant_engine.uses import Use


def unstorable(values: RightValues, needs: Sequence[Need]) -> Iterator[Finding]:
    """Schemes that the format does not have, and values of arguments that take another format; needs: of the whole recipe."""
    output = values.output_format
    for key in values.use_places():
        use = values.use(key)
        if output is None or not isinstance(use, Use):
            continue
        refusal = scheme_refusal(use, output)
        if refusal:
            yield Finding("output-format", refusal, values.scheme_span(key))
        for need in needs:
            if need.keyword == NEEDS_OUTPUT and need.key[: len(key)] == key and output not in need.names:
                name, known = ".".join(map(str, need.key[len(key) :])), " or ".join(need.names)
                message = f'{name} "{need.value.text}" needs the output format {known}, and this recipe\'s is {output}'
                yield Finding("argument-format", message, need.value.span)

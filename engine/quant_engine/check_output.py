"""Ways to quantize that the output's format cannot store, as far as the recipe alone tells; no checkpoint, no torch."""

from __future__ import annotations

from collections.abc import Iterator

from quant_engine.methods.registry import needed_outputs
from quant_engine.output_format import scheme_refusal
from quant_engine.right_values import RightValues
from quant_engine.structure import Finding
from quant_engine.uses import Use
from quant_engine.yaml_source import Mapping


def unstorable(values: RightValues) -> Iterator[Finding]:
    """Schemes that the format does not have, and values of arguments that take another format."""
    output = values.output_format
    for key in values.use_places():
        use = values.use(key)
        if output is None or not isinstance(use, Use):
            continue
        refusal = scheme_refusal(use, output)
        if refusal:
            yield Finding("output-format", refusal, values.scheme_span(key))
        node = values.node(key)
        for entry in node.entries if isinstance(node, Mapping) else ():
            name = entry.key.text
            value = getattr(use, name)
            needed = needed_outputs(type(use), name, value)
            if needed and output not in needed:
                message = f'{name} "{value}" needs the output format {" or ".join(needed)}, and this recipe\'s is {output}'
                yield Finding("argument-format", message, entry.value.span)

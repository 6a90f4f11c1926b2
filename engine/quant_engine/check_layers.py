"""A recipe against the checkpoint's linear layers: patterns that match nothing, group sizes that do not fit, budgets out of reach."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine.checkpoint.quantization import expert_contradiction
from quant_engine.nearest import nearest
from quant_engine.recipe import matches
from quant_engine.right_values import RightValues
from quant_engine.structure import Finding
from quant_engine.uses import Use
from quant_engine.yaml_source import Key, Mapping, Scalar, Span

if TYPE_CHECKING:
    from quant_engine.checkpoint import LinearInfo

_WILDCARDS = set("*?[")
_RULES: Key = ("quantize", "rules")


class LayerCheck:
    """`findings` of one recipe; `assignment`: what default and rules give each layer, as far as they are right."""

    def __init__(self, values: RightValues, linears: list[LinearInfo], model: str) -> None:
        self._values = values
        self._linears = linears
        self._blocks = [linear for linear in linears if linear.block is not None]
        self._model = Path(model).name
        self.assignment: dict[str, Use | None] = {}
        self.findings: list[Finding] = [*self._rules_and_default(), *self._experts(), *self._candidates()]

    def budget(self, scale_bits: int) -> Iterator[Finding]:
        """A budget below the smallest candidates, known from the shapes alone, should not cost a measurement first."""
        values = self._values
        budget = values.scalar(("quantize", "budget", "bits_per_weight"), float)
        if budget is None or values.is_wrong(("candidates",)):
            return
        uses = [values.use(("candidates", index)) for index in range(values.count(("candidates",)))]
        if not uses:
            message = "a budget chooses among the candidates, and there are none"
            yield Finding("budget-unreachable", message, budget[1])
            return
        ruled = [name for index in range(values.count(_RULES)) for name, _ in values.texts((*_RULES, index, "layers"))]
        chosen = [linear for linear in self._blocks if not matches(ruled, linear.name)]
        formats = [use.weight_format for use in uses if isinstance(use, Use)]
        if len(formats) < len(uses) or not chosen:
            return
        weights = sum(linear.outputs * linear.inputs for linear in chosen)
        bits = sum(
            linear.outputs * linear.inputs * min(one.bits_per_weight(linear.inputs, scale_bits, linear.outputs) for one in formats)
            for linear in chosen
        )
        if budget[0] < bits / weights:
            message = f"no choice of candidates needs only {budget[0]:g} bits per weight"
            yield Finding("budget-unreachable", f"{message}; the smallest needs {bits / weights:.3f}", budget[1])

    def _rules_and_default(self) -> Iterator[Finding]:
        left = list(self._linears)
        for index in range(self._values.count(_RULES)):
            key: Key = (*_RULES, index)
            patterns = [(text, span) for text, span in self._values.texts((*key, "layers")) if text]
            names = [linear.name for linear in self._linears]
            for pattern, span in patterns:
                if not any(matches([pattern], name) for name in names):
                    yield Finding("no-layer-matches", no_match(pattern, names, self._model), span, "warning")
            texts = [pattern for pattern, _ in patterns]
            yield from self._decide((*key, "use"), [linear for linear in left if matches(texts, linear.name)])
            left = [linear for linear in left if not matches(texts, linear.name)]
        yield from self._decide(("quantize", "default"), [linear for linear in left if linear.block is not None])

    def _experts(self) -> Iterator[Finding]:
        """Formats that the rules and the default give to experts; what a budget chooses is not known yet."""
        default: Key = ("quantize", "default")
        complete = len(self.assignment) >= len(self._blocks)
        contradiction = expert_contradiction(self.assignment) if complete and self._values.node(("quantize", "budget")) is None else None
        node = self._values.node(_RULES) or self._values.node(default)
        if contradiction and node:
            yield Finding("experts-mixed", contradiction, node.span)

    def _candidates(self) -> Iterator[Finding]:
        for index in range(self._values.count(("candidates",))):
            yield from self._misfits(("candidates", index), self._values.use(("candidates", index)), self._blocks)

    def _decide(self, key: Key, linears: list[LinearInfo]) -> Iterator[Finding]:
        use = self._values.use(key)
        if use != "unknown":
            self.assignment.update({linear.name: use for linear in linears})
        yield from self._misfits(key, use, linears)

    def _misfits(self, key: Key, use: object, linears: list[LinearInfo]) -> Iterator[Finding]:
        if not isinstance(use, Use):
            return
        size = use.group_width
        misfit = next((linear for linear in linears if not use.fits(linear.inputs)), None)
        if misfit is None or size is None:
            return
        divisors = [n for n in range(8, 257) if misfit.inputs % n == 0] or [misfit.inputs]
        shown = ", ".join(map(str, divisors[:12])) + (", …" if len(divisors) > 12 else "")
        message = f"group size {size} does not divide the input width {misfit.inputs} of {misfit.name}"
        yield Finding("group-size", f"{message}; divisors: {shown}", self._size_span(key))

    def _size_span(self, key: Key) -> Span:
        node = self._values.node(key)
        if isinstance(node, Mapping):
            entry = node.get("group_size")
            is_written = entry is not None and isinstance(entry.value, Scalar) and entry.value.value is not None
            size = entry if is_written else node.get("scheme")
            node = size.value if size else node
        return node.span if node else self._values.first_line


def no_match(pattern: str, names: list[str], model: str) -> str:
    """The sentence for a pattern without layers, with the nearest name when there is one."""
    near = nearest(pattern, _pattern_forms(names) if _WILDCARDS & set(pattern) else names)
    return f'"{pattern}" matches no layer of {model}' + (f'; did you mean "{near}"?' if near else "")


def _pattern_forms(names: list[str]) -> list[str]:
    """Patterns that match each layer, in the order of docs/diagnostics.md#no-layer-matches."""
    forms: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        numbers = [index for index, part in enumerate(parts) if part.isdigit()]
        forms[".".join("*" if part.isdigit() else part for part in parts)] = None
        if numbers:
            tail = parts[numbers[-1] + 1 :]
            forms.update({"*." + ".".join(tail[start:]): None for start in range(len(tail))})
    return list(forms)

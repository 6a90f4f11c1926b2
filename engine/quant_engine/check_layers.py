"""A recipe against the checkpoint's linear layers: patterns that match nothing, rules that never decide, group sizes that do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from quant_engine.assignment.units import Unit, stored_as, torn_messages
from quant_engine.checkpoint.quantization import expert_contradiction
from quant_engine.formats.scheme import GROUP_SIZES, SCHEMES
from quant_engine.nearest import nearest
from quant_engine.output_format import layer_refusal
from quant_engine.patterns import matches
from quant_engine.right_values import RightValues
from quant_engine.structure import Finding
from quant_engine.uses import Use
from quant_engine.yaml_source import Key, Mapping, Scalar, Span

if TYPE_CHECKING:
    from quant_engine.checkpoint import LinearInfo

_WILDCARDS = set("*?[")
_RULES: Key = ("quantize", "rules")
_BUDGET: Key = ("quantize", "budget")
_UNKNOWN = object()
_CANDIDATE = "Choose a size that fits, or `channel`: candidates are measured on all layers of the blocks, whatever the rules say."


class LayerCheck:
    """`findings` of one recipe; `assignment`: what default and rules give each layer, as far as they are right."""

    def __init__(self, values: RightValues, linears: list[LinearInfo], model: str) -> None:
        self._values = values
        self.linears = linears
        self._blocks = [linear for linear in linears if linear.block is not None]
        self._model = Path(model).name
        self._has_budget = isinstance(values.node(_BUDGET), Mapping)
        self.ruled: dict[str, int] = {}
        """Layer → index of the rule that decides about it."""
        self.assignment: dict[str, Use | None] = {}
        self.findings: list[Finding] = [*self._rules_and_default(), *self._nothing(), *self._experts(), *self._candidates()]

    def fused(self, fused: Sequence[Unit]) -> Iterator[Finding]:
        """Layers that serving engines run as one, and that rules are certain to keep from having one scheme."""
        found = [(rule, members) for members in fused if (rule := self._tearing_rule(members)) is not None]
        for rule, _, message in torn_messages(found):
            node = self._values.node((*_RULES, rule, "use"))
            yield Finding("fused-layers", message, node.span if node else self._values.first_line, "warning")

    def _tearing_rule(self, members: Unit) -> int | None:
        ruled = {member.name: self.ruled[member.name] for member in members if member.name in self.ruled}
        if not ruled or any(name not in self.assignment for name in ruled):
            return None
        schemes = {stored_as(self.assignment[name]) for name in ruled}
        rest = [member.name for member in members if member.name not in ruled]
        if rest and self._has_budget:
            # Whether the budget happens to choose the rule's scheme is not known before the measurement.
            possible = {stored_as(use) for use in self.offered}
        else:
            possible = {stored_as(self.assignment[name]) for name in rest if name in self.assignment}
        certain = len(schemes) > 1 or bool(rest and possible and not schemes & possible)
        return min(ruled.values()) if certain else None

    @property
    def offered(self) -> list[Use]:
        """The candidates that are right."""
        uses = [self._values.use(("candidates", index)) for index in range(self._values.count(("candidates",)))]
        return [use for use in uses if isinstance(use, Use)]

    def _rules_and_default(self) -> Iterator[Finding]:
        left = list(self.linears)
        for index in range(self._values.count(_RULES)):
            key: Key = (*_RULES, index)
            patterns = [(text, span) for text, span in self._values.texts((*key, "layers")) if text]
            names = [linear.name for linear in self.linears]
            for pattern, span in patterns:
                if not any(matches([pattern], name) for name in names):
                    yield Finding("no-layer-matches", no_match(pattern, names, self._model), span, "warning")
            texts = [pattern for pattern, _ in patterns]
            matched = [linear for linear in left if matches(texts, linear.name)]
            if not matched and (named := [name for name in names if matches(texts, name)]):
                yield self._shadowed((*key, "layers"), {self.ruled[name] for name in named})
            elif len(patterns) > 1:
                yield from _repeated(patterns, names, set(self.ruled))
            self.ruled.update({linear.name: index for linear in matched})
            yield from self._decide((*key, "use"), matched)
            left = [linear for linear in left if linear.name not in self.ruled]
        yield from self._decide(("quantize", "default"), [linear for linear in left if linear.block is not None])

    def _shadowed(self, key: Key, before: set[int]) -> Finding:
        """before: the rules that come first for every layer that this one names."""
        node = self._values.node(key)
        *others, last = (str(index + 1) for index in sorted(before))
        first = f"rules {', '.join(others)} and {last} name" if others else f"rule {last} names"
        message = f"{first} every layer of this one before it"
        return Finding("rule-shadowed", message, node.span if node else self._values.first_line, "warning")

    def _nothing(self) -> Iterator[Finding]:
        """Default and rules that keep every layer, without a budget that could choose otherwise."""
        decided = [linear for linear in self.linears if linear.block is not None or linear.name in self.ruled]
        default = self._values.node(("quantize", "default"))
        kept = all(self.assignment.get(linear.name, _UNKNOWN) is None for linear in decided)
        right = self._values.is_wholly_right(("quantize",))
        if decided and kept and right and default is not None and not self._values.is_written(_BUDGET):
            message = "nothing would be quantized: the default and the rules keep every layer"
            yield Finding("nothing-to-quantize", message, default.span, "warning")

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
            key: Key = ("candidates", index)
            use = self._values.use(key)
            yield from self._misfits(key, use, self._blocks)
            yield from self._unstorable(key, use, self._blocks)

    def _decide(self, key: Key, linears: list[LinearInfo]) -> Iterator[Finding]:
        use = self._values.use(key)
        if use != "unknown":
            self.assignment.update({linear.name: use for linear in linears})
        yield from self._misfits(key, use, linears)
        yield from self._unstorable(key, use, linears)

    def _misfits(self, key: Key, use: object, linears: list[LinearInfo]) -> Iterator[Finding]:
        if not isinstance(use, Use):
            return
        size = use.group_width
        misfit = next((linear for linear in linears if not use.fits(linear.inputs)), None)
        if misfit is None or size is None:
            return
        writable = GROUP_SIZES if isinstance(self._values.node(key), Scalar) else range(8, 257, 8)
        fitting = [str(n) for n in writable if SCHEMES[use.scheme].regroupable and all(linear.inputs % n == 0 for linear in linears)]
        message = f"group size {size} does not divide the input width {misfit.inputs} of {misfit.name}"
        choice = f"; sizes that fit: {', '.join(fitting)}" if fitting else ""
        advice = _CANDIDATE if key[0] == "candidates" else ""
        yield Finding("group-size", message + choice, self._size_span(key), advice=advice)

    def _unstorable(self, key: Key, use: object, linears: list[LinearInfo]) -> Iterator[Finding]:
        """The first layer whose shape the output's format cannot hold."""
        if not isinstance(use, Use):
            return
        for linear in linears:
            refusal = layer_refusal(use, linear)
            if refusal:
                message = f"{linear.name} cannot be stored in GPTQ's format: {refusal}"
                yield Finding("output-format", message, self._values.scheme_span(key))
                return

    def _size_span(self, key: Key) -> Span:
        node = self._values.node(key)
        if isinstance(node, Mapping):
            entry = node.get("group_size")
            is_written = entry is not None and isinstance(entry.value, Scalar) and entry.value.value is not None
            size = entry if is_written else node.get("scheme")
            node = size.value if size else node
        return node.span if node else self._values.first_line


def _repeated(patterns: list[tuple[str, Span]], names: list[str], named: set[str]) -> Iterator[Finding]:
    """Patterns of a rule all of whose layers are named by the rule's patterns before it, or by rules before (`named`)."""
    for pattern, span in patterns:
        matched = {name for name in names if matches([pattern], name)}
        if matched and matched <= named:
            yield Finding("layers-repeated", f'every layer that "{pattern}" matches is named before it', span, "warning")
        named |= matched


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

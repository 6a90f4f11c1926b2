"""What the schema cannot say of ways to quantize: a method without that scheme, a scheme without a method, an argument that does not go
with its scheme, a group size beside a scheme that has its own, a candidate that is listed twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from quant_engine.formats.scheme import SCHEMES
from quant_engine.methods import METHODS
from quant_engine.methods.registry import NEEDS_SCHEME
from quant_engine.right_values import RightValues
from quant_engine.structure import Finding, Need
from quant_engine.uses import SHORT_USES, Use
from quant_engine.yaml_source import Key, Listing, Mapping, Node, Scalar, Span

_SHORT = re.compile(r"([a-z0-9]+)-([a-z0-9_]+?)(?:-g[0-9]+|-channel)?")
_SCHEME = re.compile(r"([A-Za-z0-9_]+)(-g[0-9]+|-channel)?")


def fixed_groups(node: Node | None, key: Key = ()) -> Iterator[tuple[Key, Finding]]:
    """(key path, finding) of every such group size below `node`."""
    if isinstance(node, Listing):
        for index, item in enumerate(node.items):
            yield from fixed_groups(item, (*key, index))
    if not isinstance(node, Mapping):
        return
    scheme, size = node.get("scheme"), node.get("group_size")
    if scheme and size and isinstance(scheme.value, Scalar) and isinstance(size.value, Scalar) and size.value.value is not None:
        known = SCHEMES.get(str(scheme.value.value))
        if known and not known.regroupable:
            message = f"{known.name} has no group size to choose: remove group_size"
            advice = "The scheme itself says what shares a scale."
            yield (*key, "group_size"), Finding("unknown-value", message, size.value.span, advice=advice)
    for entry in node.entries:
        yield from fixed_groups(entry.value, (*key, entry.key.text))


def misplaced_arguments(values: RightValues, needs: Sequence[Need]) -> Iterator[tuple[Key, Finding]]:
    """(key path, finding) of every value of an argument that takes another scheme; needs: of the whole recipe."""
    for key in values.use_places():
        method, scheme = values.scalar((*key, "method"), str), values.scalar((*key, "scheme"), str)
        known = METHODS[method[0]].schemes if method and method[0] in METHODS else ()
        if scheme is None or scheme[0] not in known:
            continue
        for need in needs:
            if need.keyword == NEEDS_SCHEME and need.key[: len(key)] == key and scheme[0] not in need.names:
                name = ".".join(map(str, need.key[len(key) :]))
                others = " or ".join(other for other in need.names if other in known)
                message = f'{name} "{need.value.text}" needs the scheme {others}, and this one is {scheme[0]}'
                yield need.key, Finding("argument-scheme", message, need.value.span)


def with_methods(root: Node | None, findings: list[Finding]) -> list[Finding]:
    """The same findings; an unknown value that is a method with a scheme that others have, or a scheme without a method, says so."""
    unfit = {finding.span: finding for finding in (*_misfits(root), *_schemes_alone(root))}
    return [unfit.get(finding.span, finding) if finding.code == "unknown-value" else finding for finding in findings]


def _misfits(node: Node | None) -> Iterator[Finding]:
    if isinstance(node, Listing):
        for item in node.items:
            yield from _misfits(item)
    elif isinstance(node, Mapping):
        method, scheme = node.get("method"), node.get("scheme")
        if method and scheme and isinstance(method.value, Scalar) and isinstance(scheme.value, Scalar):
            yield from _misfit(method.value.text, scheme.value.text, scheme.value.span)
        for entry in node.entries:
            yield from _misfits(entry.value)
    elif isinstance(node, Scalar) and isinstance(node.value, str) and (short := _SHORT.fullmatch(node.text)):
        yield from _misfit(short[1], short[2].upper(), node.span)


def _misfit(method: str, scheme: str, span: Span) -> Iterator[Finding]:
    if method in METHODS and scheme in SCHEMES and scheme not in METHODS[method].schemes:
        others = ", ".join(other.name for other in METHODS.values() if scheme in other.schemes)
        yield Finding("method-scheme", f"{method} has no scheme {scheme}; methods that have it: {others}", span)


def _schemes_alone(node: Node | None, is_use: bool = False) -> Iterator[Finding]:
    """is_use: whether a way to quantize stands where the node is."""
    if isinstance(node, Listing):
        for item in node.items:
            yield from _schemes_alone(item, is_use)
    elif isinstance(node, Mapping):
        for entry in node.entries:
            yield from _schemes_alone(entry.value, entry.key.text in ("candidates", "default", "use"))
    elif is_use and isinstance(node, Scalar) and isinstance(node.value, str) and (written := _SCHEME.fullmatch(node.text)):
        scheme, size = written[1].upper(), written[2] or ""
        if scheme in SCHEMES and scheme.lower() not in SHORT_USES:
            forms = [form + (size if SCHEMES[scheme].regroupable else "") for form, (_, own) in SHORT_USES.items() if own == scheme]
            message = f'"{node.text}" is a scheme without a method; write one of: {", ".join(forms)}'
            advice = "Write the method before the scheme; quant-engine methods says what each one does."
            yield Finding("method-scheme", message, node.span, advice=advice)


def repeated_candidates(values: RightValues) -> Iterator[Finding]:
    """Candidates that are the same as an earlier one, however they are written."""
    first: dict[str, int] = {}
    for index in range(values.count(("candidates",))):
        use = values.use(("candidates", index))
        node = values.node(("candidates", index))
        if not isinstance(use, Use) or node is None:
            continue
        same = first.setdefault(use.label, index)
        if same != index:
            message = f"candidate {index + 1} is the same as candidate {same + 1}"
            yield Finding("duplicate-candidate", message, node.span, "warning")

"""Secrets in plain text: recipes are copied into run directories, and shared. No finding shows one again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from quant_engine.structure import Finding
from quant_engine.yaml_source import Listing, Mapping, Node, Scalar, Span

_TOKENS = re.compile(
    r"(?<![A-Za-z0-9_-])(?:(hf_[A-Za-z0-9]{20,})|(gh[opsur]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{20,})|(AKIA[0-9A-Z]{16})"
    r"|((?:sk|nvapi)-[A-Za-z0-9_-]{20,}))(?![A-Za-z0-9_-])"
)
"""How tokens of services look, wherever they stand; the editor has the same list (`server/validate-secrets.ts`)."""
_NAMES = ("a Hugging Face token", "a GitHub token", "an access key", "an API key")
_SHORTEST_BEGINNING = 8
_KEYS = re.compile(r"(?:.*[_-])?(?:token|password|passwd|secret|api[_-]?key|access[_-]?key)", re.IGNORECASE)


@dataclass(frozen=True)
class _Secret:
    text: str
    what: str
    span: Span


def without_secrets(text: str, root: Node | None, findings: Iterable[Finding]) -> list[Finding]:
    """The same findings without the secrets of the recipe in their sentences, and one for each secret."""
    tokens = list(_tokens(text))
    named = [secret for secret in _named(root) if not any(_overlap(secret.span, token.span) for token in tokens)]
    secrets = [*tokens, *named]
    hidden = [replace(finding, message=hide(finding.message, secrets), advice=hide(finding.advice, secrets)) for finding in findings]
    return hidden + [Finding("secret", f"{secret.what} stands here in plain text", secret.span, "warning") for secret in secrets]


def without_tokens(text: str, message: str) -> str:
    """A sentence about a text that is not YAML, without what looks like a token in it."""
    return hide(message, _tokens(text))


def hide(message: str, secrets: Iterable[_Secret]) -> str:
    """Long names are cut off in some sentences: then the beginning of a secret is hidden, too."""
    for secret in secrets:
        message = message.replace(secret.text, "…")
        for length in range(len(secret.text) - 1, _SHORTEST_BEGINNING - 1, -1):
            message = message.replace(f"{secret.text[:length]}…", "…")
    return message


def _tokens(text: str) -> Iterator[_Secret]:
    for match in _TOKENS.finditer(text):
        yield _Secret(match[0], _NAMES[(match.lastindex or 1) - 1], Span(*match.span()))


def _named(node: Node | None) -> Iterator[_Secret]:
    """Texts behind keys that say what they are; one that begins with `$` names a variable of the environment."""
    if isinstance(node, Listing):
        for item in node.items:
            yield from _named(item)
    if not isinstance(node, Mapping):
        return
    for entry in node.entries:
        value = entry.value
        if isinstance(value, Scalar) and isinstance(value.value, str) and _KEYS.fullmatch(entry.key.text):
            if value.text.strip() and not value.text.startswith("$"):
                yield _Secret(value.text, f'the value of "{entry.key.text}"', value.span)
        else:
            yield from _named(value)


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end

"""Layer patterns over module names, with the meaning that `protocol/pattern.ts` gives them in the editor.

`*` stands for any characters (dots too), `?` for one, `[0-3]` for one of a set, `[!0-3]` for one that is not in it. Matched by hand: a
recipe is somebody else's text, and `*a*a*a*…` as a regular expression takes exponential time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

_MANY = None
_Token = Callable[[str], bool] | None
"""Accepts one character; None: any number of any characters."""


def matches(patterns: Sequence[str], name: str) -> bool:
    """Whether any of the patterns stands for the whole name."""
    return any(_match(tokens, name) for pattern in patterns if (tokens := _tokens(pattern)) is not None)


@lru_cache(maxsize=4096)
def _tokens(pattern: str) -> tuple[_Token, ...] | None:
    """None: a set that is none, such as `[z-a]`; it matches nothing."""
    tokens: list[_Token] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        closing = pattern.find("]", position + 2) if character == "[" else -1
        if character == "*":
            if not tokens or tokens[-1] is not _MANY:
                tokens.append(_MANY)
        elif character == "?":
            tokens.append(lambda _: True)
        elif closing > 0:
            accepts = _set(pattern[position + 1 : closing])
            if accepts is None:
                return None
            tokens.append(accepts)
            position = closing
        else:
            tokens.append(character.__eq__)
        position += 1
    return tuple(tokens)


def _set(members: str) -> Callable[[str], bool] | None:
    negated = members[:1] in ("!", "^")
    characters = members[1:] if negated else members
    ranges: list[tuple[str, str]] = []
    index = 0
    while index < len(characters):
        is_range = characters[index + 1 : index + 2] == "-" and index + 2 < len(characters)
        low, high = characters[index], characters[index + 2] if is_range else characters[index]
        if low > high:
            return None
        ranges.append((low, high))
        index += 3 if is_range else 1
    return lambda character: any(low <= character <= high for low, high in ranges) != negated


def _match(tokens: tuple[_Token, ...], name: str) -> bool:
    """Greedy, and back to the last `*` only: tokens × characters at most."""
    token = position = 0
    star, star_position = -1, 0
    while position < len(name):
        current = tokens[token] if token < len(tokens) else False
        if current is _MANY:
            star, star_position = token, position
            token += 1
        elif current and current(name[position]):
            token, position = token + 1, position + 1
        elif star >= 0:
            token = star + 1
            star_position += 1
            position = star_position
        else:
            return False
    return all(left is _MANY for left in tokens[token:])

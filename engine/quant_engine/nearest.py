"""The nearest known name to one that is unknown, and the sentence that offers it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_LISTED = 12


def distance(a: str, b: str) -> int:
    """Damerau-Levenshtein distance in its optimal string alignment form: insertions, deletions, substitutions and swaps of neighbours."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for row, left in enumerate(a, 1):
        current = [row]
        for column, right in enumerate(b, 1):
            cost = min(last[column] + 1, current[column - 1] + 1, last[column - 1] + (left != right))
            if row > 1 and column > 1 and left == b[column - 2] and a[row - 2] == right:
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        before, last = last, current
    return last[-1]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name at the smallest distance, upper case or not, at most max(2, len(name) / 3); the first one wins a tie."""
    name = name.lower()
    limit = max(2, len(name) // 3)
    best: tuple[int, str] | None = None
    for candidate in known:
        if abs(len(candidate) - len(name)) > limit:
            continue
        found = distance(name, candidate.lower())
        if found <= limit and (best is None or found < best[0]):
            best = (found, candidate)
    return best[1] if best else None


def suggestion(name: str, known: Sequence[str]) -> str:
    """`did you mean "NEAREST"?`, or the list of what is known. Names that begin as `name` does up to its first hyphen come alone, if
    there are any."""
    beginning = name.split("-")[0].lower()
    known = [one for one in known if beginning and one.lower().startswith(beginning)] or known
    near = nearest(name, known)
    if near is not None:
        return f'did you mean "{near}"?'
    return "expected one of: " + ", ".join(known[:_LISTED]) + (", …" if len(known) > _LISTED else "")

"""What the engine needs to run, and what of it is there. Only the standard library: this must work where nothing else is installed."""

from __future__ import annotations

import re
import sys

OLDEST_PYTHON = (3, 10)

# The same bounds as in pyproject.toml, which is not beside the package once it is installed.
REQUIREMENTS = {
    "torch": (">=2.13", "<2.14"),
    "transformers": (">=5.17", "<6"),
    "compressed-tensors": (">=0.19", "<0.21"),
    "safetensors": (">=0.6",),
    "filelock": (">=3.18",),
    "greenlet": (">=3.2",),
    "numba": (">=0.61",),
    "numpy": (">=2.0",),
    "psutil": (">=7",),
    "pydantic": (">=2.11",),
    "pyyaml": (">=6",),
    "rich": (">=14",),
    "scipy": (">=1.15",),
    "typer": (">=0.16",),
}
NEWER_PYTHON = "Install Python {} or later and choose it.".format(".".join(map(str, OLDEST_PYTHON)))
INSTALL = 'Run {} -m pip install -r constraints.txt in the engine\'s folder, or "Quant: Set Up Engine" in the editor.'


def python_problem(version=None):  # type: (tuple[int, ...] | None) -> str | None
    """Why this Python cannot run the engine; None when it can."""
    found = tuple(sys.version_info[:3]) if version is None else version
    if found[:2] >= OLDEST_PYTHON:
        return None
    return "Python {} is too old: the engine needs {} or later".format(
        ".".join(map(str, found)), ".".join(map(str, OLDEST_PYTHON))
    )


def found_version(name: str) -> str | None:
    """Version of an installed distribution; None when it is absent."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def satisfies(version: str, bounds: tuple[str, ...]) -> bool:
    """Whether the leading numbers of a version keep `>=` and `<` bounds; `2.13.0+cpu` counts as 2.13.0."""
    found = _numbers(version)
    return all(
        found >= _numbers(bound[2:]) if bound.startswith(">=") else found < _numbers(bound[1:]) for bound in bounds
    )


def _numbers(text: str) -> list[int]:
    """Trailing zeros do not count, so that 2.0 and 2.0.0 are the same."""
    match = re.match(r"\d+(\.\d+)*", text)
    numbers = [int(part) for part in match.group().split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def missing_packages() -> list[str]:
    """Which requirements are not met, in words: `torch`, `transformers >=5.17,<6 (found 4.40.0)`."""
    missing = []
    for name, bounds in REQUIREMENTS.items():
        version = found_version(name)
        if version is None:
            missing.append(name)
        elif not satisfies(version, bounds):
            missing.append(f"{name} {','.join(bounds)} (found {version})")
    return missing

"""`quant-engine doctor`: everything that can be wrong with the set-up, all at once, each with what to do.

Only the standard library at import time, because a missing package is one of the findings.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from quant_engine.requirements import INSTALL, NEWER_PYTHON, REQUIREMENTS, found_version, python_problem, satisfies

FULFILLED, WARNING, FATAL = "fulfilled", "warning", "fatal"
_MEMORY = 4_000_000_000
_DISK = 5_000_000_000
_MARKS = {FULFILLED: "ok     ", WARNING: "warning", FATAL: "FATAL  "}


@dataclass(frozen=True)
class Check:
    """One finding; the fields are protocol.DoctorCheck's."""

    name: str
    status: str
    found: str
    advice: str = ""


def check_python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    found = f"{version} at {sys.executable}"
    problem = python_problem()
    if problem:
        return Check(
            "Python", FATAL, found, NEWER_PYTHON
        )
    return Check("Python", FULFILLED, found)


def check_package(name: str) -> Check:
    version, bounds = found_version(name), REQUIREMENTS[name]
    wanted = ",".join(bounds)
    if version is None:
        return Check(name, FATAL, f"absent, {wanted} is needed", INSTALL.format(sys.executable))
    if not satisfies(version, bounds):
        return Check(name, FATAL, f"{version}, {wanted} is needed", INSTALL.format(sys.executable))
    return Check(name, FULFILLED, version)


def check_devices() -> Check:
    """A machine without a GPU is supported; only a torch that cannot be imported is a problem."""
    try:
        torch = importlib.import_module("torch")
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return Check("devices", FATAL, f"torch cannot be imported: {reason}", INSTALL.format(sys.executable))
    if not torch.cuda.is_available():
        return Check("devices", FULFILLED, f"CPU only, {os.cpu_count()} cores, {torch.get_num_threads()} threads")
    names = [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())]
    return Check("devices", FULFILLED, ", ".join(names))


def check_memory() -> Check:
    try:
        available = importlib.import_module("psutil").virtual_memory().available
    except ImportError:
        return Check("memory", WARNING, "unknown: psutil is absent", INSTALL.format(sys.executable))
    found = f"{available / 1e9:.1f} GB available"
    if available < _MEMORY:
        return Check(
            "memory", WARNING, found, "Close other programs, or use small checkpoints and few calibration tokens."
        )
    return Check("memory", FULFILLED, found)


def check_disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free in {folder}"
    if free < _DISK:
        return Check("disk", WARNING, found, "Free some space, or write output and runs to another disk.")
    return Check("disk", FULFILLED, found)


def examine(folder: Path | None = None) -> list[Check]:
    """Every check; one that fails in an unforeseen way is a finding too and hides none of the others."""
    checks: list[tuple[str, Callable[[], Check]]] = [("Python", check_python)]
    checks += [(name, lambda name=name: check_package(name)) for name in REQUIREMENTS]
    checks += [("devices", check_devices), ("memory", check_memory), ("disk", lambda: check_disk(folder or Path.cwd()))]
    return [_guarded(name, check) for name, check in checks]


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except Exception as error:
        return Check(
            name,
            WARNING,
            f"could not be checked: {type(error).__name__}: {error}",
            "Report this with the output of the command.",
        )


def main(arguments: list[str]) -> int:
    """Print the report; 1 when something is fatal."""
    if any(argument in ("-h", "--help") for argument in arguments):
        sys.stdout.write(
            "Usage: quant-engine doctor [--json]\n\nCheck Python, packages, devices, memory and disk, all at once.\n"
        )
        return 0
    unknown = [argument for argument in arguments if argument != "--json"]
    if unknown:
        sys.stderr.write(f"quant-engine doctor: unknown argument {unknown[0]}; only --json is known\n")
        return 2
    checks = examine()
    if "--json" in arguments:
        sys.stdout.write(json.dumps({"checks": [asdict(check) for check in checks]}, indent=1) + "\n")
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            sys.stdout.write(f"{_MARKS[check.status]}  {check.name:<{width}}  {check.found}\n")
            if check.advice:
                sys.stdout.write(f"{'':9}{'':<{width}}  -> {check.advice}\n")
    return 1 if any(check.status == FATAL for check in checks) else 0

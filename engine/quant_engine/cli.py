"""The door of the command line. Only the standard library up to the point where everything else is known to be there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from quant_engine.linalg.threads import spin_briefly
from quant_engine.requirements import INSTALL, NEWER_PYTHON, missing_packages, python_problem

if TYPE_CHECKING:
    from typing import NoReturn


def main() -> None:
    """Run the command line and exit. One clear sentence, not a traceback, when Python or a package is missing or too old."""
    spin_briefly()
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "serve":
        # Before anything else is imported: a library that prints while it is imported would break the channel.
        from quant_engine.stdio import claim

        claim()
    if command == "doctor":
        from quant_engine.doctor import main as doctor

        sys.exit(doctor(sys.argv[2:]))
    old = python_problem()
    if old is not None:
        _refuse(old, NEWER_PYTHON)
    missing = missing_packages()
    if missing:
        _refuse("missing packages: " + ", ".join(missing), INSTALL.format(sys.executable))
    from quant_engine.commands import run_app

    run_app()


def _refuse(problem: str, advice: str) -> NoReturn:
    sys.stderr.write(f"quant-engine: {problem}. {advice}\n")
    sys.exit(2)

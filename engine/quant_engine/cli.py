"""The door of the command line. Only the standard library up to the point where everything else is known to be there."""

from __future__ import annotations

import sys

from quant_engine.requirements import INSTALL, missing_packages, python_problem


def main() -> None:
    """Run the command line and exit. One clear sentence, not a traceback, when Python or a package is missing or too old."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "serve":
        # Before anything else is imported: a library that prints while it is imported would break the channel.
        from quant_engine.stdio import claim

        claim()
    problem = python_problem()
    if problem is None and command != "doctor":
        missing = missing_packages()
        problem = f"missing packages: {', '.join(missing)}" if missing else None
    if command == "doctor":
        from quant_engine.doctor import main as doctor

        sys.exit(doctor(sys.argv[2:]))
    if problem is not None:
        sys.stderr.write(f"quant-engine: {problem}. {INSTALL.format(sys.executable)}\n")
        sys.exit(2)
    from quant_engine.commands import run_app

    run_app()

"""The part of the processor that other processes have."""

from __future__ import annotations

import io
import subprocess
import sys
import time

import psutil
import pytest
from rich.console import Console

from quant_engine.preflight import others as others_module
from quant_engine.preflight.command import display
from quant_engine.preflight.others import Others
from quant_engine.protocol import Device, Preflight

BUSY = "while True: pass"


def test_what_others_take_is_seen() -> None:
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        taken, others = psutil.Process(process.pid), Others()
        while sum(taken.cpu_times()[:2]) < 1.0:
            time.sleep(0.05)
        share = others.share()
    finally:
        process.kill()
        process.wait()
    assert 0 < share <= 1


def test_what_is_ours_is_not_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds on two processors, 13 of their 20 taken: 9 by this process, 4 by others."""
    clock, all_of_them, own = iter([100.0, 110.0]), iter([50.0, 63.0]), iter([7.0, 16.0])
    monkeypatch.setattr(others_module.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(others_module, "_busy", lambda: next(all_of_them))
    monkeypatch.setattr(others_module, "_own", lambda: next(own))
    monkeypatch.setattr(psutil, "cpu_count", lambda: 2)
    assert Others().share() == pytest.approx(4 / 20)


def said(share: float) -> str:
    device = Device(id="cpu", name="CPU", total_bytes=1, free_bytes=1)
    found = Preflight(recipe="r", architecture="A", device=device, probe_seconds=3, others_share=share)
    out = io.StringIO()
    display(Console(file=out, width=80), found)
    return out.getvalue()


def test_a_forecast_from_a_busy_machine_says_so() -> None:
    assert "probed for 3.0 s\n" in said(0.02)
    assert "other processes had 45 % of the processor meanwhile" in " ".join(said(0.45).split())

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

from quant_engine import doctor, requirements
from quant_engine.protocol import DoctorReport
from small_workspace import ENGINE, quant_engine


def test_the_report_covers_everything_and_follows_the_protocol() -> None:
    done = quant_engine("doctor", "--json")
    assert done.returncode == 0, done.stdout
    report = DoctorReport.model_validate_json(done.stdout)
    names = [check.name for check in report.checks]
    assert names == ["Python", *requirements.REQUIREMENTS, "devices", "memory", "disk"]
    assert all(check.advice for check in report.checks if check.status != "fulfilled")
    assert not any(check.advice for check in report.checks if check.status == "fulfilled")


def test_text_has_a_line_for_each_check() -> None:
    done = quant_engine("doctor")
    assert [line.split()[1] for line in done.stdout.splitlines() if not line.startswith(" ")] == [
        "Python", *requirements.REQUIREMENTS, "devices", "memory", "disk"
    ]  # fmt: skip


def test_without_any_package_the_doctor_still_says_what_is_missing() -> None:
    done = quant_engine("doctor", "--json", python=("-S",))
    assert done.returncode == 1
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["pydantic"]["status"] == "fatal" and "pip install" in checks["pydantic"]["advice"]
    assert checks["devices"]["status"] == "fatal"
    assert checks["disk"]["status"] in ("fulfilled", "warning")


@pytest.mark.parametrize("command", ["--help", "run", "serve", "check"])
def test_without_packages_every_command_says_one_clear_sentence(command: str) -> None:
    done = quant_engine(command, python=("-S",))
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("quant-engine: missing packages: torch, transformers, ")
    assert "pip install" in line


def test_an_old_python_is_named() -> None:
    assert requirements.python_problem((3, 9, 18)) == "Python 3.9.18 is too old: the engine needs 3.10 or later"
    assert requirements.python_problem((3, 10, 0)) is None


def test_an_old_python_can_read_as_far_as_the_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("__init__.py", "__main__.py", "cli.py", "requirements.py"):
        ast.parse((ENGINE / "quant_engine" / name).read_text(), feature_version=(3, 7))
    from quant_engine import cli

    monkeypatch.setattr(sys, "version_info", (3, 8, 1, "final", 0))
    monkeypatch.setattr(sys, "argv", ["quant-engine", "run"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        "quant-engine: Python 3.8.1 is too old: the engine needs 3.10 or later. Install Python 3.10 or later and choose it.\n"
    )


def test_the_requirements_are_those_of_the_package() -> None:
    text = (ENGINE / "pyproject.toml").read_text()
    listed = text.partition("dependencies = [")[2].partition("]")[0].replace('"', "").replace(",\n", "\n").split()
    assert listed == [name + ",".join(bounds) for name, bounds in requirements.REQUIREMENTS.items()]


@pytest.mark.parametrize(
    ("version", "bounds", "good"),
    [
        ("2.13.0+cpu", (">=2.13", "<2.14"), True),
        ("2.13", (">=2.13.0",), True),
        ("2.14.0", (">=2.13", "<2.14"), False),
        ("2.9.1", (">=2.13",), False),
        ("10.0", (">=9.9",), True),
    ],
)
def test_versions_compare_by_numbers(version: str, bounds: tuple[str, ...], good: bool) -> None:
    assert requirements.satisfies(version, bounds) is good


def test_a_check_that_fails_hides_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "check_memory", lambda: 1 / 0)
    checks = {check.name: check for check in doctor.examine(tmp_path)}
    assert checks["memory"].status == "warning" and "ZeroDivisionError" in checks["memory"].found
    assert checks["disk"].found.endswith(str(tmp_path))


def test_little_disk_is_a_warning_with_advice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "_DISK", 10**18)
    found = doctor.check_disk(tmp_path)
    assert found.status == "warning" and found.advice

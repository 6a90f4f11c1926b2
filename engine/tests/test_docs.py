"""The explanations keep up with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from small_workspace import ENGINE

DOCS = ENGINE.parent / "docs"
CODE = re.compile(r'(?:code=|Finding\(|self\._add\([^"]*|problem\("warning", )"([a-z]+(?:-[a-z]+)*)"')


def codes_in_source() -> set[str]:
    files = [path.read_text() for path in (ENGINE / "quant_engine").rglob("*.py")]
    return {code for text in files for code in CODE.findall(text)}


def test_every_code_is_explained() -> None:
    text = (DOCS / "diagnostics.md").read_text()
    codes = codes_in_source()
    assert {"unknown-key", "fallback", "internal", "resume-mismatch", "group-size", "some-code"} - codes == {"some-code"}
    assert sorted(code for code in codes if f"`{code}`" not in text) == []


def test_every_diagnostic_of_a_recipe_has_its_section() -> None:
    text = (DOCS / "diagnostics.md").read_text()
    linked = re.findall(r"^\| \[`([a-z-]+)`\]\(#([a-z-]+)\)", text, re.MULTILINE)
    assert len(linked) > 15
    for code, anchor in linked:
        assert code == anchor and f"\n## {code}\n" in text


def test_links_in_the_run_directory_page_lead_somewhere() -> None:
    page = DOCS / "run-directory.md"
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert targets and all((page.parent / target).exists() for target in targets)


def pages() -> list[Path]:
    root = ENGINE.parent
    return [*root.glob("*.md"), *DOCS.rglob("*.md"), *(root / "samples").rglob("*.md")]


def words(page: Path) -> str:
    """A page without its code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL))


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ENGINE.parent)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", words(page)):
        target, _, anchor = link.partition("#")
        if "://" in link:
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), link
        assert not anchor or file.suffix != ".md" or anchor in anchors(file), link


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ENGINE.parent)))
def test_nothing_is_left_to_be_filled_in(page: Path) -> None:
    assert re.findall(r"\b[A-Z]{3,}_[A-Z_]+\b|\bTODO\b|\bTBD\b", words(page)) == []

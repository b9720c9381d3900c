"""Every study is a page, a script that makes its numbers, and figures that are there and small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "studies"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "index.md")
MARKER = re.compile(r"<!-- begin (\S+) -->\n(.*?)<!-- end \1 -->", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_filled_by_its_script(page):
    text = page.read_text(encoding="utf-8")
    named = re.search(r"^    python (\S+\.py)", text, re.MULTILINE)
    assert named, "the page says how to make it"
    script = (ROOT / named[1]).read_text(encoding="utf-8")
    found = MARKER.findall(text)
    assert len(found) == text.count("<!-- begin ") > 0
    for name, filled in found:
        assert filled.strip(), name
        assert f'"{name}"' in script or f"{name}=" in script, name


@pytest.mark.parametrize("page", [*PAGES, *FOLDER.parent.glob("*.md")], ids=lambda page: page.stem)
def test_what_a_page_links_to_is_there(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    for link in links:
        target = page.parent / link
        assert target.is_file(), link
        if target.suffix == ".png":
            assert target.stat().st_size < 150_000, link

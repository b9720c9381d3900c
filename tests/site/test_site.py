"""The site: a page for every public name, a picture of every plot, links that lead somewhere."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import velotime as vt

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SITE = "https://velotime.readthedocs.io/en/latest/"


@pytest.fixture(scope="module")
def api_pages():
    spec = importlib.util.spec_from_file_location("api_pages", DOCS / "_extensions" / "api_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(api_pages, tmp_path_factory):
    """All pages of the API's tables, by name."""
    folder = tmp_path_factory.mktemp("api")
    api_pages.write(folder)
    return {path.stem: path.read_text() for path in folder.glob("*.rst")}


def public_names():
    """Every name that a user can reach from `velotime` by public names only, dotted."""
    found = []
    for word in vt.__all__:
        thing = getattr(vt, word)
        if inspect.ismodule(thing):
            found += [f"velotime.{word}.{inner}" for inner in thing.__all__]
        else:
            found.append(f"velotime.{word}")
    return found


@pytest.mark.parametrize("name", public_names())
def test_a_public_name_has_one_page(name, written):
    module, word = name.rsplit(".", 1)
    pages = [text for text in written.values() if f".. module:: {module}\n" in text]
    assert len(pages) == 1
    assert len(re.findall(rf"^   {re.escape(word)}$", pages[0], re.MULTILINE)) == 1


def test_every_table_is_in_the_contents(written):
    listed = re.findall(r"^   (\w+)$", written["index"], re.MULTILINE)
    assert sorted(listed) == sorted(set(written) - {"index"})


def test_a_page_that_is_no_longer_wanted_goes(api_pages, tmp_path):
    (tmp_path / "generated").mkdir()
    stale = [tmp_path / "gone.rst", tmp_path / "generated" / "velotime.tl.gone.rst"]
    kept = tmp_path / "generated" / "velotime.tl.recover_dynamics.rst"
    for path in (*stale, kept):
        path.write_text("old")
    api_pages.write(tmp_path)
    assert kept.exists()
    assert not any(path.exists() for path in stale)


@pytest.mark.parametrize("name", vt.pl.__all__)
def test_a_plot_is_in_the_gallery(name):
    text = (DOCS / "guides" / "gallery.md").read_text()
    assert f"vt.pl.{name}(adata" in text
    assert f"{{func}}`~velotime.pl.{name}`" in text


def linked(path):
    """Pages of the site that a text links to, as written there."""
    return re.findall(rf"{re.escape(SITE)}([^)\s\"`]*)", path.read_text())


@pytest.mark.parametrize("name", ["README.md", "docs/llms.txt", "pyproject.toml"])
def test_links_to_the_site_lead_to_pages(name):
    links = linked(ROOT / name)
    assert links
    for link in links:
        assert source_of(link).is_file(), link


def source_of(link):
    """The file that a page of the site, or a picture, is made from."""
    if link.startswith("_static/"):
        return DOCS / "figures" / link.removeprefix("_static/")
    page = link.removesuffix(".html")
    if page.startswith("api/"):
        return DOCS / "_extensions" / "api_pages.py"
    return DOCS / f"{page}.md"


def test_the_readme_has_no_relative_link_and_one_page():
    text = (ROOT / "README.md").read_text()
    for link in re.findall(r"\]\(([^)]*)\)", text):
        assert link.startswith("https://"), link
    assert text.count("\n") <= 90


def test_the_picture_of_the_readme_is_copied_to_the_site():
    assert '"figures/stream.png"' in (DOCS / "conf.py").read_text()

"""Notebooks are scripts: each runs from its first to its last line, and has its page in the docs."""

import re
import runpy

import jupytext
import pytest

from notebooks.__main__ import PAGES, PICTURES, scripts

NOTEBOOKS = scripts()
LARGEST = 60_000  # bytes of a picture
named = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.mark.slow
@named
def test_a_notebook_runs(notebook, capsys):
    runpy.run_path(str(notebook))
    assert capsys.readouterr().out


@named
def test_a_page_has_its_notebook_s_cells_in_their_order(notebook):
    page = (PAGES / f"{notebook.stem}.md").read_text()
    actual = [page.find(cell.source) for cell in jupytext.read(notebook).cells]
    assert -1 not in actual, "write the pages anew with `make notebooks`"
    assert actual == sorted(actual)


def test_the_index_has_every_notebook():
    linked = re.findall(r"\]\((\w+)\.md\)", (PAGES / "README.md").read_text())
    assert linked == [notebook.stem for notebook in NOTEBOOKS]


def test_pages_show_all_their_pictures_and_each_is_small():
    pages = "".join(page.read_text() for page in PAGES.glob("*.md"))
    pictures = {path.name: path.stat().st_size for path in (PAGES / PICTURES).iterdir()}
    assert set(re.findall(rf"\({PICTURES}/(.*?)\)", pages)) == set(pictures)
    assert max(pictures.values()) < LARGEST


def test_pages_name_no_folder_of_the_machine_that_wrote_them():
    pages = "".join(page.read_text() for page in PAGES.rglob("*.*"))
    assert not re.search(r"/(tmp|home|root|Users)/", pages)


def test_what_a_page_links_to_is_there():
    for page in PAGES.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (PAGES / link).exists(), f"{page.name}: {link}"

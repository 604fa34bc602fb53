"""The site is built from docs/ strictly and loads nothing from elsewhere; what is broken ends the build."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMAND = next(
    line.strip().removeprefix("@$(BIN)/python -m ").split()
    for line in (ROOT / "Makefile").read_text().splitlines()
    if "-m sphinx" in line
)
LOADED = re.compile(r"""<(?:script|img|iframe)[^>]*\ssrc="([^"]*)"|<link[^>]*\shref="([^"]*)\"""")
CONFIG = (ROOT / "docs" / "conf.py").read_text()


def build(source, to):
    """Build as `make site` does, from another folder into another."""
    options = COMMAND[:-2]
    return subprocess.run(
        [sys.executable, "-m", *options, source, to], cwd=ROOT, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT / "docs", folder)
    assert built.returncode == 0, built.stderr
    assert built.stderr == ""
    return folder


def test_make_site_builds_strictly():
    assert {"--fail-on-warning", "--nitpicky"} <= set(COMMAND)
    assert COMMAND[-2:] == ["docs", "site"]


def test_every_page_is_built(site):
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    built = {path.relative_to(site).with_suffix(".md") for path in site.rglob("*.html")}
    assert pages - {Path("README.md")} <= built
    assert "Your own orders in five minutes" in (site / "start.html").read_text()
    assert "Keep a Changelog" in (site / "changelog.html").read_text()


def test_the_site_loads_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        for actual in LOADED.findall(page.read_text()):
            address = actual[0] or actual[1]
            assert not re.match(r"(?:\w+:)?//", address), f"{page}: {address}"
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:\w+:)?//", style.read_text()), style


def small(tmp_path, text):
    """Write docs of two pages, the first of which says a text."""
    source = tmp_path / "docs"
    source.mkdir()
    (source / "conf.py").write_text(
        CONFIG.replace("Path(__file__).parents[1]", f"Path({str(ROOT)!r})")
    )
    (source / "index.md").write_text(f"# One\n\n{text}\n\n```{{toctree}}\nother\n```\n")
    (source / "other.md").write_text("# Other\n\n## A part\n")
    return source


def test_links_to_pages_and_parts_are_good(tmp_path):
    source = small(tmp_path, "[a](other.md), [b](other.md#a-part), [c](#one)")
    built = build(source, tmp_path / "site")
    assert built.returncode == 0, built.stderr


def test_whatever_is_broken_ends_the_build(tmp_path):
    broken = {
        "[a](nowhere.md)": "nowhere.md",
        "[a](other.md#no-part)": "'no-part'",
        "[a](#no-own-part)": "no-own-part",
        "![a](no-picture.svg)": "no-picture.svg",
        "```{toctree}\nno-page\n```": "no-page",
    }
    source = small(tmp_path, "\n\n".join(broken))
    (source / "orphan.md").write_text("# Nothing leads here\n")
    built = build(source, tmp_path / "site")
    assert built.returncode != 0
    assert [text for text in [*broken.values(), "orphan.md"] if text not in built.stderr] == []

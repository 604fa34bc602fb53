"""How the site is built from these pages: ``make site``."""

import importlib.metadata
from pathlib import Path
from typing import Any

project = "Perennial"
author = "Perennial's contributors"
release = importlib.metadata.version("perennial")

extensions = ["myst_parser"]
exclude_patterns = ["README.md"]  # it is the folder's list of pages, and index.md takes it in
myst_heading_anchors = 5  # links to headings are checked like links to pages

smartquotes = False  # what is quoted can be copied

html_theme = "furo"
html_title = "Perennial"
html_copy_source = False
html_show_sourcelink = False

ROOT = Path(__file__).parents[1]
TAKEN_IN = {"start": "README", "changelog": "CHANGELOG", "contributing": "CONTRIBUTING"}


def setup(app: Any) -> None:  # noqa: ANN401  # Sphinx' own
    """Let the site have pages of the files above this folder, and links lead to them."""
    app.connect("source-read", take_in)


def take_in(_app: Any, page: str, source: list[str]) -> None:  # noqa: ANN401  # Sphinx' own
    """Put a file from above in its page's place, and turn links to such files into links to pages."""
    text, up = source[0], "../" * (page.count("/") + 1)
    if page in TAKEN_IN:
        text, up = (ROOT / f"{TAKEN_IN[page]}.md").read_text(), ""
        text = text.replace("](docs/README.md", "](index.md").replace("](docs/", "](")
    for inside, file in TAKEN_IN.items():
        text = text.replace(f"]({up}{file}.md", f"]({up.removeprefix('../')}{inside}.md")
    source[0] = text

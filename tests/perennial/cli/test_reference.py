"""The references in the docs are generated from the code, and complete."""

from pathlib import Path

import pytest

from perennial.cli.reference import command_reference, settings_reference
from perennial.pipeline.settings.catalog import list_tables

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize(
    ("page", "written"),
    [("settings.md", settings_reference), ("commands.md", command_reference)],
)
def test_the_reference_in_the_docs_is_the_codes(page, written):
    """`make docs` writes it."""
    assert (DOCS / page).read_text() == written()


def test_every_setting_is_in_the_reference_with_its_text():
    text = settings_reference()
    for table in list_tables():
        assert table.text in text
        for setting in table.settings:
            row = next(
                line for line in text.splitlines() if f"`{table.name}.{setting.name}`" in line
            )
            assert row.endswith(f"| {setting.text} |")


def test_texts_are_sentences():
    texts = [table.text for table in list_tables()]
    texts += [setting.text for table in list_tables() for setting in table.settings]
    assert [text for text in texts if not text.endswith((".", "?"))] == []


def test_tiers_are_explained_together():
    text = settings_reference()
    assert "## investment.actions\n" in text
    rows = [line for line in text.splitlines() if line.startswith("| `investment.actions.")]
    texts = {
        tier: [row.rsplit("|", 2)[1] for row in rows if f".{tier}." in row]
        for tier in ("heavy", "light")
    }
    assert texts["heavy"] == texts["light"]


def test_the_references_name_bounds_choices_and_what_must_be_set():
    text = settings_reference()
    assert "| `orders.source` | text | must be set |" in text
    assert '| `orders.negative_amounts` | `net` or `reject` | `"net"` |' in text
    assert "| `store.margin` | number, above 0, at most 1 | `0.55` |" in text
    assert "| `holdout.share` | number, 0 to 1 | `0.1` |" in text
    assert "| `investment.actions.light.cost` | number, above 0 | `0.3` |" in text
    assert "* `--accept <list[str]>`" in command_reference()

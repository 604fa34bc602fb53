"""The references in the docs are the code's, and the file that `perennial init` writes says all that is in them."""

from pathlib import Path

import pytest

from perennial.cli.reference import (
    command_reference,
    comment_of,
    setting_names,
    settings_reference,
    template_comments,
)

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize(
    ("page", "written"),
    [("settings.md", settings_reference), ("commands.md", command_reference)],
)
def test_the_reference_in_the_docs_is_the_codes(page, written):
    """`make docs` writes it."""
    assert (DOCS / page).read_text() == written()


def test_every_setting_has_a_meaning_and_every_meaning_a_setting():
    names, result = setting_names(), template_comments()
    assert all(comment_of(name, result) for name in names)
    keys = {name for name in result if "." in name}
    past = {*names, *(name.rpartition(".")[0] for name in names)}
    assert {key for key in keys - past if not key.startswith("orders.columns.")} == set()


def test_a_lighter_tiers_setting_is_explained_as_the_heavy_ones():
    result = template_comments()
    name = "investment.actions.{}.offer_cost"
    assert comment_of(name.format("light"), result) == result[name.format("heavy")]
    with pytest.raises(KeyError):
        comment_of("investment.nothing", result)


def test_the_references_name_bounds_choices_and_what_must_be_set():
    text = settings_reference()
    assert "| `orders.source` | text | must be set |" in text
    assert '| `orders.negative_amounts` | `net` or `reject` | `"net"` |' in text
    assert "| `store.margin` | number, above 0, at most 1 | `0.55` |" in text
    assert "| `holdout.share` | number, 0 to 1 | `0.1` |" in text
    assert "| `investment.actions.light.cost` | number, above 0 | `0.3` |" in text
    assert "* `--accept <list[str]>`" in command_reference()

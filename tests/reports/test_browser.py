"""The page in a real browser: offline, at three widths, by day and by night, and for who cannot see it."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from reports.measures.definitions import DEFINITIONS
from reports.page import SECTIONS
from tests.reports.browser import (
    WIDTHS,
    check_access,
    check_layout,
    needs_browser,
    open_browser,
    open_page,
)
from tests.reports.sample import kpis, record, render, rich_kpis, rich_record

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser():
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module", params=["bare", "rich"])
def page(request, tmp_path_factory):
    made = (record(), kpis()) if request.param == "bare" else (rich_record(), rich_kpis())
    path = tmp_path_factory.mktemp("page") / f"{request.param}.html"
    path.write_text(render(*made), encoding="utf-8")
    return path


@pytest.fixture
def tab(browser, page, request):
    with open_page(browser, page, getattr(request, "param", "light")) as opened:
        yield opened


def test_it_opens_offline_and_asks_for_nothing(tab, page):
    assert tab.asked == [page.as_uri()]
    assert tab.complaints == []
    actual = tab.eval_on_selector_all("h2", "all => all.map(one => one.id)")
    assert actual == [name.replace("_", "-") for name in SECTIONS]
    targets = tab.eval_on_selector_all(
        "nav a", "all => all.map(a => a.getAttribute('href').slice(1))"
    )
    assert targets == actual


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_scrolls_sideways_or_runs_into_another(tab, page, width):
    check_layout(tab, width, page.stem)


@pytest.mark.parametrize("tab", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("width", [390, 1280])
def test_it_can_be_read_by_everybody(tab, width):
    tab.set_viewport_size({"width": width, "height": 900})
    check_access(tab)


def test_what_is_folded_away_is_printed(tab):
    shown = "all => all.filter(one => one.checkVisibility()).length"
    assert tab.eval_on_selector_all("dl dt", shown) < len(DEFINITIONS)
    tab.emulate_media(media="print")
    tab.set_viewport_size({"width": 718, "height": 1010})  # A4 within its margins
    assert tab.eval_on_selector_all("dl dt", shown) > len(DEFINITIONS)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 718


def test_a_page_that_cannot_be_read_is_caught(browser):
    tab = browser.new_page()
    tab.set_content(
        "<html><body><img src=''><p style='color:#eee;background:#fff'>pale</p></body></html>"
    )
    broken = {violation["id"] for violation in Axe().run(tab).response["violations"]}
    assert {"image-alt", "color-contrast", "html-has-lang"} <= broken


def test_a_cell_that_runs_into_another_is_caught(browser):
    tab = browser.new_page()
    long = "<td style='display:block;width:20px'>unbreakable</td>"
    tab.set_content(f"<html><body><table><tr>{long}</tr></table></body></html>")
    with pytest.raises(AssertionError, match="unbreakable"):
        check_layout(tab, 390, "caught")

"""The page in a real browser: offline, at three widths, by day and by night, and for who cannot see it."""

import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from reports.measures.definitions import DEFINITIONS
from reports.page import SECTIONS, render_page
from tests.reports.sample import kpis, record, rich_kpis, rich_record

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
WIDTHS = (390, 820, 1280)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium: apt-get install chromium to see the page in a browser"
)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module", params=["bare", "rich"])
def page(request, tmp_path_factory):
    made = (record(), kpis()) if request.param == "bare" else (rich_record(), rich_kpis())
    path = tmp_path_factory.mktemp("page") / f"{request.param}.html"
    path.write_text(render_page(*made), encoding="utf-8")
    return path


@pytest.fixture
def tab(browser, page, request):
    """Open the page from disk with the network off; what it asks for and complains of is kept."""
    scheme = getattr(request, "param", "light")
    context = browser.new_context(color_scheme=scheme, offline=True)
    opened = context.new_page()
    opened.complaints, opened.asked = [], []
    opened.on("console", lambda message: opened.complaints.append(message.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.on("request", lambda asked: opened.asked.append(asked.url))
    opened.goto(page.as_uri())
    yield opened
    context.close()


def test_it_opens_offline_and_asks_for_nothing(tab, page):
    assert tab.asked == [page.as_uri()]
    assert tab.complaints == []
    found = tab.eval_on_selector_all("h2", "all => all.map(one => one.id)")
    assert found == [name.replace("_", "-") for name in SECTIONS]
    targets = tab.eval_on_selector_all(
        "nav a", "all => all.map(a => a.getAttribute('href').slice(1))"
    )
    assert targets == found


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_scrolls_sideways(tab, page, width):
    tab.set_viewport_size({"width": width, "height": 900})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    wider = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText)"
    assert tab.eval_on_selector_all(".card, .tiles li, td, tbody th", wider) == []
    SCREENSHOTS.mkdir(exist_ok=True)
    tab.screenshot(path=SCREENSHOTS / f"{page.stem}-{width}.png", full_page=True)


@pytest.mark.parametrize("tab", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("width", [390, 1280])
def test_it_can_be_read_by_everybody(tab, width):
    tab.set_viewport_size({"width": width, "height": 900})
    found = Axe().run(tab)
    assert found.violations_count == 0, found.generate_report()


def test_what_is_folded_away_is_printed(tab):
    shown = "all => all.filter(one => one.checkVisibility()).length"
    assert tab.eval_on_selector_all("dl dt", shown) < len(DEFINITIONS)
    tab.emulate_media(media="print")
    assert tab.eval_on_selector_all("dl dt", shown) > len(DEFINITIONS)
    assert tab.evaluate("document.documentElement.scrollWidth") <= tab.viewport_size["width"]


def test_a_page_that_cannot_be_read_is_caught(browser):
    tab = browser.new_page()
    tab.set_content(
        "<html><body><img src=''><p style='color:#eee;background:#fff'>pale</p></body></html>"
    )
    broken = {violation["id"] for violation in Axe().run(tab).response["violations"]}
    assert {"image-alt", "color-contrast", "html-has-lang"} <= broken

"""A page in a real browser: what it asks for, complains of, and how it lies on screens."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
WIDTHS = (390, 820, 1280)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium: apt-get install chromium to see the page in a browser"
)
WIDER = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText)"


@contextmanager
def open_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def open_page(browser: Browser, page: Path, scheme: str = "light") -> Iterator[Page]:
    """Open a page from disk with the network off; what it asks for and complains of is kept."""
    context = browser.new_context(color_scheme=scheme, offline=True)
    opened = context.new_page()
    opened.complaints, opened.asked = [], []
    opened.on("console", lambda message: opened.complaints.append(message.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.on("request", lambda asked: opened.asked.append(asked.url))
    opened.goto(page.as_uri())
    yield opened
    context.close()


def check_layout(tab: Page, width: int, name: str) -> None:
    """Demand that nothing scrolls sideways and no cell runs into another; keep a screenshot."""
    tab.set_viewport_size({"width": width, "height": 900})
    whole = tab.evaluate("document.documentElement.scrollWidth")
    assert whole <= width, f"{whole} wide on a screen of {width}"
    wider = tab.eval_on_selector_all(".card, .tiles li, td, tbody th", WIDER)
    assert not wider, f"wider than their box: {wider}"
    SCREENSHOTS.mkdir(exist_ok=True)
    tab.screenshot(path=SCREENSHOTS / f"{name}-{width}.png", full_page=True)


def check_access(tab: Page) -> None:
    """Demand that axe-core finds nothing that keeps people from reading the page."""
    result = Axe().run(tab)
    assert result.violations_count == 0, result.generate_report()


def look_at(page: Path, name: str) -> str:
    """Look at a published page by day on every width, and by night; return its text."""
    with open_browser() as browser:
        for scheme in ("light", "dark"):
            with open_page(browser, page, scheme) as tab:
                assert tab.asked == [page.as_uri()], f"asked for {tab.asked}"
                for width in WIDTHS:
                    check_layout(tab, width, f"{name}-{scheme}")
                check_access(tab)
                assert not tab.complaints, f"complains of {tab.complaints}"
                text = tab.evaluate("document.body.innerText")
    return text

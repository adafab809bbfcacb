"""The built site in a real browser: everything is drawn, and nothing leaves this machine.

    pytest -m browser tests/e2e/test_site_browser.py

Needs Chromium on the PATH (the one of the system; playwright's own download is not used).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer

from cohort_cli import app
from cohort_cli.site import look
from cohort_cli.site.build import build_site
from cohort_cli.site.serve import start_server

pytestmark = pytest.mark.browser

REPO = Path(__file__).resolve().parents[2]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
GUIDE = "projects/project2/"


@dataclass
class Visit:
    """One open page, and everything that it asked for or complained about."""

    page: Any
    home: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        self.page.goto(self.home + address, wait_until="load")

    def verify_quiet(self) -> None:
        """Only this machine was asked, every answer was good, and the console is empty."""
        assert self.requests, "no request was recorded: this test looks at nothing"
        assert [url for url in self.requests if not url.startswith((self.home, "data:", "blob:"))] == []
        assert self.complaints == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser") / "site"
    build_site(REPO, folder, typer.main.get_command(app.build()))
    return folder


@pytest.fixture(scope="module")
def home(site: Path) -> Iterator[str]:
    server = start_server(site)
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def visit(browser: Any, home: str, scheme: str, size: dict[str, int]) -> Visit:
    context = browser.new_context(viewport=size, color_scheme=scheme)
    seen = Visit(context.new_page(), home)
    context.on("request", lambda request: seen.requests.append(request.url))
    context.on("response", lambda reply: seen.complaints.append(reply.url) if reply.status >= 400 else None)
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on(
        "console",
        lambda line: seen.complaints.append(line.text) if line.type in ("error", "warning") else None,
    )
    return seen


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def seen(request: pytest.FixtureRequest, browser: Any, home: str, scheme: str) -> Iterator[Visit]:
    seen = visit(browser, home, scheme, request.param)
    yield seen
    seen.page.context.close()


def boxes(page: Any, selector: str) -> list[tuple[float, float]]:
    found = page.eval_on_selector_all(
        selector, "all => all.map(one => one.getBoundingClientRect()).map(box => [box.width, box.height])"
    )
    return [(width, height) for width, height in found]


def test_the_pages_are_drawn_and_fetch_nothing(seen: Visit, scheme: str) -> None:
    seen.open("")
    assert "Start here" in seen.page.title() or seen.page.inner_text("h1").startswith("Start here")
    seen.open(GUIDE)
    seen.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    formulas = boxes(seen.page, "article math")
    assert len(formulas) > 50
    assert all(width > 2 and height > 4 for width, height in formulas)
    drawings = boxes(seen.page, "figure.drawing svg")
    assert len(drawings) == 3
    assert all(width > 150 and height > 150 for width, height in drawings)
    seen.verify_quiet()


def test_colours_follow_light_and_dark(seen: Visit, scheme: str) -> None:
    seen.open(GUIDE)
    ink, blue, paper = (
        seen.page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{name}")
        for selector, name in (
            ("figure.drawing svg", "color"),
            ("figure.drawing .blue", "color"),
            ("body", "backgroundColor"),
        )
    )
    assert (brightness(paper) < 100) == (scheme == "dark")
    assert abs(brightness(ink) - brightness(paper)) > 120
    assert abs(brightness(blue) - brightness(paper)) > 70


def brightness(colour: str) -> float:
    """0 to 255, of "rgb(1, 2, 3)" or "rgba(1, 2, 3, 0.5)"."""
    red, green, blue = (float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])
    return 0.299 * red + 0.587 * green + 0.114 * blue


WIDER_THAN_THE_SCREEN = """() => [...document.querySelectorAll('article *')].filter(one => {
    const box = one.getBoundingClientRect();
    if (box.width === 0 || box.right <= innerWidth + 1) return false;
    for (let up = one.parentElement; up; up = up.parentElement) {
        const scrolls = ['auto', 'scroll', 'hidden'].includes(getComputedStyle(up).overflowX);
        if (scrolls && up.getBoundingClientRect().right <= innerWidth + 1) return false;
    }
    return true;
}).map(one => one.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_page_scrolls_sideways(browser: Any, home: str, size: dict[str, int]) -> None:
    seen = visit(browser, home, "light", size)
    for address in ("", GUIDE, "how-checking-works/", "reference/cli/", "meetings/2_attention/"):
        seen.open(address)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= size["width"], address
        assert seen.page.evaluate(WIDER_THAN_THE_SCREEN) == [], address
    seen.page.context.close()


@pytest.mark.slow
def test_the_menu_leads_to_every_page(browser: Any, home: str) -> None:
    seen = visit(browser, home, "light", DESKTOP)
    seen.open("")
    links = seen.page.eval_on_selector_all(
        ".md-nav--primary a.md-nav__link", "all => all.map(one => one.href)"
    )
    pages = list(dict.fromkeys(link.partition("#")[0] for link in links))
    assert len(pages) >= 6
    assert all(page.startswith(home) for page in pages)
    seen.page.click(".md-nav--primary a.md-nav__link >> text=How checking works")
    seen.page.wait_for_url("**/how-checking-works/")
    for page in pages:
        seen.page.goto(page)
        assert seen.page.inner_text("article h1").strip()
    seen.verify_quiet()
    seen.page.context.close()


def test_a_step_can_be_linked_to(browser: Any, home: str) -> None:
    seen = visit(browser, home, "light", DESKTOP)
    seen.open(GUIDE + "#fused")
    for _ in range(100):  # the page's policy lets no test wait by a script of its own
        if seen.page.evaluate("window.scrollY") > 1000:
            break
        seen.page.wait_for_timeout(100)
    top = seen.page.evaluate(
        "document.getElementById('all-heads-in-one-multiplication').getBoundingClientRect().top"
    )
    header = seen.page.evaluate("document.querySelector('.md-header').getBoundingClientRect().bottom")
    assert header - 5 < top < 200, "the heading stands below the header, not behind it"
    seen.page.context.close()


def test_search_finds_a_step(browser: Any, home: str) -> None:
    seen = visit(browser, home, "light", DESKTOP)
    seen.open("")
    seen.page.click(".md-search__input")
    seen.page.keyboard.type("causal mask", delay=20)
    seen.page.wait_for_selector(".md-search-result__link", timeout=15_000)
    links = seen.page.eval_on_selector_all(".md-search-result__link", "all => all.map(one => one.href)")
    assert any(GUIDE in link for link in links)
    seen.page.click(".md-search-result__link >> nth=0")
    seen.page.wait_for_load_state()
    seen.verify_quiet()
    seen.page.context.close()


def test_the_toggle_turns_light_to_dark(browser: Any, home: str) -> None:
    seen = visit(browser, home, "light", DESKTOP)
    seen.open("")
    assert seen.page.get_attribute("body", "data-md-color-scheme") == "default"
    seen.page.click("label[title='Switch to dark']")
    assert seen.page.get_attribute("body", "data-md-color-scheme") == "slate"
    seen.verify_quiet()
    seen.page.context.close()


@pytest.mark.slow
def test_the_check_of_the_site_finds_nothing(browser: Any, site: Path) -> None:
    """On four small pages, since axe-core takes seconds for each; .ci/nightly checks all."""
    pytest.importorskip("axe_playwright_python")
    addresses = ["", "self-check/", "meetings/2_attention/slides.html", "404.html"]
    assert look.look(browser, site, addresses) == []


def test_the_policy_holds_in_every_page(browser: Any, home: str) -> None:
    """A script that comes into a page does not run, and nothing is fetched from elsewhere."""
    seen = visit(browser, home, "light", DESKTOP)
    for address in ("", GUIDE, "meetings/2_attention/slides.html"):
        seen.open(address)
        seen.page.evaluate(
            """() => {
                const late = document.createElement("script");
                late.textContent = "window.ran = 1";
                document.body.append(late);
                const image = document.createElement("img");
                image.src = "x";
                image.setAttribute("onerror", "window.ran = 2");
                document.body.append(image);
            }"""
        )
        refused = seen.page.evaluate("fetch('https://example.org/').then(() => false, () => true)")
        assert refused
        assert seen.page.evaluate("window.ran") is None
        assert [url for url in seen.requests if "example.org" in url] == []
    seen.page.context.close()

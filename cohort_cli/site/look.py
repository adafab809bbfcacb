"""Opens a built site in a headless browser, and says what a visitor would stumble over.

Looked for on each page: what the console complains about, what could not be fetched, what would have been fetched from
elsewhere (it is stopped), what the policy refused, what is wider than the screen at three widths or than the paper, and
what axe-core calls a serious or critical barrier, in light and in dark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli.errors import EnvironmentTrouble, UsageError
from cohort_cli.site import browser
from cohort_cli.site.serve import HOST, start_server

SIZES = {390: 844, 1280: 720, 1920: 1080}  # a phone, a laptop and most projectors
SCHEMES = ("light", "dark")
PAPER = 718  # what lies between the margins of A4
EXTRA = 'pip install "cohort-kit[browser]"'
PATIENCE = 20_000  # milliseconds until a page counts as one that never comes to rest
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HOST}",  # no name leads anywhere
)
# axe-core takes seconds for a page, so what a width or a scheme cannot change is looked at once.
WHOLE = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
NARROW = ["scrollable-region-focusable", "meta-viewport"]
COLOURS = ["color-contrast", "link-in-text-block"]
REFUSED = """window.__refused = [];
addEventListener("securitypolicyviolation", e => __refused.push(e.effectiveDirective + " " + (e.blockedURI || "")));"""
OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"
# What reaches over the right edge and stands in nothing that scrolls by itself; the outermost of each.
TOO_WIDE = """async () => {
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);  // the page has resized
    const name = one => one.tagName.toLowerCase() + (one.id ? "#" + one.id : "") +
        [...one.classList].slice(0, 2).map(word => "." + word).join("");
    const out = one => one.getBoundingClientRect().width > 0 && one.getBoundingClientRect().right > innerWidth + 1;
    const held = one => {
        for (let up = one.parentElement; up && up !== document.body; up = up.parentElement)
            if (getComputedStyle(up).overflowX !== "visible" && !out(up)) return true;
        return false;
    };
    const scope = document.querySelector("article") || document.body;
    const found = [...scope.querySelectorAll("*")].filter(one => out(one) && !held(one));
    const first = found.filter(one => !found.includes(one.parentElement));
    const names = first.map(one => name(one) + ", to " + Math.round(one.getBoundingClientRect().right));
    const whole = document.documentElement.scrollWidth;
    if (whole > innerWidth + 1 && !names.length) names.push("the page, to " + whole);
    return [...new Set(names)].slice(0, 5);
}"""
Tell = Callable[[int, int], None]


class Trouble(NamedTuple):
    """One thing on one page. `where`: the widths or schemes in which it was seen."""

    page: str
    what: str
    repair: str
    where: str = ""


def pages(site: Path, every: bool = False) -> tuple[list[str], int]:
    """Addresses to open, and how many pages there are. Without `every`: the largest and the smallest of each type."""
    found = sorted(path.relative_to(site) for path in site.rglob("*.html") if path.is_file())
    if not found:
        raise UsageError(f"{site} holds no built site.", "Build one: cohort site build")
    kinds: dict[tuple[str, ...], list[Path]] = {}
    for path in found:
        kinds.setdefault(_kind(path), []).append(path)
    chosen = set(found) if every else set()
    for alike in kinds.values():
        by_size = sorted(alike, key=lambda path: (site / path).stat().st_size)
        chosen |= {by_size[0], by_size[-1]}
    return [path.as_posix().removesuffix("index.html") for path in sorted(chosen)], len(found)


def _kind(path: Path) -> tuple[str, ...]:
    """Pages that are made the same way: meetings/2_attention/lab/ and meetings/4_pretraining/lab/ are."""
    parts = path.parts
    return tuple(
        "*" if number and any(letter in "-_" or letter.isdigit() for letter in part) else part
        for number, part in enumerate(parts)
    )


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser. Raises EnvironmentTrouble where it or what drives it is missing."""
    try:
        import axe_playwright_python  # noqa: F401
        from playwright.sync_api import Error, sync_playwright
    except ImportError as missing:
        raise EnvironmentTrouble(f"Looking at the site needs {missing.name}.", EXTRA) from None
    path = browser.find()
    if path is None:
        raise EnvironmentTrouble(
            "Looking at the site needs Chromium, Chrome or Edge, and none was found.",
            "Install one of them; on Debian and Ubuntu: apt install chromium",
        )
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=path, args=[*browser.flags(), *QUIET])
        except Error as trouble:
            line = str(trouble).strip().splitlines()[0]
            raise EnvironmentTrouble(f"{path} does not start: {line}", "Update the browser.") from None
        yield started
        started.close()


def look(started: Any, site: Path, addresses: list[str], tell: Tell = lambda done, of: None) -> list[Trouble]:
    """Open each address of the site in both schemes. What is seen more than once is said once."""
    server = start_server(site)
    home = f"http://{HOST}:{server.server_port}/"
    found: dict[Trouble, list[str]] = {}
    done, of = 0, len(addresses) * len(SCHEMES)
    try:
        for scheme in SCHEMES:
            context = started.new_context(color_scheme=scheme, reduced_motion="reduce")
            context.add_init_script(REFUSED)
            for address in addresses:
                for trouble in _visit(context, home, address, scheme):
                    where = found.setdefault(trouble._replace(where=""), [])
                    where += [trouble.where] if trouble.where not in (*where, "") else []
                done += 1
                tell(done, of)
            context.close()
    finally:
        server.shutdown()
        server.server_close()
    return sorted(trouble._replace(where=", ".join(where)) for trouble, where in found.items())


def _visit(context: Any, home: str, address: str, scheme: str) -> list[Trouble]:
    """Everything that is wrong with one page in one scheme."""
    from playwright.sync_api import Error

    said: list[Trouble] = []

    def hear(what: str, repair: str) -> None:
        said.append(Trouble(address or "(start)", " ".join(what.split())[:300], repair))

    def hear_console(line: Any) -> None:
        if line.type in ("error", "warning") and not line.text.startswith("Failed to load resource"):
            hear(f"the console says: {line.text}", "Repair the script that says it.")

    def guard(route: Any) -> None:
        if route.request.url.startswith(home):
            route.continue_()
            return
        hear(f"wants {route.request.url}", "Put that file on the site; nothing is fetched from elsewhere.")
        route.abort()

    answered: set[str] = set()

    def hear_reply(reply: Any) -> None:
        answered.add(reply.url)
        if reply.status >= 400:
            hear(
                f"{reply.status} for {reply.url.removeprefix(home)}",
                "Put the file there, or correct the address.",
            )

    def hear_failure(request: Any) -> None:
        address = request.url.removeprefix(home)
        known = request.failure == "csp" or any(
            address in one.what for one in said
        )  # said already, and better
        if request.failure == "net::ERR_ABORTED" and request.url in answered:
            return  # Chromium says so of a file that a script has read to its end, now and then
        if request.url.startswith(home) and not known:
            hear(f"could not fetch {address}", "Look whether the file is whole.")

    page = context.new_page()
    page.set_viewport_size({"width": 1280, "height": SIZES[1280]})
    page.route("**/*", guard)
    page.on("console", hear_console)
    page.on("pageerror", lambda error: hear(f"a script failed: {error}", "Repair the script."))
    page.on("response", hear_reply)
    page.on("requestfailed", hear_failure)
    try:
        page.goto(home + address, wait_until="load", timeout=PATIENCE)
        page.wait_for_load_state("networkidle", timeout=PATIENCE)
        page.evaluate(OPEN_ALL)
        for refused in dict.fromkeys(page.evaluate("window.__refused")):
            hear(
                f"the policy refused {refused}",
                "Take it out of the page, or allow it in cohort_cli/site/policy.py.",
            )
        heard = _without_echo(said)
        if scheme == SCHEMES[0]:
            heard += _too_wide(page, address)
            heard += _barriers(page, address, NARROW, "390 wide")  # where most things scroll
            page.set_viewport_size({"width": 1280, "height": SIZES[1280]})
        return heard + _barriers(page, address, WHOLE if scheme == SCHEMES[0] else COLOURS, scheme)
    except Error as trouble:
        hear(f"does not come to rest: {str(trouble).splitlines()[0]}", "Open it in a browser and look.")
        return _without_echo(said)
    finally:
        page.close()


def _without_echo(said: list[Trouble]) -> list[Trouble]:
    """The console repeats what the policy refused, at length."""
    refused = any("the policy refused" in trouble.what for trouble in said)
    return [one for one in said if not (refused and "Content Security Policy" in one.what)]


def _too_wide(page: Any, address: str) -> list[Trouble]:
    """At each width, and on paper: a browser prints the whole page smaller if one thing on it is too wide."""
    found = []

    def look_here(where: str) -> None:
        for name in page.evaluate(TOO_WIDE):
            repair = "Let it scroll by itself (overflow-x: auto), or break its lines."
            found.append(Trouble(address or "(start)", f"wider than the screen: {name}", repair, where))

    for width, height in sorted(SIZES.items(), reverse=True):
        page.set_viewport_size({"width": width, "height": height})
        look_here(f"{width} wide")
    if page.query_selector("article"):  # slides have paper of their own size
        page.set_viewport_size({"width": PAPER, "height": 1000})
        page.emulate_media(media="print")
        look_here("on paper")
        page.emulate_media(media="screen")
        page.set_viewport_size({"width": 390, "height": SIZES[390]})
    return found


def _barriers(page: Any, address: str, rules: list[str], where: str) -> list[Trouble]:
    """What axe-core calls serious or critical. One line for each rule that is broken: a page often breaks it often."""
    from axe_playwright_python.sync_playwright import Axe

    options = {"resultTypes": ["violations"], "preload": False, "runOnly": rules}
    found = []
    for rule in Axe().run(page, options=options).response["violations"]:
        if rule["impact"] in ("serious", "critical"):
            node, more = rule["nodes"][0], len(rule["nodes"]) - 1
            why = (node.get("any") or node.get("all") or node.get("none") or [{}])[0].get("message", "")
            target = " ".join(str(part) for part in node["target"]) + (f" and {more} more" if more else "")
            what = " ".join(f"{rule['id']} ({rule['impact']}) at {target}: {why}".split())[:300]
            found.append(Trouble(address or "(start)", what, rule["helpUrl"], where))
    return found

"""What a page of the site may run and fetch: a content security policy in each, and a build that refuses the rest.

Each page gets <meta http-equiv="Content-Security-Policy"> as the first thing in its <head>, so a browser holds what is
written here even where a server sends no headers. The inline scripts that may run are the theme's own. They are taken
from 404.html, which holds the theme and nothing of anybody's text; were they taken from each page, a script that came in
with a text would bless itself. A page that holds more stops the build.

Browsers read broken HTML in ways of their own, so a text might hide something from the reader here. It would still not
run: what is in the <meta> holds for the whole page.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

from cohort_cli.errors import BrokenManifest

# `base-uri` and `form-action` do not fall back to `default-src`, so they are said.
RULES = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{scripts}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'"
)
THEME = "404.html"  # made of the theme alone
NOT_HERE = {"base", "iframe", "frame", "object", "embed", "applet", "portal"}  # other pages within a page
OTHER_PAGES = {".htm", ".xhtml", ".xht", ".shtml", ".mhtml", ".svgz"}  # servers call these pages too
INERT = {"application/json"}  # a script element that holds data
LINKS = {"canonical", "prev", "next", "alternate"}  # <link> elements by which nothing is fetched
FETCHING = {"src", "href", "xlink:href", "poster", "data", "background", "action", "formaction"}
MOST_COMPLAINTS = 20
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_CSS_FETCH = re.compile(r"@import|url\(\s*[\"']?\s*(?!data:|#)([a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)


def digest(script: str) -> str:
    """How a policy names an inline script that may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def alone(script: str) -> str:
    """The policy of a page that needs nothing but itself: one script, its own styles, no address at all."""
    return (
        f"default-src 'none'; script-src {digest(script)}; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )


def protect(site: Path, alone: tuple[str, ...] = ()) -> int:
    """Write the policy into every page of a built site, and count them.

    alone: policies that a page may bring along; they are stricter, and such a page stays as it is.

    Raises BrokenManifest that names each page which holds something else than the theme's scripts. Then no page is
    changed.
    """
    if not (site / THEME).is_file():
        raise BrokenManifest(f"The built site has no {THEME}, from which the theme's scripts are known.")
    theme = read(site / THEME)
    base = _base(theme.configuration)
    complaints: list[str] = []
    changed: dict[Path, str] = {}
    policies: dict[tuple[str, ...], str] = {}
    files = sorted(path for path in site.rglob("*") if path.is_file())
    pages = [path for path in files if path.suffix.lower() == ".html"]
    for path in files:
        if path.suffix.lower() in OTHER_PAGES:
            complaints.append(f"  {path.relative_to(site).as_posix()}: a page of a kind that gets no policy")
    for path in pages:
        page = theme if path == site / THEME else read(path)
        own = "/".join([".."] * (len(path.relative_to(site).parts) - 1)) or "."
        allowed = {_moved(script, base, own) for script in theme.scripts} | set(theme.scripts)
        if page.policy in alone:
            allowed = {script for script in page.scripts if digest(script) in page.policy}
        strange = [script for script in page.scripts if script not in allowed]
        found = page.complaints + [f"an inline script that is not the theme's: {_begin(s)}" for s in strange]
        if not page.head:
            found.append("no <head> at the beginning, so the policy has no place")
        complaints += [f"  {path.relative_to(site).as_posix()}: {one}" for one in found]
        if page.policy not in alone and not complaints:
            scripts = tuple(page.scripts)
            if scripts not in policies:
                known = dict.fromkeys(digest(script) for script in scripts)
                policies[scripts] = RULES.format(scripts="".join(f" {one}" for one in known))
            meta = f'<meta http-equiv="Content-Security-Policy" content="{policies[scripts]}">'
            changed[path] = page.text[: page.head] + meta + page.text[page.head :]
    if complaints:
        more = len(complaints) - MOST_COMPLAINTS
        shown = complaints[:MOST_COMPLAINTS] + ([f"  and {more} more"] if more > 0 else [])
        raise BrokenManifest(
            "The site would run or fetch what it must not:\n" + "\n".join(shown),
            "Take it out of the text that the page is made from, and build again.",
        )
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8", newline="")
    return len(pages)


def read(path: Path) -> Page:
    page = Page(path.read_bytes().decode("utf-8"))
    page.feed(page.text)
    page.close()
    return page


class Page(HTMLParser):
    """One page: its inline scripts, where its <head> begins, and what it must not hold."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = text
        self.scripts: list[str] = []
        self.configuration = ""  # what the theme tells its own script
        self.complaints: list[str] = []
        self.head = 0  # the place after <head>; 0 if anything but <html> comes before it
        self.policy = ""  # one that the page brings along, before everything else
        self._elements = 0
        self._starts: list[int] | None = None
        self._script: list[str] | None = None
        self._data = ""
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._elements += 1
        values = {
            name: value or "" for name, value in reversed(attrs)
        }  # the first of two counts, as in browsers
        if tag == "head" and self._elements == 2:
            self.head = self._here() + len(self.get_starttag_text() or "")
        if tag == "script":
            self._begin_script(values)
        self._style = tag == "style"
        if tag in NOT_HERE:
            self.complaints.append(f"<{tag}>, which shows another page or moves the addresses of this one")
        if tag == "meta" and "http-equiv" in values:
            self._equivalent(values)
        for name, value in attrs:
            self._attribute(tag, name, value or "", values)

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self._script.append(data)
        if self._style and (found := _CSS_FETCH.search(data)):
            self.complaints.append(f"a style that fetches from elsewhere: {_begin(data[found.start() :])}")

    def handle_endtag(self, tag: str) -> None:
        self._style = False
        if tag == "script":
            self._end_script()

    def close(self) -> None:
        super().close()
        self._end_script()

    def _begin_script(self, values: dict[str, str]) -> None:
        kind = values.get("type", "").strip().lower()
        if "src" in values:
            return
        if kind not in INERT:
            self._script = []
        elif values.get("id") == "__config" and not self.configuration:
            self._script, self._data = [], "configuration"

    def _end_script(self) -> None:
        if self._script is None:
            return
        text = "".join(self._script)
        if self._data:
            self.configuration = text
        else:
            self.scripts.append(text)
        self._script, self._data = None, ""

    def _equivalent(self, values: dict[str, str]) -> None:
        """<meta http-equiv>: a policy of the page's own may stand at the very beginning, and nothing else anywhere."""
        first = values["http-equiv"].lower() == "content-security-policy" and self._elements <= 4
        if first and not self.policy:
            self.policy = values.get("content", "")
        elif values["http-equiv"].lower() not in ("x-ua-compatible", "content-type"):
            self.complaints.append(f"<meta http-equiv={values['http-equiv']}>")

    def _attribute(self, tag: str, name: str, value: str, values: dict[str, str]) -> None:
        if name.startswith("on"):
            self.complaints.append(f"<{tag} {name}>, a handler")
        elif name == "srcdoc":
            self.complaints.append(f"<{tag} srcdoc>, a page within the page")
        elif name == "style" and (found := _CSS_FETCH.search(value)):
            self.complaints.append(f"<{tag} style> fetches from elsewhere: {_begin(value[found.start() :])}")
        elif name == "srcset":
            for one in value.split(","):
                self._address(tag, name, one.strip().partition(" ")[0], values)
        elif name in FETCHING:
            self._address(tag, name, value, values)

    def _address(self, tag: str, name: str, value: str, values: dict[str, str]) -> None:
        """Refuse an address that runs something, and one elsewhere unless it is a link for the reader to click."""
        plain = "".join(letter for letter in value if letter > " ").replace("\\", "/")  # as browsers read it
        scheme = found[1].lower() if (found := _SCHEME.match(plain)) else ""
        clicked = tag in ("a", "area") and name in ("href", "xlink:href")
        if scheme in ("javascript", "vbscript") or (scheme == "data" and (tag, name) != ("img", "src")):
            self.complaints.append(f"<{tag} {name}> with a {scheme}: address")
        elif clicked or (tag == "link" and set(values.get("rel", "").lower().split()) <= LINKS):
            return
        elif plain.startswith("//") or (scheme and scheme != "data"):
            self.complaints.append(f"<{tag} {name}> from elsewhere: {_begin(value)}")

    def _here(self) -> int:
        """Where the tag that is being read begins, in characters."""
        if self._starts is None:
            self._starts = [0]
            for line in self.text.split("\n"):
                self._starts.append(self._starts[-1] + len(line) + 1)
        row, column = self.getpos()
        return self._starts[row - 1] + column


def _base(configuration: str) -> str:
    """Where the theme's 404.html takes the site's root to be; its other pages say it relative to themselves."""
    try:
        found = json.loads(configuration or "{}")
    except ValueError:
        return "/"
    return str(found.get("base", "/")) if isinstance(found, dict) else "/"


def _moved(script: str, base: str, own: str) -> str:
    """The theme's script as it stands in another folder: only the way to the site's root differs."""
    return script.replace(f"new URL({json.dumps(base)},location)", f"new URL({json.dumps(own)},location)", 1)


def _begin(text: str) -> str:
    """The first letters, for a message; none of them can steer a terminal."""
    line = " ".join(text.split())[:60]
    return "".join(letter if letter.isprintable() else "?" for letter in line)

"""A member's text as HTML that does nothing, whatever the text is, and whichever builder makes the site of it.

    text(words)       for between tags and in quoted attributes
    plain(words)      for titles, which a builder may write into anything: letters, digits, dots and commas
    card(markdown)    a card, as HTML of a few known tags

A page is Markdown that a builder reads. So a member's text lies in raw HTML, on one line, and every character of it that
could mean anything to anybody (Markdown, HTML, a snippet, a template) is written as a numeric reference.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

TAGS = {"p", "br", "hr", "strong", "em", "code", "pre", "blockquote", "ul", "ol", "li", "a", "table", "thead", "tbody",
        "tr", "th", "td", "h1", "h2", "h3", "h4", "h5", "h6"}  # fmt: skip
VOID = {"br", "hr"}
SCHEMES = {"http", "https"}
LOWEST = 6  # headings
_LINK = re.compile(r"https?://[A-Za-z0-9]")


def text(words: str) -> str:
    """Letters, digits and single spaces stay; everything else becomes a numeric reference, line breaks too."""
    words = words.replace("\r\n", "\n")
    return re.sub(r"  +|[^ ]", lambda found: _reference(found[0]), words)


def _reference(found: str) -> str:
    if found.isalnum():
        return found
    return "".join(f"&#{_code(character)};" for character in found)


def _code(character: str) -> int:
    """Halves of characters and what HTML forbids become the replacement character."""
    number = ord(character)
    control = number < 32 and character not in "\t\n"
    forbidden = control or 127 <= number < 160 or 0xD800 <= number < 0xE000
    return 0xFFFD if forbidden else number


def plain(words: str, instead: str = "untitled") -> str:
    """A title that nobody can take for markup: letters, digits, and the dots and commas between them."""
    kept = "".join(letter if letter.isalnum() or letter in ".,-" else " " for letter in words)
    return " ".join(kept.split()) or instead


# --- cards -----------------------------------------------------------------------------------------------------


def card(markdown: str, title: str = "") -> str:
    """The card's HTML, on one line. Its headings begin at the third level; a first one that says `title` is left out.

    Three sieves behind each other, each of which would do alone: a reader of Markdown that knows no HTML, an allow-list,
    and a writer that knows only the tags above.
    """
    import nh3
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable("table")
    allowed = nh3.clean(
        reader.render(markdown),
        tags=TAGS,
        attributes={"a": {"href"}},
        url_schemes=SCHEMES,
        link_rel=None,
    )
    anchors = _Anchors()
    anchors.feed(allowed)
    anchors.close()
    writer = _Writer(anchors.found, title)
    writer.feed(allowed)
    writer.close()
    return "".join(writer.parts)


def _slug(words: str) -> str:
    """The heading's name in a link, as GitHub makes it."""
    kept = "".join(letter for letter in words.casefold() if letter.isalnum() or letter in " -_")
    return kept.strip().replace(" ", "-")


class _Anchors(HTMLParser):
    """The text of every heading, in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if _is_heading(tag):
            self.found.append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        if _is_heading(tag):
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found[-1] += data


class _Writer(HTMLParser):
    def __init__(self, headings: list[str], title: str) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._headings = headings
        self._names = {_slug(words) for words in headings}
        self._seen = 0  # headings
        self._written: set[str] = set()
        self._links: list[bool] = []  # whether each open <a> was written
        self._skips = bool(headings) and headings[0].strip() == title.strip()
        self._silent = False  # in the heading that is left out

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            return
        if _is_heading(tag):
            self._heading(tag)
        elif tag == "a":
            self._link(dict(attrs).get("href") or "")
        elif not self._silent:
            self.parts.append(f"<{tag}>")

    def _heading(self, tag: str) -> None:
        self._seen += 1
        self._silent = self._skips and self._seen == 1
        if self._silent:
            return
        name = _slug(self._headings[self._seen - 1])
        id = f' id="card-{text(name)}"' if name and name not in self._written else ""
        self._written.add(name)
        self.parts.append(f"<{_lower(tag)}{id}>")

    def _link(self, target: str) -> None:
        if target.startswith("#") and (name := target[1:].casefold()) in self._names:
            written = f'<a href="#card-{text(name)}">'
        elif _LINK.match(target):
            written = f'<a href="{text(target)}" rel="noopener noreferrer nofollow">'
        else:
            written = ""
        self._links.append(bool(written) and not self._silent)
        if self._links[-1]:
            self.parts.append(written)

    def handle_endtag(self, tag: str) -> None:
        if tag not in TAGS or tag in VOID:
            return
        if tag == "a":
            if self._links and self._links.pop():
                self.parts.append("</a>")
        elif self._silent:
            self._silent = not _is_heading(tag)
        else:
            self.parts.append(f"</{_lower(tag) if _is_heading(tag) else tag}>")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            between = data == "\n" and "<pre>" not in self.parts[-2:]  # of two blocks: a space says the same
            self.parts.append(" " if between else text(data))


def _is_heading(tag: str) -> bool:
    return len(tag) == 2 and tag[0] == "h" and tag[1].isdigit()


def _lower(tag: str) -> str:
    """The page has a title and sections of its own, so a card's headings stand below them."""
    return f"h{min(max(int(tag[1]), 2) + 1, LOWEST)}"

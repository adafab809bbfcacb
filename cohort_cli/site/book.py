"""All guides as one page to print: a cover, the contents, and each guide as a chapter, in the order of the menu.

It is made from the staged tree, not from the built site, so no menu and no search box has to be taken out again. Within
the book, a link to another guide leads to its chapter. The browser makes the PDF (browser.py), with page numbers.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli.errors import EnvironmentTrouble

PRINTER = ("--generate-pdf-document-outline",)  # headings become the bookmarks of the PDF
LEFT_OUT = ("gallery/",)  # what members made is read on the site, where it answers
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)
_VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Chapter(NamedTuple):
    title: str  # as the menu says it
    path: str  # "projects/project2.md"
    under: tuple[str, ...]  # the parts of the menu that it stands in

    @property
    def id(self) -> str:
        return self.path.removesuffix(".md").replace("/", "-")


def book(config_file: Path, staged: Path) -> tuple[str, int]:
    """The whole HTML file and the number of its chapters. Raises EnvironmentTrouble where MkDocs is missing."""
    try:
        import markdown
        from mkdocs.config import load_config
        from pygments.formatters import HtmlFormatter
    except ImportError as missing:
        raise EnvironmentTrouble(
            f"The book is made with {missing.name}, which is not installed.",
            'pip install "cohort-kit[site]"',
        ) from None
    config = load_config(str(config_file), docs_dir=str(staged))
    settings: dict[str, Any] = {**config.mdx_configs}
    settings["toc"] = {**settings.get("toc", {}), "permalink": False}
    chapters = [chapter for chapter in _flat(config.nav or []) if not chapter.path.startswith(LEFT_OUT)]
    inside = {chapter.path: chapter.id for chapter in chapters}
    bodies = []
    for chapter in chapters:
        made = markdown.Markdown(extensions=config.markdown_extensions, extension_configs=settings)
        text = made.convert((staged / chapter.path).read_text(encoding="utf-8"))
        part = f'<p class="part">{html.escape(" · ".join(chapter.under))}</p>' if chapter.under else ""
        moved = Moved(chapter, inside)
        moved.feed(text)
        moved.close()
        bodies.append(f'<section id="{chapter.id}">{part}{"".join(moved.out)}</section>')
    style = (staged / "assets" / "cohort.css").read_text(encoding="utf-8")
    style += HtmlFormatter(style="friendly").get_style_defs(".highlight") + STYLE
    name = html.escape(config.site_name)
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{name}: the guides</title><style>{style}</style></head>\n"
        f'<body data-md-color-scheme="default" class="md-typeset">\n<header><h1>{name}</h1>'
        f"<p>{html.escape(config.site_description or '')}</p></header>\n"
        f"<nav><h1>Contents</h1>{_contents(chapters)}</nav>\n" + "\n".join(bodies) + "\n</body></html>\n"
    )
    return page, len(chapters)


def _flat(menu: list[Any], under: tuple[str, ...] = ()) -> Iterator[Chapter]:
    """The menu of mkdocs.yml, in the order in which it is read."""
    for entry in menu:
        for title, inner in entry.items() if isinstance(entry, dict) else [(str(entry), entry)]:
            if isinstance(inner, list):
                yield from _flat(inner, (*under, title))
            elif inner.endswith(".md"):
                yield Chapter(title, inner, under)


def _contents(chapters: list[Chapter]) -> str:
    rows: list[str] = []
    before: tuple[str, ...] = ()
    for chapter in chapters:
        for depth, title in enumerate(chapter.under):
            if chapter.under[: depth + 1] != before[: depth + 1]:
                rows.append(f'<p class="depth{depth}"><b>{html.escape(title)}</b></p>')
        before = chapter.under
        link = f'<a href="#{chapter.id}">{html.escape(chapter.title)}</a>'
        rows.append(f'<p class="depth{len(chapter.under)}">{link}</p>')
    return "".join(rows)


class Moved(HTMLParser):
    """The HTML of a guide as a chapter: its ids get the chapter's name, links within the book lead to chapters,
    links to what is not in the book become text, and what is folded away is open. Scripts are left out."""

    def __init__(self, chapter: Chapter, inside: dict[str, str]) -> None:
        super().__init__(convert_charrefs=False)
        self.chapter = chapter
        self.inside = inside
        self.out: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._script = tag == "script"
        if self._script:
            return
        kept = [(name, self._value(tag, name, value)) for name, value in attrs if name != "tabindex"]
        kept = [(name, value) for name, value in kept if (name, value) != ("href", None)]
        if tag == "details" and "open" not in dict(kept):
            kept.append(("open", None))
        words = "".join(
            f" {name}" if value is None else f' {name}="{html.escape(value)}"' for name, value in kept
        )
        self.out.append(f"<{tag}{words}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID and not self._script:
            self.out.append(f"</{tag}>")  # SVG and MathML close themselves; in HTML the end has to be written
        self._script = False

    def handle_endtag(self, tag: str) -> None:
        if tag != "script":
            self.out.append(f"</{tag}>")
        self._script = False

    def handle_data(self, data: str) -> None:
        if not self._script:
            self.out.append(data)

    def handle_entityref(self, name: str) -> None:
        self.out.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.out.append(f"&#{name};")

    def _value(self, tag: str, name: str, value: str | None) -> str | None:
        if value is None:
            return None
        if name == "id":
            return self._anchor(value)
        if name == "href" and tag == "a":
            return self._link(value)
        if name.endswith("href") and value.startswith("#"):
            return f"#{self._anchor(value[1:])}"
        return value.replace("url(#", f"url(#{self._anchor('')}")

    def _anchor(self, id: str) -> str:
        return f"{self.chapter.id}--{id}"

    def _link(self, target: str) -> str | None:
        if _SCHEME.match(target):
            return target
        path, _, anchor = target.partition("#")
        here = posixpath.dirname(self.chapter.path)
        page = posixpath.normpath(posixpath.join(here, path)) if path else self.chapter.path
        if page not in self.inside:
            return None
        return f"#{self.inside[page]}--{anchor}" if anchor else f"#{self.inside[page]}"


STYLE = """
@page { size: A4; margin: 20mm 18mm; @bottom-center { content: counter(page); font: 9pt sans-serif } }
@page :first { @bottom-center { content: "" } }
:root { --md-typeset-a-color: #0072B2 }
* { box-sizing: border-box }
body { color: #1f2328; font: 10.5pt/1.45 "Noto Serif", Georgia, "DejaVu Serif", serif; margin: 0 }
header { padding-top: 35% }
header h1 { color: #0072B2; font-size: 40pt; margin: 0 }
header p { font-size: 14pt; max-width: 28em }
nav { break-before: page }
nav p { margin: .15em 0 }
.depth1 { padding-left: 1.5em }
.depth2 { padding-left: 3em }
section { break-before: page }
.part { color: #57606a; font-size: 9.5pt; margin: 0 }
h1, h2, h3, h4 { break-after: avoid; font-family: system-ui, "DejaVu Sans", sans-serif; line-height: 1.2 }
h1 { font-size: 22pt }
h2 { font-size: 15pt; margin-top: 1.6em }
h3 { font-size: 12pt }
p, li { orphans: 3; widows: 3 }
pre { background: #f5f5f5; border-radius: 4px; font-size: 8.3pt; line-height: 1.35; margin: 1em 0; padding: .7em 1em }
pre, pre code { overflow-wrap: anywhere; white-space: pre-wrap }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .88em }
pre code { font-size: 1em }
table { border-collapse: collapse; font-size: 9pt; margin: 1em 0; max-width: 100% }
th, td { border-bottom: .5pt solid #9aa0a6; padding: .3em .8em .3em 0; text-align: left; vertical-align: top }
td, th { overflow-wrap: break-word }
tr, figure, .maths-block, .box { break-inside: avoid }
thead { display: table-header-group }
figure { margin: 1.2em 0; text-align: center }
figure svg { height: auto; max-height: 200mm; max-width: 100% }
figcaption { font-size: 9pt }
details { border-left: 2pt solid #0072B2; margin: 1em 0; padding-left: 1em }
summary { font-weight: 600 }
a { color: #0072B2; text-decoration: none }
a:not([href]) { color: inherit }
blockquote { border-left: 2pt solid #9aa0a6; margin: 1em 0; padding-left: 1em }
"""

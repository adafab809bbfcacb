"""An SVG file becomes part of the page, so `currentColor` in it follows light and dark."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cohort_cli.site.markdown import Place

_SVG = "http://www.w3.org/2000/svg"
_REFUSED = {"script", "foreignObject", "image", "iframe", "animate", "set"}


def inline(path: Path, alt: str, caption: str | None, place: Place) -> str:
    """One line of HTML: a figure with the drawing, its alt text as label, and its caption.

    A <style> in the file is for readers who see the file alone; the page has colours of its own.
    """
    return inline_text(path.read_text(encoding="utf-8"), path.name, alt, caption, place)


def inline_text(text: str, name: str, alt: str, caption: str | None, place: Place) -> str:
    """The same for a drawing that is in no file. `name`: for messages, and for its ids."""
    if not alt.strip():
        raise place.trouble(f"the figure {name} has no alt text.", "Say in one sentence what it shows.")
    try:
        svg = ElementTree.fromstring(text)
    except ElementTree.ParseError as trouble:
        raise place.trouble(f"{name} is not well-formed SVG: {trouble}.") from None
    _refuse_activity(svg, name, place)
    for parent in list(svg.iter()):
        for style in parent.findall(f"{{{_SVG}}}style"):
            parent.remove(style)
    svg.set("role", "img")
    svg.set("aria-label", alt)
    # ids are the page's, not the file's: two figures may both call their arrow head "arrow"
    prefix = name.removesuffix(".svg") + "-"
    for element in svg.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, prefix + value)
            else:
                value = re.sub(r"url\(#", f"url(#{prefix}", value)
                element.set(key, f"#{prefix}{value[1:]}" if _is_href(key) else value)
    ElementTree.register_namespace("", _SVG)
    drawing = re.sub(r"\s*\n\s*", " ", ElementTree.tostring(svg, encoding="unicode"))
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="drawing">{drawing}{below}</figure>'


def _refuse_activity(svg: ElementTree.Element, file: str, place: Place) -> None:
    """A drawing draws: nothing in it runs, and nothing is fetched."""
    for element in svg.iter():
        if not str(element.tag).startswith(f"{{{_SVG}}}"):
            raise place.trouble(f"{file} holds <{element.tag}>, which is not SVG.")
        name = str(element.tag).rpartition("}")[2]
        if name in _REFUSED:
            raise place.trouble(f"{file} holds <{name}>; a figure only draws.")
        for key, value in element.attrib.items():
            if key.lower().startswith("on"):
                raise place.trouble(f"{file} holds {key}=…; a figure runs nothing.")
            elsewhere = re.search(r"url\((?!#)", value) or (_is_href(key) and not value.startswith("#"))
            if elsewhere:
                raise place.trouble(f"{file} points elsewhere: {value}")


def _is_href(key: str) -> bool:
    return key == "href" or key.endswith("}href")

r"""LaTeX in a guide becomes MathML, which every browser draws without JavaScript.

`$x$` is maths in a line and `$$x$$` an equation of its own. As in Pandoc, an opening dollar touches what
follows it and a closing one touches what stands before it and is not followed by a digit: "$5 and $10"
is money. `\$` is always a plain dollar sign.
"""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cohort_cli.site.markdown import Place

_INLINE = re.compile(r"(?<![\\$])\$(?![\s$])(?P<latex>(?:\\.|[^$\\])+?)(?<!\s)\$(?![\d$])")
_NAME = re.compile(r"<mo>([A-Za-z]{2,})</mo>")  # \operatorname: a name, so without an operator's wide space
# Without a font made for maths, browsers do not stretch brackets; the style sheet draws these instead.
_BRACKETS = re.compile(r"<mo>&#x0005B;</mo><mtable>(.*?)</mtable><mo>&#x0005D;</mo>")
_TEXT = re.compile(r">([^<]+)<")


def inline(text: str, place: Place) -> str:
    """Replace every `$…$`. The text holds no code."""

    def one(match: re.Match[str]) -> str:
        return f'<span class="maths">{to_mathml(match["latex"], "inline", place)}</span>'

    return _INLINE.sub(one, text).replace(r"\$", "$")


def display(latex: str, place: Place) -> str:
    """One equation on a line of its own. A span, so that it may also stand inside a list."""
    return f'<span class="maths maths-block">{to_mathml(latex, "block", place)}</span>'


def to_mathml(latex: str, display: str, place: Place) -> str:
    """Convert, and refuse what the converter would let through as garbage."""
    from latex2mathml import converter

    if not _balanced(latex):
        raise place.trouble(f"the braces of this formula do not match: {latex}")
    try:
        mathml = converter.convert(latex, display=display)
        ElementTree.fromstring(mathml)
    except ElementTree.ParseError:
        raise place.trouble(f"an & stands outside a matrix or cases: {latex}") from None
    except Exception as trouble:  # the converter has a family of exceptions, and raises others too
        name = type(trouble).__name__
        raise place.trouble(f"this formula cannot be read ({name}): {latex}") from None
    if unknown := re.search(r"\\[A-Za-z]+", _texts(mathml)):
        raise place.trouble(f"unknown LaTeX command {unknown[0]} in: {latex}")
    mathml = mathml.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    mathml = _NAME.sub(r"<mi>\1</mi>", mathml)
    mathml = _BRACKETS.sub(r'<mtable class="brackets">\1</mtable>', mathml)
    return _TEXT.sub(lambda match: f">{_entities(html.unescape(match[1]))}<", mathml)


def _balanced(latex: str) -> bool:
    depth = 0
    for brace in re.findall(r"\\.|[{}]", latex, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if depth < 0:
            return False
    return depth == 0


def _texts(mathml: str) -> str:
    return " ".join(_TEXT.findall(mathml))


def _entities(text: str) -> str:
    """Symbols as entities, so that Markdown sees no * or _ or | in a formula."""
    return "".join(sign if sign.isalnum() and sign.isascii() else f"&#{ord(sign)};" for sign in text)

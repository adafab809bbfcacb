"""Links in a guide are written for the file's place in the kit, so they work in an editor; the site has
other paths. A link to another guide is rewritten, a link to a source file becomes its name in code.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cohort_cli.site.markdown import Place

_LINK = re.compile(r'(?P<image>!?)\[(?P<text>[^\[\]]*)\]\((?P<target>[^()\s]+)(?P<title>\s+"[^"]*")?\)')
_ELSEWHERE = re.compile(r"^([a-z][a-z0-9+.-]*:|#|//)", re.IGNORECASE)


class Links:
    """Knows where every staged page came from."""

    def __init__(self, kit: Path, pages: dict[Path, str]) -> None:
        """`pages` maps a real path in the kit to its path in the staged tree ("projects/project2.md")."""
        self.kit = kit.resolve()
        self.pages = pages

    def rewrite(self, text: str, place: Place) -> str:
        """Rewrite every link in a stretch of Markdown that comes from the page `place.file`."""
        return _LINK.sub(lambda match: self._one(match, place), text)

    def _one(self, match: re.Match[str], place: Place) -> str:
        target = match["target"]
        if _ELSEWHERE.match(target):
            if match["image"]:
                raise place.trouble(f"the image {target} would be fetched from elsewhere.")
            return match[0]
        path, hash, anchor = target.partition("#")
        real = (place.file.parent / path).resolve()
        if not real.is_relative_to(self.kit):
            raise place.trouble(f"the link {target} leads out of the kit.")
        if real in self.pages:
            here = posixpath.dirname(self.pages[place.file.resolve()])
            staged = posixpath.relpath(self.pages[real], here or ".")
            return f"{match['image']}[{match['text']}]({staged}{hash}{anchor}{match['title'] or ''})"
        if not real.exists():
            raise place.trouble(f"the link {target} leads nowhere: there is no {path}.")
        if match["image"]:
            raise place.trouble(
                f"the image {target} is not on the site.", "A figure is an SVG on its own line."
            )
        text = match["text"]
        return text if "\x00" in text else f"`{text}`"

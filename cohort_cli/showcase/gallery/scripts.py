"""The scripts and style sheets of the gallery's pages, in the order in which a page names them."""

from __future__ import annotations

from pathlib import Path

ASSETS = Path(__file__).resolve().parents[1] / "assets"
ENGINE = ("kernel.js", "weights.js", "sampling.js", "engine.js", "tokenizer.js")
PAGE = ("page.js", "talk.js", "merges.js", "attention.js", "compare.js")  # those that exist
COMPARE = "compare.js"
STYLES = ("gallery.css", "showcase.css")


def files() -> list[Path]:
    """All that goes into gallery/assets."""
    return sorted([*ASSETS.glob("*.js"), *ASSETS.glob("*.css")])


def smaller(path: Path) -> str:
    """The file without its comments and blanks, which the repository keeps: a page is to stay light on a telephone."""
    from rcssmin import cssmin
    from rjsmin import jsmin

    return str((jsmin if path.suffix == ".js" else cssmin)(path.read_text(encoding="utf-8"))) + "\n"


def styles(up: str) -> str:
    """`up`: the way from the page's final address to the folder gallery/, such as "../"."""
    there = [name for name in STYLES if (ASSETS / name).is_file()]
    return "".join(f'<link rel="stylesheet" href="{up}assets/{name}">' for name in there)


def of_entry(up: str) -> str:
    return _tags([*ENGINE, *(name for name in PAGE if name != COMPARE)], up)


def of_comparison(up: str) -> str:
    return _tags([*ENGINE, *PAGE], up)  # two models answer there, as one does on an entry's page


def _tags(names: list[str], up: str) -> str:
    there = [name for name in names if (ASSETS / name).is_file()]
    return "".join(f'<script src="{up}assets/{name}" defer></script>' for name in there)

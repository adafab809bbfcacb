"""One page: maths becomes MathML, figures become part of it, and code is left alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support import REPO

from cohort_cli.errors import BrokenManifest
from cohort_cli.site.markdown import convert

SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">
  <title>A dot</title>
  <style>svg { color: black }</style>
  <defs><marker id="tip"><path d="M0 0L1 1"/></marker></defs>
  <path d="M0 0h9" stroke="currentColor" marker-end="url(#tip)"/>
</svg>
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    guide = tmp_path / "projects" / "project9_adding" / "guide.md"
    guide.parent.mkdir(parents=True)
    return guide


def staged(text: str, page: Path) -> str:
    return convert(text, page, page.parents[2], lambda part, place: part)


# --- maths ----------------------------------------------------------------------------------------


def test_inline_maths_becomes_mathml(page: Path) -> None:
    html = staged("The root is $\\sqrt{d_k}$, as usual.", page)
    assert html.startswith('The root is <span class="maths"><math ')
    assert "<msqrt>" in html
    assert html.endswith("</math></span>, as usual.\n")
    assert "$" not in html


def test_a_displayed_equation_may_span_lines(page: Path) -> None:
    html = staged("Before\n\n$$\nx =\ny\n$$\n\nafter $z$", page)
    assert html.count('display="block"') == 1
    assert html.count('display="inline"') == 1
    assert "$$" not in html


@pytest.mark.parametrize(
    "text",
    [
        "```python\ncost = '$x$ and $$y$$'\n```",
        "~~~text\n$x$\n~~~",
        "````md\n```\n$x$\n```\n$y$\n````",
        "Write `$x$` for maths, and ``a ` $b$`` too.",
        "> ```\n> $x$\n> ```",
    ],
)
def test_code_is_untouched(text: str, page: Path) -> None:
    assert staged(text, page) == text + "\n"


@pytest.mark.parametrize(
    "text", ["It costs $5 or $10.", "Between $5-$10 an hour.", "From $48 to $672, once.", "$ cohort check"]
)
def test_money_and_prompts_are_not_maths(text: str, page: Path) -> None:
    assert staged(text, page) == text + "\n"


def test_an_escaped_dollar_is_a_dollar(page: Path) -> None:
    assert staged(r"Pay \$5 and take $x$ home for \$3.", page).startswith("Pay $5 and take <span")
    assert staged(r"Pay \$5 and take $x$ home for \$3.", page).endswith("home for $3.\n")


def test_markdown_sees_no_signs_of_its_own_in_a_formula(page: Path) -> None:
    html = staged("| $|x|$ | $a * b * c$ | $x_i^*$ |", page)
    between_pipes = html.split("|")
    assert len(between_pipes) == 5  # the table still has three cells
    assert "*" not in html


@pytest.mark.parametrize(
    ("latex", "says"),
    [
        (r"\foo{x}", r"unknown LaTeX command \foo"),
        (r"\frac{1}{", "braces"),
        ("x_{i", "braces"),
        ("a & b", "&"),
        (r"\left( x", "cannot be read"),
    ],
)
def test_bad_latex_is_named_with_file_and_line(latex: str, says: str, page: Path) -> None:
    with pytest.raises(BrokenManifest) as trouble:
        staged(f"First line.\n\nThen ${latex}$.", page)
    assert f"{page}:3: " in trouble.value.message
    assert says in trouble.value.message
    assert latex in trouble.value.message


def test_an_equation_that_never_ends_is_named(page: Path) -> None:
    with pytest.raises(BrokenManifest, match=r"guide\.md:2: this \$\$ is never closed"):
        staged("Text\n$$ x = y\n\nmore text", page)


def test_a_fence_that_never_ends_is_named(page: Path) -> None:
    with pytest.raises(BrokenManifest, match="never closed"):
        staged("```python\nx = 1\n", page)


def test_matrix_brackets_do_not_need_a_font_for_maths(page: Path) -> None:
    html = staged(r"$$\begin{bmatrix} 1 & 0 \end{bmatrix}$$", page)
    assert '<mtable class="brackets">' in html


# --- figures --------------------------------------------------------------------------------------


def with_figure(page: Path, svg: str = SVG) -> Path:
    (page.parent / "figures").mkdir()
    (page.parent / "figures" / "dot.svg").write_text(svg)
    return page


def test_a_figure_becomes_part_of_the_page(page: Path) -> None:
    html = staged('![One dot](figures/dot.svg "A caption & more")\n', with_figure(page))
    assert html.startswith('<figure class="drawing"><svg')
    assert 'aria-label="One dot"' in html
    assert "<title>A dot</title>" in html
    assert "<style>" not in html
    assert "<figcaption>A caption &amp; more</figcaption>" in html
    assert html.count("\n") == 1, "a raw HTML block must be one line"


def test_the_site_knows_every_class_of_a_chart() -> None:
    """A chart's own style is left out on the site, and a line without `fill: none` would be a black area."""
    from cohort_cli.training import svg

    css = (REPO / "docs/assets/cohort.css").read_text(encoding="utf-8")
    drawing = svg.alone(svg.chart("t", [svg.Series("a", [(0, 1), (1, 2)])], "x", "y", [("base", 1.0)]))
    used = set(re.findall(r'class="([^"]+)"', drawing))
    assert {"axis", "grid", "base", "curve", "paper"} <= used
    for name in used:
        assert f".drawing .{name}" in css, name


def test_ids_of_two_figures_do_not_meet(page: Path) -> None:
    html = staged("![One dot](figures/dot.svg)\n", with_figure(page))
    assert 'id="dot-tip"' in html
    assert 'marker-end="url(#dot-tip)"' in html


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("<script>alert(1)</script>", "<script>"),
        ('<path d="M0 0" onclick="alert(1)"/>', "onclick"),
        ('<a href="https://example.org"><path d="M0 0"/></a>', "points elsewhere"),
        ('<path fill="url(https://example.org/x)" d="M0 0"/>', "points elsewhere"),
        ('<image href="#x"/>', "<image>"),
    ],
)
def test_a_figure_only_draws(inside: str, says: str, page: Path) -> None:
    with_figure(page, SVG.replace("</svg>", inside + "</svg>"))
    with pytest.raises(BrokenManifest, match=r"guide\.md:1") as trouble:
        staged("![A dot](figures/dot.svg)", page)
    assert says in trouble.value.message


def test_a_figure_needs_alt_text(page: Path) -> None:
    with_figure(page)
    with pytest.raises(BrokenManifest, match="alt text"):
        staged("![](figures/dot.svg)", page)


def test_a_figure_from_outside_the_kit_is_refused(
    page: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.svg"
    secret.write_text(SVG)
    for target in (str(secret), f"../../../{secret.parent.name}/secret.svg"):
        with pytest.raises(BrokenManifest, match="outside the kit"):
            staged(f"![A dot]({target})", page)


def test_a_link_to_a_figure_outside_the_kit_is_refused(
    page: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.svg"
    secret.write_text(SVG)
    (page.parent / "figures").mkdir()
    try:
        (page.parent / "figures" / "dot.svg").symlink_to(secret)
    except OSError:
        pytest.skip("this system makes no symbolic links")
    with pytest.raises(BrokenManifest, match="outside the kit"):
        staged("![A dot](figures/dot.svg)", page)

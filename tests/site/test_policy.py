"""What a page may run: the theme's own scripts, and nothing that came in with a text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cohort_cli.errors import BrokenManifest
from cohort_cli.site import deck, policy
from cohort_cli.site.second import main

SCOPE = '__md_scope=new URL("{base}",location)'
PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8"><link rel="canonical" href="https://example.org/x/"><link rel="stylesheet" href="{own}/a.css">
    <script>{scope}</script>
  </head>
  <body>
    <script id="__config" type="application/json">{config}</script>
    <script src="{own}/bundle.js"></script><script>var palette = 1</script>
    <a href="https://example.org/">a link to click</a> <img src="data:image/png;base64,AA" alt="">
    {text}
  </body>
</html>
"""


def page(own: str, text: str = "", base: str | None = None) -> str:
    scope = SCOPE.format(base=base if base is not None else own)
    return PAGE.format(own=own, scope=scope, config=json.dumps({"base": base or own}), text=text)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    files = {
        "404.html": page("/our-group", base="/our-group/"),
        "index.html": page("."),
        "guide/index.html": page(".."),
        "meetings/2/lab/index.html": page("../../.."),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    return tmp_path


def policy_of(path: Path) -> str:
    return policy.read(path).policy


def test_every_page_says_first_what_it_may_run(site: Path) -> None:
    assert policy.protect(site) == 4
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert text.partition("<head>")[2].startswith(
            '<meta http-equiv="Content-Security-Policy" content="default-src'
        )
        assert "'unsafe-inline'" not in policy_of(path).partition("script-src")[2].partition(";")[0]
        assert text.index("</head>") < 1500, "the encoding is still told within the first bytes"
    here = SCOPE.format(base="../../..")
    assert policy.digest(here) in policy_of(site / "meetings/2/lab/index.html")
    assert policy.digest(here) not in policy_of(site / "index.html"), "a page names what it holds and no more"


def test_nothing_else_of_a_page_changes(site: Path) -> None:
    before = {path: path.read_bytes() for path in site.rglob("*.html")}
    policy.protect(site)
    for path, text in before.items():
        meta = f'<meta http-equiv="Content-Security-Policy" content="{policy_of(path)}">'.encode()
        assert path.read_bytes().replace(meta, b"", 1) == text


REFUSED = [
    ("<script>alert(1)</script>", "inline script"),
    ("<SCRIPT >alert(1)</SCRIPT >", "inline script"),
    ("<script>alert(1)", "inline script"),
    ("<svg><script>alert(1)</script></svg>", "inline script"),
    ('<script type="module">import "./x.js"</script>', "inline script"),
    ('<script type="importmap">{}</script>', "inline script"),
    ("<script>var palette = 1 </script>", "inline script"),
    ('<script>__md_scope=new URL("//example.org",location)</script>', "inline script"),
    ('<script src="https://example.org/x.js"></script>', "from elsewhere"),
    ('<script src="//example.org/x.js"></script>', "from elsewhere"),
    ('<script src="/\\example.org/x.js"></script>', "from elsewhere"),
    ('<script src="data:text/javascript,alert(1)"></script>', "data: address"),
    ("<p onclick=alert(1)>x</p>", "handler"),
    ("<p OnMouseOver=alert(1)>x</p>", "handler"),
    ("<svg/onload=alert(1)>", "handler"),
    ("<details ontoggle=alert(1) open>", "handler"),
    ('<a href="javascript:alert(1)">x</a>', "javascript: address"),
    ('<a href=" java\nscript&colon;alert(1)">x</a>', "javascript: address"),
    ('<a href="data:text/html,x">x</a>', "data: address"),
    ('<svg><a xlink:href="javascript:alert(1)">x</a></svg>', "javascript: address"),
    ('<form action="javascript:alert(1)">', "javascript: address"),
    ('<button formaction="https://example.org">', "from elsewhere"),
    ('<img src="https://example.org/x.png" alt="">', "from elsewhere"),
    ('<img srcset="a.png 1x, //example.org/b.png 2x" alt="">', "from elsewhere"),
    ('<video poster="https://example.org/x.png"></video>', "from elsewhere"),
    ('<link rel="stylesheet" href="https://example.org/x.css">', "from elsewhere"),
    ('<link rel="canonical preconnect" href="https://example.org">', "from elsewhere"),
    ("<style>@import 'x.css'</style>", "style that fetches"),
    ("<style>p { background: url(https://example.org/x) }</style>", "style that fetches"),
    ('<p style="background: url( //example.org/x )">x</p>', "fetches from elsewhere"),
    ('<iframe src="x.html"></iframe>', "<iframe>"),
    ('<iframe srcdoc="&lt;script>alert(1)&lt;/script>"></iframe>', "srcdoc"),
    ('<object data="x.html"></object>', "<object>"),
    ('<embed src="x.html">', "<embed>"),
    ('<base href="https://example.org/">', "<base>"),
    ('<meta http-equiv="refresh" content="0;url=https://example.org">', "<meta http-equiv=refresh>"),
    ('<meta http-equiv="Content-Security-Policy" content="script-src *">', "<meta http-equiv=Content"),
]


@pytest.mark.parametrize(("text", "says"), REFUSED)
def test_what_a_page_must_not_hold_stops_the_build_by_name(text: str, says: str, site: Path) -> None:
    before = (site / "index.html").read_bytes()
    (site / "guide" / "index.html").write_text(page("..", text), encoding="utf-8")
    with pytest.raises(BrokenManifest, match="must not") as trouble:
        policy.protect(site)
    assert says in trouble.value.message
    assert "  guide/index.html: " in trouble.value.message
    assert (site / "index.html").read_bytes() == before, "no page is changed, so nothing half is published"


@pytest.mark.parametrize(
    "text",
    [
        "<p>&lt;script>alert(1)&lt;/script> and onclick=alert(1) and javascript:alert(1)</p>",
        "<!-- <script>alert(1)</script> -->",
        '<a href="mailto:ada@example.org">x</a> <a href="#x">x</a> <a href="../x/?a=javascript:1">x</a>',
        '<svg><use href="#arrow"/></svg> <p style="background: url(#x)">x</p>',
        '<script type="application/json">{"alert": 1}</script>',
        '<img src="../x.png" srcset="a.png 1x, b.png 2x" alt="">',
    ],
)
def test_what_runs_and_fetches_nothing_is_fine(text: str, site: Path) -> None:
    (site / "guide" / "index.html").write_text(page("..", text), encoding="utf-8")
    assert policy.protect(site) == 4


def test_a_script_that_many_pages_hold_is_not_blessed_by_that(site: Path) -> None:
    for name in ("index.html", "guide/index.html", "meetings/2/lab/index.html"):
        own = "/".join([".."] * name.count("/")) or "."
        (site / name).write_text(page(own, "<script>track()</script>"), encoding="utf-8")
    with pytest.raises(BrokenManifest) as trouble:
        policy.protect(site)
    assert trouble.value.message.count("track()") == 3


def test_something_before_the_head_leaves_the_policy_no_place(site: Path) -> None:
    (site / "index.html").write_text("<p>x</p>" + page("."), encoding="utf-8")
    with pytest.raises(BrokenManifest, match="the policy has no place"):
        policy.protect(site)


def test_a_site_without_its_404_is_not_trusted(site: Path) -> None:
    (site / "404.html").unlink()
    with pytest.raises(BrokenManifest, match="404"):
        policy.protect(site)


@pytest.mark.parametrize("name", ["x.htm", "x.XHTML", "entry/x.shtml"])
def test_a_page_under_another_name_is_refused(name: str, site: Path) -> None:
    (site / name).parent.mkdir(exist_ok=True)
    (site / name).write_text("x")
    with pytest.raises(BrokenManifest, match=r"a page of a kind that gets no policy") as trouble:
        policy.protect(site)
    assert f"  {name}: " in trouble.value.message


def test_capitals_in_its_name_do_not_spare_a_page(site: Path) -> None:
    (site / "X.HTML").write_text(page(".", "<script>x</script>"))
    with pytest.raises(BrokenManifest, match=r"X\.HTML"):
        policy.protect(site)


def slides(script: str, rules: str) -> str:
    meta = f'<meta http-equiv="Content-Security-Policy" content="{rules}">'
    head = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{meta}</head>'
    return f"{head}<body><script>{script}</script></body></html>"


def test_slides_keep_their_own_stricter_policy(site: Path) -> None:
    rules = policy.alone(deck.SCRIPT)
    assert "unsafe-inline" not in rules.partition("script-src")[2].partition(";")[0]
    text = slides(deck.SCRIPT, rules)
    (site / "slides.html").write_text(text, encoding="utf-8", newline="")
    assert policy.protect(site, alone=(rules,)) == 5
    assert (site / "slides.html").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("script", ["alert(1)", deck.SCRIPT + " "])
def test_slides_with_another_script_are_refused(script: str, site: Path) -> None:
    rules = policy.alone(deck.SCRIPT)
    (site / "slides.html").write_text(slides(script, rules), encoding="utf-8")
    with pytest.raises(BrokenManifest, match=r"slides\.html"):
        policy.protect(site, alone=(rules,))


def test_a_policy_that_a_page_brings_along_does_not_bless_its_script(site: Path) -> None:
    (site / "x.html").write_text(slides("alert(1)", policy.alone("alert(1)")), encoding="utf-8")
    with pytest.raises(BrokenManifest, match=r"x\.html"):
        policy.protect(site, alone=(policy.alone(deck.SCRIPT),))


def test_a_message_cannot_steer_a_terminal_and_is_not_endless(site: Path) -> None:
    text = "".join(f"<script>\x1b[31m{number}</script>" for number in range(50))
    (site / "index.html").write_text(page(".", text), encoding="utf-8")
    with pytest.raises(BrokenManifest) as trouble:
        policy.protect(site)
    assert "\x1b" not in trouble.value.message
    assert "and 30 more" in trouble.value.message


def test_a_second_builder_that_left_pages_out_is_found(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = tmp_path / "ours"
    for name in ("404.html", "guide/index.html", "gallery/index.html"):
        (ours / name).parent.mkdir(parents=True, exist_ok=True)
        (ours / name).write_text("x")
    other = tmp_path / "other"
    for name, own in {"404.html": "", "guide/index.html": ".."}.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(page(own, base="/" if not own else None), encoding="utf-8")
    assert main(other, ours) == 1
    said = capsys.readouterr()
    assert said.err == "missing: gallery/index.html\n"
    assert said.out == "2 pages with their policy; 1 of ours are missing\n"
    (ours / "gallery/index.html").unlink()
    (other / "guide/index.html").write_text(page("..", "<script>x</script>"), encoding="utf-8")
    assert main(other, ours) == 3

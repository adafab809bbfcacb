"""`cohort site check` on small sites with one mistake each: every kind is found and named, and a sound site is quiet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import Cohort

from cohort_cli.errors import EnvironmentTrouble, UsageError
from cohort_cli.site import browser as browsers
from cohort_cli.site import look
from cohort_cli.site.serve import start_server

SOUND = """<!doctype html>
<html lang="en"><head>
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src * data:; connect-src *">
<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Sums</title>
<link rel="icon" href="data:,"><style>
  :root { color-scheme: light dark } body { background: #fff; color: #222 }
  @media (prefers-color-scheme: dark) { body { background: #111; color: #eee } .faint { color: #444 } }
  @media print { .printed { width: 900px } }
</style></head>
<body><article><h1>Sums</h1><p>One and one.</p>MORE</article></body></html>
"""


STREAM = "fetch('much.bin').then(answer => { const it = answer.body.getReader(); it.read().then(() => it.cancel()); });"


@pytest.fixture(scope="module")
def started() -> Iterator[Any]:
    pytest.importorskip("axe_playwright_python")
    if browsers.find() is None:
        pytest.skip("no Chromium here")
    with look.chromium() as browser:
        yield browser


def write(folder: Path, more: str = "", name: str = "index.html") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SOUND.replace("MORE", more), encoding="utf-8")
    return folder


# What is wrong, on which page, what is said of it, and where it was seen.
MISTAKES = [
    ("scripts", '<script src="loud.js"></script>', "the console says: out of sums", ""),
    ("scripts", '<script src="broken.js"></script>', "a script failed: ", ""),
    ("scripts", '<script src="absent.js"></script>', "404 for absent.js", ""),
    ("scripts", "<script>1</script>", "the policy refused script-src-elem inline", ""),
    ("outside", '<img src="https://example.org/x.png" alt="">', "wants https://example.org/x.png", ""),
    ("outside", '<script src="fetches.js"></script>', "wants https://example.org/y", ""),
    ("sizes", '<div id="a" style="width: 700px">x</div>', "wider than the screen: div#a, to 708", "390 wide"),
    (
        "sizes",
        '<div id="b" style="width: 1500px">x</div>',
        "wider than the screen: div#b, to 1508",
        "1280 wide, 390 wide, on paper",
    ),
    (
        "sizes",
        '<div style="overflow-x: auto"><p style="width: 700px">many</p>words</div>',
        "scrollable-region-focusable (serious)",
        "390 wide",
    ),
    (
        "paper",
        '<div id="c" class="printed">x</div>',
        "wider than the screen: div#c.printed, to 908",
        "on paper",
    ),
    (
        "looks",
        '<p style="color: #bbb; background: #fff">words</p>',
        "color-contrast (serious)",
        "light, dark",
    ),
    ("looks", '<img src="x.svg">', "image-alt (critical)", "light"),
    ("night", '<p class="faint">words</p>', "color-contrast (serious) at .faint", "dark"),
]


@pytest.fixture(scope="module")
def found(started: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[look.Trouble]]:
    """page -> what was found on it; beside those with mistakes, a sound one, where something scrolls that may."""
    site = write(
        tmp_path_factory.mktemp("site"),
        '<div style="overflow-x: auto" tabindex="0"><p style="width: 700px">many</p>words</div>',
    )
    names = sorted({page for page, *_ in MISTAKES})
    for name in names:
        write(site, "".join(more for page, more, *_ in MISTAKES if page == name), f"{name}.html")
    (site / "loud.js").write_text("console.error('out of sums')")
    (site / "broken.js").write_text("nowhere.to.be.found")
    (site / "fetches.js").write_text("fetch('https://example.org/y').catch(() => {})")
    (site / "x.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"/>')
    addresses, of = look.pages(site, every=True)
    assert of == len(addresses) == len(names) + 1
    told: list[tuple[int, int]] = []
    troubles = look.look(started, site, addresses, lambda done, of: told.append((done, of)))
    assert told[-1] == (2 * of, 2 * of)
    return {page: [one for one in troubles if one.page == page] for page in [*addresses, "(start)"]}


@pytest.mark.browser
@pytest.mark.parametrize(("name", "more", "says", "where"), MISTAKES)
def test_each_mistake_is_found_once_and_named(
    name: str, more: str, says: str, where: str, found: dict[str, list[look.Trouble]]
) -> None:
    troubles = [one for one in found[f"{name}.html"] if says in one.what]
    assert len(troubles) == 1, found[f"{name}.html"]
    assert troubles[0].where == where
    assert troubles[0].repair


@pytest.mark.browser
def test_a_page_has_no_other_trouble_than_its_own(found: dict[str, list[look.Trouble]]) -> None:
    assert found["(start)"] == [], "the sound page"
    for name in {page for page, *_ in MISTAKES}:
        assert len(found[f"{name}.html"]) == sum(page == name for page, *_ in MISTAKES), found[f"{name}.html"]


@pytest.mark.browser
def test_the_verb_ends_with_1_and_a_line_for_each_trouble(
    started: Any, tmp_path: Path, cohort_process: Cohort
) -> None:
    site = write(tmp_path / "site")
    ended = cohort_process("site", "check", "--site", str(site))
    assert (ended.code, ended.out) == (
        0,
        "1 pages, 3 widths, 2 schemes: nothing found\nnext: cohort site pdf\n",
    )
    write(site, '<script src="absent.js"></script>', "sums/index.html")
    ended = cohort_process("site", "check", "--site", str(site))
    assert ended.code == 1
    assert ended.out == (
        "sums/: 404 for sums/absent.js\n  Put the file there, or correct the address.\n"
        "2 pages, 3 widths, 2 schemes: 1 found\n"
    )
    assert "Traceback" not in ended.err


# --- which pages ------------------------------------------------------------------------------------


def test_two_of_each_type_are_opened_the_largest_and_the_smallest(tmp_path: Path) -> None:
    sizes = {"1_a": 5, "2_b": 9, "3_c": 1, "4_d": 7}
    for name, size in sizes.items():
        write(tmp_path, "x" * size, f"meetings/{name}/index.html")
        write(tmp_path, "x" * size, f"meetings/{name}/lab/index.html")
    write(tmp_path, "", "index.html")
    write(tmp_path, "", "how-it-works/index.html")
    addresses, of = look.pages(tmp_path)
    assert of == 10
    assert addresses == [
        "how-it-works/", "", "meetings/2_b/", "meetings/2_b/lab/", "meetings/3_c/", "meetings/3_c/lab/",
    ]  # fmt: skip
    assert len(look.pages(tmp_path, every=True)[0]) == 10


# --- what is missing --------------------------------------------------------------------------------


def test_a_folder_without_a_site_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no built site") as trouble:
        look.pages(tmp_path)
    assert "cohort site build" in trouble.value.repair


def test_without_a_browser_the_repair_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("axe_playwright_python")
    monkeypatch.setattr(browsers, "find", lambda: None)
    with pytest.raises(EnvironmentTrouble, match="none was found"), look.chromium():
        pass


@pytest.mark.parametrize("module", ["playwright.sync_api", "axe_playwright_python"])
def test_without_its_extra_the_repair_is_said(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EnvironmentTrouble, match=module.partition(".")[0]) as trouble, look.chromium():
        pass
    assert trouble.value.repair == 'pip install "cohort-kit[browser]"'


def test_a_file_that_a_script_reads_as_a_stream_is_no_failure(started: Any, tmp_path: Path) -> None:
    (tmp_path / "stream.js").write_text(STREAM)
    (tmp_path / "much.bin").write_bytes(bytes(1 << 25))
    write(tmp_path, '<script src="stream.js"></script>')
    assert look.look(started, tmp_path, [""], lambda done, of: None) == []


def test_a_browser_that_goes_away_is_nothing_to_report(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server = start_server(tmp_path)
    for trouble in (ConnectionResetError("gone"), ValueError("ours")):
        try:
            raise trouble
        except Exception:
            server.handle_error(None, ("127.0.0.1", 1))  # type: ignore[arg-type]
    server.shutdown()
    server.server_close()
    said = capfd.readouterr().err
    assert "ours" in said
    assert "gone" not in said

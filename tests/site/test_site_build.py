"""The real site: it builds without a warning, names every page, and fetches nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import typer

from cohort_cli import app
from cohort_cli.errors import BrokenManifest, EnvironmentTrouble, UsageError
from cohort_cli.site.build import MARK, build_site
from cohort_cli.site.reference import verbs
from cohort_cli.site.serve import start_server
from cohort_cli.site.stage import sources

REPO = Path(__file__).resolve().parents[2]


def program() -> Any:
    return typer.main.get_command(app.build())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "site"
    build_site(REPO, folder, program())
    return folder


class Fetched(HTMLParser):
    """Every address that a browser fetches by itself to show a page (a link that one clicks is not one)."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "poster", "data") or (name == "href" and tag in ("link", "use")):
                self.addresses.append(value or "")


def pages(site: Path) -> list[Path]:
    found = sorted(site.rglob("*.html"))
    assert len(found) >= 6
    return found


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    seen = 0
    for page in pages(site):
        parser = Fetched()
        parser.feed(page.read_text(encoding="utf-8"))
        seen += len(parser.addresses)
        outside = [a for a in parser.addresses if a.startswith(("http:", "https:", "//"))]
        assert outside == [], f"{page} fetches from elsewhere"
    assert seen > 20, "the parser saw no style sheet and no script: this test looks at nothing"
    for sheet in site.rglob("*.css"):
        assert "@import" not in sheet.read_text(encoding="utf-8")
        assert "url(http" not in sheet.read_text(encoding="utf-8")


def test_every_page_is_built_and_named_in_the_menu(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    wanted = [target for target in sources(REPO).values() if target.endswith(".md") and target != "index.md"]
    assert "projects/project2.md" in wanted
    for target in wanted:
        address = target.removesuffix(".md").removesuffix("/index") + "/"
        assert (site / address / "index.html").is_file()
        assert f'href="{address}"' in home, f"{target} is not in the menu of mkdocs.yml"


def test_every_verb_is_documented_with_its_example(site: Path) -> None:
    page = (site / "reference" / "cli" / "index.html").read_text(encoding="utf-8")
    found = list(verbs(program()))
    assert len(found) >= 10
    for words, command in found:
        assert f"cohort {' '.join(words)}</code>" in page
        if not hasattr(command, "commands"):
            assert "\n$ " in (command.help or ""), f"the help of {words} has no example"


def test_maths_and_drawings_are_in_the_page(site: Path) -> None:
    page = (site / "projects" / "project2" / "index.html").read_text(encoding="utf-8")
    assert page.count("<math ") > 50
    assert page.count('<figure class="drawing">') == 3
    assert "$$" not in page
    parser = Fetched()
    parser.feed(page)
    assert "img" not in parser.tags


def test_the_search_index_knows_the_guides(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert any("attention" in entry["text"] for entry in index["docs"])


# --- what stops a build ---------------------------------------------------------------------------


@pytest.fixture
def small_kit(tmp_path: Path) -> Path:
    """A copy of the real mkdocs.yml with a single page."""
    kit = tmp_path / "kit"
    (kit / "docs" / "assets").mkdir(parents=True)
    for name in ("cohort.css", "reach.js"):
        shutil.copy(REPO / "docs/assets" / name, kit / "docs/assets" / name)
    config = (REPO / "mkdocs.yml").read_text(encoding="utf-8")
    nav = "nav:\n  - Start: index.md\n  - Commands: reference/cli.md\n"
    (kit / "mkdocs.yml").write_text(config[: config.index("nav:\n")] + nav, encoding="utf-8")
    (kit / "docs/index.md").write_text("# Start\n")
    return kit


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# Start\n\n[x](#nowhere)\n", "nowhere"),
        ("# Start\n\n[x](reference/cli.md#nowhere)\n", "nowhere"),
    ],
)
def test_a_warning_stops_the_build_and_the_last_site_stays(
    text: str, says: str, small_kit: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    build_site(small_kit, out, program())
    before = (out / "index.html").read_bytes()
    (small_kit / "docs/index.md").write_text(text)
    with pytest.raises(BrokenManifest) as trouble:
        build_site(small_kit, out, program())
    assert says in trouble.value.message
    assert (out / "index.html").read_bytes() == before


def test_a_page_that_the_menu_forgets_stops_the_build(small_kit: Path, tmp_path: Path) -> None:
    (small_kit / "docs/extra.md").write_text("# Extra\n")
    with pytest.raises(BrokenManifest, match=r"extra\.md"):
        build_site(small_kit, tmp_path / "out", program())


def test_a_menu_entry_without_a_page_stops_the_build(small_kit: Path, tmp_path: Path) -> None:
    with (small_kit / "mkdocs.yml").open("a", encoding="utf-8") as file:
        file.write("  - Gone: gone.md\n")
    with pytest.raises(BrokenManifest, match=r"gone\.md"):
        build_site(small_kit, tmp_path / "out", program())


def test_a_folder_of_someone_elses_is_left_alone(small_kit: Path, tmp_path: Path) -> None:
    out = tmp_path / "photos"
    out.mkdir()
    (out / "summer.jpg").write_bytes(b"precious")
    with pytest.raises(UsageError, match="left alone"):
        build_site(small_kit, out, program())
    assert [path.name for path in out.iterdir()] == ["summer.jpg"]


def test_our_own_folder_is_replaced_whole(small_kit: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build_site(small_kit, out, program())
    (out / "old-page.html").write_text("gone tomorrow")
    build_site(small_kit, out, program())
    assert not (out / "old-page.html").exists()
    assert (out / MARK).exists()


@pytest.mark.parametrize("module", ["mkdocs", "material", "latex2mathml", "nh3", "rjsmin", "rcssmin"])
def test_a_missing_package_is_named_with_its_repair(
    module: str, small_kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == module else real(name, *rest)
    )
    with pytest.raises(EnvironmentTrouble, match=module) as trouble:
        build_site(small_kit, tmp_path / "out", program())
    assert trouble.value.repair == 'pip install "cohort-kit[site]"'


# --- the verbs ------------------------------------------------------------------------------------


def run(*words: str, kit: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COHORT_KIT": str(kit)}
    command = [sys.executable, "-m", "cohort_cli", *words]
    return subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, timeout=120)


def test_cohort_site_build(small_kit: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = run("site", "build", "--out", str(out), kit=small_kit)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{out}\nnext: cohort site serve\n"
    assert ended.stderr == "2 pages\n", "nobody else speaks: no warning, no end-of-life notice"


def test_a_broken_guide_is_a_message_and_no_traceback(small_kit: Path, tmp_path: Path) -> None:
    (small_kit / "docs/index.md").write_text("# Start\n\n$\\foo$\n")
    ended = run("site", "build", "--out", str(tmp_path / "out"), kit=small_kit)
    assert ended.returncode == 3
    assert "index.md:3: unknown LaTeX command \\foo" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_busy_port_is_said(tmp_path: Path) -> None:
    server = start_server(tmp_path)
    try:
        with pytest.raises(EnvironmentTrouble, match=str(server.server_port)):
            start_server(tmp_path, server.server_port)
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_serve_builds_again_when_a_guide_changes(small_kit: Path) -> None:
    environment = {**os.environ, "COHORT_KIT": str(small_kit), "PYTHONUNBUFFERED": "1"}
    served = subprocess.Popen(
        [sys.executable, "-m", "cohort_cli", "site", "serve", "--port", "0"],
        cwd=REPO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    watchdog = threading.Timer(90, served.kill)  # a line that never comes must not hang the tests
    watchdog.start()
    try:
        assert served.stdout is not None
        assert served.stderr is not None
        address = served.stdout.readline().split()[0]
        assert address.startswith("http://127.0.0.1:")
        assert "Start" in fetch(address)
        (small_kit / "docs/index.md").write_text("# Start\n\n[x](#nowhere)\n")
        assert served.stderr.readline().startswith("not built: ")
        assert "Start" in fetch(address), "the last good site stays"
        (small_kit / "docs/index.md").write_text("# Begin anew\n")
        for line in served.stderr:
            if line.startswith("built again: index.md"):
                break
        assert "Begin anew" in fetch(address)
        served.send_signal(signal.SIGINT)
        rest, said = served.communicate(timeout=30)
        assert (rest, said) == ("next: cohort site build\n", "")
        assert served.returncode == 0
    finally:
        watchdog.cancel()
        served.kill()
        served.communicate()


def fetch(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as reply:
        return str(reply.read().decode())

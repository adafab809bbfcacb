"""The gallery built with MkDocs: two builds give equal bytes, an unchanged site stays, and the verbs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import javascript
import pytest
import watchfiles
from entries import lay, project, run, with_head
from gallery_kit import CONFIG, Page, build, long_run, make_kit, measure
from networks import in_int8, random_network
from support import Cohort

from cohort_cli.errors import EnvironmentTrouble
from cohort_cli.showcase.gallery import scripts, staging
from cohort_cli.site import inputs, policy


class Built:
    def __init__(self, folder: Path) -> None:
        self.kit, self.home, self.site = make_kit(folder / "kit"), folder / "showcase", folder / "site"
        self.entries = self.home / "entries"
        for files in (long_run(), run(CONFIG, "bob", "other"), project("cem")):
            lay(files, self.entries)
        self.said: list[str] = []

    def build(self, out: Path | None = None, force: bool = False) -> bool:
        """Whether anything was built."""
        return build(self.kit, self.entries, out or self.site, self.said.append, force=force).changed


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    made = Built(tmp_path_factory.mktemp("gallery"))
    assert made.build()
    return made


def bytes_of(site: Path) -> dict[str, str]:
    return {
        path.relative_to(site).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(site.rglob("*"))
        if path.is_file()
    }


def test_two_builds_give_equal_bytes(built: Built, tmp_path: Path) -> None:
    built.build(tmp_path / "again")
    found, again = bytes_of(built.site), bytes_of(tmp_path / "again")
    assert len(found) > 30
    assert {name for name in found if found[name] != again.get(name)} == set()
    assert found.keys() == again.keys()


def test_every_page_is_there_and_its_files_beside_it(built: Built) -> None:
    for folder in ("ada-small", "bob-other", "cem-project1"):
        page = Page.of(built.site / "gallery" / folder / "index.html")
        for link in page.all("a"):
            if "download" in link:
                assert (built.site / "gallery" / folder / link["href"]).is_file()
        for script in page.all("script"):
            if "../assets/" in script.get("src", "") and "javascripts" not in script["src"]:
                assert (built.site / "gallery" / folder / script["src"]).resolve().is_file()
        assert len(page.all("h1")) == 1
    menu = (built.site / "index.html").read_text(encoding="utf-8")
    assert "ada-small" not in menu, "no menu names every entry on every page"
    assert 'href="gallery/"' in menu


def test_an_unchanged_site_stays(built: Built) -> None:
    before = {path: path.stat().st_mtime_ns for path in built.site.rglob("*")}
    assert not built.build()
    assert {path: path.stat().st_mtime_ns for path in built.site.rglob("*")} == before
    assert built.build(force=True)


def test_the_mark_knows_the_pages(built: Built) -> None:
    mark = json.loads((built.site / inputs.MARK).read_text())
    assert mark["pages"] == 3 + 3 + 1  # the kit's, the entries', and the one to compare
    assert inputs.pages_if_unchanged(built.site, mark["inputs"]) == mark["pages"]
    assert inputs.pages_if_unchanged(built.site, "0" * 64) is None


def test_each_input_changes_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Built(tmp_path)
    seen = set()

    def changed() -> bool:
        digest = inputs.digest(made.kit, staging.reads(made.entries))
        new = digest not in seen
        seen.add(digest)
        return new

    assert changed()
    assert not changed()
    (made.kit / "docs/index.md").write_text("# Begin\n")
    assert changed()
    (made.kit / "projects/project1_bpe_tokenizer/notes.txt").write_text("x")
    assert changed()
    (made.kit / "mkdocs.yml").write_text("site_name: x\n")
    assert changed()
    (made.entries / "ada-small/card.md").write_text("# Other\n")
    assert changed()
    lay(run(CONFIG, "new", "x"), made.entries)
    assert changed()
    shutil.rmtree(made.entries / "new-x")
    assert not changed(), "it was like this before"
    (made.home / "showcase.toml").write_text('schema = "cohort.showcase/1"\n')
    assert changed()
    measure(made.entries / "bob-other", 2.0)
    assert changed()
    (made.entries / ".cohort-lock").write_text("")
    (made.entries / "ada-small/__pycache__").mkdir()
    assert not changed(), "neither is part of a page"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert changed()
    monkeypatch.setattr(inputs, "_version", lambda package: "99")
    assert changed()


@pytest.mark.parametrize("harm", ["lost", "cut", "added", "mark"])
def test_a_site_that_was_harmed_is_built_again(harm: str, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("whole")
    inputs.write_mark(site, "a" * 64, 1)
    assert inputs.pages_if_unchanged(site, "a" * 64) == 1
    if harm == "lost":
        (site / "index.html").unlink()
    elif harm == "cut":
        (site / "index.html").write_text("who")
    elif harm == "added":
        (site / "more.html").write_text("")
    else:
        (site / inputs.MARK).write_text("Built by `cohort site build`, which replaces this folder.\n")
    assert inputs.pages_if_unchanged(site, "a" * 64) is None


def test_outside_a_checkout_nothing_is_made(tmp_path: Path) -> None:
    made = Built(tmp_path)
    (made.kit / "mkdocs.yml").unlink()
    with pytest.raises(EnvironmentTrouble, match="a checkout"):
        made.build(tmp_path / "new" / "site")
    assert not (tmp_path / "new").exists()


def test_an_entry_that_went_away_leaves_no_page(tmp_path: Path) -> None:
    made = Built(tmp_path)
    made.build()
    shutil.rmtree(made.entries / "ada-small")
    assert made.build()
    assert not (made.site / "gallery/ada-small").exists()
    assert not list(tmp_path.glob(".cohort-site-*")), "nothing is left of the building"


def test_scripts_without_comments_compute_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in scripts.files():
        (tmp_path / path.name).write_text(scripts.smaller(path), encoding="utf-8")
    weights = in_int8(*random_network())
    given = []
    for folder in (scripts.ASSETS, tmp_path):
        monkeypatch.setattr(javascript, "ASSETS", folder)
        with javascript.page() as page:
            page.load(weights)
            assert page.run("model.usesKernel")
            given.append((page.run("Object.keys(cohort)"), list(page.floats("model.feed([1, 2, 3])"))))
    assert len(given[0][0]) > 3
    assert given[0] == given[1]
    for name in scripts.ENGINE:
        assert (tmp_path / name).stat().st_size < (scripts.ASSETS / name).stat().st_size


# --- the verbs -------------------------------------------------------------------------------------------------


def test_serve_watches_entries_and_what_is_decided_about_them(
    cohort: Cohort, built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[Path] = []

    def watch(*paths: Path, **options: object) -> Iterator[set[object]]:
        watched.extend(paths)
        yield set()  # nothing happens, and then the watch ends

    monkeypatch.setattr(watchfiles, "watch", watch)
    monkeypatch.setenv("COHORT_KIT", str(built.kit))
    (built.home / "measured").mkdir(exist_ok=True)
    ended = cohort("site", "serve", "--port", "0", "--entries", str(built.entries))
    assert ended.code == 0, ended.err
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/.*\nnext: cohort site build\n", ended.out)
    assert {built.kit / "docs", built.entries, built.home / "measured"} <= set(watched)
    assert built.home / "reproduced" not in watched, "it is not there, and cannot be watched"


def test_site_build_and_stage(cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Built(tmp_path)
    lay(with_head(title="x\ny")(run(CONFIG, "eve", "x")), made.entries)
    monkeypatch.setenv("COHORT_KIT", str(made.kit))
    monkeypatch.chdir(tmp_path)  # where showcase/entries lies
    ended = cohort("site", "build", "--out", "site")
    assert (ended.code, ended.out) == (0, "site\nnext: cohort site serve\n"), ended.err
    assert ended.err == "left out eve-x: entry.json: title is not one line of text\n7 pages\n"
    ended = cohort("site", "build", "--out", "site", "--entries", "showcase/entries")
    assert (ended.code, ended.err) == (0, "nothing has changed; --force builds all the same\n")
    ended = cohort("site", "build", "--entries", "gone")
    assert ended.code == 2
    ended = cohort("site", "stage", "tree")
    assert (ended.code, ended.out) == (0, "tree\nnext: mkdocs build --config-file tree/mkdocs.yml\n")
    assert (tmp_path / "tree/docs/gallery/ada-small.md").is_file()
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "other"),
         "--config-file", "tree/mkdocs.yml"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    policy.protect(tmp_path / "other")
    page = "gallery/ada-small/index.html"
    assert (tmp_path / "other" / page).read_bytes() == (tmp_path / "site" / page).read_bytes()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("precious")
    ended = cohort("site", "stage", "mine")
    assert ended.code == 2
    assert "left alone" in ended.err

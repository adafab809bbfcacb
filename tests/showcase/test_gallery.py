"""The gallery's pages: what stands on them, in which order, and what counts. Written without MkDocs, to be quick."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from entries import (
    FIGURE,
    folder_of,
    lay,
    png,
    project,
    run,
    sealed,
    with_claim,
    with_config_head,
    with_file,
    with_head,
)
from gallery_kit import CONFIG, Page, add_meetings, lines, long_run, make_kit, measure

from cohort_cli import meetings
from cohort_cli.errors import BrokenManifest, UsageError
from cohort_cli.showcase import entry
from cohort_cli.showcase.gallery import (
    curves,
    entry_page,
    index_page,
    measured,
    meeting_pages,
    scripts,
    staging,
)
from cohort_cli.showcase.gallery.index_page import places
from cohort_cli.tokens import formats


class Gallery:
    """A folder of entries, and the tree that is written of it."""

    def __init__(self, folder: Path) -> None:
        self.kit = make_kit(folder / "kit")
        self.home = folder / "showcase"
        self.entries = self.home / "entries"
        self.entries.mkdir(parents=True)
        self.folder = folder
        self.said: list[str] = []
        self.times = 0

    def lay(self, files: dict[str, bytes]) -> Path:
        return lay(files, self.entries)

    def settings(self, text: str) -> None:
        (self.home / "showcase.toml").write_text(f'schema = "cohort.showcase/1"\n{text}\n')

    def write(self) -> list[str]:
        self.times += 1
        self.docs = self.folder / f"docs-{self.times}"
        self.docs.mkdir()
        return staging.write(self.docs, self.entries, self.kit, self.said.append)

    def read(self, page: str) -> str:
        return (self.docs / "gallery" / page).read_text(encoding="utf-8")

    def page(self, folder: str) -> Page:
        return Page(self.read(f"{folder}.md"))


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return Gallery(tmp_path)


def sections(text: str) -> list[str]:
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


# --- a page ----------------------------------------------------------------------------------------------------


def test_a_run_has_all_its_sections_and_a_project_a_few(gallery: Gallery) -> None:
    gallery.lay(long_run())
    gallery.lay(project())
    assert gallery.write() == ["gallery/ada-small.md", "gallery/bob-project1.md"]
    assert sections(gallery.read("ada-small.md")) == [
        "Talk to it", "What its maker says", "Numbers", "Curves", "Figures", "Samples",
        "What its heads look at", "Scores", "Files",
    ]  # fmt: skip
    assert sections(gallery.read("bob-project1.md")) == ["What its maker says", "Checks", "Files"]
    assert "project1: 1 ok of 2, 1 fail" in gallery.page("bob-project1").text
    assert gallery.said == []


def test_the_facts_name_member_project_day_and_code(gallery: Gallery) -> None:
    gallery.lay(run(CONFIG))
    gallery.lay(with_config_head(source="mine")(run(CONFIG, "bob", "own")))
    gallery.write()
    text = gallery.page("ada-small").text
    for words in (
        "Byada",
        "ProjectProject 3: ",
        "Made on2026-11-27",
        "With the kit0.1.0",
        "Codethe kit’s reference",
    ):
        assert words in text
    assert "Codethe member’s own" in gallery.page("bob-own").text


def test_a_guide_is_linked_where_it_is_on_the_site(gallery: Gallery) -> None:
    gallery.lay(run(CONFIG))
    gallery.write()
    assert "projects/project3/" not in gallery.read("ada-small.md")
    guides = {"project3": ("Project 3: Training", "projects/project3/")}
    one = entry.load(gallery.entries / "ada-small")
    made = entry_page.page(one, measured.Known(), guides)
    assert {"href": "../../projects/project3/"} in Page(made).all("a")


def test_files_are_copied_as_they_are_and_listed_with_their_checksums(gallery: Gallery) -> None:
    files = run(CONFIG)
    gallery.lay(files)
    gallery.write()
    page = gallery.page("ada-small")
    facts = json.loads(files["entry.json"])["files"]
    for name, data in files.items():
        shown = "card.txt" if name == "card.md" else name
        assert (gallery.docs / "gallery/ada-small" / shown).read_bytes() == data
        assert {"href": f"./{shown}", "download": ""} in page.all("a")
        assert name not in facts or facts[name]["sha256"] in page.text
    assert not (gallery.docs / "gallery/ada-small/card.md").exists()


def test_a_figure_stands_on_the_page_with_its_words(gallery: Gallery) -> None:
    """The words come from a stranger, and are read aloud to whoever does not see the picture."""
    says = 'A "curve" <img src=x onerror=alert(1)>'
    files = run(CONFIG)
    del files["entry.json"]
    head = {"handle": "ada", "name": "small", "kind": "run", "project": "project3"}
    gallery.lay(sealed(files, figures={FIGURE: says}, **head))
    gallery.write()
    (picture,) = gallery.page("ada-small").all("img")
    assert picture["src"] == f"./{FIGURE}"
    assert picture["alt"] == says
    assert gallery.page("ada-small").text.count(says) == 1
    assert (
        ".cohort-entry img { background: #fff; }" in (scripts.ASSETS / "gallery.css").read_text()
    )  # in the dark too
    assert (gallery.docs / "gallery/ada-small" / FIGURE).read_bytes() == png()


def test_an_entry_of_which_no_page_can_be_made_is_left_out(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.lay(run(CONFIG))
    gallery.lay(project())
    whole = entry_page.page

    def page(one: entry.Entry, *others: object) -> str:
        if one.folder == "ada-small":
            raise OverflowError
        return whole(one, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(entry_page, "page", page)
    assert gallery.write() == ["gallery/bob-project1.md"]
    assert gallery.said == ["left out ada-small: no page can be made of it (OverflowError)"]
    assert not (gallery.docs / "gallery/ada-small").exists()


@pytest.mark.parametrize("value", [5e-324, 1e-310, -1e30, 1e30])
@pytest.mark.parametrize("key", ["loss", "bits_per_byte"])
def test_numbers_at_the_ends_of_all_numbers_are_drawn(gallery: Gallery, key: str, value: float) -> None:
    rows = [{"step": 0, key: value}, {"step": 1, key: 2 * value / 3}, {"step": 2, "validation_loss": 4.5}]
    gallery.lay(with_file("metrics.jsonl", lines(rows))(run(CONFIG)))
    assert gallery.write() == ["gallery/ada-small.md"]
    assert not re.search(r'[" L,M]-?(nan|inf)\b', gallery.read("ada-small.md"))


def test_a_project_that_the_kit_does_not_know_names_no_heading(gallery: Gallery) -> None:
    gallery.lay(with_head(project="0-measured-and-confirmed")(run(CONFIG)))
    gallery.lay(with_head(project="zzz")(run(CONFIG, "bob", "b")))
    gallery.lay(project())
    gallery.write()
    headings = sections(gallery.read("index.md"))
    assert headings[0].startswith("Project 1: ")
    assert headings[1:] == ["Other"]


def test_what_a_maker_says_is_said_to_be_so(gallery: Gallery) -> None:
    """A card may hold a table that looks like that of measured values, and verdicts are a file of the entry."""
    gallery.lay(project())
    gallery.write()
    text = gallery.page("bob-project1").text
    assert text.index("nobody has checked them") < text.index("What it is")
    assert "nobody has run these checks again" in text
    assert ".cohort-sample, .cohort-card { border-left" in (scripts.ASSETS / "gallery.css").read_text()


def test_a_prompt_that_stands_in_the_text_too_is_shown_once(gallery: Gallery) -> None:
    rows = [{"step": 1, "prompt": "The ", "text": "The cat"}]
    gallery.lay(with_file("samples.jsonl", lines(rows))(run(CONFIG)))
    gallery.write()
    assert "Prompt: The  The model: cat" in gallery.page("ada-small").text


def test_samples_are_the_newest_first_and_folded_after_three(gallery: Gallery) -> None:
    gallery.lay(long_run())
    gallery.write()
    text = gallery.read("ada-small.md")
    assert re.findall(r"Step (\d+), seed 1", text) == ["19", "18", "17", "16", "15", "14"]
    assert text.index("Step 17") < text.index("<details><summary>3 older ones") < text.index("Step 16")
    assert "All 20 are in samples.jsonl" in text
    assert '<b><span class="cohort-hidden">Prompt: </span>The </b>' in text
    assert "(cut here)" in text


def test_a_model_brings_its_elements_and_scripts(gallery: Gallery) -> None:
    gallery.lay(run(CONFIG))
    gallery.write()
    page = gallery.page("ada-small")
    elements = [found for found in page.all("div") if "data-cohort" in found]
    assert [found["data-cohort"] for found in elements] == ["talk", "attention"]
    assert all(found["data-files"] == "./" and found["data-prompt"] == "The " for found in elements)
    sources = [found["src"] for found in page.all("script")]
    assert sources[:5] == [f"../assets/{name}" for name in scripts.ENGINE]
    assert all("defer" in found for found in page.all("script"))
    for source in sources:
        assert (gallery.docs / "gallery/assets" / Path(source).name).is_file()
    for sheet in page.all("link"):
        assert (gallery.docs / "gallery/assets" / Path(sheet["href"]).name).is_file()


def test_every_script_and_style_sheet_has_its_place() -> None:
    """A file that no list names would lie on the site, and no page would load it."""
    named = {*scripts.ENGINE, *scripts.PAGE, *scripts.STYLES}
    assert {path.name for path in scripts.files()} <= named
    assert set(scripts.ENGINE) <= {path.name for path in scripts.files()}


def test_without_a_model_the_page_says_so_and_loads_no_script(gallery: Gallery) -> None:
    files = run(CONFIG)
    for name in ("model.json", "model.safetensors"):
        del files[name]
    gallery.lay(with_head(files=entry.sealed(files))(files))
    gallery.write()
    page = gallery.page("ada-small")
    assert "No live demo" in page.text
    assert page.all("script") == []
    assert not any("data-cohort" in found for found in page.all("div"))


def test_merges_have_a_slider_and_characters_have_none(gallery: Gallery) -> None:
    parts = formats.Parts(
        {**{n: bytes([n]) for n in range(256)}, 256: b"th"}, [(b"t", b"h")], [], formats.GPT2_SPLIT_PATTERN
    )
    gallery.lay(with_file("tokenizer.json", formats.to_huggingface(parts).encode())(run(CONFIG)))
    gallery.lay(run(CONFIG, "bob", "letters"))
    gallery.write()
    found = [found for found in gallery.page("ada-small").all("div") if found.get("data-cohort") == "merges"]
    assert found == [{"data-cohort": "merges", "data-files": "./", "data-text": "The "}]
    assert "has 1 merges" in gallery.page("ada-small").text
    assert "guessing among 257 tokens" in gallery.page("ada-small").text
    assert 'data-cohort="merges"' not in gallery.read("bob-letters.md")


def test_a_page_is_light(gallery: Gallery) -> None:
    """Without weights and tokenizer: what the page says, its scripts and its style sheets."""
    gallery.lay(long_run(samples=200))
    gallery.write()
    page = gallery.page("ada-small")
    names = [found["src"] for found in page.all("script")] + [found["href"] for found in page.all("link")]
    assert len(names) > 5
    bytes_of = {name: (gallery.docs / "gallery" / name[3:]).stat().st_size for name in names}
    bytes_of["the page"] = len(gallery.read("ada-small.md").encode())
    assert sum(bytes_of.values()) <= 60_000, bytes_of


# --- curves ----------------------------------------------------------------------------------------------------


def test_curves_have_a_table_behind_each_and_guessing_as_a_line() -> None:
    one = entry.read(long_run())
    page = Page(curves.figures(one.parsed["metrics.jsonl"], entry_page.vocabulary(one)))
    assert [found["role"] for found in page.all("svg")] == ["img", "img"]
    assert len(page.all("details")) == len(page.all("table")) == 2
    assert f"guessing among 5 tokens: {math.log(5):.4g}" in page.text
    assert len(page.all("tr")) <= 2 * (curves.MOST_ROWS + 1)
    assert "1,500" in page.text, "the last step is in the table"


def test_thinning_keeps_the_end_and_the_mean() -> None:
    points = [(float(n), float(n % 7)) for n in range(1000)]
    thinned = curves.means(points, 50)
    assert len(thinned) == 50
    assert thinned[-1] == points[-1]
    assert abs(sum(y for _, y in thinned) / 50 - 3) < 0.2
    assert curves.means(points[:50], 50) == points[:50]
    assert curves.spread(points, 10)[0] == points[0]
    assert curves.spread(points, 10)[-1] == points[-1]


def test_a_run_that_measured_nothing_has_no_curves() -> None:
    assert curves.figures([{"step": 1, "lr": 0.1}], 5) == ""
    assert "<svg" in curves.figures([{"step": 1, "loss": 2.0}], None)


# --- claims and measurements -----------------------------------------------------------------------------------


def row(gallery: Gallery, folder: str, name: str) -> str:
    found = re.search(rf'<tr><th scope="row">{name}.*?</tr>', gallery.read(f"{folder}.md"))
    assert found, name
    return Page(found[0]).text


def test_a_claim_stays_a_claim_until_somebody_measures(gallery: Gallery) -> None:
    place = gallery.lay(with_claim(bits_per_byte=6.5)(run(CONFIG)))
    gallery.write()
    assert row(gallery, "ada-small", "bits per byte") == "bits per byte6.5–claimed, not measured"
    measure(place, 6.4)
    gallery.write()
    assert row(gallery, "ada-small", "bits per byte") == "bits per byte6.56.4 (6.35 to 6.45)✓ confirmed"
    assert "Measured on 2026-11-27" in gallery.page("ada-small").text


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("outside", "✗ outside its tolerance (by more than 0.02)"),
        ("not comparable", "not comparable: another text"),
        ("not claimed", "measured, not claimed"),
    ],
)
def test_every_state_is_said_in_words(gallery: Gallery, state: str, says: str) -> None:
    claim = {"claimed": 6.5, "measured": 6.4, "tolerance": 0.02, "state": state}
    measure(gallery.lay(run(CONFIG)), 6.4, claims={"bits_per_byte": claim})
    gallery.write()
    assert says in row(gallery, "ada-small", "bits per byte")


@pytest.mark.parametrize("changed", [{"model_sha256": "0" * 64}, {"tokenizer_sha256": "0" * 64}])
def test_a_measurement_of_other_weights_does_not_count(gallery: Gallery, changed: dict[str, Any]) -> None:
    gallery.settings("ranking = true")
    measure(gallery.lay(with_claim(bits_per_byte=6.5)(run(CONFIG))), 0.5, **changed)
    gallery.write()
    assert "claimed, not measured" in row(gallery, "ada-small", "bits per byte")
    assert "of other weights" in gallery.page("ada-small").text
    assert "By bits per byte" not in gallery.read("index.md")
    assert json.loads(gallery.read("entries.json"))["entries"][0]["bits_per_byte"] == 6.5


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"schema": "cohort.measured/2"}, "does not say cohort.measured/1"),
        ({"entry": "bob-other"}, "about another entry"),
        ({"extra": 1}, "unknown key 'extra'"),
        ({"bits_per_byte": {"value": 1.0, "low": 2.0, "high": 3.0}}, "does not hold the value"),
        (
            {"claims": {"bits_per_byte": {"claimed": 1, "measured": 1, "tolerance": 1, "state": "great"}}},
            "a state",
        ),
        ({"tokens": "many"}, "tokens is no whole number"),
    ],
)
def test_a_broken_measurement_is_named_and_confirms_nothing(
    gallery: Gallery, changed: dict[str, Any], says: str
) -> None:
    measure(gallery.lay(with_claim(bits_per_byte=6.5)(run(CONFIG))), 6.5, **changed)
    gallery.write()
    assert "claimed, not measured" in row(gallery, "ada-small", "bits per byte")
    assert len(gallery.said) == 1
    assert gallery.said[0].startswith("passed over measured/ada-small.json: ")
    assert says in gallery.said[0]


def test_a_run_done_again_is_shown_if_its_configuration_is_the_same(gallery: Gallery) -> None:
    place = gallery.lay(run(CONFIG))
    sha256 = json.loads((place / "entry.json").read_bytes())["files"]["config.json"]["sha256"]
    table = {"schema": "cohort.reproduced/1", "entry": "ada-small", "config_sha256": sha256, "code": "reference",
             "reproduced_on": "2026-11-28",
             "validation_loss": {"claimed": 4.5, "got": 4.625}}  # fmt: skip
    path = gallery.home / "reproduced" / "ada-small.json"
    path.parent.mkdir()
    path.write_text(json.dumps(table))
    gallery.write()
    assert row(gallery, "ada-small", "validation loss").endswith("claimed, not measured4.625")
    assert "2026&#45;11&#45;28 with the kit’s own code, with the same" in gallery.read("ada-small.md")
    path.write_text(json.dumps({**table, "config_sha256": "0" * 64}))
    gallery.write()
    assert "4.625" not in gallery.read("ada-small.md")


def test_a_run_that_was_done_shorter_is_not_called_the_same(gallery: Gallery) -> None:
    place = gallery.lay(run(CONFIG))
    sha256 = json.loads((place / "entry.json").read_bytes())["files"]["config.json"]["sha256"]
    table = {"schema": "cohort.reproduced/1", "entry": "ada-small", "config_sha256": sha256, "code": "reference",
             "reproduced_on": "2026-11-28",
             "steps": {"claimed": 300, "got": 20}, "validation_loss": {"claimed": 4.5, "got": 4.625}}  # fmt: skip
    path = gallery.home / "reproduced" / "ada-small.json"
    path.parent.mkdir()
    for got, same in ((20, False), (300, True)):
        path.write_text(json.dumps({**table, "steps": {"claimed": 300, "got": got}}))
        gallery.write()
        page = gallery.read("ada-small.md")
        assert ("with the same configuration" in page, "20 steps in place of 300" in page) == (same, not same)


# --- the first page, and a ranking ------------------------------------------------------------------------------


def test_cards_are_grouped_by_project_and_alphabetical(gallery: Gallery) -> None:
    for files in (run(CONFIG, "zoe", "a"), run(CONFIG, "Bea", "b"), run(CONFIG, "ada", "c"), project()):
        gallery.lay(files)
    measure(gallery.entries / "zoe-a", 0.5)
    gallery.write()
    text = gallery.read("index.md")
    assert [heading[:9] for heading in sections(text)] == ["Project 1", "Project 3"]
    assert [found["href"] for found in Page(text).all("a")] == [
        "./compare/", "./bob-project1/", "./ada-c/", "./Bea-b/", "./zoe-a/",
    ]  # fmt: skip
    assert "place" not in text, "no ranking unless it is asked for"


def test_entries_json_is_what_the_scripts_expect(gallery: Gallery) -> None:
    gallery.lay(with_claim(bits_per_byte=6.5, parameters=1000)(run(CONFIG)))
    gallery.lay(project())
    assert "gallery/compare.md" not in gallery.write(), "a project has nothing to compare"
    files = run(CONFIG, "bea", "other")
    for name in ("model.json", "model.safetensors"):
        del files[name]
    gallery.lay(with_head(files=entry.sealed(files))(files))
    assert "gallery/compare.md" in gallery.write()
    element = next(found for found in gallery.page("compare").all("div") if "data-cohort" in found)
    assert element == {"data-cohort": "compare", "data-list": "../entries.json", "data-base": "../"}
    found = json.loads(gallery.read("entries.json"))
    assert found["schema"] == "cohort.gallery/1"
    assert found["entries"][0] == {
        "folder": "ada-small", "title": "A small model", "handle": "ada", "project": "project3", "kind": "run",
        "live": True, "parameters": 1000, "bits_per_byte": 6.5,
    }  # fmt: skip
    assert [(one["handle"], one["live"]) for one in found["entries"]] == [("ada", True), ("bea", False)]


def test_a_ranking_shares_places_where_intervals_overlap(gallery: Gallery) -> None:
    gallery.settings("ranking = true")
    for handle, value in (("a", 1.50), ("b", 1.55), ("c", 1.62), ("d", 1.90)):
        measure(gallery.lay(run(CONFIG, handle, "x")), value)  # ± 0.05
    gallery.lay(with_claim(bits_per_byte=6.5)(run(CONFIG, "liar", "x")))
    gallery.write()
    table = re.search(r"<table><caption>Measured on held.*?</table>", gallery.read("index.md"))
    assert table
    rows = [Page(found).text for found in re.findall(r"<tr>.*?</tr>", table[0])[1:]]
    places_of = [re.sub(r"A small.*", "", found) for found in rows]
    # c overlaps with b, and a is better than c beyond doubt
    assert places_of == ["1, shared", "1, shared", "2, shared", "4"]
    assert not any("liar" in found for found in rows), "a claim is no measurement"


def test_a_ranking_never_mixes_texts(gallery: Gallery) -> None:
    gallery.settings("ranking = true")
    measure(gallery.lay(run(CONFIG, "a", "x")), 1.5)
    measure(gallery.lay(run(CONFIG, "b", "x")), 0.5, text="b" * 64)
    gallery.write()
    text = gallery.read("index.md")
    assert len(re.findall("<table>", text)) == 2
    assert text.count('<th scope="row">1</th>') == 2


def test_an_interval_that_only_touches_another_is_a_tie(gallery: Gallery) -> None:
    known = []
    for handle, value in (("a", 1.0), ("b", 1.5)):
        place = gallery.lay(run(CONFIG, handle, "x"))
        measure(place, value, half=0.25)
        one = entry.load(place)
        known.append(index_page.shown(one, measured.about(one, gallery.home, gallery.said.append)))
    assert [(place, tie) for place, tie, _ in places(known)] == [(1, True), (1, True)]


# --- meetings --------------------------------------------------------------------------------------------------


def test_a_project_is_due_at_the_last_meeting_that_names_it() -> None:
    all_of_them = meetings.meetings()
    due = {
        id: meeting_pages.due(id, all_of_them)
        for id in ("project0", "project1", "project2", "project3", "project4")
    }
    assert due == {"project0": 6, "project1": 1, "project2": 3, "project3": 5, "project4": 6}
    assert meeting_pages.due("project1", []) is None


def test_a_meeting_has_a_page_only_if_something_was_shown(gallery: Gallery) -> None:
    add_meetings(gallery.kit)
    gallery.lay(run(CONFIG))
    gallery.lay(project())
    pages = gallery.write()
    assert [page for page in pages if "meetings" in page] == [
        "gallery/meetings/1.md",
        "gallery/meetings/5.md",
    ]
    page = gallery.read("meetings/5.md")
    assert page.startswith('---\ntitle: "Shown at meeting 5"\n---\n\n# Meeting 5: Fine-tuning\n')
    assert [found["href"] for found in Page(page).all("a")] == ["../../ada-small/"]
    assert {"href": "./meetings/5/"} in Page(gallery.read("index.md")).all("a")


def test_the_organiser_s_list_counts_and_keeps_its_order(gallery: Gallery) -> None:
    add_meetings(gallery.kit)
    for handle in ("ada", "bea", "cem"):
        gallery.lay(run(CONFIG, handle, "x"))
    gallery.settings('[meetings]\n4 = ["bea-x", "ada-x", "gone-x"]\n6 = ["ada-x"]')
    gallery.write()
    shown = {n: [a["href"] for a in Page(gallery.read(f"meetings/{n}.md")).all("a")] for n in (4, 5, 6)}
    assert shown == {4: ["../../bea-x/", "../../ada-x/"], 5: ["../../cem-x/"], 6: ["../../ada-x/"]}
    assert gallery.said == ["showcase.toml: meeting 4 names gone-x, which is not in the gallery"]


def test_a_meeting_s_guide_is_linked_where_it_is_on_the_site(gallery: Gallery) -> None:
    add_meetings(gallery.kit)
    meeting = meetings.find_meeting("5", gallery.kit)
    assert "(../../meetings/5_finetuning.md)" in meeting_pages.page(meeting, [], True)
    assert "finetuning" not in meeting_pages.page(meeting, [], False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rankings = true", "ranking"),
        ('ranking = "yes"', "true or false"),
        ("[meetings]\n9 = []", "there is no meeting 9"),
        ('[meetings]\n4 = "ada-x"', "a list of names"),
        ("meetings = 4", "must be a table"),
    ],
)
def test_wrong_settings_are_refused_with_their_line(gallery: Gallery, text: str, says: str) -> None:
    add_meetings(gallery.kit)
    gallery.lay(run(CONFIG))
    gallery.settings(text)
    with pytest.raises(BrokenManifest) as trouble:
        gallery.write()
    assert says in f"{trouble.value.message} {trouble.value.repair}"
    assert "showcase.toml" in trouble.value.message


# --- what is left out ------------------------------------------------------------------------------------------


def test_what_is_no_good_entry_is_left_out_and_named(gallery: Gallery, tmp_path: Path) -> None:
    gallery.lay(run(CONFIG))
    lay(run(CONFIG, "ada", "small"), gallery.entries, "other-name")
    (gallery.entries / "empty-x").mkdir()
    (gallery.entries / "a-file").write_text("x")
    (gallery.entries / ".cohort-lock").write_text("")
    (gallery.entries / "linked-x").symlink_to(lay(run(CONFIG, "linked", "x"), tmp_path / "elsewhere"))
    gallery.write()
    assert [line.partition(":")[0] for line in gallery.said] == [
        "left out a-file", "left out empty-x", "left out linked-x", "left out other-name",
    ]  # fmt: skip
    assert sorted(path.name for path in (gallery.docs / "gallery").glob("*.md")) == [
        "ada-small.md",
        "index.md",
    ]


def test_names_that_differ_in_capital_letters_meet_on_some_disks(gallery: Gallery) -> None:
    gallery.lay(run(CONFIG, "Ada", "small"))
    if (gallery.entries / "aDa-small").exists():
        pytest.skip("this disk is one of them")
    gallery.lay(run(CONFIG, "aDa", "small"))
    gallery.write()
    assert len(gallery.said) == 1
    assert "only in capital letters" in gallery.said[0]


def test_without_a_good_entry_nothing_is_written(gallery: Gallery) -> None:
    (gallery.entries / "empty-x").mkdir()
    assert gallery.write() == []
    assert list(gallery.docs.iterdir()) == []


def test_a_site_too_large_for_its_host_is_said(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery.lay(run(CONFIG))
    monkeypatch.setattr(staging, "LARGEST", 1000)
    gallery.write()
    assert any("GitHub Pages" in line for line in gallery.said)


def test_the_entries_are_here_or_named_or_nowhere(home: Path, tmp_path: Path) -> None:
    assert staging.find_entries(None) is None
    (home / "showcase/entries").mkdir(parents=True)
    assert staging.find_entries(None) == Path("showcase/entries")
    assert staging.find_entries(tmp_path) == tmp_path
    with pytest.raises(UsageError, match="no folder"):
        staging.find_entries(tmp_path / "gone")


def test_the_entries_of_the_group_are_found(group: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = group.path.parent / "showcase/entries"
    theirs.mkdir(parents=True)
    elsewhere = group.path.parent.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("COHORT_GROUP", str(group.path.parent))
    assert staging.find_entries(None) == theirs


def test_names_of_entries_are_not_names_of_pages(gallery: Gallery) -> None:
    """Every entry's folder has a hyphen, and no page or folder of the gallery's own has one."""
    gallery.lay(run(CONFIG))
    gallery.write()
    own = {path.name for path in (gallery.docs / "gallery").iterdir()} - {"ada-small", "ada-small.md"}
    assert own
    assert not any("-" in name for name in own)
    assert "-" in folder_of(run(CONFIG))

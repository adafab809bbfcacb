"""The group's file: found from where people are, and refused with file, line and key where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_group import HANDLES, make_group
from support import REPO

from cohort_cli import planting
from cohort_cli.errors import BrokenManifest, NoCohort, NoWorkspace, UsageError
from cohort_cli.group import JOBS, Group, find_cohort, read_group
from cohort_cli.workspace import find_workspace


def line_in(path: Path, text: str, which: int = 0) -> int:
    """The number of the line that holds this text."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, 1) if text in line][which]


def test_what_is_read(group: Group) -> None:
    read = read_group(group.path)
    assert (read.name, str(read.zone), read.cadence) == ("First Tuesdays", "Europe/Berlin", "first Tuesday")
    assert [f"{meeting.starts:%Y-%m-%d %H:%M %Z}" for meeting in read.meetings][3:5] == [
        "2027-03-02 19:00 CET",
        "2027-04-06 19:00 CEST",
    ]
    assert [meeting.title for meeting in read.meetings][::3] == [
        "Introduction",
        "LLM architecture and catch-up",
        "Showcase",
    ]
    assert tuple(member.handle for member in read.members) == HANDLES
    assert not any(member.may_be_named for member in read.members), "each decides that alone"
    assert read.notes == ()


def test_the_example_of_the_page_is_a_group(tmp_path: Path) -> None:
    page = (REPO / "docs" / "group.md").read_text(encoding="utf-8")
    path = tmp_path / "cohort.toml"
    path.write_text(page.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    assert read_group(path).meetings[0].title == "Introduction"
    commented = [line[2:].partition("   ")[0] for line in page.splitlines() if line.startswith("# ")]
    named = {word for words in commented for word in words.split(", ")}
    assert {*JOBS, "place", "link", "moved", "cancelled"} <= named, "and it names the other keys"


# (what is replaced, by what, what the message says, the key at whose line it points)
WRONG = [
    ('name = "First Tuesdays"', 'name = " "', "needs a name", "name ="),
    ('name = "First Tuesdays"', 'name = "a\\nb"', "one line", "name ="),
    ('time_zone = "Europe/Berlin"', 'time_zone = "Europe/Berln"', "Did you mean Europe/Berlin", "time_zone"),
    ('time_zone = "Europe/Berlin"', 'time_zone = "CET"', "Write a place", "time_zone"),
    ('cadence = "first Tuesday"', 'cadence = "often"', "is no cadence", "cadence"),
    ("place = ", "plaace = ", "Did you mean place", "plaace"),
    ('link = "https://meet.example.org/x"', 'link = "over there"', "it has a blank", "link ="),
    ('"Tuesday 2027-03-02"', '"Monday 2027-03-02"', "2027-03-02 is a Tuesday, not a Monday", "Monday 2027-03-02"),
    ('"Tuesday 2027-03-02"', '"2027-03-02 19:00"', "is no date", '"2027-03-02 19:00"'),
    ('"Tuesday 2027-03-02"', '"2027-01-04"', "begins before meeting 2", '"2027-01-04"'),
    ('"Tuesday 2027-03-02"', '"2027-02-02"', "is over", "2027-02-02"),
    ('"Tuesday 2027-03-02"', "2027-03-02", "must be text in quotes", "date = 2027-03-02"),
    ('2027-03-02"\ntime = "19:00"', '2027-03-02"\ntime = "7pm"', "is no time of day", "7pm"),
    ('"Tuesday 2027-03-02"\ntime = "19:00"', '"2027-03-28"\ntime = "02:30"', "the clocks skip it", "02:30"),
    ("number = 3", "number = 7", "none of 0 to 6", "number = 7"),
    ("number = 3", "number = 2", "two meetings 2", "number = 2"),
    ("number = 3", "number = 1", "stands after meeting 2", "number = 1"),
    ("number = 3", "number = 3\nminutes_ = 3", "unknown key", "minutes_"),
    ("number = 3", "number = 3\nmoved = -1", "0 or more", "moved = -1"),
    ("number = 3", 'number = 3\nmoved = "once"', "must be a whole number", 'moved = "once"'),
    ("number = 3", "number = 3\ncancelled = 1", "must be true or false", "cancelled = 1"),
    ("number = 3", 'number = 3\npresenter = "@ada"', "is no handle", "@ada"),
    ("number = 3", 'number = 3\nplace = "a\\tb"', "one line", "place = "),
    ('"Tuesday 2027-03-02"\ntime = "19:00"\nminutes = 120', '"2027-03-02"\ntime = "19:00"\nminutes = 0', "1 to 1440",
     "minutes = 0"),
    ('handle = "lin"', 'handle = "li n"', "must be letters", "li n"),
    ('handle = "lin"', 'handle = "ADA"', "is there twice", "handle = "),
    ('handle = "lin"', 'handle = "lin"\nvolunters = true', "Did you mean volunteers", "volunters"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "says", "at"), WRONG)
def test_what_is_wrong_is_named_with_its_line(group: Group, old: str, new: str, says: str, at: str) -> None:
    text = group.path.read_text(encoding="utf-8")
    assert old in text
    group.path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BrokenManifest) as caught:
        read_group(group.path)
    whole = f"{caught.value.message} {caught.value.repair}"
    assert says in whole
    which = 1 if new in ("number = 2", '"2027-02-02"', "number = 1") else 0  # the second of its kind
    which = {'number = 3\nplace = "a\\tb"': 1}.get(new, which)
    assert f"cohort.toml:{line_in(group.path, at, which)}: " in whole


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("[[meeting]]", "[[meet]]"), "unknown key 'meet'"),
        (lambda text: text.partition("[[member]]")[0], "there is no [[member]]"),
        (lambda text: text.replace("number = 3\n", ""), "the key 'number' is missing in [[meeting]]"),
        (lambda text: text.replace("cohort.cohort/1", "cohort.cohort/2"), 'this kit reads "cohort.cohort/1"'),
        (lambda text: text.replace('id = "', 'id = "x'), "what `cohort new` wrote"),
        (lambda text: text + "=", "is not valid TOML"),
        (lambda text: text.partition("[[meeting]]")[0] + "meeting = 3\n", "there is no [[meeting]]"),
        (
            lambda text: text.partition("[[meeting]]")[0] + "meeting = [3]\n[[member]]\nhandle='a'\n",
            "must be a table",
        ),
    ],
)
def test_other_wrong_files(group: Group, change: object, says: str) -> None:
    assert callable(change)
    group.path.write_text(change(group.path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(BrokenManifest) as caught:
        read_group(group.path)
    assert says in caught.value.message
    assert "cohort.toml" in caught.value.message


def test_cancelled_meetings_may_lie_anywhere(group: Group) -> None:
    text = group.path.read_text(encoding="utf-8")
    text = text.replace('"Tuesday 2027-03-02"', '"2027-01-04"\ncancelled = true')
    group.path.write_text(text, encoding="utf-8")
    read = read_group(group.path)
    assert [meeting.number for meeting in read.held] == [0, 1, 2, 4, 5, 6]


def test_a_time_that_comes_twice_is_said(group: Group) -> None:
    text = group.path.read_text(encoding="utf-8")
    text = text.replace('2027-06-01"\ntime = "19:00"', '2027-06-01"\ntime = "02:30"')
    group.path.write_text(text.replace("Tuesday 2027-06-01", "Sunday 2027-10-31"), encoding="utf-8")
    (note,) = read_group(group.path).notes
    assert note.startswith("Meeting 6: on Sunday 2027-10-31 the clocks of Europe/Berlin show 02:30 twice.")


def test_a_kept_handle_is_the_members_however_it_is_spelt(group: Group) -> None:
    text = group.path.read_text(encoding="utf-8")
    text = text.replace("number = 3", 'number = 3\npresenter = "ADA"\nclock = "Gone"')
    group.path.write_text(text, encoding="utf-8")
    assert read_group(group.path).meetings[3].kept == {"presenter": "ada", "clock": "Gone"}


def test_the_next_meeting_is_todays_all_day_in_the_groups_time_zone(group: Group) -> None:
    from datetime import datetime

    def number(text: str) -> int | None:
        following = group.next(datetime.fromisoformat(text))
        return following and following.number

    assert number("2026-01-01T12:00+00:00") == 0
    assert number("2027-03-01T23:30+00:00") == 3, "in Berlin it is the day of the meeting"
    assert number("2027-03-02T22:30+00:00") == 3, "the evening of it"
    assert number("2027-03-02T23:30+00:00") == 4, "in Berlin it is the day after"
    assert number("2027-06-02T12:00+00:00") is None


# --- finding it -----------------------------------------------------------------------------------


def test_it_is_found_from_below(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    below = group.path.parent / "notes" / "2"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find_cohort() == group
    assert find_cohort(below) == group


def test_each_of_the_two_files_is_passed_over_when_the_other_is_looked_for(home: Path) -> None:
    space = planting.create(home / "my-llm").workspace
    inner = space.root / "our-group"
    inner.mkdir()
    outer = make_group(home / "group")
    (inner / "cohort.toml").write_bytes(outer.path.read_bytes())
    assert find_workspace(inner) == space
    assert find_cohort(inner).path == inner / "cohort.toml"
    below = outer.path.parent / "my-llm"
    below.mkdir()
    (below / "cohort.toml").write_bytes((space.root / "cohort.toml").read_bytes())
    assert find_cohort(below) == outer
    assert find_workspace(below).root == below
    with pytest.raises(NoWorkspace):
        find_workspace(outer.path.parent)
    with pytest.raises(NoCohort, match="There is no group"):
        find_cohort(space.root)


def test_a_workspace_may_name_its_group(group: Group, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = planting.create(home / "my-llm").workspace.root
    with (root / "cohort.toml").open("a", encoding="utf-8") as file:
        file.write('group = "../our-group"\n')
    below = root / "project9"
    below.mkdir()
    assert find_cohort(below).path == group.path
    monkeypatch.chdir(home)
    monkeypatch.setenv("COHORT_WORKSPACE", str(root))
    assert find_cohort().path == group.path
    group.path.unlink()
    with pytest.raises(NoCohort, match=r"our-group is no group's folder.*my-llm.cohort\.toml names it"):
        find_cohort()


def test_a_variable_names_it_first(group: Group, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = make_group(home / "other")
    monkeypatch.setenv("COHORT_GROUP", "~/other")
    assert find_cohort() == other
    monkeypatch.setenv("COHORT_GROUP", str(home))
    with pytest.raises(NoCohort, match="COHORT_GROUP names it"):
        find_cohort()


def test_without_one_it_says_what_to_do(home: Path) -> None:
    with pytest.raises(NoCohort) as caught:
        find_cohort()
    assert "cohort new our-group" in caught.value.repair
    assert caught.value.exit_code == 3


def test_a_broken_file_on_the_way_is_passed_over(group: Group) -> None:
    """Somebody else's cohort.toml in a folder below is not ours to judge here."""
    below = group.path.parent / "theirs"
    below.mkdir()
    (below / "cohort.toml").write_text("schema = [1", encoding="utf-8")
    assert find_cohort(below) == group


def test_no_workspace_inside_a_groups_folder(group: Group) -> None:
    folder = group.path.parent
    before = sorted(folder.rglob("*"))
    for place in (folder, folder / "my-llm"):
        with pytest.raises(UsageError, match="is a group's folder, which everybody shares"):
            planting.create(place)
    assert sorted(folder.rglob("*")) == before


def test_a_file_that_cannot_be_read_is_not_called_missing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "cohort.toml").write_text('schema = "cohort.cohort/1"\nname = "Ours', encoding="utf-8")
    with pytest.raises(BrokenManifest, match=r"cohort\.toml is not valid TOML"):
        find_cohort(home)

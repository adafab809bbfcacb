"""`cohort roles`: the table, what is kept, and what a seed changes."""

from __future__ import annotations

import json

import pytest
from support import Cohort

from cohort_cli.group import JOBS, Group, read_group


def rows(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines() if line[:1].isdigit()]


def test_the_table(group: Group, cohort: Cohort) -> None:
    ended = cohort("roles")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].split() == list(JOBS)
    assert [row[0] for row in rows(ended.out)] == list("0123456")
    assert all(len(set(row)) == 6 for row in rows(ended.out))
    assert lines[-1] == "next: cohort roles --keep"
    assert cohort("roles").out == ended.out


def test_keep_writes_those_up_to_the_next_meeting(group: Group, cohort: Cohort) -> None:
    table = rows(cohort("roles").out)
    before = group.path.read_text(encoding="utf-8")
    ended = cohort("roles", "--keep")
    assert ended.out.endswith("next: cohort post announcement\n")
    kept = [meeting.kept for meeting in read_group(group.path).meetings]
    assert [list(each.values()) for each in kept[:4]] == [row[1:] for row in table[:4]], "3 is the next"
    assert kept[4:] == [{}, {}, {}]
    after = group.path.read_text(encoding="utf-8")
    assert [line for line in after.splitlines() if line.partition(" ")[0] not in JOBS] == before.splitlines()
    cohort("roles", "--keep")
    assert group.path.read_text(encoding="utf-8") == after


def test_who_joins_later_changes_nothing_that_is_kept(group: Group, cohort: Cohort) -> None:
    cohort("roles", "--keep")
    table = rows(cohort("roles").out)
    with group.path.open("a", encoding="utf-8") as file:
        file.write('[[member]]\nhandle = "new"\n')
    again = rows(cohort("roles").out)
    assert again[:4] == table[:4]
    assert "new" in str(again[4:])


def test_what_nobody_can_do_any_more_is_taken_out_of_the_file(group: Group, cohort: Cohort) -> None:
    """The one other volunteer has left, so nobody can be the backup of the next meeting."""
    text = group.path.read_text(encoding="utf-8").replace("volunteers = true", "volunteers = false", 7)
    group.path.write_text(text.replace("number = 3\n", 'number = 3\nbackup = "gone"\n'), encoding="utf-8")
    assert cohort("roles", "--keep").out.endswith("next: cohort post announcement\n")
    assert "gone" not in group.path.read_text(encoding="utf-8")


def test_another_seed_draws_other_lots(group: Group, cohort: Cohort) -> None:
    ended = cohort("roles", "--seed", "7")
    assert rows(ended.out) != rows(cohort("roles").out)
    assert ended.out.endswith("next: cohort roles --seed 7 --keep\n")
    cohort("roles", "--seed", "7", "--keep")
    assert rows(cohort("roles").out)[:4] == rows(ended.out)[:4]


def test_json(group: Group, cohort: Cohort) -> None:
    cohort("schedule", "cancel", "5")
    cohort("roles", "--keep")
    ended = cohort("roles", "--json")
    found = json.loads(ended.out)
    assert (found["schema"], found["seed"]) == ("cohort.roles/1", group.id)
    assert [meeting["number"] for meeting in found["meetings"]] == [0, 1, 2, 3, 4, 6]
    assert [bool(meeting["kept"]) for meeting in found["meetings"]] == [True] * 4 + [False] * 2
    assert set(found["meetings"][0]) == {"number", "kept", *JOBS}
    assert "5  cancelled" in cohort("roles").out


def test_without_volunteers_it_says_so(group: Group, cohort: Cohort) -> None:
    text = group.path.read_text(encoding="utf-8").replace("volunteers = true", "volunteers = false")
    group.path.write_text(text, encoding="utf-8")
    ended = cohort("roles")
    assert rows(ended.out)[0][1:3] == ["-", "-"]
    assert "Nobody volunteers to present.\nnext: somebody writes volunteers = true" in ended.out
    assert "(nobody yet)" in cohort("schedule").out
    assert "Nobody presents yet. Who would like to?" in cohort("post", "announcement").out


def test_a_wrong_instant_is_the_users_to_repair(
    group: Group, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COHORT_NOW", "soon")
    assert (cohort("roles").code, cohort("schedule").code) == (2, 2)

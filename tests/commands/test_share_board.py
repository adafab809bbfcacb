"""`cohort share` and `cohort board`: what leaves a machine, and what strangers' files may do."""

from __future__ import annotations

import io
import json
import os
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support import Cohort

from cohort_cli import sharing
from cohort_cli.catalog import Project
from cohort_cli.workspace import Workspace

DAY = date(2026, 12, 1)


def share_of(number: int, states: dict[str, str], handle: str = "", day: date = DAY) -> sharing.Share:
    return sharing.Share(f"{number:016x}", day, handle, "0.1.0", {"project9": states})


def put(folder: Path, name: str, share: sharing.Share) -> Path:
    path = folder / f"{name}-{sharing.FILE}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sharing.to_text(share), encoding="utf-8")
    return path


@pytest.fixture
def checked(space: Workspace, adding: Project, cohort: Cohort) -> Workspace:
    """A workspace in which one check is ok, one is wrong, and one has not been run."""
    (space.project_folder(adding) / "plus.py").write_text(
        "SECRET_CODE = 1\ndef add(a, b):\n    return a + b + (a > b)\n", encoding="utf-8"
    )
    cohort("check", "project9", "plus")
    return space


def test_every_byte_is_shown_before_anything_is_written(
    checked: Workspace, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    refused = cohort("share", "--named", "ada")
    assert "Nothing was written." in refused.out
    assert not Path(sharing.FILE).exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    ended = cohort("share", "--named", "ada")
    text = Path(sharing.FILE).read_text(encoding="ascii")
    assert ended.out.startswith(text)
    assert f"Write these {len(text)} bytes" in ended.out


def test_there_is_no_code_no_path_and_no_name_in_it(checked: Workspace, cohort: Cohort) -> None:
    cohort("share", "--yes")
    text = Path(sharing.FILE).read_text(encoding="ascii")
    table = json.loads(text)
    assert set(table) == {"schema", "id", "day", "handle", "kit", "checks"}
    assert table["handle"] == ""
    assert table["checks"] == {"project9": {"sum": "ok", "commutes": "fail", "double": "not checked"}}
    for word in (
        "SECRET",
        str(checked.root),
        checked.root.name,
        os.environ.get("USER", "root!"),
        "plus.py",
        "seconds",
    ):
        assert word not in text
    assert len(text) < sharing.MOST_BYTES / 4


def test_the_number_stays_so_that_a_newer_file_replaces_the_older(checked: Workspace, cohort: Cohort) -> None:
    cohort("share", "--yes", "--out", "one.json")
    cohort("share", "--yes", "--out", "two.json")
    ids = {json.loads(Path(name).read_text())["id"] for name in ("one.json", "two.json")}
    assert len(ids) == 1


def test_without_a_project_there_is_nothing_to_share(
    home: Path, kit: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort("init", "empty")
    monkeypatch.chdir(home / "empty")
    ended = cohort("share", "--yes")
    assert (ended.code, ended.out) == (2, "")


def test_a_handle_is_a_name_and_no_more(checked: Workspace, cohort: Cohort) -> None:
    assert cohort("share", "--yes", "--named", "a b\x1b[2J").code == 2
    assert not Path(sharing.FILE).exists()


def test_the_board_counts_people_and_names_only_those_who_want_it(
    kit: Path, tmp_path: Path, cohort: Cohort
) -> None:
    folder = tmp_path / "shared"
    put(folder, "a", share_of(1, {"sum": "ok", "commutes": "fail", "double": "wait"}, "ada"))
    put(folder / "deeper", "b", share_of(2, {"sum": "ok", "commutes": "error", "double": "todo"}))
    put(folder, "c", share_of(3, {"sum": "crash", "commutes": "stale", "double": "not checked"}))
    put(folder, "old", share_of(3, {"sum": "ok", "commutes": "ok", "double": "ok"}, day=date(2026, 11, 1)))
    ended = cohort("board", str(folder))
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0] == "3 people, 1 of them named"
    cells = {
        line.split()[0]: [int(word) for word in line.split()[1:]] for line in lines if line.startswith("  ")
    }
    assert cells == {"sum": [2, 1, 0], "commutes": [0, 2, 1], "double": [0, 0, 3]}
    assert "ada" not in ended.out
    stuck = cohort("board", str(folder), "--stuck").out.splitlines()
    assert stuck[1].startswith("2 of 3 blocked  project9 commutes")
    assert stuck[1].endswith("  ada")
    assert stuck[2].startswith("1 of 3 blocked  project9 sum")
    assert stuck[-1] == "next: cohort explain project9 commutes"
    table = json.loads(cohort("board", str(folder), "--json").out)
    assert (table["schema"], table["people"], table["refused"]) == ("cohort.board/1", 3, [])


def test_a_share_counts_under_whatever_name_it_has(kit: Path, tmp_path: Path, cohort: Cohort) -> None:
    """Four people put theirs into one folder; a browser renames the second download."""
    for number, name in enumerate(
        ("cohort-share.json", "cohort-share (1).json", "lin.json", "deeper/x.json")
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(sharing.to_text(share_of(number, {"sum": "ok"})), encoding="utf-8")
    (tmp_path / "package.json").write_text("{}", encoding="utf-8")
    ended = cohort("board", str(tmp_path))
    assert ended.out.startswith("4 people")
    assert "refused package.json: it does not say" in ended.err


GOOD = json.loads(sharing.to_text(share_of(7, {"sum": "ok"})))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": "cohort.share/9"}, "it does not say cohort.share/1"),
        ({"extra": 1}, "it has the keys"),
        ({"id": "7"}, "its id is none"),
        ({"id": 7}, "its id is no short text"),
        ({"handle": "a\x1b[2J"}, "its handle is none"),
        ({"handle": "x" * 2000}, "its handle is no short text"),
        ({"kit": "../../etc"}, "its kit is no version"),
        ({"day": "yesterday"}, "Invalid isoformat"),
        ({"checks": []}, "its checks are no table"),
        ({"checks": {"project9": []}}, "its checks are no table"),
        ({"checks": {"project9": {"sum": "great"}}}, "its project9 has a state that there is not"),
        ({"checks": {"project9": {"sum": ["ok"]}}}, "its project9 has a state that there is not"),
    ],
)
def test_one_bad_file_is_named_and_the_others_count(
    kit: Path, tmp_path: Path, cohort: Cohort, change: dict[str, Any], says: str
) -> None:
    put(tmp_path, "good", share_of(1, {"sum": "ok"}))
    (tmp_path / f"bad-{sharing.FILE}").write_text(json.dumps({**GOOD, **change}), encoding="utf-8")
    ended = cohort("board", str(tmp_path))
    assert ended.code == 0
    assert f"refused bad-{sharing.FILE}: {says}" in ended.err
    assert ended.out.startswith("1 person")
    assert "\x1b" not in ended.err + ended.out


@pytest.mark.parametrize(
    "data", [b"", b"[" * 100_000, b"\xff\xfe", b"null", b" " * 70_000, b'{"schema": NaN}']
)
def test_what_is_no_json_is_refused(kit: Path, tmp_path: Path, cohort: Cohort, data: bytes) -> None:
    put(tmp_path, "good", share_of(1, {"sum": "ok"}))
    (tmp_path / f"bad-{sharing.FILE}").write_bytes(data)
    ended = cohort("board", str(tmp_path))
    assert (ended.code, ended.err.count("refused")) == (0, 1)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_is_not_followed(kit: Path, tmp_path: Path, cohort: Cohort) -> None:
    outside = put(tmp_path / "outside", "x", share_of(1, {"sum": "ok"}))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / sharing.FILE).symlink_to(outside)
    ended = cohort("board", str(tmp_path / "in"))
    assert ended.code == 5
    assert "it is no plain file" in ended.err


def test_checks_of_another_version_are_left_out(kit: Path, tmp_path: Path, cohort: Cohort) -> None:
    share = share_of(1, {"sum": "ok", "unheard": "ok"})
    put(tmp_path, "a", share._replace(checks={**share.checks, "project77": {"x": "ok"}}))
    ended = cohort("board", str(tmp_path))
    assert ended.code == 0
    assert "unheard" not in ended.out
    assert "project77" not in ended.out


def test_a_git_remote_is_read_without_running_anything_of_it(
    kit: Path, tmp_path: Path, cohort: Cohort
) -> None:
    remote = tmp_path / "remote"
    put(remote, "a", share_of(1, {"sum": "ok"}))
    git = ["git", "-C", str(remote), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "shares"]):
        subprocess.run([*git, *words], check=True)
    hooks = remote / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n", encoding="utf-8")
    (hooks / "post-checkout").chmod(0o755)
    ended = cohort("board", remote.as_uri())
    assert ended.code == 0, ended.err
    assert ended.out.startswith("1 person")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("source", "code"),
    [("nowhere", 2), ("--upload-pack=touch", 2), ("ext::sh -c touch", 2), ("file:///no/such/thing", 8)],
)
def test_a_source_that_is_none_is_refused(
    kit: Path, home: Path, cohort: Cohort, source: str, code: int
) -> None:
    ended = cohort("board", "--", source) if source.startswith("-") else cohort("board", source)
    assert (ended.code, ended.out) == (code, "")

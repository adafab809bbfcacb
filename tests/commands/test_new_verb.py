"""`cohort new`: a few questions, each also an option, and nothing is left behind by who changes their mind."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from support import REPO, Cohort

from cohort_cli import publishing
from cohort_cli.group import Group, read_group

OPTIONS = {
    "--name": "First Tuesdays",
    "--time-zone": "Europe/Berlin",
    "--first": "Tuesday 2026-12-01",
    "--time": "19:00",
    "--cadence": "monthly",
    "--place": "Library",
    "--link": "",
    "--members": "ada, lin @sam",
}
MADE_TOO = Path("our-group") / publishing.FILE
WORKFLOW_MADE = f"made {MADE_TOO}: publishes the group's site, once you fill in its KIT lines\n"


def words(**changed: str | None) -> list[str]:
    """The options as words; "time_zone" is --time-zone, and None leaves it out."""
    options = {**OPTIONS, **{f"--{key.replace('_', '-')}": value for key, value in changed.items()}}
    return [word for option, value in options.items() if value is not None for word in (option, value)]


def typing(monkeypatch: pytest.MonkeyPatch, text: str, terminal: bool = False) -> None:
    stream = io.StringIO(text)
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stdin", stream)


def test_with_options_it_asks_nothing(home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    typing(monkeypatch, "")
    ended = cohort("new", "our-group", *words())
    assert (ended.code, ended.err) == (0, WORKFLOW_MADE)
    made = Path("our-group") / "cohort.toml"
    assert ended.out == f"made {made}: 7 meetings, 3 members\nnext: cd our-group && cohort schedule\n"
    group = read_group(home / made)
    assert [member.handle for member in group.members] == ["ada", "lin", "sam"]
    assert (group.cadence, group.place, group.link) == ("first Tuesday", "Library", "")
    assert str(group.meetings[6].day) == "2027-06-01"


def test_it_asks_for_what_no_option_says(home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    typing(monkeypatch, "A, B\n\n2026-12-01\n20:15\nevery 4 weeks\n\nhttps://x.example\nada lin\n")
    ended = cohort("new")
    assert (ended.code, ended.err) == (0, WORKFLOW_MADE)
    assert "Time zone, such as Europe/Berlin [Asia/Kolkata]: " in ended.out
    group = read_group(home / "our-group" / "cohort.toml")
    assert (group.name, str(group.zone), group.cadence) == ("A, B", "Asia/Kolkata", "every 4 weeks")
    assert f"{group.meetings[1].starts:%Y-%m-%d %H:%M}" == "2026-12-29 20:15"
    assert (group.place, group.link) == ("", "https://x.example")


def test_at_a_terminal_a_wrong_answer_is_asked_for_again(
    home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    typing(
        monkeypatch,
        "Monday 2026-12-01\nTuesday 2026-12-01\na link\n\nada, Ada\nada, li/n\nada, lin\n",
        terminal=True,
    )
    ended = cohort("new", *words(first=None, link=None, members=None))
    assert ended.code == 0
    assert "2026-12-01 is a Tuesday, not a Monday.\nFirst meeting" in ended.out
    assert "'a link' is no link: it has a blank.\nLink" in ended.out
    assert "there twice.\nHandles" in ended.out
    assert "'li/n' must be letters" in ended.out


def test_ctrl_d_at_a_terminal_takes_no_proposal(
    home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    typing(monkeypatch, "", terminal=True)
    ended = cohort("new", *words(cadence=None))
    assert (ended.code, "There is no answer to: Cadence" in ended.err) == (2, True)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"first": "Monday 2026-12-01"}, "2026-12-01 is a Tuesday, not a Monday."),
        ({"time_zone": "CET"}, "'CET' is no time zone"),
        ({"time": "7pm"}, "no time of day"),
        ({"cadence": "often"}, "Write monthly,"),
        ({"name": " "}, "needs a name"),
        ({"members": ","}, "needs members"),
        ({"members": "ada Ada"}, "there twice"),
        ({"link": "a b"}, "has a blank"),
        ({"name": None}, "There is no answer to: Name of the group"),
        ({"first": None}, "There is no answer to: First meeting"),
    ],
)
def test_wrong_answers_are_refused_and_nothing_is_written(
    home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str | None], says: str
) -> None:
    typing(monkeypatch, "")
    ended = cohort("new", "our-group", *words(**changed))
    assert (ended.code, says in ended.err) == (2, True)
    assert "othing was written" in ended.err
    assert list(home.iterdir()) == []


def test_what_stands_in_brackets_is_taken_without_a_terminal(
    home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    typing(monkeypatch, "")
    ended = cohort("new", *words(time_zone=None, time=None, cadence=None, place=None, link=None))
    assert ended.code == 0
    assert read_group(home / "our-group" / "cohort.toml").cadence == "first Tuesday"


def test_nothing_is_overwritten_and_nothing_asked_first(group: Group, cohort: Cohort) -> None:
    before = group.path.read_bytes()
    ended = cohort("new", ".")
    assert (ended.code, ended.out) == (2, "")
    assert "exists already (a group's)" in ended.err
    assert group.path.read_bytes() == before


def test_here(home: Path, cohort: Cohort) -> None:
    assert cohort("new", ".", *words()).out.endswith("next: cohort schedule\n")
    assert (home / "cohort.toml").is_file()


@pytest.mark.skipif(os.name != "posix", reason="signals of Windows are others")
def test_ctrl_c_leaves_nothing(home: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cohort_cli", "new", "our-group", "--name", "x", "--time-zone", "UTC"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.read(5) == "First", "it asks"
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "cohort: Interrupted. What was finished before is kept.\n")
    assert list(home.iterdir()) == []


def test_a_workflow_that_publishes_the_site_lies_beside_it(home: Path, cohort: Cohort) -> None:
    ended = cohort("new", "our-group", *words())
    assert ended.code == 0
    path = home / "our-group" / publishing.FILE
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    build, deploy = workflow["jobs"]["build"], workflow["jobs"]["deploy"]
    assert workflow["permissions"] == {"contents": "read"}, "members' files are built with no right to write"
    assert "permissions" not in build
    assert deploy["permissions"] == {"pages": "write", "id-token": "write"}
    assert deploy["needs"] == "build"
    steps = [*build["steps"], *deploy["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert [use.partition("@")[0] for use in used] == [
        f"actions/{name}" for name in ("checkout", "setup-python", "upload-pages-artifact", "deploy-pages")
    ]
    assert all(use.partition("@")[2].startswith("v") for use in used)
    assert build["steps"][1]["with"]["persist-credentials"] is False
    scripts = [step["run"] for step in steps if "run" in step]
    assert not [script for script in scripts if "${{" in script], "nothing is pasted into a shell's text"
    assert sum("cohort site build --entries showcase/entries --out site" in script for script in scripts) == 1


@pytest.mark.skipif(shutil.which("bash") is None, reason="the workflow's shell")
@pytest.mark.parametrize(("kit", "commit", "code"), [("", "", 1), ("x", "", 1), ("", "x", 1), ("x", "x", 0)])
def test_the_workflow_explains_itself_until_it_is_filled_in(kit: str, commit: str, code: int) -> None:
    workflow = yaml.safe_load(publishing.WORKFLOW)
    assert workflow["env"] == {"KIT": "", "KIT_COMMIT": ""}
    check = workflow["jobs"]["build"]["steps"][0]["run"]
    environment = {**os.environ, "KIT": kit, "KIT_COMMIT": commit}
    ended = subprocess.run(["bash", "-e", "-c", check], env=environment, capture_output=True, text=True)
    assert ended.returncode == code
    assert ("Write the address of the kit's repository" in ended.stdout) == (code == 1)


@pytest.mark.skipif(shutil.which("bash") is None, reason="the workflow's shell")
def test_every_script_of_the_workflow_can_be_read_by_its_shell() -> None:
    workflow = yaml.safe_load(publishing.WORKFLOW)
    scripts = [step["run"] for step in workflow["jobs"]["build"]["steps"] if "run" in step]
    assert len(scripts) == 3
    for script in scripts:
        subprocess.run(["bash", "-n", "-c", script], check=True)


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_actionlint_has_nothing_to_say(tmp_path: Path) -> None:
    path = tmp_path / "site.yml"
    path.write_text(publishing.WORKFLOW, encoding="utf-8")
    ended = subprocess.run(["actionlint", str(path)], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_a_workflow_that_is_there_stays(home: Path, cohort: Cohort) -> None:
    path = home / "our-group" / publishing.FILE
    path.parent.mkdir(parents=True)
    path.write_text("ours")
    ended = cohort("new", "our-group", *words())
    assert ended.code == 0
    assert "site.yml" not in ended.err
    assert path.read_text() == "ours"

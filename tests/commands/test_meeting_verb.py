"""`cohort meeting` and `cohort present`: what stands on the laptop beside the projector."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from support import Cohort

from cohort_cli import sharing
from cohort_cli.meetings import find_meeting, meetings


def clock_times(out: str) -> list[str]:
    return re.findall(r"^(\d\d:\d\d) ", out, re.MULTILINE)


def test_the_run_sheet_has_clock_times_that_add_up(home: Path, cohort: Cohort) -> None:
    ended = cohort("meeting", "2", "--start", "19:00")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == "Meeting 2: Attention"
    times = clock_times(ended.out)
    assert (times[0], times[1], times[-1]) == ("19:00", "19:08", "21:00")
    assert len(times) == len(find_meeting("2").blocks()) + 1
    assert max(map(len, lines)) <= 80


def test_it_goes_past_midnight(home: Path, cohort: Cohort) -> None:
    assert clock_times(cohort("meeting", "2", "--start", "23:30").out)[-1] == "01:30"


@pytest.mark.parametrize("start", ["7 pm", "25:00", "19.00"])
def test_a_start_that_is_no_time_is_refused(home: Path, cohort: Cohort, start: str) -> None:
    ended = cohort("meeting", "2", "--start", start)
    assert (ended.code, ended.out) == (2, "")
    assert "--start 19:00" in ended.err


def test_where_there_is_a_group_it_begins_when_the_group_meets(
    home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cohort(
        "new", "our-group", "--name", "Ours", "--time-zone", "Europe/Berlin", "--first", "Tuesday 2027-01-05",
        "--time", "18:30", "--cadence", "monthly", "--place", "library", "--link", "", "--members", "ada, lin",
    )  # fmt: skip
    assert made.code == 0, made.err
    monkeypatch.chdir(home / "our-group")
    ended = cohort("meeting", "2")
    assert ended.out.splitlines()[0] == "Meeting 2: Attention, Tuesday 2027-03-02"
    assert clock_times(ended.out)[0] == "18:30"


def test_every_meeting_is_listed(home: Path, cohort: Cohort) -> None:
    lines = cohort("meeting").out.splitlines()
    assert [line[0] for line in lines[:-1]] == [str(number) for number in range(7)]


def test_prompts_show_what_helps_after_what_is_asked(
    home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))  # nobody can press a key: all of it at once
    ended = cohort("meeting", "2", "--prompts")
    prompts = find_meeting("2").prompts()
    place = 0
    flat = " ".join(ended.out.split())
    for prompt in prompts:
        for part in (prompt.ask, prompt.try_it, prompt.touches[0], prompt.silence, prompt.misconception):
            place = flat.index(" ".join(part.split()), place)
    assert max(map(len, ended.out.splitlines())) <= 80


def test_at_a_terminal_the_answers_wait_for_enter(
    home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(""))  # the presenter ends at the first question
    ended = cohort("meeting", "2", "--prompts")
    assert "(Enter for what a good answer touches)" in ended.out
    assert find_meeting("2").prompts()[0].touches[0] not in " ".join(ended.out.split())


def test_the_check_looks_at_all_meetings(home: Path, cohort: Cohort) -> None:
    ended = cohort("meeting", "--check")
    assert ended.code == 0
    assert [line.split()[1].rstrip(":") for line in ended.out.splitlines()[:-1]] == [
        one.name for one in meetings()
    ]


def test_slides_take_in_where_the_group_stands_and_a_run(runs: Path, tmp_path: Path, cohort: Cohort) -> None:
    checks = {"project2": {"scale": "fail", "fused-shape": "ok"}}
    from datetime import date

    for number, handle in ((1, "ada"), (2, "")):
        share = sharing.Share(f"{number:016x}", date(2026, 12, 1), handle, "0.1.0", checks)
        (tmp_path / f"{number}-{sharing.FILE}").write_text(sharing.to_text(share), encoding="utf-8")
    ended = cohort("present", "2", "--html", "x.html", "--board", str(tmp_path), "--run", "small")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("10 slides in x.html")
    text = Path("x.html").read_text(encoding="utf-8")
    slides = re.findall(r"<section id=\"(\d+)\"><div class=\"slide\">(.*?)</section>", text, re.DOTALL)
    assert [number for number, _ in slides] == [str(number) for number in range(1, 11)]
    assert "Who has shared so far: 2." in slides[7][1]
    assert "<td>2 of 2</td><td><code>project2 scale</code></td><td>ada</td>" in slides[7][1]
    assert "<svg" in slides[8][1]
    assert "Now you" in slides[9][1]


def test_present_opens_the_one_file(home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)) or True)
    monkeypatch.setenv("TMPDIR", str(home))
    monkeypatch.setattr("tempfile.tempdir", None)
    ended = cohort("present", "2")
    assert ended.code == 0
    assert len(opened) == 1
    assert opened[0].startswith(home.as_uri())
    assert opened[0].endswith("/slides-2.html")


def test_without_a_browser_to_print_with_the_page_is_still_there(
    home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(home))
    ended = cohort("present", "2", "--pdf", "x.pdf", "--html", "x.html")
    assert ended.code == 4
    assert "print it" in ended.err
    assert Path("x.html").is_file()
    assert json.dumps("x.pdf") not in ended.out

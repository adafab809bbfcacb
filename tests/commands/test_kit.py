"""`cohort kit`: what authors run."""

from __future__ import annotations

import json
from pathlib import Path

from support import Cohort

from cohort_cli.catalog import Project

GUIDE = """\
# Adding

<!-- transcript: subtracts -->
<!-- /transcript -->
"""


def test_a_project_that_keeps_its_promise(adding: Project, cohort: Cohort) -> None:
    ended = cohort("kit", "verify", "project9")
    assert (ended.code, "PROBLEM" in ended.out) == (0, False)
    assert "mistakes named      1 of 1\n" in ended.out
    assert ended.out.splitlines()[-1] == "next: cohort kit transcript project9"


def test_a_mistake_that_no_check_refuses_is_a_problem(adding: Project, cohort: Cohort) -> None:
    path = adding.mistakes_dir / "plus.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("a - b", "b + a"), encoding="utf-8")
    ended = cohort("kit", "verify", "project9", "--json")
    found = json.loads(ended.out)
    assert (ended.code, found["refused"]) == (1, 0)
    assert any("subtracts" in problem for problem in found["problems"])


def test_a_transcript_is_written_once_and_then_up_to_date(
    adding: Project, cohort: Cohort, home: Path
) -> None:
    adding.guide.write_text(GUIDE, encoding="utf-8")
    assert cohort("kit", "transcript", "project9").code == 1
    assert adding.guide.read_text(encoding="utf-8") == GUIDE
    assert cohort("kit", "transcript", "project9", "--write").code == 0
    assert "FAIL sum " in adding.guide.read_text(encoding="utf-8")
    assert cohort("kit", "transcript", "project9").code == 0

"""`cohort explain`: a check, or a step's list of them."""

from __future__ import annotations

from pathlib import Path

from support import Cohort

from cohort_cli.catalog import Project, find_project


def test_a_check_is_explained(adding: Project, cohort: Cohort) -> None:
    ended = cohort("explain", "project9", "sum")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "sum: a and b are added",
        "",
        "Adding is where everything begins.",
        "",
        "Reading: Peano 1889, page 1.",
        "",
        "step     plus, Adding two numbers",
        "reading  Peano 1889, https://example.org/peano",
        "needs    no other check",
        "refuses  subtracts",
        "next: cohort check project9 sum",
    ]


def test_only_the_names_of_mistakes_are_told(adding: Project, cohort: Cohort) -> None:
    out = cohort("explain", "project9", "sum").out
    assert "subtracting b" not in out
    assert "a - b" not in out


def test_needs_are_named(adding: Project, cohort: Cohort) -> None:
    assert "needs    sum\n" in cohort("explain", "project9", "double").out
    assert "refuses  no known mistake is listed\n" in cohort("explain", "project9", "double").out


def test_the_source_is_shown_when_asked(adding: Project, cohort: Cohort) -> None:
    assert "def test_sum" not in cohort("explain", "project9", "sum").out
    assert "def test_sum" in cohort("explain", "project9", "sum", "--source").out


def test_a_step_lists_its_checks(adding: Project, cohort: Cohort) -> None:
    assert cohort("explain", "project9", "plus").out.splitlines() == [
        "plus: Adding two numbers, in plus.py, about 10 minutes",
        "Reading: Peano 1889, https://example.org/peano",
        "",
        "  sum                          a and b are added",
        "  commutes                     the order does not matter",
        "",
        "next: cohort explain project9 sum",
    ]


def test_the_real_kit_fits_eighty_columns(home: Path, cohort: Cohort) -> None:
    project = find_project("project2")
    assert len(project.checks) > 20
    for word in [step.id for step in project.steps] + [check.id for check in project.checks[::6]]:
        ended = cohort("explain", "project2", word)
        assert ended.code == 0
        prose = [
            line for line in ended.out.splitlines() if not line.startswith("    ") and "http" not in line
        ]
        assert max(map(len, prose)) <= 80, word

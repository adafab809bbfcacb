"""The self-check: its answers are right, it marks in kindness, and every gap has one thing to read."""

from __future__ import annotations

import contextlib
import io
import math
import re
from collections import Counter
from pathlib import Path

import pytest
from support import Cohort

from cohort_cli.self_check import FILE, Question, read_questions

QUESTIONS = {question.id: question for question in read_questions()}
ALL = list(QUESTIONS.values())
BEST = "".join(f"{question.right[0]}\n" for question in ALL)


def slope(function, x: float) -> float:  # type: ignore[no-untyped-def]
    return (function(x + 1e-6) - function(x - 1e-6)) / 2e-6


def test_there_are_eight_of_three_topics() -> None:
    assert Counter(question.topic for question in ALL) == {"linear algebra": 3, "calculus": 3, "Python": 2}
    assert len(QUESTIONS) == 8
    for question in ALL:
        assert question.at.startswith("https://")
        assert question.because.endswith(".")


def test_the_answers_are_worked_out_again() -> None:
    a, b = [[1, 2], [3, 4]], [[0, 1], [5, 2]]
    found: dict[str, float] = {
        "dot": math.sumprod((1, 2, 3), (4, 0, -1)) if hasattr(math, "sumprod") else 1 * 4 + 2 * 0 + 3 * -1,
        "entry": sum(a[1][k] * b[k][0] for k in range(2)),
        "slope": slope(lambda x: x**2 + 5, 3),
        "chain": slope(lambda x: (2 * x + 1) ** 3, 1),
        "partial": slope(lambda x: x**2 * 5 + 5, 3),
    }
    for id, value in found.items():
        assert float(QUESTIONS[id].right[0]) == pytest.approx(value, abs=1e-4), id
    for id in ("loop", "class"):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(QUESTIONS[id].code, {})
        assert out.getvalue().strip() == QUESTIONS[id].right[0], id
    assert QUESTIONS["shape"].is_right("2, 4")


@pytest.mark.parametrize(
    ("id", "answer", "right"),
    [
        ("dot", " 1.0 ", True),
        ("dot", "+1", True),
        ("dot", "-1", False),
        ("dot", "11", False),
        ("shape", "(2, 4)", True),
        ("shape", "2x4", True),
        ("shape", "2 × 4", True),
        ("shape", "2 * 4", True),
        ("shape", "2 rows and 4 columns.", True),
        ("shape", "4, 2", False),
        ("shape", "24", False),
        ("loop", "[1,9]", True),
        ("loop", "1, 9", True),
        ("loop", "[0, 4]", False),
        ("class", "3.0", True),
        ("class", "", False),
        ("class", "\N{MINUS SIGN}3", False),
    ],
)
def test_an_answer_is_marked_by_what_it_says(id: str, answer: str, right: bool) -> None:
    assert QUESTIONS[id].is_right(answer) is right


def answered(monkeypatch: pytest.MonkeyPatch, cohort: Cohort, text: str):  # type: ignore[no-untyped-def]
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    return cohort("self-check")


def test_all_right_needs_nothing_to_read(monkeypatch: pytest.MonkeyPatch, cohort: Cohort) -> None:
    ended = answered(monkeypatch, cohort, BEST)
    assert ended.code == 0
    assert ended.out.count("\nright\n") == 8
    assert "8 of 8 right. You are ready." in ended.out
    assert "https://" not in ended.out


def test_a_gap_names_one_thing_to_read(monkeypatch: pytest.MonkeyPatch, cohort: Cohort) -> None:
    ended = answered(monkeypatch, cohort, BEST.replace("54\n", "27\n"))
    assert ended.code == 1
    assert "7 of 8 right. One gap, one thing to read:" in ended.out
    assert re.findall(r"https://\S+", ended.out) == [QUESTIONS["chain"].at]
    assert "it is 54. The chain rule" in ended.out
    assert ended.out.splitlines()[-1] == "next: cohort start project0"
    assert max(map(len, ended.out.splitlines())) <= 80


def test_two_gaps_of_the_same_section_name_it_once(monkeypatch: pytest.MonkeyPatch, cohort: Cohort) -> None:
    ended = answered(monkeypatch, cohort, BEST.replace("2, 4\n", "\n").replace("20\n", "?\n"))
    assert "6 of 8 right. 2 gaps, one thing to read:" in ended.out


def test_without_answers_every_question_is_shown_with_its_answer(
    monkeypatch: pytest.MonkeyPatch, cohort: Cohort
) -> None:
    ended = answered(monkeypatch, cohort, "")
    assert ended.code == 1
    assert ended.out.count("it is ") >= 8
    assert "0 of 8 right" in ended.out
    assert all(question.at in ended.out for question in ALL)


def test_the_sites_page_has_each_question_with_its_answer_folded() -> None:
    from cohort_cli.site.questions import questions_page

    page = questions_page(ALL)
    assert page.count("<details markdown") == page.count("</details>") == 8
    for question in ALL:
        assert f"({question.at})" in page
        assert "**" + question.right[0].replace("[", "\\[").replace("]", "\\]") + "**" in page
    assert page.startswith("# Are you ready?\n\nEight questions")


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    from cohort_cli.errors import BrokenManifest

    path = tmp_path / FILE
    path.parent.mkdir(parents=True)
    path.write_text(
        'schema = "cohort.self-check/1"\n[[question]]\nid = "x"\nansver = "1"\n', encoding="utf-8"
    )
    with pytest.raises(BrokenManifest, match=r"self_check.toml:4: unknown key 'ansver'"):
        read_questions(tmp_path)


def test_a_question_knows_its_words() -> None:
    question = Question("x", "t", "a?", ("2 x 3",), "b.", "l", "https://example.org")
    assert question.is_right("2X3")
    assert not question.is_right("3x2")

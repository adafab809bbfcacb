"""A blind sheet hides whose answer is whose, takes whatever people write, and counts it right."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from cohort_cli.errors import UsageError
from cohort_cli.evaluating import sheet
from cohort_cli.evaluating.answers import Pair

PAIRS = [Pair(f"Say {n}.", f"mine {n}", f"other {n}", f"right {n}") for n in range(40)]


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines(keepends=True)))


def fill(path: Path, prefer: str, **others: str) -> Path:
    """A rater's copy, who prefers the answers that begin with this word; others: item -> what is written."""
    filled = path.with_name(f"{prefer}.csv")
    with filled.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, sheet.COLUMNS)
        rows.writeheader()
        for row in rows_of(path):
            better = "A" if row["A"].startswith(prefer) else "B"
            rows.writerow(row | {"better": others.get(row["item"], better)})
    return filled


def test_the_sheet_is_blind_and_the_key_opens_it(tmp_path: Path) -> None:
    path = sheet.write(tmp_path, PAIRS, "reference")
    rows = rows_of(path)
    assert [row["instruction"] for row in rows] == [pair.instruction for pair in PAIRS]
    first = [row["A"].startswith("mine") for row in rows]
    assert 10 < sum(first) < 30  # neither side stands first as a rule
    key = json.loads(next(tmp_path.glob("key-*.json")).read_bytes())
    assert [key["mine"][row["item"]]["column"] for row in rows] == ["A" if mine else "B" for mine in first]
    assert [key["mine"][row["item"]]["pair"] for row in rows] == [pair.id for pair in PAIRS]
    assert all(re.fullmatch(r"[a-z]{5}-\d{3}", row["item"]) for row in rows)  # no number, no date, no formula
    assert {row["better"] for row in rows} == {""}


def test_the_id_of_a_pair_does_not_say_whose_answer_is_whose() -> None:
    assert PAIRS[0].id == PAIRS[0]._replace(answer=PAIRS[0].other, other=PAIRS[0].answer).id


def test_a_rater_who_always_prefers_one_model_is_counted_so(tmp_path: Path) -> None:
    path = sheet.write(tmp_path, PAIRS, "reference")
    found = sheet.summary([sheet.read(tmp_path, fill(path, "mine"))])
    assert (found["win"], found["tie"], found["loss"]) == (40, 0, 0)
    assert found["share"] == 1.0
    assert found["p"] < 1e-6
    assert found["agreement"] == {"n": 0, "equal": None, "kappa": None}  # one rater agrees with nobody
    found = sheet.summary([sheet.read(tmp_path, fill(path, "other"))])
    assert (found["win"], found["loss"]) == (0, 40)


def test_raters_who_contradict_each_other_make_ties(tmp_path: Path) -> None:
    path = sheet.write(tmp_path, PAIRS, "reference")
    both = [sheet.read(tmp_path, fill(path, prefer)) for prefer in ("mine", "other")]
    found = sheet.summary(both)
    assert (found["tie"], found["share"], found["p"]) == (40, 0.5, 1.0)
    assert found["agreement"]["equal"] == 0.0
    assert found["agreement"]["n"] == 40
    assert found["raters"] == 2


@pytest.mark.parametrize(("written", "outcome"), [("tie", "tie"), (" Tie ", "tie"), ("=", "tie"), ("", None)])
def test_ties_and_empty_cells(tmp_path: Path, written: str, outcome: str | None) -> None:
    path = sheet.write(tmp_path, PAIRS, "reference")
    item = rows_of(path)[3]["item"]
    found = sheet.read(tmp_path, fill(path, "mine", **{item: written})).outcomes
    assert found.get(PAIRS[3].id) == outcome
    assert len(found) == 39 + (outcome is not None)


@pytest.mark.parametrize("how", ["semicolons", "tabs", "utf-16", "sep", "capitals", "empty rows"])
def test_a_sheet_as_table_programs_save_it(tmp_path: Path, how: str) -> None:
    path = sheet.write(tmp_path, PAIRS, "reference")
    text = io.StringIO()
    rows = csv.writer(text, delimiter={"semicolons": ";", "sep": ";", "tabs": "\t"}.get(how, ","))
    rows.writerow([name.upper() if how == "capitals" else name for name in sheet.COLUMNS])
    rows.writerows([row["item"], row["instruction"], "a, b", "c", "tie"] for row in rows_of(path))
    before, after = ("sep=;\r\n" if how == "sep" else ""), (",,,,\r\n" * 3 if how == "empty rows" else "")
    saved = tmp_path / "saved.csv"
    saved.write_bytes((before + text.getvalue() + after).encode("utf-16" if how == "utf-16" else "utf-8-sig"))
    assert set(sheet.read(tmp_path, saved).outcomes.values()) == {"tie"}
    assert len(sheet.read(tmp_path, saved).outcomes) == 40


@pytest.mark.parametrize("steers", ["=1+1", "@SUM(A1)", "+1", "-1", "\t=1"])
def test_no_cell_is_a_formula(tmp_path: Path, steers: str) -> None:
    path = sheet.write(tmp_path, [Pair(steers, steers, f"{steers}!", "x")], "reference")
    for row in rows_of(path):
        assert all(cell[:1] not in sheet.STEERS or not cell for cell in row.values())
        assert steers in row["A"] + row["B"]


SPOILT = {
    "neither": (lambda text, one, two: text.replace(",\n", ",C\n", 1), "'C' is neither A, B nor tie"),
    "other item": (
        lambda text, one, two: text.replace(two, "abc"),
        "line 3: this run has no key with the item 'abc'",
    ),
    "escape": (lambda text, one, two: text.replace(two, "../../x-1"), "no key with the item"),
    "twice": (lambda text, one, two: text.replace(",\n", ",A\n").replace(two, one), "stands there twice"),
    "columns": (lambda text, one, two: text.replace("better", "best"), "no columns item and better"),
    "nothing": (lambda text, one, two: "", "no columns item and better"),
    "huge cell": (
        lambda text, one, two: text.replace("Say 1.", "x" * 200_000),
        "field larger than field limit",
    ),
    "unfilled": (lambda text, one, two: text, "is not filled yet"),
}


@pytest.mark.parametrize("name", list(SPOILT))
def test_a_sheet_that_cannot_be_read_says_where(tmp_path: Path, name: str) -> None:
    spoil, says = SPOILT[name]
    path = sheet.write(tmp_path, PAIRS, "reference")
    one, two = (row["item"] for row in rows_of(path)[:2])
    spoilt = tmp_path / "spoilt.csv"
    spoilt.write_text(spoil(path.read_text(encoding="utf-8-sig"), one, two), encoding="utf-8")
    with pytest.raises(UsageError, match=says):
        sheet.read(tmp_path, spoilt)


def test_a_new_sheet_never_changes_what_a_filled_one_says(tmp_path: Path) -> None:
    path = sheet.write(tmp_path, PAIRS, "reference")
    filled = fill(path, "mine")
    before = sheet.read(tmp_path, filled)
    for _ in range(5):
        other = sheet.write(tmp_path, PAIRS[::-1], "another")
        assert other != path
    assert sheet.read(tmp_path, filled) == before
    assert before.against == "reference"


def test_sheets_of_different_comparisons_are_not_mixed(tmp_path: Path) -> None:
    one = fill(sheet.write(tmp_path, PAIRS, "reference"), "mine")
    one = one.rename(tmp_path / "one.csv")
    two = fill(sheet.write(tmp_path, PAIRS, "older"), "mine")
    with pytest.raises(UsageError, match="different answers: older, reference"):
        sheet.read_all(tmp_path, [one, two])
    with pytest.raises(UsageError, match="named twice"):
        sheet.read_all(tmp_path, [one, one])


def test_raters_who_share_one_pair_agree_about_one_pair(tmp_path: Path) -> None:
    path = sheet.write(tmp_path, PAIRS, "reference")
    items = [row["item"] for row in rows_of(path)]
    many = sheet.read(tmp_path, fill(path, "mine"))
    few = sheet.read(tmp_path, fill(path, "other", **dict.fromkeys(items[1:], "")))
    assert sheet.summary([many, few])["agreement"]["n"] == 1


@pytest.mark.parametrize(
    ("votes", "outcome"), [("wwl", "win"), ("wl", "tie"), ("wwlttt", "tie"), ("llt", "loss")]
)
def test_a_pair_is_won_if_more_than_half_say_so(votes: str, outcome: str) -> None:
    words = {"w": "win", "l": "loss", "t": "tie"}
    assert sheet.majority([sheet.Filled({"p": words[v]}, "x") for v in votes]) == {"p": outcome}

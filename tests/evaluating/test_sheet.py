"""A blind sheet hides whose answer is whose, takes whatever people write, and counts it right."""

from __future__ import annotations

import csv
import json
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
    path = sheet.write(tmp_path, PAIRS)
    rows = rows_of(path)
    assert [row["instruction"] for row in rows] == [pair.instruction for pair in PAIRS]
    first = [row["A"].startswith("mine") for row in rows]
    assert 10 < sum(first) < 30  # neither side stands first as a rule
    assert "mine" not in "".join(row["item"] for row in rows)
    key = json.loads((tmp_path / sheet.KEY).read_bytes())["mine"]
    assert [key[row["item"]] for row in rows] == ["A" if mine else "B" for mine in first]
    assert {row["better"] for row in rows} == {""}


def test_the_id_of_a_pair_does_not_say_whose_answer_is_whose() -> None:
    assert PAIRS[0].id == PAIRS[0]._replace(answer=PAIRS[0].other, other=PAIRS[0].answer).id


def test_a_rater_who_always_prefers_one_model_is_counted_so(tmp_path: Path) -> None:
    path = sheet.write(tmp_path, PAIRS)
    found = sheet.summary([sheet.read(tmp_path, fill(path, "mine"))])
    assert (found["win"], found["tie"], found["loss"]) == (40, 0, 0)
    assert found["share"] == 1.0
    assert found["p"] < 1e-6
    assert found["agreement"] is None  # one rater agrees with nobody
    found = sheet.summary([sheet.read(tmp_path, fill(path, "other"))])
    assert (found["win"], found["loss"]) == (0, 40)


def test_raters_who_contradict_each_other_make_ties(tmp_path: Path) -> None:
    path = sheet.write(tmp_path, PAIRS)
    both = [sheet.read(tmp_path, fill(path, prefer)) for prefer in ("mine", "other")]
    found = sheet.summary(both)
    assert (found["tie"], found["share"], found["p"]) == (40, 0.5, 1.0)
    assert found["agreement"] == 0.0
    assert found["raters"] == 2


@pytest.mark.parametrize(("written", "outcome"), [("tie", "tie"), (" Tie ", "tie"), ("=", "tie"), ("", None)])
def test_ties_and_empty_cells(tmp_path: Path, written: str, outcome: str | None) -> None:
    path = sheet.write(tmp_path, PAIRS)
    found = sheet.read(tmp_path, fill(path, "mine", **{PAIRS[3].id: written}))
    assert found.get(PAIRS[3].id) == outcome
    assert len(found) == 39 + (outcome is not None)


def test_a_sheet_that_a_table_program_saved_with_semicolons(tmp_path: Path) -> None:
    path = sheet.write(tmp_path, PAIRS)
    other = tmp_path / "semicolons.csv"
    with other.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file, delimiter=";")
        rows.writerow(sheet.COLUMNS)
        rows.writerows([row["item"], row["instruction"], "a, b", "c", "tie"] for row in rows_of(path))
    assert len(sheet.read(tmp_path, other)) == 40


@pytest.mark.parametrize("steers", ["=1+1", "@SUM(A1)", "+1", "-1", "\t=1"])
def test_no_cell_is_a_formula(tmp_path: Path, steers: str) -> None:
    path = sheet.write(tmp_path, [Pair(steers, steers, f"{steers}!", "x")])
    for row in rows_of(path):
        assert all(cell[:1] not in sheet.STEERS or not cell for cell in row.values())
        assert steers in row["A"] + row["B"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: text.replace(",\n", ",C\n", 1), "'C' is neither A, B nor tie"),
        (lambda text: text.replace(PAIRS[1].id, "abc"), "line 3: there is no item 'abc'"),
        (lambda text: text.replace(PAIRS[1].id, PAIRS[0].id), "stands there twice"),
        (lambda text: text.replace("better", "best"), "no columns item and better"),
        (lambda text: "", "no columns item and better"),
        (lambda text: text, "is not filled yet"),
    ],
)
def test_a_sheet_that_cannot_be_read_says_where(tmp_path: Path, spoil, says: str) -> None:  # type: ignore[no-untyped-def]
    path = sheet.write(tmp_path, PAIRS)
    text = path.read_text(encoding="utf-8-sig")
    spoilt = tmp_path / "spoilt.csv"
    marked = text.replace(",\n", ",A\n", 1) if "twice" in says else text
    spoilt.write_text(spoil(marked), encoding="utf-8")
    with pytest.raises(UsageError, match=says):
        sheet.read(tmp_path, spoilt)


def test_a_sheet_is_never_written_over(tmp_path: Path) -> None:
    sheet.write(tmp_path, PAIRS)
    with pytest.raises(UsageError, match="may hold somebody's answers"):
        sheet.write(tmp_path, PAIRS)
    with pytest.raises(UsageError, match="no key"):
        sheet.read(tmp_path / "elsewhere", tmp_path / sheet.SHEET)

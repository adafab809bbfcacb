"""A memo answers from what it knows, never wrongly, and its loss costs time only."""

from __future__ import annotations

from pathlib import Path

import pytest

from cohort_cli import memo
from cohort_cli.memo import Memo


def never() -> None:
    raise AssertionError("it was known")


def test_an_answer_is_kept_between_commands(tmp_path: Path) -> None:
    first = Memo(tmp_path / "state" / "memo.json")
    assert first.get("length", b"abc", lambda: 3) == 3
    first.save()
    assert Memo(tmp_path / "state" / "memo.json").get("length", b"abc", never) == 3


@pytest.mark.parametrize(("question", "text"), [("length", b"abd"), ("width", b"abc")])
def test_another_text_or_another_question_is_asked_anew(tmp_path: Path, question: str, text: bytes) -> None:
    first = Memo(tmp_path / "memo.json")
    first.get("length", b"abc", lambda: 3)
    first.save()
    assert Memo(tmp_path / "memo.json").get(question, text, lambda: 4) == 4


def test_another_version_of_the_kit_asks_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Memo(tmp_path / "memo.json")
    first.get("length", b"abc", lambda: 3)
    first.save()
    monkeypatch.setattr(memo, "__version__", "99")
    assert Memo(tmp_path / "memo.json").get("length", b"abc", lambda: 4) == 4


def test_what_is_no_longer_asked_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "memo.json"
    for text in (b"old", b"new"):
        keeper = Memo(path)
        keeper.get("text", text, lambda text=text: text.decode())  # type: ignore[misc]
        keeper.save()
    assert b"old" not in path.read_bytes()


@pytest.mark.parametrize("damage", [b"", b"\n", b"[]", b"0" * 64 + b"\n{}"])
def test_a_damaged_memo_is_an_empty_one(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "memo.json"
    path.write_bytes(damage)
    assert Memo(path).known == {}


def test_one_changed_letter_is_damage(tmp_path: Path) -> None:
    keeper = Memo(tmp_path / "memo.json")
    keeper.get("length", b"abc", lambda: 3)
    keeper.save()
    assert keeper.path is not None
    keeper.path.write_bytes(keeper.path.read_bytes().replace(b": 3", b": 4"))
    assert Memo(keeper.path).known == {}


def test_a_memo_that_cannot_be_written_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, not a folder", encoding="utf-8")
    keeper = Memo(tmp_path / "state" / "memo.json")
    keeper.get("length", b"abc", lambda: 3)
    keeper.save()

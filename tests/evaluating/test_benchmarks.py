"""A row of the public data becomes the question that the public harness asks, or an error that names the row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cohort_cli.errors import UsageError
from cohort_cli.evaluating import sources
from cohort_cli.evaluating.benchmarks import BENCHMARKS, SUBJECTS
from cohort_cli.evaluating.items import Scored


def load(name: str, place: Path, limit: int = 0, shots: int = 5) -> sources.Items:
    return sources.load(BENCHMARKS[name], str(place), limit=limit, shots=shots)


def scored(logprobs: list[float], gold: int = 0, **changes: Any) -> Scored:
    n = len(logprobs)
    plain = Scored("x", gold, "astronomy", logprobs, [1] * n, [1] * n, [False] * n, shots=0, cut=False)
    return plain._replace(**changes)


def test_hellaswag_is_the_context_and_each_ending_behind_a_blank(hellaswag: Path) -> None:
    found = load("hellaswag", hellaswag)
    assert found.of == len(found.items) == 6
    first = found.items[0]
    assert first.id == "10"
    assert first.prompt(5) == "A woman fills a kettle at the tap. She"
    assert first.choices[0] == " sets it on the stove."
    assert [item.gold for item in found.items] == [0, 1, 2, 3, 0, 0]


def test_lambada_asks_for_the_last_word_alone(lambada: Path) -> None:
    item = load("lambada", lambada).items[2]
    assert item.context == '"Where is the lamp?" she asked. "I cannot read without the'
    assert item.choices == (" lamp",)


def test_mmlu_asks_as_the_harness_does(mmlu: Path) -> None:
    items = load("mmlu", mmlu).items
    item = next(item for item in items if item.id == "high_school_physics/1")
    assert item.choices == (" A", " B", " C", " D")
    assert item.prompt(1) == (
        "The following are multiple choice questions (with answers) about high school physics.\n\n"
        "Which of these is the number 100, in the notes on high school physics?\n"
        "A. 79\nB. 86\nC. 93\nD. 100\nAnswer: D\n\n"
        "Which of these is the number 1, in the notes on high school physics?\n"
        "A. 1\nB. 8\nC. 15\nD. 22\nAnswer:"
    )
    assert len(item.examples) == 5
    assert item.gold == 0


def test_worked_examples_are_those_of_the_split_dev_and_as_many_as_asked(mmlu: Path) -> None:
    assert {len(item.examples) for item in load("mmlu", mmlu, shots=2).items} == {2}
    assert {len(item.examples) for item in load("mmlu", mmlu / "test.jsonl").items} == {0}


def test_there_are_57_subjects() -> None:
    assert len(SUBJECTS) == len(set(SUBJECTS)) == 57


def test_some_items_are_the_same_ones_each_time(mmlu: Path) -> None:
    some, again, all_of_them = load("mmlu", mmlu, 5), load("mmlu", mmlu, 5), load("mmlu", mmlu, 999)
    assert some == again
    assert len(some.items) == 5
    assert some.of == len(all_of_them.items) == 12
    assert some.items != all_of_them.items[:5]
    assert some.identity != all_of_them.identity


def test_a_saved_data_set_and_parquet_and_shards_give_the_same_items(
    mmlu: Path, hellaswag: Path, tmp_path: Path
) -> None:
    import datasets

    sets = {split: datasets.Dataset.from_json(str(mmlu / f"{split}.jsonl")) for split in ("test", "dev")}
    datasets.DatasetDict(sets).save_to_disk(tmp_path / "saved")
    assert load("mmlu", tmp_path / "saved").items == load("mmlu", mmlu).items
    for split, rows in sets.items():
        for part in range(2):
            path = tmp_path / "shards" / f"{split}-0000{part}-of-00002.parquet"
            path.parent.mkdir(exist_ok=True)
            rows.shard(2, part, contiguous=True).to_parquet(path)
    assert load("mmlu", tmp_path / "shards").items == load("mmlu", mmlu).items


WRONG: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("hellaswag", lambda row: row.update(endings=row["endings"][:3]), "row 2: 'endings' is"),
    ("hellaswag", lambda row: row.update(label="4"), "row 2: 'label' is '4', not a number from 0 to 3"),
    ("hellaswag", lambda row: row.update(label=""), "row 2: 'label' is ''"),
    ("hellaswag", lambda row: row.update(label="1" * 5000), "row 2: 'label' is"),
    ("hellaswag", lambda row: row.update(ctx=" "), "row 2: 'ctx' is ' ', not a text"),
    ("hellaswag", lambda row: row.update(ind=10), "1 items have the id of another one"),
    ("lambada", lambda row: row.update(text="alone"), "row 2: the text is a single word"),
    ("mmlu", lambda row: row.update(subject="astronomie"), "Did you mean astronomy"),
    ("mmlu", lambda row: row.update(answer=True), "'answer' is True"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "spoil", "says"), WRONG)
def test_a_row_that_does_not_fit_is_named(
    name: str, spoil: Callable[[dict[str, Any]], object], says: str, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(name)
    path = path / "test.jsonl" if path.is_dir() else path
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    spoil(rows[1])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load(name, path)
    assert says in f"{caught.value.message} {caught.value.repair}"


@pytest.mark.parametrize(
    ("name", "says"),
    [("nowhere", "no file and no folder"), ("items.csv", "of no kind"), ("empty", "cannot be read"),
     ("torn.jsonl", "cannot be read as jsonl"), ("none.jsonl", "has no items"), ("only-dev", "no split 'test'")],
)  # fmt: skip
def test_a_place_that_is_none_is_named(tmp_path: Path, name: str, says: str) -> None:
    for file in ("items.csv", "none.jsonl"):
        (tmp_path / file).write_text("", encoding="utf-8")
    (tmp_path / "torn.jsonl").write_text('{"question": ', encoding="utf-8")
    for folder in ("empty", "only-dev"):
        (tmp_path / folder).mkdir()
    (tmp_path / "only-dev" / "dev.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match=says):
        load("mmlu", tmp_path / name)


def test_length_may_be_taken_off_by_tokens_or_by_bytes() -> None:
    one = scored([-4.0, -6.0, -9.0], tokens=[1, 2, 4], bytes=[4, 4, 10])
    assert [one.best(), one.best("tokens"), one.best("bytes")] == [0, 2, 2]
    assert scored([-1.0, -1.0]).best() == 0  # the first of equals, as argmax


def test_mmlu_counts_items_and_subjects() -> None:
    right, wrong = scored([-1.0, -2.0, -3.0, -4.0]), scored([-1.0, -2.0, -3.0, -4.0], gold=3)
    other = right._replace(group="virology")
    summary = BENCHMARKS["mmlu"].summary([right, wrong, wrong, other])
    assert summary["accuracy"]["value"] == 0.5
    assert summary["mean_of_subjects"]["value"] == pytest.approx((1 / 3 + 1) / 2)
    assert set(summary["subjects"]) == {"astronomy", "virology"}


def test_lambada_needs_every_token_of_the_word_and_its_chance_is_the_commonest_word() -> None:
    rows = [scored([-2.0], group=word, greedy=[word == "map"]) for word in ("map", "cat", "cat", "lamp")]
    summary = BENCHMARKS["lambada"].summary(rows)
    assert summary["accuracy"]["right"] == 1
    assert summary["accuracy"]["chance"] == 0.5
    assert summary["accuracy"]["verdict"] == "too few items to tell"
    assert summary["perplexity"]["value"] == pytest.approx(2.718281828**2)

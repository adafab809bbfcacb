"""Items that stand in the training tokens are found, wherever they stand, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohort_cli.evaluating import contamination
from cohort_cli.evaluating.contamination import Overlap, hashes
from cohort_cli.evaluating.items import Item
from cohort_cli.training.data import tokenizer as tokenizers
from cohort_cli.training.data.shards import Counts, ShardWriter, Split
from cohort_cli.training.data.tokenizer import Characters

LONG = "when the rain had stopped the two of them walked down to the harbour and counted the boats"


def split_of(folder: Path, ids: list[int], shard_tokens: int) -> Split:
    writer = ShardWriter(folder, "train", shard_tokens, "uint16")
    writer.add(np.array(ids, np.int64))
    files = tuple(file.file for file in writer.finish())
    return Split([folder / file for file in files], "uint16", Counts(1, len(ids), len(ids), 0, files))


def item(id: str, context: str, choice: str) -> Item:
    return Item(id, context, (" never this", choice), 1)


def seen(items: list[Item], split: Split, tokenizer: tokenizers.Tokenizer) -> list[str]:
    overlap = Overlap(items, tokenizer)
    done = list(overlap.look(split))
    assert done[-1] == split.tokens
    return overlap.seen()


@pytest.mark.parametrize("chunk", [7, 64, 1 << 20])
@pytest.mark.parametrize("shard_tokens", [10, 1000])
def test_an_item_is_found_across_chunks_and_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, shard_tokens: int
) -> None:
    monkeypatch.setattr(contamination, "CHUNK", chunk)
    gpt2 = tokenizers.gpt2()
    text = f"Once there was a town by the sea, and {LONG}, and then they went home for their supper."
    items = [
        item("there", LONG[:60], LONG[60:]),
        item(
            "elsewhere",
            LONG[:40] + " and a brass band played loudly to the",
            " very end of it all, twice over",
        ),
        item("short", "counted the", " boats"),
    ]
    assert seen(items, split_of(tmp_path, gpt2.encode(text), shard_tokens), gpt2) == ["there"]
    assert Overlap(items, gpt2).too_short == ["short"]


def test_thirteen_tokens_in_a_row_count_and_twelve_do_not(tmp_path: Path) -> None:
    gpt2 = tokenizers.gpt2()
    ids = gpt2.encode(LONG)
    assert gpt2.decode(ids[:13]).count(" ") == 12  # each word is a token here
    for count, expected in ((13, ["x"]), (12, [])):
        text = [*range(1000, 1020), *ids[:count], *range(2000, 2020)]
        folder = tmp_path / str(count)
        folder.mkdir()
        assert seen([item("x", LONG[:30], LONG[30:])], split_of(folder, text, 100), gpt2) == expected


def test_the_wrong_answer_and_the_worked_examples_are_no_part_of_the_item(tmp_path: Path) -> None:
    gpt2 = tokenizers.gpt2()
    question = Item("q", "What?", (f" {LONG}", " no"), 1, head=LONG, examples=(LONG,))
    assert seen([question], split_of(tmp_path, gpt2.encode(LONG), 100), gpt2) == []


def test_characters_need_fifty_in_a_row(tmp_path: Path) -> None:
    letters = Characters(LONG)
    assert contamination.row_length(letters) == 50
    for count, expected in ((50, ["x"]), (49, [])):
        folder = tmp_path / str(count)
        folder.mkdir()
        split = split_of(folder, letters.encode(LONG[:count]), 1000)
        assert seen([item("x", LONG[:80], LONG[80:])], split, letters) == expected


@given(st.lists(st.integers(0, 65_535), min_size=13, max_size=40), st.data())
def test_rows_that_differ_have_different_hashes_and_equal_ones_the_same(
    ids: list[int], data: st.DataObject
) -> None:
    before = hashes(np.array([1, 2, *ids], np.int64), 13)[2:]
    plain = hashes(np.array(ids, np.uint16), 13)
    assert (before == plain).all()
    place = data.draw(st.integers(0, len(ids) - 1))
    changed = list(ids)
    changed[place] = (changed[place] + 1) % 65_536
    other = hashes(np.array(changed, np.int64), 13)
    touched = [row for row in range(len(plain)) if row <= place < row + 13]
    assert all((plain[row] != other[row]) == (row in touched) for row in range(len(plain)))
    assert len(hashes(np.array(ids[:12], np.int64), 13)) == 0

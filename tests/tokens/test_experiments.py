"""Each experiment gives a right table and a figure that needs nothing from elsewhere."""

from __future__ import annotations

import csv
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from cohort_cli.errors import EnvironmentTrouble, UsageError
from cohort_cli.tokens import carried, experiments, sources
from cohort_cli.tokens.client import Coder
from cohort_cli.tokens.experiments import lab as labs
from cohort_cli.tokens.experiments import ties, vocab_size, words
from cohort_cli.tokens.experiments.lab import Lab
from cohort_cli.tokens.experiments.result import Result, Table
from cohort_cli.training import corpus

ENGLISH = corpus.load()[:60_000]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(sources.reference(), lambda line: None) as made:
        yield made


def rows(result: Result) -> list[dict[str, object]]:
    return [dict(zip(result.table.columns, row, strict=True)) for row in result.table.rows]


@pytest.mark.parametrize("name", experiments.NAMES)
def test_each_leaves_a_table_and_a_figure(lab: Lab, tmp_path: Path, name: str) -> None:
    texts = {"english": ENGLISH, "code": carried.python_code()[:60_000], "german": carried.german()}
    chosen = experiments.find(name)
    result = chosen.run(lab, {name: texts[name] for name in chosen.corpora})
    paths = result.write(tmp_path / "deep" / "out", "cohort something")
    assert [path.name for path in paths] == ["table.csv", "table.md", "figure.svg"]
    assert sorted(path.name for path in (tmp_path / "deep" / "out").iterdir()) == sorted(
        p.name for p in paths
    )
    with paths[0].open(newline="") as file:
        read = list(csv.reader(file))
    assert read[0] == result.table.columns
    assert len(read) - 1 == len(result.table.rows) > 1
    assert "`cohort something`" in paths[1].read_text(encoding="utf-8")
    svg = paths[2].read_text(encoding="utf-8")
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    links = re.findall(r'(?:href|src|url)[=(]"?([^")]+)', svg)
    assert links
    assert [link for link in links if not link.startswith(("#", "data:image/png"))] == []
    assert result._svg() == paths[2].read_bytes(), "the same numbers give the same file"
    assert all(len(line) <= 110 for line in result.table.text().splitlines())


def test_larger_vocabularies_give_shorter_sequences(lab: Lab) -> None:
    result = vocab_size.run(lab, {"a": ENGLISH, "b": ENGLISH.upper()})
    for name in "ab":
        rates = [row["bytes per token"] for row in rows(result) if row["corpus"] == name]
        assert rates == sorted(rates)
        assert rates[0] == 1.0


def test_held_out_text_is_not_learned_from(lab: Lab) -> None:
    """The last tenth alone has "qz": nothing can have learned it."""
    text = "ab " * 3000 + "qz " * 333
    result = vocab_size.run(lab, {"t": text})
    assert {row["bytes per token"] for row in rows(result)} == {1.0}
    table = experiments.find("domains").run(lab, {"t": text, "english": ENGLISH}).table
    assert table.rows[0][2] == 1.0


def test_each_text_is_served_best_by_its_own_vocabulary(lab: Lab) -> None:
    texts = {"english": ENGLISH, "german": carried.german()}
    table = experiments.find("domains").run(lab, texts).table
    matrix = [row[2:] for row in table.rows]
    assert matrix[0][0] > matrix[1][0]
    assert matrix[1][1] > matrix[0][1]


def test_the_small_trainer_is_right_where_ties_go_to_the_greater() -> None:
    with Coder(sources.reference()) as coder:
        coder.train([ENGLISH], 900, special_tokens=[])
        assert ties.learn_merges(ties.count_words(ENGLISH), 900 - 256, greater=True) == coder.parts.merges


def test_ties_go_to_the_smaller_when_that_is_asked() -> None:
    words = {b"ab": 2, b"cd": 2, b"xy": 1, b"aaa": 1}
    found = ties.learn_merges(words, 9, greater=False)
    assert found == [(b"a", b"a"), (b"a", b"b"), (b"c", b"d"), (b"aa", b"a"), (b"x", b"y")]


def test_differing_merges_are_counted(lab: Lab) -> None:
    learned, _ = labs.split("t", ENGLISH)
    one, other = (ties.learn_merges(ties.count_words(learned), 256, greater=way) for way in (True, False))
    first = next(n for n in range(256) if one[n] != other[n]) + 1
    found = rows(ties.run(lab, {"t": ENGLISH}))[0]
    assert (found["only in one"], found["first differs"]) == (len(set(one) - set(other)), str(first))
    assert 0 < len(set(one) - set(other)) < 256


def test_both_rules_agree_where_there_are_no_ties(lab: Lab) -> None:
    text = "".join(f"{chr(97 + n)} " * 2**n for n in range(1, 13))
    for row in rows(ties.run(lab, {"t": text})):
        assert (row["only in one"], row["first differs"]) == (0, "none")
        assert row["greater"] == row["smaller"]


def test_spaces_are_inside_tokens_only_across_words(lab: Lab) -> None:
    found = rows(words.run(lab, {"t": ENGLISH}))
    within, across = (
        [row["space inside"] for row in found if row["merges"] == way]
        for way in ("within words", "across words")
    )
    assert set(within) == {0}
    assert min(across) >= 0
    assert max(across) > 0


def test_paragraphs_joined_are_the_text() -> None:
    for text in (ENGLISH, "a", "a\n\n", "\n\n\n\na", ""):
        assert "".join(words.paragraphs(text)) == text
        assert "" not in words.paragraphs(text)


def test_bytes_are_never_unknown_and_strange_characters_are(lab: Lab) -> None:
    texts = {"english": ENGLISH[:20_000] * 2, "greek": "λόγος καὶ ἀριθμός " * 100}
    table = rows(experiments.find("algorithms").run(lab, texts))
    found = {(row["algorithm"], row["used on"]): row["% unknown"] for row in table}
    assert found["BPE (ours)", "greek"] == found["BPE", "greek"] == 0
    assert found["WordPiece", "greek"] > 50
    assert found["Unigram", "greek"] > 10
    assert found["WordPiece", "english"] == found["Unigram", "english"] == 0


def test_our_vocabulary_is_compared_with_itself_and_others(lab: Lab) -> None:
    found = rows(experiments.find("algorithms").run(lab, {"english": ENGLISH}))
    shared = {row["algorithm"]: row["as in ours"] for row in found}
    assert shared["BPE (ours)"] == 2048
    assert 1700 < shared["BPE"] < 2049, "two BPEs differ in ties only"
    assert 100 < shared["Unigram"] < shared["WordPiece"] < shared["BPE"]


def test_a_short_text_is_refused(lab: Lab) -> None:
    with pytest.raises(UsageError, match="at least 1,000"):
        vocab_size.run(lab, {"short": "word " * 100})
    with pytest.raises(UsageError, match="needs two"):
        experiments.find("domains").run(lab, {"one": ENGLISH})


def test_a_misspelt_name_is_helped() -> None:
    with pytest.raises(UsageError) as raised:
        experiments.find("vocabsize")
    assert raised.value.repair == "Did you mean vocab-size?"


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    labs.require("matplotlib")
    with pytest.raises(EnvironmentTrouble) as raised:
        labs.require("not_installed_here")
    assert raised.value.repair == 'pip install "cohort-kit[experiments]"'


def test_tables() -> None:
    table = Table("T", ["name", "n", "rate"], [["a|b", 1200, 2.5], ["c", 3, 10.0]], ["Note."])
    assert table.text() == "T\n\nname      n   rate\na|b   1,200   2.50\nc         3  10.00\n\nNote."
    assert table.csv() == "name,n,rate\na|b,1200,2.5000\nc,3,10.0000\n"
    assert "| a\\|b | 1,200 | 2.50 |\n| c | 3 | 10.00 |\n" in table.markdown("x")


def test_the_german_text_is_german_and_long_enough() -> None:
    text = carried.german()
    assert 4500 < len(text) < 5500
    assert sum(text.count(letter) for letter in "äöüß") > 50


def test_python_code_is_code() -> None:
    text = carried.python_code()
    assert text.count("\n    def ") > 100
    assert len(carried.MODULES) == len({*carried.MODULES})

"""`cohort evaluate` on a run that was really trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import Cohort

from cohort_cli.training import corpus
from cohort_cli.training.runs import RunFolder


@pytest.mark.slow
def test_the_numbers_are_those_of_the_training(runs: Path, cohort: Cohort) -> None:
    """run.eval_tokens is 0 in this run: the training scored the whole split too."""
    ended = cohort("evaluate", "small", "--on", "perplexity", "--json")
    assert ended.code == 0, ended.err
    table = json.loads(ended.out)
    best = RunFolder.open(runs / "small").best()
    assert best is not None
    found = table["results"]["perplexity"]
    assert table["step"] == best["step"] == 12
    assert found["loss"] == pytest.approx(best["validation_loss"], rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(best["bits_per_byte"], rel=1e-5)
    assert 0 < found["loss_error"] < 0.1
    assert found["targets"] == 46_512


def test_the_text_says_how_sure_and_what_to_compare_with(runs: Path, cohort: Cohort) -> None:
    ended = cohort("evaluate", "small")
    lines = ended.out.splitlines()
    bigram = corpus.bigram_loss(*corpus.split(corpus.load()))
    assert lines[0] == "model       small, step 12 (best)"
    assert lines[1] == "held out    46,512 targets in 2,907 windows"
    assert "nats per token (standard error 0.0" in lines[2]
    assert lines[3] == f"bigram      {bigram:.4f} nats per token: counts of character pairs, same text"
    assert [line.split()[0] for line in lines[4:]] == ["perplexity", "bits/byte", "next:"]
    assert max(map(len, lines)) <= 80


@pytest.mark.slow
def test_another_checkpoint_is_another_model(runs: Path, cohort: Cohort) -> None:
    table = json.loads(cohort("evaluate", "small", "--checkpoint", "4", "--json").out)
    assert table["step"] == 4
    assert table["results"]["perplexity"]["loss"] > 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("small", "--on", "hellaswag"), "There is no benchmark 'hellaswag'"),
        (("nope",), "no run 'nope'"),
        (("evil",), "no checkpoint yet"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error(
    runs: Path, evil: RunFolder, cohort: Cohort, words: tuple[str, ...], says: str
) -> None:
    ended = cohort("evaluate", *words)
    assert ended.code == 2
    assert says in ended.err
    assert "perplexity" in ended.err or "--on" not in words


def test_help_has_an_example(cohort: Cohort) -> None:
    assert "$ cohort evaluate " in cohort("evaluate", "--help").out

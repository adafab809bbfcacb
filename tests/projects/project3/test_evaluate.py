"""evaluate.py of the reference against closed forms, simulation, and a GPT."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from small_gpts import project2_model

Load = Callable[[str], ModuleType]


class Letters:
    """A token for each character."""

    def encode(self, text: str) -> list[int]:
        return [ord(letter) % 23 for letter in text]


def small_gpt() -> torch.nn.Module:
    model = project2_model()
    torch.manual_seed(0)
    gpt: torch.nn.Module = model.GPT(model.GPTConfig(23, 2, 24, 3, max_seq_len=12))
    return gpt.double()


def test_all_endings_of_one_length_have_probability_1_together(reference: Load) -> None:
    """Two tokens, 23 * 23 endings: what the model thinks comes next must be one of them."""
    evaluate, gpt = reference("evaluate"), small_gpt()
    letters = [chr(ord("a") + n) for n in range(23)]
    endings = ["".join(pair) for pair in itertools.product(letters, repeat=2)]
    found = evaluate.ending_log_likelihoods(gpt, Letters(), "hello", endings)
    assert found.exp().sum().item() == pytest.approx(1.0, abs=1e-9)


def test_the_longest_context_that_fits_is_used(reference: Load) -> None:
    evaluate, gpt = reference("evaluate"), small_gpt()
    words = {"max_seq_len": 12}
    long = evaluate.ending_log_likelihoods(gpt, Letters(), "x" * 30 + "abcdefghij", ["kl"], **words)
    short = evaluate.ending_log_likelihoods(gpt, Letters(), "abcdefghij", ["kl"], **words)
    assert torch.equal(long, short)


def test_guessing_is_called_skill_in_one_of_twenty_cases(reference: Load) -> None:
    evaluate, dice = reference("evaluate"), random.Random(0)
    called = 0
    for _ in range(2000):
        right = sum(dice.random() < 0.25 for _ in range(400))
        result = evaluate.EvalResult(right / 400, 0.0, 400, 0.25)
        called += evaluate.distinguishable_from_chance(result)
    assert 0.035 < called / 2000 < 0.065


def test_published_accuracies_are_better_than_guessing(reference: Load) -> None:
    """HellaSwag, completion style, 10,042 items: GPT-2 124M 0.2859 (build-nanogpt's figure)."""
    evaluate = reference("evaluate")
    assert evaluate.distinguishable_from_chance(evaluate.EvalResult(0.2859, 0.0045, 10_042, 0.25))
    assert not evaluate.distinguishable_from_chance(evaluate.EvalResult(0.2859, 0.045, 100, 0.25))


def test_kappa_of_a_textbook_table(reference: Load) -> None:
    """50 items: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no. p_o is 0.7, p_e is 0.5."""
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert reference("evaluate").agreement(a, b) == pytest.approx(0.4)


def test_kappa_of_independent_raters_is_about_0(reference: Load) -> None:
    dice = random.Random(1)
    a, b = ([dice.choice("aaab") for _ in range(20_000)] for _ in range(2))
    assert reference("evaluate").agreement(a, b) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("bonus", [0.0, 15.0, 40.0])
def test_a_favourite_place_changes_no_difference(reference: Load, bonus: float) -> None:
    evaluate = reference("evaluate")

    def client(prompt: str) -> str:
        first, second = (float(line.split()[1]) for line in prompt.splitlines() if line.startswith("worth"))
        return f"A: {first + bonus}\nB: {second}"

    items = [{"instruction": "?", "a": f"worth {n}", "b": f"worth {n + 7}"} for n in range(9)]
    result = evaluate.judge(items, client=client)
    assert result.score_b - result.score_a == pytest.approx(7)
    assert result.wins_b == (9 if bonus < 7 else 0)
    assert result.inconsistent == (9 if bonus > 7 else 0)
    assert (result.n, result.calls, result.unparsed, result.wins_a) == (9, 18, 0, 0)


def test_braces_in_an_answer_are_text(reference: Load) -> None:
    seen: list[str] = []

    def client(prompt: str) -> str:
        seen.append(prompt)
        return "no"

    item = {"instruction": "{low}", "a": "{second}", "b": "{}"}
    result = reference("evaluate").judge([item], client=client, scale=(1, 5))
    assert "{second}\n\nSecond answer:\n{}" in seen[0]
    assert "Request:\n{low}\n" in seen[0]
    assert "from 1 (useless) to 5" in seen[0]
    assert result.n == 0
    assert math.isnan(result.score_a)

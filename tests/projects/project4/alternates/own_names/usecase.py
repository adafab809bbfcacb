"""My use case: scores in one class, the card in another."""

from dataclasses import dataclass
from fractions import Fraction

from counting import Suffixes

SECTIONS = ("Intended use", "Training data and licence", "Evaluation", "Limits", "How it was made")


@dataclass
class Tally:
    right: int = 0
    alarms: int = 0
    missed: int = 0

    @property
    def f1(self):
        return Fraction(2 * self.right, 2 * self.right + self.alarms + self.missed)


def macro_f1(predicted, actual):
    if len(predicted) != len(actual) or not actual:
        raise ValueError("predicted and actual must be as long as each other, and not empty")
    book = {truth: Tally() for truth in actual}
    for guess, truth in zip(predicted, actual):
        if guess == truth:
            book[truth].right += 1
            continue
        book[truth].missed += 1
        if guess in book:
            book[guess].alarms += 1
    return float(sum(tally.f1 for tally in book.values()) / len(book))


def pascal(row):
    numbers = [1]
    for _ in range(row):
        numbers = [a + b for a, b in zip([0, *numbers], [*numbers, 0])]
    return numbers


def compare_with_baseline(mine, baseline):
    if len(mine) != len(baseline):
        raise ValueError("not the same items")
    if not mine:
        raise ValueError("no items")
    wins = losses = 0
    for a, b in zip(mine, baseline):
        wins, losses = wins + (a and not b), losses + (b and not a)
    items, row = len(mine), pascal(wins + losses)
    as_uneven = [ways for heads, ways in enumerate(row) if not min(wins, losses) < heads < max(wins, losses)]
    variance = Fraction(wins + losses, items) - Fraction(wins - losses, items) ** 2
    return {
        "difference": float(Fraction(wins - losses, items)),
        "standard_error": float(variance / items) ** 0.5,
        "p_value": float(Fraction(sum(as_uneven), sum(row))),
    }


def distinct_n(samples, n):
    total, different = 0, set()
    for sample in samples:
        last = len(sample) - n
        total += max(0, last + 1)
        different.update(tuple(sample[at : at + n]) for at in range(0, last + 1))
    return len(different) / total if total else 0.0


def longest_copy(sample, training):
    book, wanted = Suffixes(training), list(sample)
    return max((book.longest_start_of(wanted[i:]) for i in range(len(wanted))), default=0)


class Card:
    def __init__(self, title):
        self.text = f"# {title}\n\n"

    def add(self, heading, *bodies):
        self.text += f"## {heading}\n\n" + "\n\n".join(bodies) + "\n\n"


def model_card(title, sections, metrics):
    for wanted in SECTIONS:
        if len(sections.get(wanted, "").split()) == 0:
            raise ValueError(f"The card says nothing about: {wanted}.")
    if len(metrics) < 1:
        raise ValueError("The card needs a metric.")
    card = Card(title)
    for wanted in SECTIONS:
        rows = ["- %s: %.3f (baseline: %.3f)" % (key, *pair) for key, pair in metrics.items()]
        card.add(wanted, sections[wanted], *(["\n".join(rows)] if wanted == "Evaluation" else []))
    for heading, body in sections.items():
        if heading not in SECTIONS:
            card.add(heading, body)
    return card.text

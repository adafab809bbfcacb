"""For the checks of the MLP that count draws, on the side of the judge: how surprising the counts are."""

import torch


def surprise(counts, expected):
    """The probability that draws stray at least so far from what is expected: the chi-square test.

    Every cell must expect 25 draws or more, or none; a draw where none is expected makes it 0.
    """
    counts, expected = counts.flatten().double(), expected.flatten().double()
    if bool((counts[expected == 0] > 0).any()):
        return 0.0
    some = expected > 0
    distance = ((counts[some] - expected[some]) ** 2 / expected[some]).sum()
    freedom = torch.tensor(max(1, int(some.sum()) - 1) / 2, dtype=torch.float64)
    return float(torch.special.gammaincc(freedom, distance / 2))

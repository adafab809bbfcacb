"""What the checks of chance share on the side of the judge: how surprising counts are."""

import torch

SURE = 1e-9  # a correct answer is refused less than once in 100 million checks


def surprise(counts, expected):
    """The probability that draws stray at least so far from what is expected: the chi-square test.

    Each cell must expect 25 draws or none. Draws where none is expected make it 0.
    """
    counts, expected = counts.flatten().double(), expected.flatten().double()
    possible = expected > 0
    if bool((expected[possible] < 25).any()):
        raise ValueError("the test is not sound for cells that expect fewer than 25 draws")
    if bool((counts[~possible] > 0).any()):
        return 0.0
    distance = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    freedom = torch.tensor(max(1, int(possible.sum()) - 1) / 2, dtype=torch.float64)
    return float(torch.special.gammaincc(freedom, distance / 2))

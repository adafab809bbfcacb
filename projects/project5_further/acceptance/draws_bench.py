"""What the checks of chance share on the side of the judge: counting draws, and how surprising the counts are."""

import torch

LEAST = 25  # cells of a table that expect fewer draws than this are counted together


def surprise(counts, expected):
    """The probability that draws stray at least so far from what is expected: the chi-square test.

    The rare cells are counted together. Draws where none is expected make it 0.
    """
    counts, expected = counts.flatten().double(), expected.flatten().double()
    if bool((counts[expected == 0] > 0).any()):
        return 0.0
    rare = expected < LEAST
    pairs = list(zip(counts[~rare].tolist(), expected[~rare].tolist(), strict=True))
    rest = float(expected[rare].sum())
    if rest >= LEAST:
        pairs.append((float(counts[rare].sum()), rest))
    distance = sum((seen - want) ** 2 / want for seen, want in pairs)
    freedom = torch.tensor(max(1, len(pairs) - 1) / 2, dtype=torch.float64)
    return float(torch.special.gammaincc(freedom, torch.tensor(distance / 2, dtype=torch.float64)))


def table(*columns, V):
    """How often each combination of tokens came: (V,), or (V, V) for pairs."""
    place = columns[0]
    for column in columns[1:]:
        place = place * V + column
    return torch.bincount(place, minlength=V ** len(columns)).double().view([V] * len(columns))

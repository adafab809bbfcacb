"""What the checks of sampling, batch and beam share on the side of the judge: chances and texts, worked out by hand."""

import math

import text_toys
import torch

CLEAR = 0.002  # scores that differ by less are too near for a test of the greedy choice
LEAST = 25  # cells of a table that expect fewer draws than this are counted together


def by_hand(row, temperature=1.0, top_k=None, top_p=None):
    """One row with Python's own numbers: weigh, rank, cut, and divide by what is left."""
    row = [float(value) for value in row]
    ranked = sorted(range(len(row)), key=lambda token: (-row[token], token))
    if temperature == 0.0:
        return [1.0 if token == ranked[0] else 0.0 for token in range(len(row))]
    weight = [math.exp((value - max(row)) / temperature) for value in row]
    kept = ranked if top_k is None else ranked[:top_k]
    if top_p is not None:
        whole = math.fsum(weight[token] for token in kept)
        sizes = range(1, len(kept) + 1)
        enough = (n for n in sizes if math.fsum(weight[token] for token in kept[:n]) >= top_p * whole)
        kept = kept[: next(enough, len(kept))]
    whole = math.fsum(weight[token] for token in kept)
    return [weight[token] / whole if token in kept else 0.0 for token in range(len(row))]


def last(model, tokens):
    """The scores (V,) of what follows a list of tokens, of which the last block_size are seen."""
    with torch.no_grad():
        return model(torch.tensor([tokens[-model.config.block_size :]]))[0][0, -1]


def alone(model, tokens, new, eos_id=None):
    """A list of tokens and what a greedy choice adds, to eos_id or up to `new` tokens."""
    found = list(tokens)
    for _ in range(new):
        scores = last(model, found).tolist()
        found.append(scores.index(max(scores)))
        if found[-1] == eos_id:
            break
    return found


def is_clear(model, tokens, new):
    """Whether each choice of `alone` is the largest by far: neither float32 nor a temperature of 1e-5 blurs it."""
    text = alone(model, tokens, new)
    for n in range(len(tokens), len(text)):
        first, second = last(model, text[:n]).topk(2).values.tolist()
        if first - second < CLEAR:
            return False
    return True


def clear_rows(rng, model, V, lengths, new):
    """Random prompts (T_i,) of these lengths, whose next `new` tokens are a clear choice."""
    rows = []
    for length in lengths:
        for _ in range(200):
            row = rng.integers(0, V, length)
            if is_clear(model, row.tolist(), new):
                break
        rows.append(row)
    return rows


def toy_whose_choice_moves(rng, V, block_size, **more):
    """A number of a Toy that says different things at different places, so that a wrong place shows."""
    for _ in range(100):
        number = rng.random.randrange(2**31)
        model = text_toys.Toy(number, V, block_size, **more)
        text = alone(model, rng.integers(0, V, 3).tolist(), 12)
        if len(set(text[3:])) >= min(4, V - 1):
            break
    return number, model


def surprise(counts, expected):
    """The probability that draws stray at least so far from what is expected: the chi-square test.

    The rare cells are counted together. Draws where none is expected make it 0.
    """
    counts, expected = counts.flatten(), expected.flatten()
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


def check_mode(expect, member, toys, number, make_text):
    """What every function that makes text owes to the model."""
    for training in (True, False):
        model = toys.Toy(number, 7, 10, 0.5)
        model.train(training)
        make_text(model)
        modes, recorded = member.get(model, "modes"), member.get(model, "recorded")
        say = "`training` of the model and of a part of it, at each call while text was made."
        expect.equal(modes, [[False, False]] * len(modes), say=say)
        expect.equal(any(recorded), False, say="Was anything recorded for gradients?")
        say = "`training` of the model and of a part of it, afterwards."
        expect.equal(model.in_training(), [training, training], say=say)
    model = toys.Toy(number, 7, 10, 0.5, 2)
    model.train(True)
    expect.raises(make_text, model, kinds=("RuntimeError",), say="What the model raises must come through.")
    say = "`training` of the model and of a part of it, after the model raised an error."
    expect.equal(model.in_training(), [True, True], say=say)

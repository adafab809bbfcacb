"""Step `positions`: a table of sines and cosines, and a learned table.

B batch, T time, C = d_model.
"""

import math

import torch

from cohort_cli.checking.authoring import check


@check("sinusoidal-first", title="the first row and the first two columns of the table")
def test_sinusoidal_first(member, expect):
    """Position 0 has all angles 0: its row is 0, 1, 0, 1, … (sin 0, cos 0). The fastest pair of columns
    turns by one radian per position: sin p and cos p. Look at these before you look at the formula.
    """
    table = member.positions.sinusoidal_positions(7, 10)
    expect.shape(table, (7, 10))
    expect.close(table[0], torch.tensor([0.0, 1.0] * 5), atol=1e-6, axes=("channel",), say="Position 0.")
    p = torch.arange(7.0)
    # The table is float32: correct answers differ by about 1e-7 here.
    expect.close(table[:, 0], p.sin(), atol=1e-5, axes=("position",), say="Channel 0 is sin(position).")
    expect.close(table[:, 1], p.cos(), atol=1e-5, axes=("position",), say="Channel 1 is cos(position).")


@check("sinusoidal-values", title="every sine and cosine of the table", needs=["sinusoidal-first"])
def test_sinusoidal_values(member, expect):
    """table[p, 2i] = sin(p / 10000^(2i / d_model)) and table[p, 2i + 1] = cos of the same angle.

    The exponent uses the even number 2i for both columns of a pair. Computed here entry by entry with
    `math`.

    Reading: Vaswani et al. 2017, section 3.5.
    """
    want = torch.zeros(9, 6)
    for p in range(9):
        for i in range(3):
            angle = p / 10_000 ** (2 * i / 6)
            want[p, 2 * i], want[p, 2 * i + 1] = math.sin(angle), math.cos(angle)
    expect.close(member.positions.sinusoidal_positions(9, 6), want, atol=1e-5, axes=("position", "channel"))


@check("learned-values", title="row p of the table is added to token p")
def test_learned_values(member, expect, rng):
    """Every sequence starts at position 0, and every row of the batch gets the same positions.

    The input may be shorter than the table, down to a single token.
    """
    positions = member.positions.LearnedPositions(8, 6).double()
    table = rng.fill(positions, {"wpe.weight": (8, 6)})["wpe.weight"]
    for T in (5, 8, 1):
        x = rng.normal(3, T, 6)
        expect.close(
            positions(x), x + table[:T], axes=("batch", "token", "channel"), say=f"T = {T}, max_len = 8."
        )


@check(
    "learned-gradient",
    title="the table is learned, for the positions that were used",
    needs=["learned-values"],
)
def test_learned_gradient(member, expect, rng):
    """The table has max_len * d_model = 48 parameters. Row p collects the gradient of token p from all rows
    of the batch; rows that no token used get zero.
    """
    positions = member.positions.LearnedPositions(8, 6).double()
    expect.equal(
        sum(p.numel() for p in positions.parameters().values()),
        48,
        say="The number of parameters, 8 positions * 6.",
    )
    g = rng.normal(3, 5, 6)
    seen = member.vjp(positions, rng.normal(3, 5, 6), cotangent=g, params_of=positions)
    gradient = next(iter(seen.parameters.values()))
    expect.that(gradient is not None, "The table gets no gradient.")
    gradient = gradient.reshape(8, 6)  # a table of shape (1, 8, 6) is as good
    want = torch.cat([g.sum(0), torch.zeros(3, 6, dtype=torch.float64)])
    expect.close(gradient, want, axes=("position", "channel"), say="The gradient of the table.")
    expect.close(seen.inputs[0], g, axes=("batch", "token", "channel"), say="The gradient with respect to x.")


@check("learned-too-long", title="more tokens than positions are refused", needs=["learned-values"])
def test_learned_too_long(member, expect, rng):
    """There is no row for token 9 of a table of 8. Reusing another row would give a wrong answer without a
    word.

    So raise a ValueError that names both numbers.
    """
    positions = member.positions.LearnedPositions(8, 6).double()
    expect.raises(positions, rng.normal(2, 9, 6), say="9 tokens and max_len = 8: that must be a ValueError.")

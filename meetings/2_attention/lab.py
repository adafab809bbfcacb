# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab 2: attention
#
# Six small experiments. Each runs alone, for a few seconds, and needs nothing that is not on this machine. Before
# you run a section, write down what you expect.

# %%
import math

import torch

from cohort_cli.labs import show, use
from cohort_cli.training.svg import Series, chart

use("project2")
_ = torch.manual_seed(0)


def attend(x, w, kind):
    """x (T, D), w: three (D, D) matrices. One head, masked in one of three ways. Gives outputs and weights."""
    q, k, v = (x @ matrix for matrix in w)
    scores = q @ k.T / math.sqrt(x.shape[-1])  # (T, T)
    later = torch.ones_like(scores, dtype=torch.bool).triu(1)
    if kind == "before the softmax":
        weights = scores.masked_fill(later, float("-inf")).softmax(-1)
    elif kind == "after the softmax":
        weights = scores.softmax(-1).masked_fill(later, 0.0)
    else:
        weights = scores.softmax(-1)
    return weights @ v, weights


# %% [markdown] section="scores"
# ## Why divide by the root?
#
# A score is the product of a query and a key, each of $d$ numbers with mean 0 and variance 1. It is a sum of $d$
# terms of variance 1, so its variance is $d$ and its spread $\sqrt{d}$. Predict: for $d = 1024$, how large is a
# typical score? And how many of 64 keys does the softmax then really use?

# %%
print("   d   spread of the scores   entropy of the softmax, raw and divided, in nats")
points = {"raw": [], "divided by the root of d": []}
for d in (16, 64, 256, 1024):
    q, k = torch.randn(2000, d), torch.randn(64, d)
    scores = q @ k.T  # (2000 queries, 64 keys)
    entropies = []
    for name, some in (("raw", scores), ("divided by the root of d", scores / math.sqrt(d))):
        p = some.softmax(-1)
        entropy = -(p * p.clamp_min(1e-30).log()).sum(-1).mean().item()
        entropies.append(entropy)
        points[name].append((math.log2(d), entropy))
    print(f"{d:>4}   {scores.std().item():>6.2f} {'':<15} {entropies[0]:.2f} {entropies[1]:.2f}")
print(f"All 64 keys alike would be ln 64 = {math.log(64):.2f}.")

# %%
show(
    chart(
        "How many keys a query really uses",
        [Series(name, some) for name, some in points.items()],
        "log2 of d",
        "entropy, nats",
        [("all 64 keys alike", math.log(64))],
    ),
    "Two lines over d from 16 to 1024. Raw scores: the entropy falls from 1.4 to 0.1. Divided: it stays near 3.7",
    "Without the division a query soon listens to one key only.",
)

# %% [markdown] section="leak"
# ## The leak detector
#
# Three ways to mask. In each we change the last of eight tokens, and look at how far the outputs of the seven
# before it move. In a causal model that is exactly 0, whatever the weights are. Predict: which of the other two
# leaks more?

# %%
x, w = torch.randn(8, 16), torch.randn(3, 16, 16) / 4
other = x.clone()
other[-1] = torch.randn(16)
print(f"{'mask':<20} {'earlier outputs move by':>24} {'rows add up to':>20}")
for kind in ("before the softmax", "after the softmax", "none"):
    (before, weights), (after, _) = attend(x, w, kind), attend(other, w, kind)
    moved = (before - after)[:-1].abs().max().item()
    sums = weights.sum(-1)
    print(f"{kind:<20} {moved:>24.4f} {sums.min().item():>12.3f} to {sums.max().item():.3f}")

# %% [markdown] section="heads"
# ## More heads, more parameters?
#
# The same width, cut into more and more heads. Predict the two columns before you run it: the parameters of the
# layer, and the numbers in its score matrices for a text of 128 tokens.

# %%
from attention import CausalSelfAttention  # the reference of Project 2

print("heads   parameters   numbers in the scores of 128 tokens")
for n_heads in (1, 2, 4, 8, 16):
    layer = CausalSelfAttention(64, n_heads, 128)
    count = sum(parameter.numel() for parameter in layer.parameters())
    print(f"{n_heads:>5} {count:>12,} {n_heads * 128 * 128:>22,}")

# %% [markdown] section="symmetric"
# ## One matrix for queries and keys?
#
# If queries and keys come from the same matrix, what does the table of scores look like before the mask? Draw it
# for three tokens, then run.

# %%
x, w_q, w_k = torch.randn(4, 8), torch.randn(8, 8), torch.randn(8, 8)
for name, keys in (("two matrices", w_k), ("one matrix", w_q)):
    scores = (x @ w_q) @ (x @ keys).T / math.sqrt(8)
    print(name)
    print("\n".join("  ".join(f"{value:6.2f}" for value in row) for row in scores.tolist()))
    print(f"  differs from its mirror image by at most {(scores - scores.T).abs().max().item():.2f}\n")

# %% [markdown] section="order"
# ## What order is left without positions?
#
# Six tokens, no positions. We put the first five into another order and look at what the *last* token receives,
# with a mask and without. Then we ask the same for the token in the middle. Predict the four answers: moves, or
# stays.

# %%
x, w = torch.randn(6, 16), torch.randn(3, 16, 16) / 4
shuffled = x[[3, 0, 4, 1, 2, 5]]
for kind in ("none", "before the softmax"):
    one, two = attend(x, w, kind)[0], attend(shuffled, w, kind)[0]
    last = (one[5] - two[5]).abs().max().item()
    middle = (one[2] - two[4]).abs().max().item()  # token 2 now stands at place 4
    print(f"mask {kind:<20} the last token's output moves by {last:.4f}, that of token 2 by {middle:.4f}")

# %% [markdown] section="square"
# ## Where does the square go?
#
# Numbers that one layer of width 768 with 12 heads holds, for texts that get longer. Which column grows with the
# square? And at which length does it overtake the others?

# %%
print(f"{'T':>6} {'q, k and v':>14} {'scores':>14} {'multiplications, scores':>25} {'and projections':>18}")
held = []
for length in (64, 256, 1024, 4096):
    vectors, scores = 3 * length * 768, 12 * length * length
    print(
        f"{length:>6,} {vectors:>14,} {scores:>14,} {2 * length * length * 768:>25,} {4 * length * 768 * 768:>18,}"
    )
    held.append((length, scores / vectors))
print("The scores hold more numbers than q, k and v from about", f"{3 * 768 // 12} tokens on.")

# %%
show(
    chart(
        "Scores, compared with q, k and v",
        [Series("scores", held)],
        "tokens",
        "times as many numbers",
        [("as many", 1.0)],
    ),
    "A straight line that rises: at 1,024 tokens the scores hold 5 times the numbers of q, k and v, at 4,096 21 times",
    "The ratio grows with the length, so the numbers themselves grow with its square.",
)

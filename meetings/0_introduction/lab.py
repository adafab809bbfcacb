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
# # Lab 0: what a language model computes
#
# Six small experiments. Five of them count, which is the oldest way to make a language model. Each runs alone, for a
# few seconds, and needs nothing that is not on this machine. Before you run a section, write down what you expect.

# %%
import math
import random
from collections import Counter

from cohort_cli.labs import show
from cohort_cli.training import corpus
from cohort_cli.training.svg import Series, chart

# English prose that comes with every Python: nine tenths to learn from, the last tenth to be asked about.
train, held_out = corpus.split(corpus.load())
characters = sorted(set(train + held_out))


def count(n, text):
    """How often each n characters in a row occur, and how often what comes before the last of them does."""
    grams = Counter(text[i : i + n] for i in range(len(text) - n + 1))
    before = Counter()
    for gram, times in grams.items():
        before[gram[:-1]] += times
    return grams, before


def loss(n, text, table, extra=0.1):
    """Nats per character. `extra` is added to each count, so that what was never seen is not impossible."""
    grams, before = table
    nats = 0.0
    for i in range(len(text) - n + 1):
        gram = text[i : i + n]
        p = (grams[gram] + extra) / (before[gram[:-1]] + extra * len(characters))
        nats -= math.log(p)
    return nats / (len(text) - n + 1)


# %% [markdown] section="ladder"
# ## What does counting know?
#
# A model gives each possible next character a probability. Its loss is the mean of $-\ln p$ over the characters that
# really came; it would be 0 for a model that is always certain and right. A model that knows nothing gives all
# characters of this text the same probability. Predict: its loss, and what is left of it when we count how often each
# character occurs, which one follows which, and which one follows which two.

# %%
guess = math.log(len(characters))
print(f"The text has {len(train):,} characters to learn from, {len(characters)} different ones.\n")
print(f"{'the table knows':<28} {'nats per character':>18} {'like choosing among':>20}")
print(f"{'nothing':<28} {guess:>18.3f} {math.exp(guess):>20.1f}")
ladder = []
for n, name in (
    (1, "how often each one occurs"),
    (2, "which follows which"),
    (3, "which follows which two"),
):
    nats = loss(n, held_out, count(n, train))
    print(f"{name:<28} {nats:>18.3f} {math.exp(nats):>20.1f}")
    ladder.append((n - 1, nats))

# %%
show(
    chart(
        "What each step back is worth",
        [Series("counts", ladder)],
        "characters that the table looks back",
        "nats per character",
        [("knows nothing", guess)],
    ),
    f"A line that falls from {ladder[0][1]:.2f} to {ladder[1][1]:.2f} and {ladder[2][1]:.2f} nats, "
    f"below a dashed line at {guess:.2f}",
    "Lower is better. In the end, your own GPT stands on the same axis.",
)

# %% [markdown] section="memory"
# ## Learned, or remembered?
#
# We let the table look back further and further, and ask it twice: about the text that it has counted, and about the
# text that it has not seen. Predict: from how many characters on does looking back further do harm?

# %%
own = train[-len(held_out) :]  # a piece of the counted text, as long as the new one
seen, new = [], []
print("looks back   on its own text   on new text")
for n in range(1, 8):
    table = count(n, train)
    seen.append((n - 1, loss(n, own, table, extra=0.01)))
    new.append((n - 1, loss(n, held_out, table, extra=0.01)))
    print(f"{n - 1:>10} {seen[-1][1]:>17.3f} {new[-1][1]:>13.3f}")

# %%
show(
    chart(
        "The same table, asked about two texts",
        [Series("its own text", seen), Series("new text", new)],
        "characters that the table looks back",
        "nats per character",
    ),
    f"On its own text the loss falls all the way, to {seen[-1][1]:.2f}. On new text it falls and then rises again, "
    f"to {new[-1][1]:.2f}",
    "The gap between the lines is what was remembered and not learned.",
)

# %% [markdown] section="samples"
# ## A telephone keyboard
#
# Whoever has probabilities can write: draw the next character, append it, repeat. For a table of counts there is a way
# that needs no table at all; you see it below. Predict: how far back must it look until the text looks like English?
# And is that written, or copied?


# %%
def write(back, size=120):
    """Open the text at a random place, search on for the last characters, append what follows them. Repeat."""
    text = "The "
    while len(text) < size:
        last = text[max(len(text) - back, 0) :]
        at = train.find(last, random.randrange(len(train)))
        if at < 0 or at + len(last) == len(train):
            at = train.find(last)  # none from there on: begin at the front
        text += train[at + len(last)]
    return text


def longest_copy(text):
    """Length of the longest piece that stands in the training text word for word."""
    longest = 0
    for start in range(len(text)):
        while start + longest < len(text) and text[start : start + longest + 1] in train:
            longest += 1
    return longest


random.seed(0)
for back in (0, 1, 2, 4, 8, 16):
    text = write(back)
    print(f"looks back {back}; the longest copied piece has {longest_copy(text)} characters\n{text!r}\n")

# %% [markdown] section="descent"
# ## Nobody wrote these numbers
#
# The table of pairs again, but found in another way. We begin with a matrix of zeros, one row for each character, and
# change all its numbers a little, five hundred times, in the direction in which the loss falls. Training a model with
# billions of numbers is the same thing. Predict: where does the curve begin, and what can it not go below?

# %%
import torch

place = {character: i for i, character in enumerate(characters)}
pairs, _ = count(2, train)
counts = torch.zeros(len(characters), len(characters))
for pair, times in pairs.items():
    counts[place[pair[0]], place[pair[1]]] = times

scores = torch.zeros(len(characters), len(characters), requires_grad=True)
curve = []
for step in range(501):
    nats = -(counts * scores.log_softmax(-1)).sum() / counts.sum()
    (slope,) = torch.autograd.grad(nats, scores)  # how fast the loss rises with each number
    with torch.no_grad():
        scores -= 20 * slope  # a step the other way
    curve.append((step, nats.item()))
    if step in (0, 10, 100, 500):
        print(f"step {step:>3}: {nats.item():.3f} nats on the training text")
exact = counts[counts > 0] / counts.sum(-1, keepdim=True).expand_as(counts)[counts > 0]
counted = -(counts[counts > 0] * exact.log()).sum().item() / counts.sum().item()
print(f"Counting the same pairs gives {counted:.3f}.\n")
row = scores[place["t"]]
print("after t:     ", "  ".join(f"{letter:>5}" for letter in "abcdefgh"))
print("the numbers: ", "  ".join(f"{row[place[letter]].item():5.2f}" for letter in "abcdefgh"))
print("probability: ", "  ".join(f"{row.softmax(-1)[place[letter]].item():5.3f}" for letter in "abcdefgh"))

# %%
show(
    chart(
        "A table of pairs, learned in small steps",
        [Series("training", curve, thin=True)],
        "step",
        "nats per character",
        [("counted", counted)],
    ),
    f"A curve that falls from {curve[0][1]:.2f}, steeply at first, to {curve[-1][1]:.2f}, not far above the "
    f"{counted:.2f} of counting",
    "No rule of English was put in, only a text and a loss.",
)

# %% [markdown] section="shuffle"
# ## Lie to the machine
#
# Three times something is wrong or different: the characters of the training text are shuffled; the model is scored on
# text that it has learned from; another tenth of the text is held out. We score three tables each time. Predict for
# each case: which of the three losses move, and in which direction?

# %%
size = len(held_out)
shuffled = list(train)
random.Random(0).shuffle(shuffled)
print(f"{'':<28} {'characters':>10} {'pairs':>8} {'five in a row':>15}")
for name, scored, learned_from in (
    ("honest", held_out, train),
    ("training text shuffled", held_out, "".join(shuffled)),
    ("scored on what it learned", train[-size:], train),
    ("the first tenth held out", train[:size], train[size:] + held_out),
):
    losses = [loss(n, scored, count(n, learned_from)) for n in (1, 2, 5)]
    print(f"{name:<28} {losses[0]:>10.3f} {losses[1]:>8.3f} {losses[2]:>15.3f}")

# %% [markdown] section="cost"
# ## To train once, or to answer for years?
#
# The usual estimate for a model of $N$ numbers: to learn from one token takes $6N$ operations, to read or write one
# token takes $2N$. We take GPT-2's largest size, trained on 20 tokens for each of its numbers. Predict: if its readers
# use ten million tokens a day, after how many days have the answers cost as much as the training?

# %%
N = 1_557_611_200
training = 6 * N * 20 * N
print(f"training: {training:.2e} operations\n")
print(f"{'tokens a day':>15} {'answers of a year':>18} {'as much as the training after':>30}")
lines = []
for a_day in (10_000_000, 100_000_000, 1_000_000_000):
    answers = 2 * N * a_day
    print(f"{a_day:>15,} {365 * answers:>18.2e} {training / answers:>25,.0f} days")
    points = [(day, day * answers / training) for day in range(0, 366, 73)]
    lines.append(Series(f"{a_day // 1_000_000:,} million a day", points))

# %%
show(
    chart("What the answers of a year cost", lines[1:], "day", "trainings", [("one training", 1.0)]),
    "Two straight lines: with a billion tokens a day the answers pass one training after 93 days, with a hundred "
    "million they stay below it all year",
    "Counted in operations, not in money.",
)

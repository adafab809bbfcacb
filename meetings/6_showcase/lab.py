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
# # Lab 6: would it stand up?
#
# Six small experiments on what one says about a model at the end: is it more than luck, would somebody else get it, what
# does the model repeat by heart, and where does it break? Each runs alone, for a few seconds. Before you run a section,
# write down what you expect.

# %%
import json
import math
import random
import re
import statistics
import traceback
from collections import Counter, defaultdict

import torch
from torch import nn

from cohort_cli.catalog import find_project
from cohort_cli.labs import show, use
from cohort_cli.training import corpus
from cohort_cli.training.svg import Series, chart

use("project4")
torch.set_num_threads(1)  # the quickest for models as small as these
train_text, held_out = corpus.split(corpus.load())  # the English prose of Python's documentation
letters = sorted(set(train_text) | set(held_out))
number = {letter: n for n, letter in enumerate(letters)}


def windows(text, length):
    """All pieces of `length` letters, as numbers: (pieces, length)."""
    return torch.tensor([number[letter] for letter in text]).unfold(0, length, 1)


def train(seed, *, act=nn.Tanh, steps=150, dtype=torch.float32, text=train_text):
    """A small network that sees three letters and guesses the fourth. Gives its held-out loss in nats per letter."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Embedding(len(letters), 12), nn.Flatten(), nn.Linear(36, 64), act(), nn.Linear(64, len(letters))
    ).to(dtype)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    pieces, test = windows(text, 4), windows(held_out, 4)
    for _ in range(steps):
        batch = pieces[torch.randint(len(pieces), (128,))]
        loss = nn.functional.cross_entropy(model(batch[:, :3]), batch[:, 3])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return nn.functional.cross_entropy(model(test[:, :3]), test[:, 3]).item()


# %% [markdown] section="seeds"
# ## Is one run a result?
#
# Two activations, ReLU and GELU, eight seeds each, nothing else changed. Predict: which one is better, and in how many
# of the 64 pairs of one run each would you have said so?

# %%
losses = {
    name: [train(seed, act=act) for seed in range(8)] for name, act in (("ReLU", nn.ReLU), ("GELU", nn.GELU))
}
print("seed    ReLU    GELU   difference")
differences = [one - two for one, two in zip(*losses.values(), strict=True)]
for seed, difference in enumerate(differences):
    print(f"{seed:>4}   {losses['ReLU'][seed]:.3f}   {losses['GELU'][seed]:.3f} {difference:>+12.3f}")
columns = [*losses.values(), differences]
for name, figure in (("mean", statistics.mean), ("sd", statistics.stdev)):
    one, two, three = (figure(column) for column in columns)
    print(f"{name:>4}   {one:.3f}   {two:.3f} {three:>+12.3f}")
print(f"\nstandard error of the mean difference {statistics.stdev(differences) / math.sqrt(8):.4f}")
better = sum(one > two for one in losses["ReLU"] for two in losses["GELU"])
print(f"GELU is the better one in {better} of 64 pairs of single runs")
print(f"the best ReLU run {min(losses['ReLU']):.3f}, the mean of GELU {statistics.mean(losses['GELU']):.3f}")

# %%
show(
    chart(
        "The same two settings, eight seeds",
        [Series(name, list(enumerate(some))) for name, some in losses.items()],
        "seed",
        "held-out loss, nats per letter",
    ),
    "Two zigzag lines over eight seeds, which come close and cross. GELU is the lower one for most seeds",
    "What the seed alone does is as large as the difference of the two settings.",
)

# %% [markdown] section="repeat"
# ## Would somebody else get your number?
#
# One run, then the same with one thing changed at a time. Predict for each line: the same to the last digit, the same
# to three digits, or another number?

# %%
first = train(seed=1)
changes = {
    "nothing": {},
    "twice the precision": {"dtype": torch.float64},
    "another seed": {"seed": 2},
    "one step less": {"steps": 149},
    "the text without its last line": {"text": train_text[: train_text.rindex("\n")]},
    "twice the steps": {"steps": 300},
}
print(f"{'changed':<32} held-out loss   difference")
for name, change in changes.items():
    loss = train(**{"seed": 1, **change})
    print(f"{name:<32} {loss:>13.8f} {loss - first:>+12.8f}")

# %% [markdown]
# A text that is a line shorter changes every draw of a batch, and so it is another run, as with another seed. Whoever
# wants your number needs your command, your commit, your seed, your text to the last byte, and your versions.

# %% [markdown] section="baseline"
# ## Better than a rule of five lines?
#
# Three ways to sort the kit's test messages: counts of words (naive Bayes), a rule that looks for five words, and "never
# spam". Predict how many messages it takes until the first one is better than the rule beyond luck.

# %%
from usecase import compare_with_baseline, macro_f1  # the reference of Project 4

path = find_project("project3").folder / "data" / "messages.jsonl"
rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def words(text):
    return re.findall(r"[a-z']+|[0-9]+|[^\w\s]", text.lower())


counts = {label: Counter() for label in ("spam", "ham")}
for row in rows:
    if row["split"] == "train":
        counts[row["label"]].update(words(row["text"]))
known = len(counts["spam"] | counts["ham"])


def log_probability(text, label):
    whole = counts[label].total() + known
    return sum(math.log((counts[label][word] + 1) / whole) for word in words(text))


def naive_bayes(text):
    return max(("spam", "ham"), key=lambda label: log_probability(text, label))


def rule(text):
    return "spam" if re.search(r"click|claim|verify|card|free", text.lower()) else "ham"


test = [row for row in rows if row["split"] == "test"]
random.Random(0).shuffle(test)
actual = [row["label"] for row in test]
said = {
    "never spam": ["ham"] * len(test),
    "rule": [rule(row["text"]) for row in test],
    "naive Bayes": [naive_bayes(row["text"]) for row in test],
}
right = {name: [a == b for a, b in zip(some, actual, strict=True)] for name, some in said.items()}
print(f"{len(test)} messages    accuracy   macro F1")
for name, some in said.items():
    print(f"{name:<15} {sum(right[name]) / len(test):>8.2f} {macro_f1(some, actual):>10.2f}")
print("\nnaive Bayes against the rule, on the same messages")
print("messages   difference   standard error   so far apart by luck")
for n in (20, 40, 80, 160, len(test)):
    found = compare_with_baseline(right["naive Bayes"][:n], right["rule"][:n])
    print(f"{n:>8} {found['difference']:>12.3f} {found['standard_error']:>16.3f} {found['p_value']:>22.3f}")

# %% [markdown] section="copies"
# ## What does it know by heart?
#
# Models that count: each letter is drawn from what followed the last $n - 1$ letters in the training text. Each writes
# five samples of 200 letters. We look for the longest piece of each that stands in the training text, letter for
# letter. Predict: from which $n$ on does a model copy more than a new text of the same kind would share?

# %%
draw = random.Random(0)


def longest_copy(sample):
    """Letters of the longest piece of the sample that stands in the training text."""
    longest = 0
    for start in range(len(sample)):
        while start + longest < len(sample) and sample[start : start + longest + 1] in train_text:
            longest += 1
    return longest


def write(after, n):
    """200 letters, each drawn from those that followed the last n - 1 of the training text."""
    start = draw.randrange(len(train_text) - n)
    text = train_text[start : start + n - 1]
    while len(text) < 200 + n - 1:
        text += draw.choice(after[text[len(text) - n + 1 :]] or train_text)
    return text[n - 1 :]


def in_words(text):
    return " ".join(text.split())


new = [held_out[start : start + 200] for start in range(0, 40_000, 8_000)]
usual = statistics.mean(longest_copy(sample) for sample in new)
lines = []
print(f"new text of the same kind shares {usual:.0f} letters in a row (mean of {len(new)} pieces)")
print(" n   longest copy   a sample begins")
for n in (2, 4, 6, 8, 10, 12):
    after = defaultdict(str)
    gathered = defaultdict(list)
    for end in range(n - 1, len(train_text)):
        gathered[train_text[end - n + 1 : end]].append(train_text[end])
    after.update((before, "".join(some)) for before, some in gathered.items())
    samples = [write(after, n) for _ in range(5)]
    lines.append((n, statistics.mean(longest_copy(sample) for sample in samples)))
    print(f"{n:>2} {lines[-1][1]:>14.0f}   {in_words(samples[0])[:60]}")

# %%
show(
    chart(
        "Longest piece from the training text",
        [Series("samples", lines)],
        "n",
        "letters",
        [("new text", usual)],
    ),
    "A rising curve that crosses the level of new text",
    "Fluent text from a model that copies looks like fluent text from one that does not.",
)

# %% [markdown] section="edges"
# ## Where does it break?
#
# What visitors type into a demo. A tiny GPT of Project 4 with 32 tokens of context, untrained: this is about the code
# around the model. Predict for each line: an answer, an error that helps, or an error that nobody understands?

# %%
from gpt import GPT, GPTConfig
from sampling import generate

torch.manual_seed(0)
gpt = GPT(GPTConfig(block_size=32, vocab_size=len(letters), n_layer=1, n_head=2, n_embd=16)).eval()


def answer(prompt, **how):
    ids = torch.tensor([[number[letter] for letter in prompt]], dtype=torch.int64)
    return generate(gpt, ids, 20, generator=torch.Generator().manual_seed(0), **how)


tries = {
    "an ordinary prompt": lambda: answer("The "),
    "nothing at all": lambda: answer(""),
    "5,000 letters": lambda: answer("a" * 5_000),
    "another alphabet": lambda: answer("Привет"),
    "temperature 0": lambda: answer("The ", temperature=0.0),
    "temperature -1": lambda: answer("The ", temperature=-1.0),
    "top-k of 0": lambda: answer("The ", top_k=0),
    "top-p of 0": lambda: answer("The ", top_p=0.0),
    "an end that never comes": lambda: answer("The ", eos_id=-1),
}
for name, attempt in tries.items():
    try:
        outcome = f"{attempt().size(1)} tokens"
    except Exception:
        outcome = traceback.format_exc().splitlines()[-1]
    print(f"{name:<24} {outcome[:90]}")

# %% [markdown] section="beliefs"
# ## What did you believe?
#
# Seven months of predictions: how sure you were, from 0.5 to 1, and whether it came true. The list is an example; put
# your own in its place. Predict: when you say 0.9, how often are you right?

# %%
predictions = [
    (0.9, True), (0.9, True), (0.9, False), (0.9, True), (0.9, False), (0.9, True),
    (0.8, True), (0.8, False), (0.8, True), (0.8, True), (0.8, False),
    (0.7, True), (0.7, True), (0.7, False), (0.7, True),
    (0.6, True), (0.6, False), (0.6, True), (0.6, False), (0.6, True),
    (0.5, True), (0.5, False), (0.5, False), (0.5, True),
]  # fmt: skip
print("sure   predictions   came true")
seen = []
for sure in sorted({sure for sure, _ in predictions}):
    some = [came for said, came in predictions if said == sure]
    seen.append((sure, sum(some) / len(some)))
    print(f"{sure:>4.1f} {len(some):>13} {sum(some) / len(some):>11.2f}")
brier = statistics.mean((sure - came) ** 2 for sure, came in predictions)
share = statistics.mean(came for _, came in predictions)
print(f"\nmean squared distance (Brier score) {brier:.3f}; who always says 0.5 has 0.250")
print(f"always saying {share:.2f}, the share that came true, would have {share * (1 - share):.3f}")

# %%
show(
    chart(
        "How sure, and how often right",
        [Series("yours", seen), Series("perfectly calibrated", [(0.5, 0.5), (0.9, 0.9)])],
        "how sure",
        "share that came true",
    ),
    "Two lines: the diagonal, and below it at 0.8 and 0.9 the example's predictions",
    "Below the diagonal: too sure. With a handful of predictions per point, luck is a part of it.",
)

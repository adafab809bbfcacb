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
# # Lab 1: tokens and embeddings
#
# Seven small experiments: four on the way from a text to whole numbers, three on the way from whole numbers to
# vectors. Each runs alone, for a few seconds, and needs nothing that is not on this machine. Before you run a section,
# write down what you expect.

# %%
import math
from collections import Counter

from cohort_cli.labs import show, use
from cohort_cli.training import corpus
from cohort_cli.training.svg import Series, chart

use("project1")
from fast import count_words, learn_merges  # the reference of Project 1
from tokenizer import BPETokenizer, compression

# English prose that comes with every Python: nine tenths to learn from, the last tenth to try things on.
train, held_out = corpus.split(corpus.load())


def readable(token):
    """The text of a token, with a dot in place of each space."""
    return token.decode("utf-8", errors="replace").replace(" ", "·").replace("\n", "\\n")


# %% [markdown] section="merges"
# ## The first twenty merges
#
# Byte-pair encoding looks for the two neighbours that stand together most often and makes one token of them, again and
# again. Predict: which pairs come first in a long English text about Python? Then: how many tokens remain of one
# sentence after 0, 20, 200 and 2,000 merges?

# %%
merges = learn_merges(count_words([train]), 2000)
print("the first twenty: ", "  ".join(readable(left + right) for left, right in merges[:20]))
print("the last ten:     ", "  ".join(readable(left + right) for left, right in merges[-10:]))
sentence = " The interpreter reads the second argument."
for size in (0, 20, 200, 2000):
    tokenizer = BPETokenizer.from_merges(merges[:size])
    ids = tokenizer.encode(sentence)
    print(f"\n{size:,} merges, {len(ids)} tokens:", " ".join(readable(tokenizer.vocab[id]) for id in ids))

# %% [markdown] section="languages"
# ## Who pays?
#
# GPT-2's vocabulary was learned from web pages, most of them in English; ours from one English text. We cut four texts
# with both, and then a sentence in four languages. Predict: which of the four texts has the most bytes per token in
# each column? And how many times as many tokens does the most expensive sentence take as the cheapest?

# %%
from cohort_cli.tokens.carried import german, python_code
from cohort_cli.tokens.sources import gpt2_files

gpt2 = BPETokenizer.from_gpt2(*gpt2_files())
ours = BPETokenizer.train([train], 2000)
texts = {
    "English, held out": held_out,
    "Python code": python_code(),
    "German": german(),
    "numbers": " ".join(str(n * n) for n in range(1000, 2000)),
}
print(f"{'bytes per token':<20} {'GPT-2':>8} {'ours':>8}")
for name, text in texts.items():
    print(f"{name:<20} {compression(gpt2, text):>8.2f} {compression(ours, text):>8.2f}")
print("\ncharacters   bytes   tokens of GPT-2")
for text in (
    "The weather is nice today.",
    "Das Wetter ist heute schön.",
    "Погода сегодня хорошая.",
    "今日はいい天気です。",
):
    print(f"{len(text):>10} {len(text.encode()):>7} {len(gpt2.encode(text)):>17}   {text}")

# %% [markdown] section="vocabulary"
# ## Why not a million tokens?
#
# More merges make longer tokens. A text then needs fewer of them, and a model sees more of it at once. But each token
# needs a row of its own in the table of embeddings, and examples to learn it from. We double the vocabulary five
# times. Predict: how many bytes per token, on a text that was not learned from, at 512 and at 8,192?

# %%
merges = learn_merges(count_words([train]), 8192 - 256)
print(
    f"{'V':>6} {'bytes per token':>16} {'gained':>8} {'table of width 256':>19} {'seen under 20 times':>20}"
)
points = [(8.0, 1.0)]  # without a merge, each byte is a token
for size in (512, 1024, 2048, 4096, 8192):
    tokenizer = BPETokenizer.from_merges(merges[: size - 256])
    now, counts = compression(tokenizer, held_out), Counter(tokenizer.encode(train))
    rare = sum(counts[id] < 20 for id in range(256, size))
    print(f"{size:>6,} {now:>16.2f} {now - points[-1][1]:>8.2f} {size * 256:>19,} {rare:>20,}")
    points.append((math.log2(size), now))

# %%
show(
    chart("What a larger vocabulary buys", [Series("held-out text", points)], "log2 of V", "bytes per token"),
    f"A curve that rises steeply from 1 at V = 256 and then less and less, to {points[-1][1]:.2f} at V = 8,192",
    "Each doubling costs twice as many rows as the one before, and gains less.",
)

# %% [markdown] section="bits"
# ## Two losses that cannot be compared
#
# The same model with five vocabularies: it knows how often each token occurs, and nothing else. Its loss is measured in
# nats *per token*. Predict: does it rise or fall with the vocabulary? Then we divide by what a token holds:
# $L / (c \ln 2)$, with a loss of $L$ nats per token and $c$ bytes per token, is the loss in bits *per byte*. Does that
# rise or fall?

# %%
merges = learn_merges(count_words([train]), 4096 - 256)
per_token, per_byte = [], []
print(f"{'V':>6} {'nats per token':>15} {'bytes per token':>16} {'bits per byte':>14}")
for size in (256, 512, 1024, 2048, 4096):
    tokenizer = BPETokenizer.from_merges(merges[: size - 256])
    counts, new = Counter(tokenizer.encode(train)), tokenizer.encode(held_out)
    total = sum(counts.values()) + 0.1 * size  # 0.1 more for each token, so that none is impossible
    nats = -sum(math.log((counts[id] + 0.1) / total) for id in new) / len(new)
    bytes_per_token = len(held_out.encode()) / len(new)
    bits = nats / (bytes_per_token * math.log(2))
    print(f"{size:>6,} {nats:>15.3f} {bytes_per_token:>16.2f} {bits:>14.3f}")
    per_token.append((math.log2(size), nats))
    per_byte.append((math.log2(size), bits))

# %%
show(
    chart(
        "One model, one text, five vocabularies",
        [Series("nats per token", per_token), Series("bits per byte", per_byte)],
        "log2 of V",
        "loss",
    ),
    f"Two lines that cross: nats per token rise from {per_token[0][1]:.1f} to {per_token[-1][1]:.1f}, "
    f"bits per byte fall from {per_byte[0][1]:.1f} to {per_byte[-1][1]:.1f}",
    "Only the falling line can be compared between tokenizers.",
)

# %% [markdown] section="rows"
# ## An embedding is a row
#
# A model begins with a table, one row of numbers for each token. To embed a token means to take its row. Written as
# mathematics, that is a product with a matrix that is nearly everywhere 0. We cut a text into windows `x` with targets
# `y`, one token later, and embed `x` in both ways. Predict: how many of the 512 rows get a gradient?

# %%
import torch

_ = torch.manual_seed(0)
tokenizer = BPETokenizer.train([train], 512)
ids = torch.tensor(tokenizer.encode("The value of the name is the value of the object that the name means."))
B, T, V, C = 2, 6, 512, 4
x = torch.stack([ids[start : start + T] for start in (0, T)])  # (B, T)
y = torch.stack([ids[start + 1 : start + T + 1] for start in (0, T)])
for inputs, targets in zip(x.tolist(), y.tolist(), strict=True):
    print("x:", " ".join(f"{readable(tokenizer.vocab[id]):>6}" for id in inputs))
    print("y:", " ".join(f"{readable(tokenizer.vocab[id]):>6}" for id in targets), "\n")

# %%
table = torch.randn(V, C, requires_grad=True)
rows = table[x]  # (B, T, C): take the rows
one_hot = torch.nn.functional.one_hot(x, V).float()  # (B, T, V): a single 1 at each place
product = one_hot @ table  # (B, T, V) @ (V, C) -> (B, T, C)
print(f"rows {tuple(rows.shape)}, product {tuple(product.shape)}")
print(f"largest difference {(rows - product).abs().max().item():.1f}")
print(f"multiplications: none for the rows, {B * T * V * C:,} for the product\n")

rows.sum().backward()  # each of the B * T places asks for 1
asked = table.grad[:, 0]
print(f"{int((asked != 0).sum())} of {V} rows have a gradient; there are {B * T} places in x. The gradients:")
print({readable(tokenizer.vocab[id]): int(asked[id]) for id in dict.fromkeys(x.flatten().tolist())})

# %% [markdown] section="positions"
# ## Where does a token stand?
#
# The row of a token is the same wherever it stands. So a second table is added, with a row for each *place*. Here it
# is made of sines and cosines, as in the paper on the transformer; GPT-2 learns it instead. Predict: does the vector
# of "dog" change when "dog bites man" becomes "man bites dog"? And which rows are longer as vectors, those of tokens
# or those of places, if the numbers of a token begin with a spread of 0.02?

# %%
import torch

use("project2")
from positions import sinusoidal_positions  # the reference of Project 2

_ = torch.manual_seed(0)
C = 64
tokens, places = torch.randn(3, C) * 0.02, sinusoidal_positions(128, C)  # rows for dog, bites, man
scaled = tokens * math.sqrt(C)
for name, first, last in (
    ("tokens alone", tokens[0], tokens[0]),
    ("tokens and places", tokens[0] + places[0], tokens[0] + places[2]),
    ("tokens times root C, and places", scaled[0] + places[0], scaled[0] + places[2]),
):
    alike = torch.nn.functional.cosine_similarity(first, last, dim=0).item()
    print(f"{name:<32} cosine between 'dog' in front and 'dog' at the end: {alike:.3f}")
for name, some in (("token", tokens), ("token, times root C", scaled), ("place", places)):
    print(f"length of the row of a {name}: {some.norm(dim=-1).mean().item():.2f}")

# %%
curves = []
for start in (0, 60):
    alike = torch.nn.functional.cosine_similarity(places[start : start + 61], places[[start]], dim=-1)
    curves.append(Series(f"from place {start}", list(enumerate(alike.tolist())), thin=start == 60))
show(
    chart("How alike are the rows of two places?", curves, "distance between the places", "cosine"),
    "Two lines that lie on each other: 1 at distance 0, then down in waves",
    "Only the distance counts, not where the two places are.",
)

# %% [markdown] section="neighbours"
# ## Is a vector a meaning?
#
# We learn a vector of 32 numbers for each of 1,024 tokens. The only task: say which token comes next. Then we look for
# the nearest neighbours of some tokens, before and after. Predict the neighbours of " can" and of "1".

# %%
from itertools import pairwise

import torch

_ = torch.manual_seed(0)
V, C = 1024, 32
tokenizer = BPETokenizer.train([train], V, special_tokens=())
follows = torch.zeros(V, V)  # how often each token follows each
for (one, two), times in Counter(pairwise(tokenizer.encode(train))).items():
    follows[one, two] = times
often = follows.sum(1)

table = (0.1 * torch.randn(V, C)).requires_grad_()
head = (0.1 * torch.randn(C, V)).requires_grad_()
before = table.detach().clone()
speeds = [torch.zeros_like(table), torch.zeros_like(head)]
for step in range(201):
    loss = -(follows * (table @ head).log_softmax(-1)).sum() / follows.sum()
    slopes = torch.autograd.grad(loss, (table, head))
    for numbers, speed, slope in zip((table, head), speeds, slopes, strict=True):
        speed.mul_(0.9).add_(slope)  # gradient descent with momentum
        numbers.data -= 5 * speed
    if step % 100 == 0:
        print(f"step {step:>3}: {loss.item():.3f} nats per token")


def neighbours(vectors, word, count=5):
    """The tokens whose vectors have most nearly the same direction, of those that occur a hundred times."""
    directions = torch.nn.functional.normalize(vectors.detach(), dim=-1)
    alike = directions @ directions[tokenizer.encode(word)[0]]
    found = [id for id in alike.argsort(descending=True).tolist() if often[id] >= 100]
    return "  ".join(readable(tokenizer.vocab[id]) for id in found[1 : count + 1])


for word in (" can", "1", " is", " the", " object", " If"):
    print(f"\n{word!r:<10} before: {neighbours(before, word)}")
    print(f"{'':<10} after:  {neighbours(table, word)}")

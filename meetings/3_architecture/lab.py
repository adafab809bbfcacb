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
# # Lab 3: architecture
#
# Seven small experiments. Each runs alone, for a few seconds, and needs nothing that is not on this machine. Before
# you run a section, write down what you expect.

# %%
import math

import torch
from torch import nn

from cohort_cli.labs import show, use
from cohort_cli.training import corpus
from cohort_cli.training.svg import Series, chart

use("project2")
from block import BlockConfig, TransformerBlock  # the references of Project 2
from layers import LayerNorm, RMSNorm
from model import GPT, GPTConfig

torch.set_num_threads(1)
_ = torch.manual_seed(0)
TEXT = corpus.load()  # English prose, 0.47 million characters
CHARACTERS = sorted(set(TEXT))
IDS = torch.tensor([CHARACTERS.index(character) for character in TEXT])


def batch(rows, length, seed):
    """Random windows (rows, length) and the characters that follow. The same seed gives the same windows."""
    starts = torch.randint(len(IDS) - length, (rows,), generator=torch.Generator().manual_seed(seed))
    places = starts[:, None] + torch.arange(length)
    return IDS[places], IDS[places + 1]


class NoAddition(nn.Module):
    """A block without its two residual connections: each part replaces what came in."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        block = self.block
        x = block.attn(block.ln_1(x))
        return block.mlp(block.ln_2(x))


# %% [markdown] section="norms"
# ## What does a norm forget?
#
# One token with four channels: 1, 2, 3 and 6. We add 3 to every channel, or multiply every channel by 10, and look at
# what comes out of each norm. Predict the four answers: does the output change?

# %%
token = torch.tensor([1.0, 2.0, 3.0, 6.0])
with torch.no_grad():
    for norm in (LayerNorm(4), RMSNorm(4)):
        for name, x in (("as it is", token), ("plus 3", token + 3), ("times 10", token * 10)):
            print(
                f"{type(norm).__name__:<10} {name:<9}",
                " ".join(f"{value:6.2f}" for value in norm(x).tolist()),
            )

# %% [markdown] section="stream"
# ## How large does the stream become?
#
# Blocks add to a stream of numbers. We send random tokens of spread 1 through up to 48 fresh blocks whose matrices keep
# the size of what passes them, and measure the spread of the stream: without any norm, with pre-norm, with pre-norm and
# GPT-2's smaller start of the last matrix in each branch, and with post-norm. Predict: which of the four stays near 1,
# and which one explodes?

# %%
DEPTHS = (1, 2, 4, 8, 16, 32, 48)
WAYS = ("no norm", "pre-norm", "pre-norm, smaller start", "post-norm")


@torch.no_grad()
def spreads(way, depth=48):
    """The spread of the stream after each block."""
    torch.manual_seed(0)
    stream, found = torch.randn(4, 32, 64), []
    for _ in range(depth):
        block = TransformerBlock(BlockConfig(64, 4, norm_position="post" if way == "post-norm" else "pre"))
        if way == "no norm":
            block.ln_1, block.ln_2 = nn.Identity(), nn.Identity()
        for name, matrix in block.named_parameters():
            if matrix.dim() == 2:
                std = 1 / math.sqrt(matrix.size(1))  # keeps a sum of so many terms at spread 1
                smaller = way.endswith("smaller start") and "c_proj" in name
                nn.init.normal_(matrix, std=std / math.sqrt(2 * depth) if smaller else std)
        stream = block(stream)
        found.append(stream.std().item())
    return found


measured = {way: spreads(way) for way in WAYS}
print("blocks" + "".join(f"{way:>{len(way) + 3}}" for way in WAYS))
for depth in DEPTHS:
    cells = [f"{found[depth - 1]:>{len(way) + 3}.3g}" for way, found in measured.items()]
    print(f"{depth:>6}" + "".join(cells))

# %%
show(
    chart(
        "The size of the stream",
        [
            Series(way, [(depth, math.log10(found[depth - 1])) for depth in DEPTHS])
            for way, found in measured.items()
        ],
        "blocks",
        "log10 of the spread",
    ),
    "Four lines over 48 blocks. Without a norm the spread grows by more than eleven powers of ten. With pre-norm it "
    "grows to 7, with the smaller start to 1.3. With post-norm it stays at 1",
    "Each unit on the left is a factor of ten.",
)

# %% [markdown] section="residuals"
# ## Why does the block add?
#
# A text of 64 characters goes through 24 fresh blocks, once as they are, and once without the two additions. After each
# block we ask how alike the vectors of the 64 tokens are: the mean cosine of the angle between two of them. 1 means
# that all of them point the same way. Predict: after how many blocks does each model no longer know which token is
# which?

# %%
torch.manual_seed(0)
model = GPT(GPTConfig(len(CHARACTERS), n_layers=24, d_model=64, n_heads=4, max_seq_len=64))
x, _ = batch(1, 64, seed=1)


@torch.no_grad()
def alike(blocks):
    """The mean cosine between two tokens after each block."""
    stream = model.wte(x) + model.wpe(torch.arange(64))
    found = []
    for block in blocks:
        stream = block(stream)
        unit = nn.functional.normalize(stream[0], dim=-1)  # (64 tokens, 64 channels), each token of length 1
        found.append((unit @ unit.T).mean().item())
    return found


curves = {"with": alike(model.h), "without": alike([NoAddition(block) for block in model.h])}
print("blocks   with the additions   without")
for depth in (1, 2, 4, 8, 16, 24):
    print(f"{depth:>6} {curves['with'][depth - 1]:>20.3f} {curves['without'][depth - 1]:>9.3f}")

# %%
show(
    chart(
        "How alike the tokens are",
        [Series(f"{name} additions", list(enumerate(curve, 1))) for name, curve in curves.items()],
        "blocks",
        "mean cosine",
        [("all the same", 1.0)],
    ),
    "Two lines over 24 blocks. With additions the mean cosine stays below 0.1. Without them it is 0.8 after the first "
    "block and reaches 1 at the eighth",
    "Without additions, all tokens end in one direction. What is left to learn is how frequent each character is.",
)

# %% [markdown] section="shapes"
# ## One sentence from end to end
#
# A small GPT with two blocks reads one sentence. Each part reports the shape of what it gives, and its parameters.
# Before you run: write the column of shapes. Which parts change the last number? And is there an embedding inside a
# block?

# %%
SENTENCE = "The embeddings come once."
model = GPT(GPTConfig(len(CHARACTERS), n_layers=2, d_model=64, n_heads=4, max_seq_len=64))
parts = ["wte", "wpe"]
parts += [f"h.{n}{part}" for n in (0, 1) for part in (".ln_1", ".attn", ".ln_2", ".mlp.c_fc", ".mlp", "")]
parts += ["ln_f", "lm_head"]


def report(name):
    def hook(module, inputs, output):
        count = sum(parameter.numel() for parameter in module.parameters())
        print(f"{name:<12} {tuple(output.shape)!s:<15} {count:>10,}")

    return hook


print("part         gives           parameters")
for name in parts:
    model.get_submodule(name).register_forward_hook(report(name))
logits, _ = model(torch.tensor([[CHARACTERS.index(character) for character in SENTENCE]]))
total = sum(parameter.numel() for parameter in model.parameters())
print(f"The whole model has {total:,}: wte and lm_head are one matrix, and h.0 holds what its parts hold.")

# %% [markdown] section="count"
# ## Where do the parameters live?
#
# The four sizes of GPT-2, built without memory for the numbers. Predict for the smallest one: how many per cent has the
# table of tokens, how many attention, how many the MLP? And which of the three shrinks as the model grows?

# %%
SIZES = {"small": (12, 768, 12), "medium": (24, 1024, 16), "large": (36, 1280, 20), "XL": (48, 1600, 25)}
PARTS = {"tokens": "wte", "positions": "wpe", "attention": ".attn.", "MLP": ".mlp.", "norms": "ln_"}
lines = {part: [] for part in ("tokens", "attention", "MLP")}
print("per cent:  parameters   tokens  positions  attention    MLP   MLP / attention")
for name, (layers, width, heads) in SIZES.items():
    with torch.device("meta"):  # shapes without numbers
        gpt = GPT(GPTConfig(50257, layers, width, heads, max_seq_len=1024))
    count = {
        part: sum(p.numel() for key, p in gpt.named_parameters() if mark in key)
        for part, mark in PARTS.items()
    }
    total = sum(count.values())
    share = {part: 100 * number / total for part, number in count.items()}
    ratio = count["MLP"] / count["attention"]
    cells = f"{share['tokens']:>8.1f} {share['positions']:>10.1f} {share['attention']:>10.1f} {share['MLP']:>6.1f}"
    print(f"{name:<6} {total:>14,} {cells} {ratio:>17.3f}")
    for part, points in lines.items():
        points.append((layers, share[part]))

# %%
show(
    chart(
        "Shares of GPT-2's parameters",
        [Series(part, points) for part, points in lines.items()],
        "blocks: 12, 24, 36 and 48 in the four sizes",
        "per cent",
    ),
    "Three lines over the four sizes. The table of tokens falls from 31 to 5 per cent. Attention rises from 23 to 32, "
    "and the MLP from 46 to 63",
    "The vocabulary grows with the width, a block with its square.",
)

# %% [markdown] section="overfit"
# ## First loss, then one batch by heart
#
# Three starts of one small model: matrices with a spread of 0.02, as GPT-2 has it, with ten times and with fifty times
# as much. Each then sees one batch of 4 texts, again and again. Predict the three first losses, if a model that knows
# nothing has the logarithm of the number of characters. And does each learn the batch by heart? If a model cannot, it
# is broken, and no longer run will help.

# %%
x, y = batch(4, 32, seed=1)
runs = {}
for factor in (1, 10, 50):
    torch.manual_seed(0)
    model = GPT(GPTConfig(len(CHARACTERS), n_layers=2, d_model=64, n_heads=4, max_seq_len=32))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(factor)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(100):
        loss = model(x, y)[1]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    runs[f"spread {0.02 * factor:g}"] = losses
print(f"ln {len(CHARACTERS)} = {math.log(len(CHARACTERS)):.2f}")
print("start          step 0       10       30      100")
for name, losses in runs.items():
    print(f"{name:<12}" + "".join(f"{losses[step]:>9.3f}" for step in (0, 10, 30, 99)))

# %%
show(
    chart(
        "One batch, a hundred times",
        [Series(name, list(enumerate(losses))[::5]) for name, losses in runs.items()],
        "step",
        "nats per character",
        [("knows nothing", math.log(len(CHARACTERS)))],
    ),
    "Three lines over 100 steps. They begin at 4.5, 6.2 and 23, and all end close to 0; the one of the largest start "
    "takes longest",
    "The first number tells a healthy start from a bad one; the last one does not.",
)

# %% [markdown] section="parts"
# ## Which part carries the weight?
#
# A very small model, once as it is and then with one part taken away or exchanged. Predict the order of the losses, and
# where the model without additions stops. The first run is made twice, with two seeds: differences as small as theirs
# mean nothing. And ask of every line: would a run of ten times the steps say the same?

# %%
STEPS = 120


def train(change, seed=1):
    """The loss of a model that was trained for STEPS steps, on windows that are the same for all."""
    torch.manual_seed(seed)
    config = GPTConfig(len(CHARACTERS), n_layers=2, d_model=48, n_heads=3, max_seq_len=32)
    config.norm_position = "post" if change == "post-norm" else "pre"
    model = GPT(config)
    if change == "no additions":
        model.h = nn.ModuleList(NoAddition(block) for block in model.h)
    if change == "no norms":
        model.ln_f = nn.Identity()
        for block in model.h:
            block.ln_1, block.ln_2 = nn.Identity(), nn.Identity()
    if change == "no positions":
        model.wpe.weight.requires_grad_(False).zero_()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.99))
    for step in range(STEPS):
        loss = model(*batch(16, 32, seed=1000 * seed + step))[1]
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        return model(*batch(128, 32, seed=999))[1].item()


share = torch.bincount(IDS) / len(IDS)
print(f"{'knowing frequencies only':<26} {-(share * share.log()).sum().item():.2f}")
print(f"{'nothing changed':<26} {train(''):.2f}, with another seed {train('', seed=2):.2f}")
for change in ("post-norm", "no positions", "no norms", "no additions"):
    print(f"{change:<26} {train(change):.2f}")

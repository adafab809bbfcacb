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
# # Lab 5: fine-tuning
#
# Seven small experiments on models that are trained in seconds. Each runs alone and needs nothing that is not on this
# machine. Before you run a section, write down what you expect.

# %%
import copy
import json
import math
import random
import re
from collections import Counter

import torch
from torch import nn

from cohort_cli.catalog import find_project
from cohort_cli.labs import show, use
from cohort_cli.training.svg import Series, chart

use("project3")
use("project4")
from gpt import GPT, GPTConfig  # the reference of Project 4
from instruct import generate_response, sft_collate, sft_loss  # and of Project 3

torch.set_num_threads(1)  # the quickest for models as small as these
_ = torch.manual_seed(0)


def read(name):
    """One of the kit's three small sets: messages, instructions, preferences."""
    path = find_project("project3").folder / "data" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def step(optimizer, loss):
    """One step of training."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


# %% [markdown] section="classify"
# ## Which token does a classifier read?
#
# The kit's messages, spam or not, as words. One block of a GPT reads them, and a linear head sorts: once from the
# vector of the first token, once from that of the last one. Predict both accuracies. The commoner label alone is 0.55
# of the test messages.

# %%
from classify import SequenceClassifier, pad_batch


def words(text):
    return re.findall(r"[a-z']+|[0-9]+|[^\w\s]", text.lower())


class FirstToken(SequenceClassifier):
    """The same, but the head reads the first position."""

    def forward(self, ids):
        return self.head(self.backbone(ids)[:, 0])


messages = read("messages")
seen = Counter(word for row in messages if row["split"] == "train" for word in words(row["text"]))
number = {word: 2 + n for n, word in enumerate(sorted(word for word in seen if seen[word] > 1))}


def examples(split):
    """(ids, 1 for spam) pairs. 0 is padding, 1 is a rare word."""
    return [
        ([number.get(word, 1) for word in words(row["text"])], int(row["label"] == "spam"))
        for row in messages
        if row["split"] == split
    ]


def train_classifier(kind):
    torch.manual_seed(0)
    gpt = GPT(GPTConfig(block_size=64, vocab_size=2 + len(number), n_layer=1, n_head=2, n_embd=32))
    gpt.lm_head = nn.Identity()  # instead of a score for each word: the hidden state

    class Backbone(nn.Module):
        def __init__(self):
            super().__init__()
            self.gpt = gpt

        def forward(self, ids):
            return self.gpt(ids)[0]  # (B, T, 32)

    model = kind(Backbone(), 32, 2, pad_id=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rows = examples("train")
    for _ in range(4):
        random.Random(0).shuffle(rows)
        for start in range(0, len(rows), 32):
            ids, labels = pad_batch(rows[start : start + 32], pad_id=0, max_length=64)
            step(optimizer, nn.functional.cross_entropy(model(ids), labels))
    return model


ids, labels = pad_batch(examples("test"), pad_id=0, max_length=64)
for name, kind in (("first token", FirstToken), ("last token", SequenceClassifier)):
    said = train_classifier(kind)(ids).argmax(-1)
    caught = (said[labels == 1] == 1).float().mean().item()
    alarms = (said[labels == 0] == 1).float().mean().item()
    print(f"{name:<12} accuracy {(said == labels).float().mean().item():.3f} on {len(labels)} messages")
print(f"The second one catches {caught:.0%} of the spam, and takes {alarms:.0%} of the rest for spam.")

# %% [markdown]
# Nearly half of these messages are spam. Among real SMS it is 13 in 100, in a family's chat perhaps 1. The classifier
# stays as it is. How many of its alarms are then right?

# %%
print("spam among all   its accuracy   'never spam'   alarms that are right")
curve = []
for share in (0.45, 0.134, 0.05, 0.01):
    accuracy = share * caught + (1 - share) * (1 - alarms)
    right = share * caught / (share * caught + (1 - share) * alarms)
    curve.append((math.log10(share), right))
    print(f"{share:>14.1%} {accuracy:>14.2f} {1 - share:>14.2f} {right:>23.2f}")

# %%
show(
    chart(
        "One classifier, other mailboxes",
        [Series("alarms that are right", curve)],
        "log10 of the share of spam",
        "share of alarms",
        [("half of the alarms", 0.5)],
    ),
    "A line that rises with the share of spam: below 0.1 where 1 % are spam, about 0.8 where 45 % are",
    "The test set decides how good the same classifier looks.",
)

# %% [markdown] section="facts"
# ## Facts or form?
#
# A model reads 24 facts again and again: a key, then its value. Then it is tuned on 16 questions with an answer and an
# end: eight about facts that it has read, eight about facts that are new. We ask about three groups. Predict for each:
# is the answer right, and does the model stop after it?

# %%
END, ASK = 0, 1
torch.manual_seed(0)
draw = random.Random(0)
value = {key: draw.randrange(43, 63) for key in range(3, 43)}
had = list(range(3, 27))  # facts of pre-training; the first eight are asked in tuning too
told, never = list(range(27, 35)), list(range(35, 43))  # facts of tuning alone, and of neither
groups = {"read, not tuned on": had[8:], "only in tuning": told, "in neither": never}

model = GPT(GPTConfig(block_size=12, vocab_size=63, n_layer=1, n_head=2, n_embd=64))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for _ in range(200):
    start = draw.randrange(2)
    some = [[draw.choice(had) for _ in range(5)] for _ in range(32)]
    text = torch.tensor([[x for key in row for x in (key, value[key])][start : start + 9] for row in some])
    step(optimizer, model(text[:, :-1], text[:, 1:])[1])


def ask(keys):
    """(answers that begin right, answers that end by themselves)"""
    answers = [generate_response(model, [ASK, key], end_id=END, max_new_tokens=4) for key in keys]
    right = sum(answer[:1] == [value[key]] for answer, key in zip(answers, keys, strict=True))
    return right, sum(len(answer) < 4 for answer in answers)


inputs, targets = sft_collate([([ASK, key], [value[key]]) for key in had[:8] + told], pad_id=END, end_id=END)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
points = {name: [] for name in groups}
print(" " * 11 + "".join(f"{f'{name} ({len(keys)})':<25}" for name, keys in groups.items()).rstrip())
for steps in range(161):
    if steps in (0, 10, 20, 40, 80, 160):
        line = f"{steps:>3} steps  "
        for name, keys in groups.items():
            right, ends = ask(keys)
            points[name].append((steps, right / len(keys)))
            line += f"{f'{right:>2} right, {ends:>2} stop':<25}"
        print(line.rstrip())
    step(optimizer, sft_loss(model, inputs, targets))

# %%
show(
    chart(
        "What tuning changes",
        [Series(n, p) for n, p in points.items()],
        "steps of tuning",
        "share that is right",
    ),
    "Facts that were read are right from the start, those of tuning become right, those of neither stay wrong",
    "Every group learns to stop. A question about an unknown fact is answered as promptly as any other.",
)

# %% [markdown] section="loss"
# ## Hide the question from the loss?
#
# The task: after four random tokens and a sign, repeat the first and the last of the four. Three ways to count: the
# answer and its end alone, everything, and the answer without its end. Predict: which one reports the lowest loss? Which
# one has the lowest loss on the same tokens, the answers'? Which one does not stop?

# %%
curves = {}  # what was counted -> losses on the same tokens


def questions(count, seed):
    draw = random.Random(seed)
    rows = [[draw.randrange(2, 12) for _ in range(4)] for _ in range(count)]
    return [([*row, 1], [row[0], row[-1]]) for row in rows]


test = questions(100, seed=1)
test_inputs, test_targets = sft_collate(test, pad_id=0, end_id=0)
print(f"{'what counts':<16} reported   on the answers   right   stops")
for name in ("answer and end", "everything", "answer, no end"):
    torch.manual_seed(0)
    model = GPT(GPTConfig(block_size=16, vocab_size=12, n_layer=1, n_head=2, n_embd=32))
    optimizer = torch.optim.AdamW(model.parameters(), lr=8e-3)
    curves[name] = []
    for count in range(201):
        inputs, targets = sft_collate(questions(32, seed=100 + count), pad_id=0, end_id=0)
        if name == "everything":
            targets[:, :-1] = inputs[:, 1:]  # each token of the row; the end is there already
        if name == "answer, no end":
            targets[targets == 0] = -100
        loss = sft_loss(model, inputs, targets)
        if count % 20 == 0:
            with torch.no_grad():
                answers_only = test_targets.masked_fill(test_targets == 0, -100)
                same = sft_loss(model, test_inputs, answers_only).item()
            curves[name].append((count, same))
        step(optimizer, loss)
    answers = [generate_response(model, prompt, end_id=0, max_new_tokens=6) for prompt, _ in test]
    right = sum(answer[:2] == wanted for answer, (_, wanted) in zip(answers, test, strict=True))
    stops = sum(len(answer) < 6 for answer in answers)
    print(f"{name:<16} {loss.item():>8.3f} {same:>16.3f} {right:>7} {stops:>7}")

# %%
show(
    chart(
        "The same tokens: the answers", [Series(n, p) for n, p in curves.items()], "steps", "nats per token"
    ),
    "Three falling curves: two that count answers only fall together, the one that counts everything falls later",
    "Compare losses on the same tokens, or not at all.",
)

# %% [markdown] section="rank"
# ## Is the change small?
#
# LoRA bets that what a task changes in a matrix has a low rank. We can look: tune all matrices of a small model,
# subtract, and put back only the $r$ largest directions of each change. The model copies four letters; the new task is
# to write the next letter of the alphabet for each. Predict: which rank is enough, of 48?

# %%
from lora import LoRALinear, apply_lora, merge_lora


def batch(count, task, seed):
    """Inputs and targets: four letters from 1 to 12, a 0, then the answer, which alone counts."""
    letters = torch.randint(1, 13, (count, 4), generator=torch.Generator().manual_seed(seed))
    answer = letters if task == "copy" else letters % 12 + 1
    row = torch.cat([letters, torch.zeros_like(letters[:, :1]), answer], dim=1)
    targets = row[:, 1:].clone()
    targets[:, :4] = -100
    return row[:, :-1], targets


def right(model, task):
    """The share of 200 answers that are right as a whole."""
    inputs, targets = batch(200, task, seed=999)
    with torch.no_grad():
        said = model(inputs)[0].argmax(-1)
    return ((said == targets) | (targets == -100)).all(1).float().mean().item()


def train(model, task, rate):
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)
    for seed in range(150):
        step(optimizer, model(*batch(32, task, seed))[1])
    return model


torch.manual_seed(0)
base = train(GPT(GPTConfig(block_size=12, vocab_size=13, n_layer=2, n_head=2, n_embd=48)), "copy", 5e-3)
tuned = copy.deepcopy(base)
matrices = [name for name, p in base.named_parameters() if name.startswith("h.") and p.dim() == 2]
for name, parameter in tuned.named_parameters():
    parameter.requires_grad_(name in matrices)
train(tuned, "next", 2e-3)
for name, model in (("before", base), ("tuned", tuned)):
    print(f"{name:<8} copies {right(model, 'copy'):>4.0%}   next letter {right(model, 'next'):>4.0%}")
print("\nrank of each change   next letter")
kept = []
for r in (0, 1, 2, 3, 4, 6, 8, 12, 48):
    part = copy.deepcopy(tuned)
    for name in matrices:
        old, new = base.get_parameter(name).data, part.get_parameter(name)
        u, s, v = torch.linalg.svd(new.data - old, full_matrices=False)
        new.data = old + u[:, :r] * s[:r] @ v[:r]
    kept.append((r, right(part, "next")))
    print(f"{r:>19} {kept[-1][1]:>13.0%}")

# %%
show(
    chart(
        "How many directions does the change need?",
        [Series("next", kept[:-1])],
        "rank",
        "share that is right",
    ),
    "A curve that rises steeply between rank 1 and rank 6, and then stays at 1",
    "Of 48 directions in each matrix a few carry the whole task.",
)

# %% [markdown]
# Now adapters of rank 2 beside the same base. Predict: do they change anything before their first step? Can the model
# still copy afterwards, and when they are switched off? How many numbers would such adapters, with rank 8, train in
# GPT-2 XL, at `c_attn` alone?

# %%
torch.manual_seed(0)
adapted = apply_lora(copy.deepcopy(base), r=2, alpha=4, targets=["c_attn", "c_proj", "c_fc"])
inputs, _ = batch(4, "next", seed=5)
apart = (adapted(inputs)[0] - base(inputs)[0]).abs().max().item()
print(f"before the first step the outputs differ by {apart}")
train(adapted, "next", 1e-2)
print(
    f"with adapters      copies {right(adapted, 'copy'):>4.0%}   next letter {right(adapted, 'next'):>4.0%}"
)
merged = merge_lora(copy.deepcopy(adapted))
apart = (merged(inputs)[0] - adapted(inputs)[0]).abs().max().item()
print(f"merged, the outputs differ by less than 0.0001: {apart < 1e-4}")
for layer in adapted.modules():
    if isinstance(layer, LoRALinear):
        layer.scale = 0.0
print(
    f"switched off       copies {right(adapted, 'copy'):>4.0%}   next letter {right(adapted, 'next'):>4.0%}"
)
trained = 48 * 8 * (1600 + 3 * 1600)  # blocks, rank, inputs and outputs of c_attn
print(f"GPT-2 XL: {trained:,} of 1,557,611,200 numbers, {trained / 1_557_611_200:.2%}")

# %% [markdown] section="dpo"
# ## The first number of DPO
#
# Twenty prompts, two answers each, a table as a policy. One run is right, four have a mistake: the reference is
# another model, or the policy itself; both answers are the same, or swapped. Predict the first loss of each, and
# whether the chosen answers gain. Two runs stay at their first loss, and one of these two learns all the same: which,
# and why?

# %%
from dpo import dpo_loss, freeze_copy, sequence_logprob


class Table(nn.Module):
    """Logits that depend on the last token only."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(32, 32)

    def forward(self, ids):
        return self.table(ids), None


def learn(mistake, beta=0.1):
    """Losses, and the log-probabilities that chosen and rejected gained."""
    torch.manual_seed(0)
    policy, stranger = Table(), Table()
    reference = freeze_copy(stranger if mistake == "another reference" else policy)
    prompts = torch.arange(20)[:, None]
    chosen, rejected = torch.randint(20, 32, (2, 20, 1))
    fixed = [sequence_logprob(reference, prompts, answers) for answers in (chosen, rejected)]
    before = [sequence_logprob(policy, prompts, answers).mean().item() for answers in (chosen, rejected)]
    optimizer = torch.optim.SGD(policy.parameters(), lr=5.0)
    losses = []
    for _ in range(101):
        now = [sequence_logprob(policy, prompts, answers) for answers in (chosen, rejected)]
        pair, ref = now, fixed
        if mistake == "swapped":
            pair, ref = now[::-1], fixed[::-1]
        if mistake == "both the same":
            pair, ref = [now[0], now[0]], [fixed[0], fixed[0]]
        if mistake == "its own reference":
            ref = [each.detach() for each in now]
        loss, _ = dpo_loss(*pair, *ref, beta=beta)
        losses.append(loss.item())
        step(optimizer, loss)
    return losses, [each.mean().item() - old for each, old in zip(now, before, strict=True)]


mistakes = (
    "none",
    "another reference",
    "its own reference",
    "both the same",
    "swapped",
)
print(f"ln 2 = {math.log(2):.3f}\n{'mistake':<18} first   last   chosen gains   rejected gains")
lines = []
for mistake in mistakes:
    losses, (gain, other) = learn(mistake)
    lines.append(Series(mistake, [(n, loss) for n, loss in enumerate(losses) if n % 10 == 0]))
    print(f"{mistake:<18} {losses[0]:.3f}  {losses[-1]:.3f} {gain:>14.2f} {other:>16.2f}")

# %%
show(
    chart("DPO's loss", lines[:3], "steps", "loss", [("ln 2", math.log(2))]),
    "Three curves: the right run falls from ln 2, the one with another reference starts elsewhere, one stays at ln 2",
    "A run with chosen and rejected swapped would lie exactly on the right one.",
)

# %% [markdown] section="judge"
# ## A judge with habits
#
# This judge does not read. It gives a point for every four characters, and 15 more to what stands first. It
# compares the kit's pairs, of which one answer is plainly better. Predict: what does asking in both orders repair, and
# what does it not?

# %%
from evaluate import judge


def habits(prompt):
    """The judge's reply to a prompt that holds two answers."""
    first, second = re.search(
        r"First answer:\n(.*)\n\nSecond answer:\n(.*)\n\nGive", prompt, re.DOTALL
    ).groups()
    return f"A: {min(85, len(first) / 4) + 15:.0f}\nB: {min(85, len(second) / 4):.0f}"


pairs = read("preferences")
print(f"{'kind':<10} pairs   better one first: wins   both orders: wins, ties, losses   order decides")
for kind in (None, *dict.fromkeys(row["kind"] for row in pairs)):
    items = [
        {"instruction": row["prompt"], "a": row["chosen"], "b": row["rejected"]}
        for row in pairs
        if kind in (None, row["kind"])
    ]
    once, both = judge(items, client=habits, swap=False), judge(items, client=habits)
    print(
        f"{kind or 'all':<10} {both.n:>5} {once.wins_a:>24} {both.wins_a:>19} {both.ties:>5} {both.wins_b:>7}"
        f" {both.inconsistent:>15}"
    )

# %% [markdown] section="votes"
# ## How many votes are enough?
#
# Two chatbots, blind votes without ties. Predict for 10, 20, 40 and 100 votes: how many must one of them win, so that
# two equal ones would differ as much in fewer than one of twenty cases?

# %%
from cohort_cli.evaluating.statistics import binomial_p

print("votes   needed   share")
bound = []
for votes in (6, 10, 15, 20, 30, 40, 60, 100):
    needed = next(n for n in range(votes // 2, votes + 1) if binomial_p(n, votes, 0.5) < 0.05)
    bound.append((votes, needed / votes))
    print(f"{votes:>5} {needed:>8} {needed / votes:>7.0%}")
print("\nFour choices, 29 % of them right: how often does guessing do as well?")
for items in (100, 200, 400, 800):
    print(f"{items:>5} questions: p = {binomial_p(round(0.29 * items), items, 0.25):.3f}")

# %%
show(
    chart("Votes that one of two must win", [Series("needed", bound)], "votes", "share", [("a tie", 0.5)]),
    "A falling line: all of 6 votes, three quarters of 20, three fifths of 100",
    "Below the line, luck can explain the result.",
)

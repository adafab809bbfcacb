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
# # Lab 4: pre-training
#
# Seven small experiments: three on training, one on paper, three on what a trained model writes. Each runs alone, for
# a few seconds, and needs nothing that is not on this machine. Before you run a section, write down what you expect.

# %%
import functools
import tempfile
from pathlib import Path

import torch

from cohort_cli.labs import show, use
from cohort_cli.training import corpus
from cohort_cli.training.svg import Series, chart

use("project3")
use("project4")
import loop  # the references of Project 3
from checkpoint import load_checkpoint, save_checkpoint
from data import get_batch, split_tokens
from gpt import GPT, GPTConfig  # and of Project 4
from sampling import beam_search, generate, next_token_probs
from schedule import configure_optimizers, lr_at

torch.set_num_threads(1)
TEXT = corpus.load()  # English prose, 0.47 million characters
CHARACTERS = sorted(set(TEXT))
NUMBER = {character: number for number, character in enumerate(CHARACTERS)}
IDS = torch.tensor([NUMBER[character] for character in TEXT], dtype=torch.int32).numpy()
TRAINING, VALIDATION = split_tokens(IDS, 0.1)
T = 32  # characters that the model sees
STEPS = 500  # of the longer runs


def new_model(dropout=0.0):
    """One block of 64 channels: of all shapes that we tried, the one that learns most in three seconds."""
    torch.manual_seed(0)
    return GPT(GPTConfig(T, len(CHARACTERS), n_layer=1, n_head=4, n_embd=64, dropout=dropout))


def run(model, steps, data=TRAINING, lr=8e-3, warmup=20, clip=1.0, optimizer=None):
    """Train with the loop of Project 3: the losses of all steps, and a validation loss every 50 steps."""
    config = loop.TrainConfig(steps, 24, 24, T, max_lr=lr, min_lr=lr / 10, warmup_steps=warmup, max_norm=clip)
    config.eval_every, config.eval_batches = 50, 4
    return loop.train(config, model, data, VALIDATION, optimizer=optimizer)


@functools.cache
def trained():
    """A model that has learned for some seconds, and its run. Made once, then kept."""
    model = new_model()
    return model.eval(), run(model, STEPS)


def encode(text):
    return torch.tensor([[NUMBER[character] for character in text]])


def decode(ids):
    return "".join(CHARACTERS[number] for number in ids.tolist())


# %% [markdown] section="rates"
# ## Which curve is which?
#
# One model, the same order of the data, six ways to take 100 steps. The planned rate is 8e-3, after a warm-up of 20
# steps, with gradients clipped at 1. Predict for each: does the loss fall fast, fall slowly, or explode? To compare
# with: a model that knows nothing but how frequent each character is has 3.2.

# %%
RUNS = {
    "as planned": {},
    "10 times": {"lr": 8e-2},
    "10 times, no warm-up, no clip": {"lr": 8e-2, "warmup": 0, "clip": 1e9},
    "100 times": {"lr": 0.8},
    "a hundredth": {"lr": 8e-5},
    "SGD": {"lr": 0.1},
}
results = {}
for name, settings in RUNS.items():
    model = new_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1) if name == "SGD" else None
    results[name] = run(model, 100, optimizer=optimizer, **settings)
print(f"{'rate':<30}  first  highest  validation at the end")
for name, result in results.items():
    print(f"{name:<30} {result.losses[0]:>6.2f} {max(result.losses):>8.2f} {result.val_losses[100]:>22.2f}")

# %%
shown = ("as planned", "100 times", "a hundredth", "SGD")
show(
    chart(
        "Four ways to take steps",
        [Series(name, list(enumerate(results[name].losses, 1)), thin=True) for name in shown],
        "step",
        "nats per character",
    ),
    "Four lines over 100 steps, all from 4.5. As planned: down to 2.6. SGD: to 2.9. A hundredth of the rate: slowly to "
    "4.0. A hundred times the rate: up to 17 at the end of the warm-up, then back to 3.2, and no further",
    "A rate that is too small is slow. One that is far too large ends where only frequencies are known.",
)

# %% [markdown] section="accumulate"
# ## Is a batch in pieces the same batch?
#
# Eight texts; in four of them only three targets count, as in texts of very different lengths. We compute the gradient
# once for all together, and then in four pieces: divided by the number of all targets, as a mean of four means, and
# both again with dropout. Predict: how far is each gradient from that of the whole batch, compared with its length?

# %%
g = torch.Generator().manual_seed(1)
x = torch.randint(len(CHARACTERS), (8, T), generator=g)
y = torch.randint(len(CHARACTERS), (8, T), generator=g)
y[4:, 3:] = -100  # no target


def gradient(dropout, *groups):
    """Accumulated over the groups, each divided by its own number of targets; then their mean."""
    model = new_model(dropout)
    for group in groups:
        loop.accumulate(model, group)
    return torch.cat([p.grad.flatten() for p in model.parameters()]) / len(groups)


pieces = [(x[n : n + 2], y[n : n + 2]) for n in (0, 2, 4, 6)]
whole, whole_with_dropout = gradient(0.0, [(x, y)]), gradient(0.1, [(x, y)])
for name, found, wanted in (
    ("four pieces, all targets counted", gradient(0.0, pieces), whole),
    ("mean of four means", gradient(0.0, *[[piece] for piece in pieces]), whole),
    ("four pieces, both with dropout", gradient(0.1, pieces), whole_with_dropout),
):
    print(f"{name:<34} off by {(found - wanted).norm() / wanted.norm():.2f} times its length")

# %% [markdown] section="resume"
# ## What must be in the checkpoint?
#
# 20 steps without a stop. Then four runs that go on after step 10 from a file: with everything, without the
# optimizer's two means, without the place in the data, without the number of the step. Predict which of them end with
# other weights, and whether the loss would have told you.


# %%
def go(model, optimizer, places, start, stop):
    """Steps start to stop - 1 of a run of 20. `places` decides which windows come. Gives the last loss."""
    for step in range(start, stop):
        x, y = get_batch(TRAINING, 24, T, device="cpu", generator=places)
        lr = lr_at(step, max_lr=8e-3, min_lr=8e-4, warmup_steps=10, max_steps=20)
        told = loop.train_step(model, optimizer, x, y, lr=lr, micro_batch_size=24, max_norm=1.0)
    return told["loss"]


def fresh():
    model = new_model()
    return model, configure_optimizers(model, lr=8e-3), torch.Generator().manual_seed(1)


model, optimizer, places = fresh()
path = Path(tempfile.mkdtemp()) / "run.ckpt"
go(model, optimizer, places, 0, 10)
state = {"places": places.get_state()}
save_checkpoint(path, model=model, optimizer=optimizer, step=10, rng={}, config={}, data_state=state)
loss = go(model, optimizer, places, 10, 20)
wanted = [parameter.detach().clone() for parameter in model.parameters()]
print(f"{'without a stop':<30} last loss {loss:.3f}")
for missing in ("nothing", "the optimizer", "the place in the data", "the step"):
    model, optimizer, places = fresh()
    found = load_checkpoint(path, model=model, optimizer=None if missing == "the optimizer" else optimizer)
    if missing != "the place in the data":
        places.set_state(found["data_state"]["places"])
    start = 0 if missing == "the step" else found["step"]
    loss = go(model, optimizer, places, start, start + 10)
    off = max((a - b).abs().max().item() for a, b in zip(model.parameters(), wanted, strict=True))
    print(f"{'missing: ' + missing:<30} last loss {loss:.3f}   weights off by at most {off:.3f}")

# %% [markdown] section="cost"
# ## What would it cost?
#
# The four sizes of GPT-2, each on 20 tokens per parameter, on 8 GPUs of 989 TFLOP/s each of which 40 % is reached, at
# 3.50 dollars per GPU and hour; and, for comparison, one laptop that reaches 50 GFLOP/s. Predict: XL has 12.5 times
# the parameters of the small one. How many times the hours?

# %%
from scale import GPTShape, count_parameters, flops_per_token, hours, tokens_for

SIZES = {"small": (12, 768, 12), "medium": (24, 1024, 16), "large": (36, 1280, 20), "XL": (48, 1600, 25)}
PRICE = 3.5
print("GPT-2      parameters   tokens    FLOPs   6 N D   hours  dollars   laptop")
for name, (layers, width, heads) in SIZES.items():
    shape = GPTShape(50257, n_layers=layers, d_model=width, n_heads=heads, max_seq_len=1024)
    count, tokens = count_parameters(shape), tokens_for(shape)
    flops = flops_per_token(shape) * tokens
    time = hours(flops, n_gpus=8, peak_flops=989e12, utilisation=0.4)
    laptop = flops / 50e9 / 3600 / 24 / 365
    print(
        f"{name:<6} {count:>14,} {tokens:>8.1e} {flops:>8.1e} {6 * count * tokens:>7.1e} "
        f"{time:>7.1f} {time * 8 * PRICE:>8,.0f} {laptop:>4,.0f} years"
    )

# %% [markdown] section="decode"
# ## What do temperature, top-k and top-p do?
#
# A model that has learned for some seconds gives a probability to each of its characters. Six ways to choose one.
# Predict for each: from how many characters is one drawn? Then read the six texts: which is the dullest, which the
# wildest?

# %%
model, _ = trained()
prompt = encode("The ")
with torch.no_grad():
    logits = model(prompt)[0][:, -1]  # (1, V): what comes after the prompt
WAYS = {
    "greedy": {"temperature": 0.0},
    "temperature 0.5": {"temperature": 0.5},
    "temperature 1": {},
    "temperature 2": {"temperature": 2.0},
    "top-k 5": {"top_k": 5},
    "top-p 0.8": {"top_p": 0.8},
}
print(f"{'':<15} possible  largest  entropy   a text")
for name, settings in WAYS.items():
    p = next_token_probs(logits, **settings)[0]
    kept = p[p > 0]
    entropy = abs((kept * kept.log()).sum().item())
    text = generate(model, prompt, 24, generator=torch.Generator().manual_seed(1), **settings)
    print(f"{name:<15} {len(kept):>8} {kept.max().item():>8.2f} {entropy:>8.2f}   {decode(text[0])!r}")

# %%
curves = []
for temperature in (0.5, 1.0, 2.0):
    p = next_token_probs(logits, temperature=temperature)[0].sort(descending=True).values[:20]
    curves.append(Series(f"temperature {temperature:g}", list(enumerate(p.tolist(), 1))))
show(
    chart('What follows "The "', curves, "rank of the character", "probability"),
    "Three falling lines over the 20 likeliest characters. At temperature 0.5 the first one has 0.32, at 1 it has 0.14, "
    "at 2 only 0.06, and the line is almost flat",
    "A temperature changes the steepness, never the order.",
)

# %% [markdown] section="beam"
# ## Is the likeliest text the best one?
#
# Five sentences of the validation text that begin with "The". After 8 characters, 24 more are written: greedily, with
# a beam of 4 and of 12, by chance, and as the author went on. Beam search looks for the text with the highest sum of
# log-probabilities. Predict the order of the five sums. Where does the author stand?

# %%
model, _ = trained()
NEW, LENGTH = 24, 8


@torch.no_grad()
def log_probability(ids):
    """What the model gives to the last NEW characters of ids (T,), in nats: the closer to 0 the likelier."""
    scores = model(ids[None, :-1])[0].log_softmax(-1)[0]  # (T - 1, V)
    return scores[torch.arange(LENGTH - 1, len(ids) - 1), ids[LENGTH:]].sum().item()


text = decode(VALIDATION)
starts = [n + 1 for n in range(len(text) - 40) if text.startswith("\nThe ", n)][:5]
sums = dict.fromkeys(("greedy", "beam of 4", "beam of 12", "by chance", "the author"), 0.0)
texts = {}
g = torch.Generator().manual_seed(1)
for start in starts:
    author = encode(text[start : start + LENGTH + NEW])[0]
    prompt = author[None, :LENGTH]
    ways = {
        "greedy": generate(model, prompt, NEW, temperature=0.0)[0],
        "beam of 4": beam_search(model, prompt, beam_width=4, max_new_tokens=NEW)[0][0],
        "beam of 12": beam_search(model, prompt, beam_width=12, max_new_tokens=NEW)[0][0],
        "by chance": generate(model, prompt, NEW, generator=g)[0],
        "the author": author,
    }
    for name, ids in ways.items():
        sums[name] += log_probability(ids) / len(starts)
        texts[name] = decode(ids)
print("              mean sum   the last of the five texts")
for name, value in sums.items():
    print(f"{name:<12} {value:>9.1f}   {texts[name]!r}")

# %% [markdown] section="copied"
# ## Learned, or copied?
#
# The same model and the same number of steps: once on the whole training text, and once on its first 2,000 characters,
# which it then reads 190 times. Predict the training loss and the validation loss of both. Then we let each model
# write 200 characters and look for the longest piece that stands in its training text word for word.

# %%
model, whole = trained()
little = TRAINING[:2000]
copyist = new_model()
short = run(copyist, STEPS, data=little)


def longest(sample, text):
    """The longest piece of the sample that stands in the text."""
    best = ""
    for start in range(len(sample)):
        while start + len(best) < len(sample) and sample[start : start + len(best) + 1] in text:
            best = sample[start : start + len(best) + 1]
    return best


print("trained on         training loss   validation loss   longest piece")
for name, one, result, source in (
    ("the whole text", model, whole, TRAINING),
    ("2,000 characters", copyist, short, little),
):
    ids = generate(one, encode("The "), 200, generator=torch.Generator().manual_seed(1))[0]
    piece = longest(decode(ids), decode(source))
    loss = sum(result.losses[-10:]) / 10
    print(f"{name:<18} {loss:>13.2f} {result.val_losses[STEPS]:>17.2f} {len(piece):>15}")
    print(f"  {piece!r}")

# %%
show(
    chart(
        "2,000 characters, read 190 times",
        [
            Series("training", list(enumerate(short.losses, 1)), thin=True),
            Series("validation", list(short.val_losses.items())),
        ],
        "step",
        "nats per character",
    ),
    "Two lines over 500 steps. The training loss falls from 4.5 to 0.3; the validation loss rises from 3.1 to 5.2",
    "It learns its text by heart, and becomes worse at every other one.",
)

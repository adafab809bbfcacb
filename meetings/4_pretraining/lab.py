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
# Seven small experiments: three on training, one on paper, three on what a trained model writes. Each runs alone, for a
# few seconds, and needs nothing that is not on this machine. Before you run a section, write down what you expect.

# %%
import functools
import math
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
from data import split_tokens
from gpt import GPT, GPTConfig  # and of Project 4

torch.set_num_threads(1)
TEXT = corpus.load()  # English prose, 0.47 million characters
CHARACTERS = sorted(set(TEXT))
NUMBER = {character: number for number, character in enumerate(CHARACTERS)}
IDS = torch.tensor([NUMBER[character] for character in TEXT], dtype=torch.int32).numpy()
TRAINING, VALIDATION = split_tokens(IDS, 0.1)
T = 32  # characters that the model sees


def new_model(dropout=0.0):
    torch.manual_seed(0)
    return GPT(GPTConfig(T, len(CHARACTERS), n_layer=2, n_head=3, n_embd=48, dropout=dropout))


def run(model, steps, data=TRAINING, lr=4e-3, warmup=10, optimizer=None, clip=1.0):
    """Train with the loop of Project 3. Gives the loss of each step, and validation losses every 50 steps."""
    config = loop.TrainConfig(
        steps, 16, 16, T, max_lr=lr, min_lr=lr / 10, warmup_steps=warmup, max_norm=clip, eval_every=50, eval_batches=4
    )
    return loop.train(config, model, data, VALIDATION, optimizer=optimizer)


@functools.cache
def trained():
    """A model that has learned for some seconds. It is made once, and then kept."""
    model = new_model()
    return model.eval(), run(model, 300)


def encode(text):
    return torch.tensor([[NUMBER[character] for character in text]])


def decode(ids):
    return "".join(CHARACTERS[number] for number in ids.tolist())


# %% [markdown] section="rates"
# ## Which curve is which?
#
# One model, one order of the data, five ways to take steps. Predict for each: does the loss fall fast, fall slowly,
# stay, or explode?

# %%
RUNS = {
    "as planned, 4e-3": {},
    "10 times, no warm-up, no clip": {"lr": 4e-2, "warmup": 0, "clip": 1e9},
    "10 times": {"lr": 4e-2},
    "a hundredth": {"lr": 4e-5},
    "SGD": {"lr": 0.1},
}
results = {}
for name, settings in RUNS.items():
    model = new_model()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1) if name == "SGD" else None
    results[name] = run(model, 100, optimizer=sgd, **settings)
print(f"{'steps':<30} {'first loss':>10} {'highest':>8} {'validation at the end':>22}")
for name, result in results.items():
    print(f"{name:<30} {result.losses[0]:>10.2f} {max(result.losses):>8.2f} {result.val_losses[100]:>22.2f}")

# %%
show(
    chart(
        "Five ways to take steps",
        [Series(name, list(enumerate(result.losses, 1)), thin=True) for name, result in results.items()],
        "step",
        "nats per character",
    ),
    "ALT",
    "",
)

# %% [markdown] section="accumulate"
# ## Is a batch in pieces the same batch?
#
# Eight texts; in four of them only three targets count, as in texts of very different lengths. We compute the gradient
# once for all together, and then in four pieces: divided by the number of all targets, as a mean of four means, and the
# first again with dropout. Predict: how far is each gradient from the first, compared with its length?

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
whole = gradient(0.0, [(x, y)])
print(f"{'the whole batch':<32} length {whole.norm().item():.3f}")
for name, other, against in (
    ("four pieces, all targets counted", gradient(0.0, pieces), whole),
    ("mean of four means", gradient(0.0, *[[piece] for piece in pieces]), whole),
    ("four pieces, with dropout", gradient(0.1, pieces), gradient(0.1, [(x, y)])),
):
    print(f"{name:<32} off by {(other - against).norm().item() / against.norm().item():.4f} of its length")

# %% [markdown] section="resume"
# ## What must be in the checkpoint?
#
# 20 steps without a stop, and four runs that stop after 10 and go on from a file: with everything, without the
# optimizer's two means, without the place in the data, without the number of the step. Predict which of them ends with
# other weights, and whether the loss shows it.

# %%
CONFIG = loop.TrainConfig(20, 16, 16, T, max_lr=4e-3, min_lr=4e-4, warmup_steps=10)


def new_optimizer(model):
    return loop.configure_optimizers(model, lr=4e-3)


def go(model, optimizer, generator, start, stop):
    """Steps start to stop of the run of 20."""
    seen = []

    def end(step):
        seen.append(step["loss"])
        if step["step"] + 1 == stop:
            raise StopIteration

    try:
        loop.train(
            CONFIG, model, TRAINING, VALIDATION, callbacks=[end], optimizer=optimizer, generator=generator, start_step=start
        )
    except StopIteration:
        pass
    return seen[-1]


model = new_model()
optimizer, places = new_optimizer(model), torch.Generator().manual_seed(1)
path = Path(tempfile.mkdtemp()) / "run.ckpt"
go(model, optimizer, places, 0, 10)
save_checkpoint(path, model=model, optimizer=optimizer, step=10, rng={}, config={}, data_state={"places": places.get_state()})
loss = go(model, optimizer, places, 10, 20)
wanted = [parameter.detach().clone() for parameter in model.parameters()]
print(f"{'without a stop':<24} last loss {loss:.4f}")
for missing in ("nothing", "the optimizer", "the place in the data", "the step"):
    model = new_model()
    optimizer, places = new_optimizer(model), torch.Generator().manual_seed(1)
    found = load_checkpoint(path, model=model, optimizer=None if missing == "the optimizer" else optimizer)
    if missing != "the place in the data":
        places.set_state(found["data_state"]["places"])
    start = 0 if missing == "the step" else found["step"]
    loss = go(model, optimizer, places, start, start + 10)
    off = max((a - b).abs().max().item() for a, b in zip(model.parameters(), wanted))
    print(f"{'without ' + missing:<30} last loss {loss:.4f}   weights off by at most {off:.4f}")

# %% [markdown] section="cost"
# ## What would it cost?

# %%
from scale import GPTShape, count_parameters, flops_per_token, hours, tokens_for, training_memory

GPUS, PEAK, REACHED, PRICE = 8, 989e12, 0.4, 3.5
for name, layers, width, heads in (("small", 12, 768, 12), ("medium", 24, 1024, 16), ("large", 36, 1280, 20), ("XL", 48, 1600, 25)):
    shape = GPTShape(vocab_size=50257, n_layers=layers, d_model=width, n_heads=heads, max_seq_len=1024)
    n, tokens = count_parameters(shape), tokens_for(shape)
    simple = 6 * n * tokens
    flops = flops_per_token(shape) * tokens
    time = hours(flops, GPUS, PEAK, REACHED)
    print(name, f"{n:,} {tokens/1e9:.1f} {simple:.2g} {flops:.2g} {time:.1f} {time*GPUS*PRICE:,.0f} laptop: {hours(flops,1,50e9,0.7)/24/365:.1f} years")

# %% [markdown] section="decode"
# ## What do temperature, top-k and top-p do?

# %%
from sampling import beam_search, generate, next_token_probs
model, result = trained()
print(result.val_losses)
prompt = encode("The ")
with torch.no_grad():
    logits = model(prompt)[0][:, -1]
WAYS = {
    "greedy": {"temperature": 0.0},
    "temperature 0.5": {"temperature": 0.5},
    "temperature 1": {},
    "temperature 2": {"temperature": 2.0},
    "top-k 5": {"top_k": 5},
    "top-p 0.8": {"top_p": 0.8},
}
for name, settings in WAYS.items():
    p = next_token_probs(logits, **settings)[0]
    some = p[p > 0]
    text = generate(model, prompt, 60, generator=torch.Generator().manual_seed(1), **settings)
    print(f"{name:<16} {len(some):>4} {some.max().item():.2f} {-(some * some.log()).sum().item():.2f} {decode(text[0])!r}")

# %% [markdown] section="beam"
# ## Beams

# %%
model, _ = trained()
prompt = encode("The ")
def score(text):
    """Nats per character that the model gives to what comes after the prompt."""
    with torch.no_grad():
        logp = model(text[:-1][None])[0].log_softmax(-1)[0]
    start = prompt.size(1)
    return logp[torch.arange(start-1, len(text)-1), text[start:]].sum().item()
for width in (1, 2, 4, 8):
    tokens, total = beam_search(model, prompt, beam_width=width, max_new_tokens=28)[0]
    print(width, f"{total:.2f} {score(tokens):.2f} {decode(tokens)!r}")
for seed in (1,2,3):
    text = generate(model, prompt, 28, generator=torch.Generator().manual_seed(seed))[0]
    print("chance", f"{score(text):.2f} {decode(text)!r}")
print("real", [f"{score(encode(t)[0][:32]):.2f} {t[:32]!r}" for t in ("The following example shows how t", "The try statement specifies exce")])

# %% [markdown] section="copied"
# ## Learned, or copied?

# %%
model, whole = trained()
few = TRAINING[:2000]
model2 = new_model()
short = run(model2, 300, data=few)
print(whole.val_losses, whole.losses[-1])
print(short.val_losses, short.losses[-1])
def longest(sample, text):
    """The longest piece of the sample that stands in the text."""
    best = ""
    for start in range(len(sample)):
        while start + len(best) < len(sample) and sample[start : start + len(best) + 1] in text:
            best = sample[start : start + len(best) + 1]
    return best
for name, m, source in (("whole", model, TRAINING), ("few", model2, few)):
    text = "".join(CHARACTERS[i] for i in source)
    s = decode(generate(m, encode("The "), 200, generator=torch.Generator().manual_seed(1))[0])
    print(name, repr(s), len(longest(s, text)), repr(longest(s, text)))

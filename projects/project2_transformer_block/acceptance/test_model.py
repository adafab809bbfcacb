"""Step `model`: GPT, its loss, its initial weights, and text generation.

B batch, T time, V = 11 = vocab_size, C = 12 = d_model, H = 3 heads, two layers, at most 8 tokens.
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from cohort_cli.checking.authoring import check

SIZE = {
    "vocab_size": 11,
    "n_layers": 2,
    "d_model": 12,
    "n_heads": 3,
    "max_seq_len": 8,
    "d_ff": 20,
    "eps": 0.1,
}


def shapes(V=11, layers=2, C=12, T=8, d_ff=20):
    """Canonical name -> shape of every parameter, in GPT-2's order. lm_head.weight is wte.weight."""
    result = {"wte.weight": (V, C), "wpe.weight": (T, C)}
    for i in range(layers):
        rows = {
            "ln_1": C,
            "attn.c_attn": 3 * C,
            "attn.c_proj": C,
            "ln_2": C,
            "mlp.c_fc": d_ff,
            "mlp.c_proj": C,
        }
        for name, out in rows.items():
            columns = () if "ln_" in name else (d_ff,) if name == "mlp.c_proj" else (C,)
            result |= {f"h.{i}.{name}.weight": (out, *columns), f"h.{i}.{name}.bias": (out,)}
    return result | {"ln_f.weight": (C,), "ln_f.bias": (C,)}


@functools.cache
def torchs_block():
    """torch's own layer, in double precision; its weights are given at each call."""
    gelu = functools.partial(F.gelu, approximate="tanh")
    return nn.TransformerEncoderLayer(12, 3, 20, 0.0, gelu, 0.1, batch_first=True, norm_first=True).double()


def torchs_logits(w, idx):
    """The same model from torch's own parts: embeddings, nn.TransformerEncoderLayer, layer_norm, tied head."""
    T = idx.size(1)
    x = w["wte.weight"][idx] + w["wpe.weight"][:T]
    names = {"ln_1.": "norm1.", "ln_2.": "norm2.", "mlp.c_fc.": "linear1.", "mlp.c_proj.": "linear2."}
    names |= {"attn.c_attn.": "self_attn.in_proj_", "attn.c_proj.": "self_attn.out_proj."}
    hidden = torch.ones(T, T, dtype=torch.bool).triu(1)
    for i in range(2):
        kinds = [
            (ours + kind, theirs + kind) for ours, theirs in names.items() for kind in ("weight", "bias")
        ]
        state = {theirs: w[f"h.{i}.{ours}"] for ours, theirs in kinds}
        x = functional_call(torchs_block(), state, (x, hidden))
    return F.layer_norm(x, (12,), w["ln_f.weight"], w["ln_f.bias"], 0.1) @ w["wte.weight"].T


def new_gpt(member, **fields):
    return member.model.GPT(member.model.GPTConfig(**{**SIZE, **fields}))


@check("model-shape", title="logits for every position, and a loss if there are targets")
def test_model_shape(member, expect, rng):
    """idx (B, T) gives (logits, loss): logits (B, T, V), one row for each position, not only for the last
    one.

    Without targets the loss is None; with targets it is a single number. More than max_seq_len tokens are a
    ValueError: cutting them off would silently train on something else.
    """
    model = new_gpt(member).double()
    for T in (8, 5, 1):
        idx = rng.integers(0, 11, 2, T)
        logits, loss = model(idx)
        expect.shape(logits, (2, T, 11), say=f"The logits of {T} tokens, without targets.")
        expect.equal(loss, None, say="Without targets there is no loss.")
        logits, loss = model(idx, idx)
        expect.shape(logits, (2, T, 11), say=f"The logits of {T} tokens, with targets.")
        expect.shape(loss, (), say="The loss must be a single number.")
    expect.raises(
        model, rng.integers(0, 11, 2, 9), say="9 tokens are more than max_seq_len = 8: a ValueError."
    )


@check("model-parameters", title="as many parameters as on paper")
def test_model_parameters(member, expect):
    """V * C + T * C for the embeddings, 1,184 in each block (see block-shape), 2 * C in the last norm:
    2,620.

    The head adds none, since it shares the matrix of the token embedding. With this formula GPT-2 small has
    124,439,808. Blocks in a plain Python list are not found by torch, so they would never be trained.
    """
    for layers, want in ((1, 1436), (2, 2620), (3, 3804)):
        model = new_gpt(member, n_layers=layers)
        count = sum(p.numel() for p in model.parameters().values())
        expect.equal(count, want, say=f"The number of parameters with {layers} layers.")


@check(
    "model-values",
    title="the logits are those of the same model made of torch's parts",
    needs=["model-shape"],
)
def test_model_values(member, expect, rng):
    """Embedding of tokens plus embedding of positions, the blocks in order, the last norm, the tied head.

    Compared with nn.TransformerEncoderLayer and friends on the same random weights, with eps = 0.1. If this
    fails although every block check passes, look at positions, at ln_f and at the order of the blocks.
    """
    model = new_gpt(member).double()
    w = rng.fill(model, shapes())
    idx = rng.integers(0, 11, 3, 5)
    logits, _ = model(idx)
    expect.close(logits, torchs_logits(w, idx), axes=("batch", "token", "word"))


@check("model-tied", title="head and embedding stay one matrix", needs=["model-parameters"])
def test_model_tied(member, expect, rng):
    """Tied means one nn.Parameter with two names. It must survive .double(), a deep copy, and loading a
    state_dict:

    each time the number of parameters stays the same, and new weights in the embedding change the head as
    well.

    Reading: Press and Wolf 2017, section 3.
    """
    model, loaded = new_gpt(member).double(), new_gpt(member).double()
    copied = member.deepcopy(model)
    loaded.load_state_dict(model.state_dict())
    idx = rng.integers(0, 11, 2, 5)
    before, _ = model(idx)
    expect.close(loaded(idx)[0], before, say="A second model with the first one's state_dict.")
    for name, other in (("the model in float64", model), ("a deep copy", copied), ("a loaded model", loaded)):
        count = sum(p.numel() for p in other.parameters().values())
        expect.equal(count, 2620, say=f"The number of parameters of {name}.")
        w = rng.fill(other, shapes())
        expect.close(
            other(idx)[0], torchs_logits(w, idx), say=f"The logits of {name} after new weights were written."
        )


@check(
    "model-options", title="the configuration reaches every block and the last norm", needs=["model-values"]
)
def test_model_options(member, expect, rng):
    """norm="rmsnorm", norm_position="post" and activation="relu", all at once. A switch that GPTConfig.block() forgets
    to hand on leaves the default in its place; so does a last norm that is always a LayerNorm. With bias=False
    no linear layer and no norm has a bias.
    """
    bare = new_gpt(member, bias=False).parameters().values()
    want = sum(math.prod(shape) for name, shape in shapes().items() if not name.endswith("bias"))
    expect.equal(
        sum(p.numel() for p in bare), want, say="The number of parameters of a model with bias=False."
    )
    model = new_gpt(member, norm="rmsnorm", norm_position="post", activation="relu").double()
    gains = {name: shape for name, shape in shapes().items() if not ("ln_" in name and name.endswith("bias"))}
    w = rng.fill(model, gains)
    idx = rng.integers(0, 11, 3, 5)
    x = w["wte.weight"][idx] + w["wpe.weight"][:5]
    for i in range(2):
        part = {
            name.removeprefix(f"h.{i}."): value for name, value in w.items() if name.startswith(f"h.{i}.")
        }
        x = F.rms_norm(x + torchs_attention(part, x), (12,), part["ln_1.weight"], 0.1)
        hidden = F.relu(F.linear(x, part["mlp.c_fc.weight"], part["mlp.c_fc.bias"]))
        x = x + F.linear(hidden, part["mlp.c_proj.weight"], part["mlp.c_proj.bias"])
        x = F.rms_norm(x, (12,), part["ln_2.weight"], 0.1)
    want = F.rms_norm(x, (12,), w["ln_f.weight"], 0.1) @ w["wte.weight"].T
    expect.close(model(idx)[0], want, axes=("batch", "token", "word"))


def torchs_attention(w, x):
    """torch's own causal attention with 3 heads on these weights."""
    q, k, v = F.linear(x, w["attn.c_attn.weight"], w["attn.c_attn.bias"]).chunk(3, dim=-1)
    q, k, v = (t.unflatten(-1, (3, 4)).transpose(1, 2) for t in (q, k, v))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(-2)
    return F.linear(y, w["attn.c_proj.weight"], w["attn.c_proj.bias"])


@check("model-loss", title="the loss is the mean cross-entropy over all positions", needs=["model-shape"])
def test_model_loss(member, expect, rng):
    """targets[b, t] is the token after idx[b, t]: the caller has shifted them, so the model must not shift
    again.

    Take the logits as they are (cross_entropy applies log-softmax itself) and average over all B * T
    positions. Positions with the target -1 do not count. Computed here from your own logits, position by
    position.
    """
    model = new_gpt(member).double()
    rng.fill(model, shapes())
    idx, targets = rng.integers(0, 11, 3, 5), rng.integers(0, 11, 3, 5)
    logits, loss = model(idx, targets)
    each = torch.stack(
        [row.logsumexp(-1) - row[t] for row, t in zip(logits.flatten(0, 1), targets.flatten(), strict=True)]
    )
    expect.close(loss, each.mean(), say="All 15 positions count.")
    ignored = torch.zeros(3, 5, dtype=torch.bool)
    ignored[0, 1], ignored[2, 3:] = True, True
    _, loss = model(idx, targets.masked_fill(ignored, -1))
    expect.close(loss, each[~ignored.flatten()].mean(), say="Three targets are -1; the other 12 count.")


@check("model-gradient", title="every parameter learns from the loss", needs=["model-values", "model-loss"])
def test_model_gradient(member, expect, rng):
    """The gradients of the loss with respect to all parameters, compared with those of torch's parts.

    The matrix that embedding and head share gets the sum of both gradients.
    """
    model = new_gpt(member).double()
    w = rng.fill(model, shapes())
    idx, targets = rng.integers(0, 11, 3, 5), rng.integers(0, 11, 3, 5)
    seen = member.vjp(model, idx, targets, params_of=model, pick=1).parameters
    missing = [name for name, gradient in seen.items() if gradient is None]
    expect.equal(missing, [], say="These parameters get no gradient.")
    leaves = {name: value.clone().requires_grad_() for name, value in w.items()}
    loss = F.cross_entropy(torchs_logits(leaves, idx).flatten(0, 1), targets.flatten())
    want = torch.autograd.grad(loss, list(leaves.values()))
    expect.close(numbers(seen.values()), numbers(want), say="The gradients of all parameters, sorted.")


@check("model-first-loss", title="an untrained model guesses: its loss is ln V", needs=["model-shape"])
def test_model_first_loss(member, expect, rng):
    """With small random weights all tokens are about equally likely, so the loss is ln(vocab_size), here
    4.57.

    If it is much larger, the weights start too large: then the first hundred steps of training only shrink
    them. This number is the cheapest test of a new model.
    """
    model = new_gpt(member, vocab_size=97, n_layers=3, d_model=48, max_seq_len=16, eps=1e-5)
    idx, targets = rng.integers(0, 97, 8, 16), rng.integers(0, 97, 8, 16)
    loss = float(model(idx, targets)[1])
    expect.that(
        abs(loss - math.log(97)) < 0.1,
        "The first loss must be ln(97), give or take 0.1.",
        got=loss,
        want=math.log(97),
    )


@check("model-first-weights", title="the weights start as GPT-2's do", needs=["model-parameters"])
def test_model_first_weights(member, expect, rng):
    """Embeddings and linear layers: normal with standard deviation 0.02. Biases: 0. Gains of the norms: 1.

    Each of the 3 layers adds two branches to the residual stream, so the last matrix of each branch
    (c_proj) starts with 0.02 / sqrt(2 * 3): the sum then does not grow with depth.

    Reading: Radford et al. 2019, section 2.3.
    """
    model = new_gpt(member, vocab_size=97, n_layers=3, d_model=48, max_seq_len=32, d_ff=None)
    first = model.double().parameters()
    w = rng.fill(model, shapes(V=97, layers=3, C=48, T=32, d_ff=192))
    groups = {}  # "wte.weight" or "attn.c_proj.weight" -> the first values, of all layers together
    for name, value in model.parameters().items():
        place = next(place for place, drawn in w.items() if bool((drawn == value.flatten()[0]).any()))
        place = place.split(".", 2)[-1] if place.startswith("h.") else place
        groups.setdefault(place, []).append(first[name].flatten())
    places = sorted(place for place in groups if place.endswith("weight") and "ln_" not in place)
    for place, values in sorted(groups.items()):
        if place not in places:
            start = 0.0 if place.endswith("bias") else 1.0
            value = torch.cat(values)
            expect.close(value, torch.full_like(value, start), say=f"{place} must start at {start:.0f}.")
    same = [
        place for place in places if place not in ("wte.weight", "wpe.weight") and has_twins(groups[place])
    ]
    expect.equal(
        same, [], say="These start with the same numbers in every layer; each layer must draw its own."
    )
    # The spread of 1,536 numbers or more is exact to 2 per cent, so 12 per cent is six times that.
    want = torch.tensor([0.02 / math.sqrt(6) if "c_proj" in place else 0.02 for place in places])
    weights = [torch.cat(groups[place]) for place in places]
    spread = torch.stack([value.std() for value in weights])
    say = f"The standard deviations of {', '.join(places)}, in this order."
    expect.close(spread, want, atol=0.0, rtol=0.12, axes=("matrix",), say=say)
    mean = torch.stack([value.mean() / value.std() * len(value) ** 0.5 for value in weights])
    say = f"The means of {', '.join(places)}, in standard errors."
    expect.close(mean, torch.zeros_like(mean), atol=6.0, axes=("matrix",), say=say)
    # Of so many normal numbers the largest is 3 to 5 standard deviations; of uniform ones it is 1.7.
    largest = min(float(value.abs().max() / value.std()) for value in weights)
    say = "The weights are not normal: their largest number, in standard deviations, is too small."
    expect.that(largest > 2.3, say, got=largest)


def has_twins(values):
    """Are two of these tensors the same?"""
    return any(torch.equal(a, b) for i, a in enumerate(values) for b in values[:i] if a.shape == b.shape)


@check("model-dropout", title="the model's dropout is on in training and off in eval", needs=["model-values"])
def test_model_dropout(member, expect, rng):
    """In eval mode the logits are those without dropout; in training two calls differ.

    Validation losses and generated text are wrong when dropout stays on.
    """
    model = new_gpt(member, dropout=0.5).double().eval()
    w = rng.fill(model, shapes())
    idx = rng.integers(0, 11, 2, 5)
    expect.close(
        model(idx)[0], torchs_logits(w, idx), say="In eval mode the logits are those without dropout."
    )
    model.train()
    differ = bool((model(idx)[0] - model(idx)[0]).abs().max() > 1e-3)
    expect.that(differ, "In training, with dropout=0.5, two calls must differ.")
    w = rng.fill(
        model, shapes(), silent=["c_proj"]
    )  # every branch is silent: what is left are the embeddings
    differ = bool((model(idx)[0] - model(idx)[0]).abs().max() > 1e-3)
    expect.that(differ, "With silent blocks two calls must still differ: dropout acts on the embeddings too.")

    # For a text of one token, everything that dropout on the 12 sums can lead to is known.
    seen = model(torch.zeros(200, 1, dtype=torch.int64))[0][:, 0]
    token, position = w["wte.weight"][0], w["wpe.weight"][0]
    kept = torch.cartesian_prod(*[torch.tensor([0.0, 2.0], dtype=torch.float64)] * 12)  # (4096, 12)
    readings = {"the sum": kept * (token + position), "the tokens alone": kept * token + position}
    found = {}
    for what, sums in readings.items():
        can_be = F.layer_norm(sums, (12,), w["ln_f.weight"], w["ln_f.bias"], 0.1) @ w["wte.weight"].T
        found[what] = bool(
            (torch.cdist(seen, can_be, compute_mode="donot_use_mm_for_euclid_dist").amin(1) < 1e-6).all()
        )
    what = next((what for what, fits in found.items() if fits), "something else, or more than that")
    say = "With silent blocks, dropout acts on the sum of the two embeddings, once, and on nothing else."
    expect.that(what == "the sum", say, got=f"dropout on {what}", want="dropout on the sum")


@check("generate-greedy", title="with top_k=1 it always takes the most likely token", needs=["model-values"])
def test_generate_greedy(member, expect, rng):
    """Four new tokens after a prompt of twelve, and eight after a prompt of five: each is the argmax of the last
    position's logits, for each row.

    The prompt stays in front. After eight tokens the model sees only the last eight (max_seq_len): the
    window slides. Computed here with the model of torch's parts.
    """
    model = new_gpt(member, bias=False).double().eval()  # without biases the context decides more
    weights = {name: shape for name, shape in shapes().items() if not name.endswith("bias")}
    zeros = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes().items()}
    # Draw until the favourite depends on the text: a model that always says 3 would hide every mistake.
    for _ in range(50):
        w = zeros | rng.fill(model, weights)
        favourites = torchs_logits(w, rng.integers(0, 11, 200, 8)).argmax(-1)
        if all(int(favourites[:, place].bincount().max()) < 80 for place in (0, 7)):
            break
    for rows, prompt, new in ((24, 12, 4), (24, 5, 8)):
        idx = rng.integers(0, 11, rows, prompt)
        want = idx
        for _ in range(new):
            want = torch.cat([want, torchs_logits(w, want[:, -8:])[:, -1].argmax(-1, keepdim=True)], dim=1)
        got = model.generate(idx, new, top_k=1)
        say = f"The prompt of {prompt} tokens and {new} new ones."
        expect.shape(got, (rows, prompt + new), say=say)
        expect.equal(got, want, say=say)


@check("generate-sampling", title="tokens come as often as their probability says", needs=["model-values"])
def test_generate_sampling(member, expect, rng):
    """The same prompt 1,000 times; how often does each token follow? As often as softmax(logits /
    temperature) says, each row on its own. With top_k = 3 only the three most likely tokens may come; a
    top_k above V allows all.
    """
    model = new_gpt(member).double().eval()
    w = rng.fill(model, shapes())
    idx = rng.integers(0, 11, 1, 4)
    logits = torchs_logits(w, idx)[0, -1]
    for temperature, top_k in ((1.0, None), (4.0, 3), (0.25, 30)):
        words = f"temperature={temperature}, top_k={top_k}"
        kept = logits >= logits.sort(descending=True).values[min(top_k or 11, 11) - 1]
        want = torch.softmax((logits / temperature).masked_fill(~kept, float("-inf")), -1)
        generator = torch.Generator().manual_seed(int(rng.integers(0, 2**31, 1)))
        drawn = model.generate(idx.expand(1000, 4), 1, temperature, top_k, generator)
        expect.shape(drawn, (1000, 5), say="One new token for each of 1000 rows.")
        seen = torch.bincount(drawn[:, -1], minlength=11).double() / 1000
        nothing = torch.zeros(int((~kept).sum()), dtype=torch.float64)
        expect.close(seen[~kept], nothing, say=f"{words}: how often the tokens came that may not come.")
        # Each frequency is exact to 0.016; a correct answer strays by 0.1 less than once in a million runs.
        expect.close(seen, want, atol=0.1, axes=("token",), say=f"{words}: how often each token came.")


@check("generate-repeatable", title="the same generator seed gives the same text", needs=["model-shape"])
def test_generate_repeatable(member, expect, rng):
    """`generator` decides the draw: the same seed gives the same tokens, whatever was drawn before, and
    another seed gives other tokens. Afterwards the prompt is unchanged, and a model in training is still in
    training.
    """
    model = new_gpt(member).double().train()
    rng.fill(model, shapes())
    idx = rng.integers(0, 11, 8, 5)
    seeds = [int(seed) for seed in rng.integers(0, 2**31, 2)]
    texts = []
    for number, seed in enumerate((seeds[0], seeds[0], seeds[1])):
        member.seed(number)
        generator = torch.Generator().manual_seed(seed)
        text, after = member.echo(model.generate, idx, 10, temperature=3.0, generator=generator)
        expect.equal(after[0], idx, say="The prompt after the call.")
        texts.append(text)
    expect.equal(texts[1], texts[0], say="Two texts from generators with the same seed.")
    differs = not torch.equal(texts[2], texts[0])
    expect.that(differs, "Generators with different seeds gave the same 80 tokens.", got=texts[2])
    expect.equal(member.get(model, "training"), True, say="The model was in training mode before generate.")


def numbers(tensors):
    """Everything in these tensors as one sorted row."""
    return torch.cat([t.flatten() for t in tensors]).sort().values

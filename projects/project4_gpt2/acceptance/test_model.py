"""Step `model`: the whole network, its loss, its first weights, and what it costs.

B batch, T time, V = 11 = vocab_size, C = 12 = n_embd, H = 3 heads, two layers, at most 8 tokens.
"""

import functools
import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from cohort_cli.checking.authoring import check
from cohort_cli.checking.judge.weights import layouts

SIZE = {"block_size": 8, "vocab_size": 11, "n_layer": 2, "n_head": 3, "n_embd": 12}
INNER = {"ln_1": "norm1", "ln_2": "norm2", "mlp.c_fc": "linear1", "mlp.c_proj": "linear2"}
NAMES = {f"{ours}.": f"{torchs}." for ours, torchs in INNER.items()}
NAMES |= {"attn.c_attn.": "self_attn.in_proj_", "attn.c_proj.": "self_attn.out_proj."}


def shapes(V=11, layers=2, C=12, T=8, bias=True):
    """Canonical name -> shape of every parameter. The head has none: its matrix is wte.weight."""
    result = {"wte.weight": (V, C), "wpe.weight": (T, C)}
    for i in range(layers):
        rows = {"ln_1": (C,), "attn.c_attn": (3 * C, C), "attn.c_proj": (C, C)}
        rows |= {"ln_2": (C,), "mlp.c_fc": (4 * C, C), "mlp.c_proj": (C, 4 * C)}
        for name, shape in rows.items():
            result |= {f"h.{i}.{name}.weight": shape, f"h.{i}.{name}.bias": shape[:1]}
    result |= {"ln_f.weight": (C,), "ln_f.bias": (C,)}
    return {name: shape for name, shape in result.items() if bias or not name.endswith("bias")}


@functools.cache
def torchs_block():
    """torch's own layer, in double precision; its weights are given at each call."""
    gelu = functools.partial(F.gelu, approximate="tanh")
    return nn.TransformerEncoderLayer(12, 3, 48, 0.0, gelu, 1e-5, batch_first=True, norm_first=True).double()


def torchs_logits(w, idx, layers=2):
    """The same model from torch's own parts: embeddings, nn.TransformerEncoderLayer, layer_norm, tied head.

    A bias that is not in w is 0.
    """
    nothing = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes(layers=layers).items()}
    w = nothing | w
    T = idx.size(1)
    x = w["wte.weight"][idx] + w["wpe.weight"][:T]
    hidden = torch.ones(T, T, dtype=torch.bool).triu(1)
    for i in range(layers):
        kinds = itertools.product(NAMES.items(), ("weight", "bias"))
        state = {theirs + kind: w[f"h.{i}.{ours}{kind}"] for (ours, theirs), kind in kinds}
        x = functional_call(torchs_block(), state, (x, hidden))
    return F.layer_norm(x, (12,), w["ln_f.weight"], w["ln_f.bias"], 1e-5) @ w["wte.weight"].T


def new_gpt(member, **fields):
    return member.gpt.GPT(member.gpt.GPTConfig(**{**SIZE, **fields}))


def counted(model):
    return sum(parameter.numel() for parameter in model.parameters().values())


@check("model-shape", title="logits for every position, and a loss if there are targets")
def test_model_shape(member, expect, rng):
    """idx (B, T) gives (logits, loss): logits (B, T, V), one row for each position, not only for the last one.

    Without targets the loss is None; with targets it is a single number. More than block_size tokens are a
    ValueError: cutting them off would silently compute something else.
    """
    model = new_gpt(member).double()
    kept = member.get(member.get(model, "config"), "block_size")
    expect.equal(kept, 8, say="model.config.block_size, which sampling and training ask for.")
    for T in (8, 5, 1):
        idx = rng.integers(0, 11, 2, T)
        logits, loss = model(idx, idx)
        expect.shape(logits, (2, T, 11), say=f"The logits of {T} tokens, with targets.")
        expect.shape(loss, (), say="The loss must be a single number.")
        logits, loss = model(idx)
        expect.shape(logits, (2, T, 11), say=f"The logits of {T} tokens, without targets.")
        expect.equal(loss, None, say="Without targets there is no loss.")
    idx = rng.integers(0, 11, 2, 9)
    expect.raises(model, idx, say="9 tokens are more than block_size = 8: a ValueError.")


@check("model-parameters", title="as many parameters as on paper")
def test_model_parameters(member, expect):
    """11 C + 8 C for the embeddings, 12 C^2 + 13 C in each block, 2 C in the last norm: 4,020 for two layers.

    The head adds none, since it shares the matrix of the token embedding. Without biases a block has 12 C^2 + 2 C.
    Blocks in a plain Python list are not found by torch, so they would never be trained.
    """
    for layers, bias in ((1, True), (2, True), (3, True), (2, False)):
        want = sum(math.prod(shape) for shape in shapes(layers=layers, bias=bias).values())
        got = counted(new_gpt(member, n_layer=layers, bias=bias))
        expect.equal(got, want, say=f"The number of parameters with {layers} layers and bias={bias}.")


@check(
    "model-values",
    title="the logits are those of the same model made of torch's parts",
    needs=["model-shape", "model-parameters"],
)
def test_model_values(member, expect, rng):
    """Embedding of tokens plus embedding of positions, the blocks in order, the last norm, the tied head.

    Compared with nn.TransformerEncoderLayer and friends on the same random weights, once with and once without
    biases. GPT-2 has GELU in its tanh form, 4 C values inside the MLP, and 1e-5 in every norm.
    """
    for bias in (True, False):
        model = new_gpt(member, bias=bias).double()
        w = rng.fill(model, shapes(bias=bias))
        for T in (5, 8):
            idx = rng.integers(0, 11, 3, T)
            got = model(idx)[0]
            want = torchs_logits(w, idx)
            expect.close(got, want, axes=("batch", "token", "word"), say=f"T = {T}, bias={bias}.")


@check("model-tied", title="head and embedding stay one matrix", needs=["model-values"])
def test_model_tied(member, expect, rng):
    """Tied means one Parameter, not two with the same numbers. It must survive .double(), a deep copy, and loading a
    state_dict: each time the number of parameters stays the same, and new weights in the embedding change the head too.

    Reading: Press and Wolf 2017, section 3.
    """
    model, loaded = new_gpt(member).double(), new_gpt(member).double()
    copied = member.deepcopy(model)
    loaded.load_state_dict(model.state_dict())
    idx = rng.integers(0, 11, 2, 5)
    before = model(idx)[0]
    expect.close(loaded(idx)[0], before, say="A second model with the first one's state_dict.")
    want = sum(math.prod(shape) for shape in shapes().values())
    for name, other in (("the model in float64", model), ("a deep copy", copied), ("a loaded model", loaded)):
        expect.equal(counted(other), want, say=f"The number of parameters of {name}.")
        w = rng.fill(other, shapes())
        say = f"The logits of {name} after new weights were written."
        expect.close(other(idx)[0], torchs_logits(w, idx), say=say)


@check("model-loss", title="the loss is the mean over all targets but -100", needs=["model-shape"])
def test_model_loss(member, expect, rng):
    """targets[b, t] is the token after idx[b, t]: the caller has shifted them, so the model must not shift again.

    Take the logits as they are (cross_entropy applies log-softmax itself) and average over all B * T positions; those
    with the target -100 do not count, neither in the sum nor in the number that it is divided by. Computed here from
    your own logits, position by position.
    """
    model = new_gpt(member).double()
    rng.fill(model, shapes())
    idx, targets = rng.integers(0, 11, 3, 5), rng.integers(0, 11, 3, 5)
    logits, loss = model(idx, targets)
    pairs = zip(logits.flatten(0, 1), targets.flatten(), strict=True)
    each = torch.stack([row.logsumexp(-1) - row[target] for row, target in pairs])
    expect.close(loss, each.mean(), say="All 15 positions count.")
    ignored = torch.zeros(3, 5, dtype=torch.bool)
    ignored[0, 1], ignored[2, 3:] = True, True
    _, loss = model(idx, targets.masked_fill(ignored, -100))
    expect.close(loss, each[~ignored.flatten()].mean(), say="Three targets are -100; the other 12 count.")


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
    got, want = (torch.cat([t.flatten() for t in part]).sort().values for part in (seen.values(), want))
    expect.close(got, want, say="The gradients of all parameters, sorted.")


@check("model-start", title="the weights start as GPT-2's do", needs=["model-values"])
def test_model_start(member, expect, rng):
    """Embeddings and matrices: normal with standard deviation 0.02. Biases: 0. Gains of the norms: 1.

    Each of the 3 layers adds two branches to the residual stream, so the last matrix of each branch starts with
    0.02 / sqrt(2 * 3): the sum then does not grow with depth. The first loss is ln(vocab_size), a mere guess.
    init_weights(model, 8) begins anew, for 8 layers. Reading: Radford et al. 2019, section 2.3.
    """
    size = {"block_size": 32, "vocab_size": 97, "n_layer": 3, "n_head": 4, "n_embd": 48}
    model = new_gpt(member, **size)
    idx, targets = rng.integers(0, 97, 8, 32), rng.integers(0, 97, 8, 32)
    loss, guess = float(model(idx, targets)[1]), math.log(97)
    first = model.double().parameters()
    w = rng.fill(model, shapes(V=97, layers=3, C=48, T=32))
    places = {}  # the member's name of a parameter -> "wte.weight" or "attn.c_proj.weight"
    for name, value in model.parameters().items():
        place = next(place for place, drawn in w.items() if bool((drawn == value.flatten()[0]).any()))
        places[name] = place.split(".", 2)[-1] if place.startswith("h.") else place
    for name, place in sorted(places.items(), key=lambda item: item[1]):
        if place.endswith("bias") or "ln_" in place:
            start = torch.full_like(first[name], 0.0 if place.endswith("bias") else 1.0)
            expect.close(first[name], start, say=f"{place} must start at {float(start[0]):.0f}.")
    good = abs(loss - guess) < 0.1
    expect.that(good, "The first loss must be ln(97), give or take 0.1.", got=loss, want=guess)
    spread_is(expect, first, places, 3)
    member.gpt.init_weights(model, 8)
    again = model.parameters()
    biases = [name for name, place in places.items() if place.endswith("bias") and "ln_" not in place]
    lasting = {places[name] for name in biases if bool(again[name].any())}
    expect.equal(sorted(lasting), [], say="After init_weights(model, 8) these biases are not 0.")
    spread_is(expect, again, places, 8)


def spread_is(expect, values, places, n_layer):
    """Standard deviations and means of the matrices, each drawn for itself, all layers together."""
    groups = {}
    for name, place in places.items():
        if place.endswith("weight") and "ln_" not in place:
            groups.setdefault(place, []).append(values[name].flatten())
    twins = [
        place
        for place, of_layers in sorted(groups.items())
        if any(torch.equal(a, b) for a, b in itertools.combinations(of_layers, 2))
    ]
    say = "These have the same numbers in several layers; each layer must draw its own."
    expect.equal(twins, [], say=say)
    names = ", ".join(sorted(groups))
    # The spread of 1,536 numbers or more is exact to 2 per cent, so 12 per cent is six times that.
    scale = {True: 0.02 / math.sqrt(2 * n_layer), False: 0.02}
    want = torch.tensor([scale["c_proj" in place] for place in sorted(groups)])
    together = [torch.cat(groups[place]) for place in sorted(groups)]
    spread = torch.stack([value.std() for value in together])
    say = f"The standard deviations for {n_layer} layers of {names}, in this order."
    expect.close(spread, want, atol=0.0, rtol=0.12, axes=("matrix",), say=say)
    mean = torch.stack([value.mean() / value.std() * len(value) ** 0.5 for value in together])
    say = f"The means of {names}, in standard errors."
    expect.close(mean, torch.zeros_like(mean), atol=6.0, axes=("matrix",), say=say)
    # Of so many normal numbers the largest is 3 to 5 standard deviations; of uniform ones it is 1.7.
    largest = min(float(value.abs().max() / value.std()) for value in together)
    say = "The weights are not normal: their largest number, in standard deviations, is too small."
    expect.that(largest > 2.3, say, got=largest)


def draw(rng, model, zero=()):
    """Random weights for one layer, as rng.fill draws them; but what has one of the words `zero` in its name is 0, and
    so are the first token and the first position.
    """
    w = {name: rng.normal(*shape, std=0.4) for name, shape in shapes(layers=1).items()}
    for name, value in w.items():
        if any(word in name for word in zero):
            value.zero_()
    w["wte.weight"][0], w["wpe.weight"][0] = 0.0, 0.0
    return place(rng, model, w)


def place(rng, model, w):
    """Write these weights into the member's module, as rng.fill does."""
    ways = layouts(model.parameter_info(), w)
    rng.ways = max(rng.ways, len(ways))
    model.assign(ways[min(rng.way, len(ways) - 1)])
    return w


def masks(size):
    """All that dropout of a quarter can make of `size` ones: (2 ** size, size)."""
    return torch.cartesian_prod(*[torch.tensor([0.0, 4 / 3], dtype=torch.float64)] * size)


@check("model-dropout", title="dropout acts at GPT-2's four places, in training", needs=["model-values"])
def test_model_dropout(member, expect, rng):
    """On the sum of the two embeddings; on the weights of attention; on what attention adds to the stream; on what the
    MLP adds. Nowhere else, and not in eval mode.

    For a text of one token in one layer, all that dropout can lead to is known: each number is dropped or divided by
    1 - dropout. The other places are silent while one of them is looked at.
    """
    model = new_gpt(member, dropout=0.25, n_layer=1).double().eval()
    w = rng.fill(model, shapes(layers=1))
    idx = rng.integers(0, 11, 2, 5)
    want = torchs_logits(w, idx, layers=1)
    expect.close(model(idx)[0], want, say="In eval mode the logits are those without dropout.")
    model.train()

    w = rng.fill(model, shapes(layers=1), silent=["c_proj"])
    token, position = w["wte.weight"][3], w["wpe.weight"][0]
    readings = {
        "the sum": masks(12) * (token + position),
        "the token's embedding alone": masks(12) * token + position,
    }
    say = "With silent branches, dropout acts on the sum of the two embeddings, once, and on nothing else."
    one_of(expect, model, w, 3, readings, say)

    w = draw(rng, model, zero=["attn.c_proj"])
    hidden = F.gelu(affine(w, "mlp.c_fc", w["h.0.ln_2.bias"]), approximate="tanh")
    readings = {"what it adds": masks(12) * affine(w, "mlp.c_proj", hidden)}
    say = "When only the MLP is not silent, dropout acts on what it adds to the stream, and on nothing else."
    one_of(expect, model, w, 0, readings, say)

    w = draw(rng, model, zero=["mlp.c_proj"])
    value = affine(w, "attn.c_attn", w["h.0.ln_1.bias"])[
        24:
    ]  # the only weight of each head is 1, dropped or not
    heads = (masks(3)[:, :, None] * value.view(3, 4)).flatten(1)  # (8, 12)
    added = affine(w, "attn.c_proj", heads)
    readings = {
        "both": (masks(12)[:, None] * added).flatten(0, 1),
        "the weights alone": added,
        "what it adds alone": masks(12) * affine(w, "attn.c_proj", value),
    }
    say = "When only attention is not silent, dropout acts on its weights and on what it adds to the stream."
    one_of(expect, model, w, 0, readings, say)


def affine(w, name, x):
    return F.linear(x, w[f"h.0.{name}.weight"], w[f"h.0.{name}.bias"])


def one_of(expect, model, w, token, readings, say):
    """The logits of 64 texts, each of this one token, are not all the same, and come from the first of the readings."""
    got = model(torch.full((64, 1), token))[0]
    expect.shape(got, (64, 1, 11), say="The logits of 64 texts of one token.")
    expect.that(bool((got - got[0]).abs().max() > 1e-3), f"{say} The 64 rows must differ.")
    found, nearest = None, None
    for what, streams in readings.items():
        can_be = F.layer_norm(streams, (12,), w["ln_f.weight"], w["ln_f.bias"], 1e-5) @ w["wte.weight"].T
        far = torch.cdist(got[:, 0], can_be, compute_mode="donot_use_mm_for_euclid_dist").min(1)
        nearest = can_be[far.indices] if nearest is None else nearest
        if found is None and bool((far.values < 1e-8).all()):
            found = what
    wanted = next(iter(readings))
    if found is None:
        say += " It does something else here, or at another rate: these logits are the nearest that could be."
        expect.close(got[:, 0], nearest, say=say, axes=("text", "word"))
    expect.that(found == wanted, say, got=f"dropout on {found}", want=f"dropout on {wanted}")


@check("model-counts", title="num_params and flops_per_token", needs=["model-parameters"])
def test_model_counts(member, expect):
    """num_params() leaves out the table of positions, num_params(non_embedding=False) does not; the tied matrix
    counts once in both, since it also computes the logits.

    flops_per_token(T) = 6 N + 12 L C T, with N = num_params(). Per token: not times T again.
    """
    for layers, bias, T in ((1, True, 3), (2, False, 8), (3, True, 1)):
        model = new_gpt(member, n_layer=layers, bias=bias)
        sizes = {name: math.prod(shape) for name, shape in shapes(layers=layers, bias=bias).items()}
        N = sum(sizes.values()) - sizes["wpe.weight"]
        say = f"{layers} layers, bias={bias}:"
        expect.equal(int(model.num_params()), N, say=f"{say} num_params().")
        got = int(model.num_params(non_embedding=False))
        expect.equal(got, N + sizes["wpe.weight"], say=f"{say} num_params(non_embedding=False).")
        want = 6 * N + 12 * layers * 12 * T
        expect.equal(round(model.flops_per_token(T)), want, say=f"{say} flops_per_token({T}).")

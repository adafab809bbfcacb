"""Step `lora`: an update of rank r beside a frozen matrix, put into a model, and folded away again.

I = 7 = in_features, O = 5 = out_features, r = 2, alpha = 6, so alpha / r = 3. Networks are small ones of the kit's.
"""

import json
from pathlib import Path

import finetune_toys
import torch

from cohort_cli.checking.authoring import check

INPUTS, OUTPUTS, R, ALPHA = 7, 5, 2, 6.0
SHAPES = {
    "base.weight": (OUTPUTS, INPUTS),
    "base.bias": (OUTPUTS,),
    "lora_A": (R, INPUTS),
    "lora_B": (OUTPUTS, R),
}
SIZES = {"query": (6, 9), "value": (9, 5), "c_proj": (5, 7), "proj": (7, 6)}  # in, out


def new_layer(member, rng, dropout=0.0):
    """A member's layer in float64 with random weights, A and B, and those numbers."""
    base = member.bring(finetune_toys).linear(INPUTS, OUTPUTS).double()
    layer = member.lora.LoRALinear(base, R, ALPHA, dropout)
    return layer, rng.fill(layer, SHAPES)


def by_hand(w, x):
    return x @ w["base.weight"].T + w["base.bias"] + 3.0 * (x @ w["lora_A"].T @ w["lora_B"].T)


def matrices(info, path, r):
    """The names of A and B of the layer at `path`, whatever they are called. Each may be stored transposed."""
    inputs, outputs = SIZES[path.rpartition(".")[2]]
    below = {n: e for n, e in info.items() if n.startswith(path + ".") and e["requires_grad"]}
    found = [
        [name for name, entry in below.items() if sorted(entry["shape"]) == sorted(shape)]
        for shape in ((r, inputs), (outputs, r))
    ]
    return [names[0] if len(names) == 1 else None for names in found]


def write_adapters(expect, model, values, r=R):
    """values: path -> (A (r, I), B (O, r)). Puts them into the member's model."""
    info, written = model.parameter_info(), {}
    for path, pair in values.items():
        names = matrices(info, path, r)
        expect.that(None not in names, f"{path} has no trainable A (r, I) and B (O, r) below it.", got=names)
        for name, value in zip(names, pair, strict=True):
            same = list(value.shape) == info[name]["shape"]
            written[name] = value if same else value.T.contiguous()
    model.assign(written)


def adapted(here, values, alpha=ALPHA, r=R):
    """The kit's network with the updates added to its weights."""
    for path, (a, b) in values.items():
        weight = here.get_submodule(path).weight
        weight.data = weight.data + alpha / r * b @ a
    return here


def draw_adapters(rng, targets, r=R):
    paths = [f"h.{i}.attn.{name}" for i in range(2) for name in targets]
    sizes = {path: SIZES[path.rpartition(".")[2]] for path in paths}
    return {path: (rng.normal(r, i, std=0.4), rng.normal(o, r, std=0.4)) for path, (i, o) in sizes.items()}


@check("lora-start", title="a fresh adapter changes nothing, and can learn")
def test_lora_start(member, expect, rng):
    """B is zero, so the layer is its base, exactly: fine-tuning starts from the model that you have. A is random, since
    with both at zero neither would ever get a gradient. A and B are trained, the base is not.

    A is uniform between -1/sqrt(I) and 1/sqrt(I), as in peft. An adapter has as many numbers as r * (I + O). r < 1 is a
    ValueError.
    """
    toys = member.bring(finetune_toys)
    base = toys.linear(100, 40).double()
    x = rng.normal(3, 100)
    want = base(x)
    layer = member.lora.LoRALinear(base, 8, 16.0)
    expect.close(layer(x), want, axes=("row", "channel"), say="The output of a fresh layer, and its base's.")
    info, values = layer.parameter_info(), layer.parameters()
    trained = {name: e for name, e in info.items() if e["requires_grad"]}
    shapes = sorted(sorted(entry["shape"]) for entry in trained.values())
    expect.equal(shapes, [[8, 40], [8, 100]], say="The sizes of all that is trained: B and A.")
    kinds = sorted({str(entry["dtype"]) for entry in info.values()})
    expect.equal(kinds, ["torch.float64"], say="The data types, on a float64 base.")
    (a,) = (values[name] for name, entry in trained.items() if 100 in entry["shape"])
    largest = float(a.abs().max())
    expect.that(largest > 0.0, "A is zero like B: then neither ever gets a gradient.", got=largest)
    # Of 800 uniform numbers the largest is within 3 per cent of the bound, all but never less: 0.97**800 = 3e-11.
    say = "The largest number of A, in units of 1/sqrt(I). It must be a little below 1."
    expect.that(0.97 < 10 * largest <= 1.0 + 1e-6, say, got=10 * largest)
    say = "The spread of A, in units of 1/sqrt(I). It must be 0.577, as of uniform numbers."
    spread = float(a.std()) * 10
    expect.that(abs(spread - 3**-0.5) < 0.06, say, got=spread)
    again = member.lora.LoRALinear(toys.linear(100, 40).double(), 8, 16.0).parameters()
    differ = all(not torch.equal(a, value) for value in again.values())
    expect.that(differ, "Two adapters start with the same A; each must draw its own.")
    expect.raises(member.lora.LoRALinear, toys.linear(7, 5), 0, 1.0, say="The rank 0: a ValueError.")


@check("lora-values", title="base(x) + alpha / r times x A^T B^T")
def test_lora_values(member, expect, rng):
    """With random A and B, on rows (N, I) and on batches of sequences (B, T, I), and for a base without a bias.

    alpha / r keeps the size of the update about the same when you try another rank.
    """
    layer, w = new_layer(member, rng)
    for shape, axes in (((4, 7), ("row", "channel")), ((2, 3, 7), ("batch", "token", "channel"))):
        x = rng.normal(*shape)
        expect.close(layer(x), by_hand(w, x), axes=axes, say=f"x of shape {shape}.")
    bare = member.lora.LoRALinear(member.bring(finetune_toys).linear(7, 5, False).double(), R, ALPHA)
    w = rng.fill(bare, {name: shape for name, shape in SHAPES.items() if "bias" not in name})
    x = rng.normal(4, 7)
    want = by_hand(w | {"base.bias": torch.zeros(5)}, x)
    expect.close(bare(x), want, axes=("row", "channel"), say="A base without a bias.")


@check("lora-gradient", title="A and B get gradients, the base none, and x both ways", needs=["lora-values"])
def test_lora_gradient(member, expect, rng):
    """The gradients of A and B, and of x: it comes through the base as well as through the adapter, and the layers
    before this one need both parts. The frozen base itself gets none.
    """
    layer, w = new_layer(member, rng)
    x, g = rng.normal(2, 3, 7), rng.normal(2, 3, 5)
    seen = member.vjp(layer, x, cotangent=g, params_of=layer)
    leaves = {name: w[name].clone().requires_grad_() for name in ("lora_A", "lora_B")} | {
        "x": x.clone().requires_grad_()
    }
    (by_hand(w | leaves, leaves["x"]) * g).sum().backward()
    expect.close(
        seen.inputs[0], leaves["x"].grad, axes=("batch", "token", "channel"), say="The gradient of x."
    )
    taught = {name: value for name, value in seen.parameters.items() if value is not None}
    sizes = sorted(sorted(value.shape) for value in taught.values())
    expect.equal(sizes, [[2, 5], [2, 7]], say="The sizes of all that gets a gradient: B and A.")
    for name, shape in (("A", (2, 7)), ("B", (5, 2))):
        grads = [v for v in taught.values() if sorted(v.shape) == sorted(shape)]
        got = grads[0] if grads and grads[0].shape == shape else grads[0].T if grads else None
        expect.close(got, leaves[f"lora_{name}"].grad, say=f"The gradient of {name}.")


@check("lora-dropout", title="dropout acts on what enters A, in training only", needs=["lora-values"])
def test_lora_dropout(member, expect, rng):
    """One x, 600 times, with dropout 0.5 and I = 2: in training each of its two numbers reaches A doubled or not at
    all, so the update takes one of four values, each in about a quarter of the rows. The base sees x whole.

    In eval mode nothing is random.
    """
    base = member.bring(finetune_toys).linear(2, 3).double()
    layer = member.lora.LoRALinear(base, 1, 1.5, 0.5)
    shapes = {"base.weight": (3, 2), "base.bias": (3,), "lora_A": (1, 2), "lora_B": (3, 1)}
    info = layer.parameter_info()
    w = {name: rng.normal(*shape).abs() + 0.5 for name, shape in shapes.items()}
    frozen = {tuple(e["shape"]): n for n, e in info.items() if not e["requires_grad"]}
    trained = {tuple(sorted(e["shape"])): (n, e["shape"]) for n, e in info.items() if e["requires_grad"]}
    ready = set(frozen) == {(3, 2), (3,)} and set(trained) == {(1, 2), (1, 3)}
    expect.that(ready, "Base, A and B were not found among the parameters.", got=sorted(info))
    values = {frozen[(3, 2)]: w["base.weight"], frozen[(3,)]: w["base.bias"]}
    for name, size in (("lora_A", (1, 2)), ("lora_B", (1, 3))):
        own, shape = trained[size]
        values[own] = w[name].reshape(shape)
    layer.assign(values)
    x = torch.tensor([[1.0, 0.6]], dtype=torch.float64)
    plain = x @ w["base.weight"].T + w["base.bias"]
    keep = torch.tensor([[0, 0], [2, 0], [0, 2], [2, 2]], dtype=torch.float64)
    four = plain + 1.5 * (x * keep) @ w["lora_A"].T @ w["lora_B"].T  # (4, 3)
    want = plain + 1.5 * x @ w["lora_A"].T @ w["lora_B"].T
    layer.eval()
    expect.close(layer(x), want, say="In eval mode.")
    layer.train()
    many = layer(x.expand(600, 2))
    expect.shape(many, (600, 3), say="600 rows.")
    distance = (many[:, None] - four).abs().amax(-1)  # (600, 4)
    strange = many[distance.amin(dim=1) > 1e-9][:1]
    say = "In training: a row that is none of the four values that dropout on x can give."
    expect.close(strange, torch.empty(0, 3), say=say)
    share = [int((distance[:, i] < 1e-9).sum()) for i in range(4)]
    say = "How many of 600 rows have each of the four values: about 150 each."
    expect.that(all(90 < n < 210 for n in share), say, got=share)


@check("lora-apply", title="the named layers get adapters, all else is frozen", needs=["lora-values"])
def test_lora_apply(member, expect, rng):
    """Targets "query" and "proj": nn.Linear layers with these names, in every layer; not query_norm, not c_proj, and not
    the LayerNorm that is also called proj. The output stays what it was, and the same model comes back.

    r, alpha and dropout reach each adapter. If nothing is called like a target, a ValueError: otherwise you
    would train nothing for hours. Frozen is all but A and B, the head as well.
    """
    there, here = finetune_toys.twins(member, rng, "Network")
    toys = member.bring(finetune_toys)
    ids = rng.integers(0, 11, 2, 4)
    say = "No layer is called qery: a ValueError."
    expect.raises(member.lora.apply_lora, there, r=2, alpha=6, targets=["qery", "table"], say=say)
    expect.equal(
        len(toys.trainable(there)),
        len(list(here.parameters())),
        say="After the ValueError this many are trained.",
    )
    model = member.lora.apply_lora(there, r=R, alpha=ALPHA, targets=["query", "proj"], dropout=0.5)
    expect.that(toys.same(model, there), "apply_lora must return the model that it was given.")
    kinds = toys.kinds(model)
    adapters = sorted(name for name, kind in kinds.items() if kind == "LoRALinear")
    want = [f"h.{i}.attn.{name}" for i in range(2) for name in ("proj", "query")]
    expect.equal(adapters, want, say="The places where a LoRALinear stands.")
    trained = toys.trainable(model)
    strange = sorted(name for name in trained if not name.startswith(tuple(path + "." for path in want)))
    expect.equal(strange, [], say="These are trained, and are no adapters.")
    count = toys.count(model)
    expect.equal(count, 2 * (2 * (6 + 9) + 2 * (7 + 6)), say="How many numbers are trained.")
    expect.close(model.eval()(ids), here(ids), say="The output with fresh adapters.")
    values = draw_adapters(rng, ["query", "proj"])
    write_adapters(expect, model, values)
    expect.close(model(ids), adapted(here, values)(ids), say="The output with random A and B.")
    model.train()
    moved = float((model(ids) - model(ids)).abs().max())
    expect.that(
        moved > 1e-6, "dropout = 0.5 did not reach the adapters: two calls in training agree.", got=moved
    )


@check("lora-merge", title="merged, it is the plain model again with the same outputs", needs=["lora-apply"])
def test_lora_merge(member, expect, rng):
    """Each update is added to its matrix, and an nn.Linear stands in its old place: the same names, the same kinds of
    modules, no extra time. It can be copied, and a state_dict of the original model fits.

    The head shares its matrix with the embedding. Merging changes the head, and must not change the embedding.
    """
    there, here = finetune_toys.twins(member, rng, "Network")
    toys = member.bring(finetune_toys)
    before = toys.kinds(there)
    ids = rng.integers(0, 11, 2, 4)
    model = member.lora.apply_lora(there, r=R, alpha=ALPHA, targets=["query", "value"], dropout=0.5)
    values = draw_adapters(rng, ["query", "value"])
    write_adapters(expect, model, values)
    model = member.lora.merge_lora(model.train())
    expect.that(toys.same(model, there), "merge_lora must return the model that it was given.")
    expect.equal(toys.kinds(model), before, say="The modules and their kinds after merging.")
    expect.equal(
        sorted(model.parameters()),
        sorted(n for n, _ in here.named_parameters()),
        say="The names of the parameters.",
    )
    want = adapted(here, values)(ids).detach()
    expect.close(model(ids), want, axes=("batch", "token", "word"), say="The output after merging.")
    expect.close(member.deepcopy(model)(ids), want, say="The output of a copy.")
    there, here = finetune_toys.twins(member, rng, "Network")
    table = here.table.weight.detach().clone()
    model = member.lora.apply_lora(there, r=R, alpha=ALPHA, targets=["head"])
    info = model.parameter_info()
    small = {name: rng.normal(*info[name]["shape"], std=0.4) for name in toys.trainable(model)}
    model.assign(small)
    want = model(ids)
    model = member.lora.merge_lora(model)
    expect.close(
        model.parameters()["table.weight"], table, say="The embedding, after merging the head tied to it."
    )
    expect.close(model(ids), want, say="The output after merging the head.")


@check("lora-state", title="the adapters alone can be saved and loaded", needs=["lora-apply"])
def test_lora_state(member, expect, rng):
    """Only A and B, of every layer, under their names in state_dict(): a second model with the same base loads them
    and gives the same output. That is the file that you share, a small part of the model's size.
    """
    there, here = finetune_toys.twins(member, rng, "Network")
    toys = member.bring(finetune_toys)
    other = member.deepcopy(there)
    model = member.lora.apply_lora(there, r=R, alpha=ALPHA, targets=["query", "value"])
    values = draw_adapters(rng, ["query", "value"])
    write_adapters(expect, model, values)
    state = member.lora.lora_state(model)
    expect.equal(sorted(state), sorted(toys.trainable(model)), say="The names in the state.")
    parameters = model.parameters()
    wrong = sorted(name for name in state if not torch.equal(state[name], parameters[name]))
    expect.equal(wrong, [], say="These do not have the values that the model has.")
    other = member.lora.apply_lora(other, r=R, alpha=ALPHA, targets=["query", "value"])
    other.load_state_dict(state, strict=False)
    ids = rng.integers(0, 11, 2, 4)
    expect.close(
        other(ids), adapted(here, values)(ids), say="The output of a second model that loaded the state."
    )
    expect.equal(
        toys.state_is_detached(model), True, say="Whether the tensors in the state are free of gradients."
    )


@check("lora-peft", title="three steps of training give what peft gives", needs=["lora-start"])
def test_lora_peft(member, expect):
    """A network with peft's adapters is stored beside this test: its weights, peft's first A, a batch, and its output
    before and after three steps of gradient descent on A and B. Yours must agree, also after training.
    """
    stored = json.loads(
        (Path(__file__).parent / "fixtures" / "peft_network.json").read_text(encoding="utf-8")
    )
    exact = torch.float64
    weights = {name: torch.tensor(value, dtype=exact) for name, value in stored["weights"].items()}
    first = {path: torch.tensor(value, dtype=exact) for path, value in stored["A"].items()}
    ids = torch.tensor(stored["ids"])
    before, after, g = (torch.tensor(stored[key], dtype=exact) for key in ("before", "after", "cotangent"))
    config = stored["config"]
    model = member.bring(finetune_toys).Network().double()
    model.assign(weights)
    model = member.lora.apply_lora(model, r=config["r"], alpha=config["alpha"], targets=config["targets"])
    zeros = {path: torch.zeros(SIZES[path.rpartition(".")[2]][1], config["r"], dtype=exact) for path in first}
    write_adapters(expect, model, {path: (a, zeros[path]) for path, a in first.items()}, config["r"])
    expect.close(model(ids), before, axes=("batch", "token", "word"), say="The output before training.")
    for _ in range(config["steps"]):
        seen = member.vjp(model, ids, cotangent=g, params_of=model).parameters
        values = model.parameters()
        moved = {name: values[name] - config["lr"] * grad for name, grad in seen.items() if grad is not None}
        model.assign(moved)
    expect.close(model(ids), after, axes=("batch", "token", "word"), say="The output after three steps.")

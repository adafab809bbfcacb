"""Step `mlp`: windows, parameters, forward pass, loss and one step of gradient descent, from tensors alone.

B batch, V vocabulary, C context, E embedding, H hidden.
"""

import math

import mlp_bench
import torch

from cohort_cli.checking.authoring import check

NAMES = ("embedding", "w1", "b1", "w2", "b2")


def shapes(V, C, E, H):
    return {"embedding": (V, E), "w1": (C * E, H), "b1": (H,), "w2": (H, V), "b2": (V,)}


def values(rng, V, C, E, H):
    """Random parameters, biases too, in float64."""
    return {name: rng.normal(*shape, std=0.7) for name, shape in shapes(V, C, E, H).items()}


def oracle(params, x):
    """Logits, window by window and slot by slot."""
    rows = []
    for window in x.tolist():
        E, total = params["embedding"].size(1), params["b1"]
        for place, id in enumerate(window):
            total = total + params["embedding"][id] @ params["w1"][place * E : (place + 1) * E]
        rows.append(total.tanh() @ params["w2"] + params["b2"])
    return torch.stack(rows)


def nats(logits, y):
    """-ln of the right id's probability, one row at a time, and their mean."""
    return sum(row.logsumexp(0) - row[id] for row, id in zip(logits, y.tolist(), strict=True)) / len(y)


def flat(params):
    return torch.cat([params[name].detach().flatten() for name in NAMES])


@check("mlp-windows", title="each id with C ids before it is a target, once")
def test_mlp_windows(member, expect, rng):
    """For ids 5 6 7 8 9 and context 2: the windows are 5 6, 6 7 and 7 8, their targets 7, 8 and 9. Random ids too, with
    other contexts, down to a text that has two windows only. Windows overlap; the last id is a target; nothing is
    padded. The text itself stays as it was.
    """
    for ids, C in (
        (torch.tensor([5, 6, 7, 8, 9]), 2),
        (rng.permutation(23), 3),
        (rng.permutation(17), 1),
        (rng.permutation(7), 5),
    ):
        (x, y), after = member.echo(member.mlp.windows, ids, C)
        want_x = torch.stack([ids[i - C : i] for i in range(C, len(ids))])
        say = f"for {len(ids)} ids and context {C}."
        expect.equal(y, ids[C:], say=f"y, {say}")
        expect.equal(x, want_x, say=f"x, {say}")
        kinds = [str(part.dtype) for part in (x, y)]
        expect.equal(kinds, ["torch.int64"] * 2, say="The data types of x and y.")
        expect.equal(after[0], ids, say="The ids afterwards.")


@check("mlp-init", title="five parameters with the right shapes, all leaves with a gradient")
def test_mlp_init(member, expect, rng):
    """The dict has the names embedding, w1, b1, w2 and b2, with shapes that follow from the four sizes. Each asks for a
    gradient and is a leaf: something that was made directly, not calculated from another tensor that asks for one.
    Only leaves get a .grad. The numbers are torch's default, float32.
    """
    bench = member.bring(mlp_bench)
    for sizes in ((11, 3, 4, 7), (5, 2, 6, 3)):
        made, state = bench.start(sizes, rng.random.randrange(2**31))[0]
        say = f"for vocab_size, context, d_embed, d_hidden = {sizes}."
        expect.equal({name: tuple(p.shape) for name, p in made.items()}, shapes(*sizes), say=f"Shapes {say}")
        asks = {name: asked for name, (asked, _) in state.items()}
        expect.equal(asks, dict.fromkeys(asks, True), say="Which ask for a gradient.")
        leaf = {name: is_leaf for name, (_, is_leaf) in state.items()}
        expect.equal(leaf, dict.fromkeys(leaf, True), say="Which are leaves.")
        kinds = {name: str(p.dtype) for name, p in made.items()}
        expect.equal(kinds, dict.fromkeys(kinds, "torch.float32"), say="The data types.")


@check("mlp-init-scale", title="weights start at the right size, biases at zero", needs=["mlp-init"])
def test_mlp_init_scale(member, expect, rng):
    """Standard deviations: 1 for the embedding, 1 / sqrt(fan_in) for w1, a tenth of that for w2; biases are 0. Measured
    over 2,400 numbers or more: a correct answer misses these bounds less than once in a million runs.

    All chance comes from the generator: the same seed gives the same numbers, whatever other random numbers the
    program has drawn, and a second call gives other numbers.
    """
    V, C, E, H = 60, 4, 40, 320
    bench = member.bring(mlp_bench)
    seed = rng.random.randrange(2**31)
    (made, _), (second, _) = bench.start((V, C, E, H), seed, calls=2)
    for name in ("b1", "b2"):
        expect.close(made[name], torch.zeros(made[name].shape), atol=0.0, say=f"{name} at the start.")
    for name, want in (("embedding", 1.0), ("w1", (C * E) ** -0.5), ("w2", 0.1 * H**-0.5)):
        std = float(made[name].double().std())
        near = abs(std / want - 1) < 0.12
        slips = {
            ("w1", 1.0): "w1-not-scaled",
            ("w1", E**-0.5): "w1-fan-in-of-one-embedding",
            ("w1", H**-0.5): "w1-divided-by-fan-out",
            ("w1", 1 / (C * E)): "w1-divided-by-fan-in-without-root",
            ("w2", H**-0.5): "w2-not-small",
            ("w2", 1.0): "w2-not-scaled",
        }
        slip = next(
            (slip for (its, size), slip in slips.items() if its == name and abs(std / size - 1) < 0.12), None
        )
        say = f"The standard deviation of {name} (V, C, E, H = {(V, C, E, H)})."
        expect.that(near, say, got=round(std, 6), want=round(want, 6), mistake=slip)
        mean = float(made[name].double().mean())
        expect.that(abs(mean) < 0.15 * want, f"The mean of {name} must be about 0.", got=round(mean, 6))
    ((again, _),) = bench.start((V, C, E, H), seed, noise=1)
    say = "The embedding, twice with the same seed of the generator."
    expect.equal(again["embedding"], made["embedding"], say=say, mistake="init-ignores-the-generator")
    new = not torch.equal(second["embedding"], made["embedding"])
    say = "A second call with the same generator gave the same numbers again."
    expect.that(new, say, mistake="init-seeds-the-generator-again")


@check("mlp-forward", title="embeddings side by side, tanh, output layer")
def test_mlp_forward(member, expect, rng):
    """Logits of random windows with random parameters, compared with sums that go slot by slot. All sizes differ, the
    biases are not zero, and the same id stands in several places: what counts is which id stands where.
    """
    for B, V, C, E, H in ((5, 7, 3, 4, 6), (1, 5, 2, 3, 8), (4, 6, 1, 2, 3)):
        params = values(rng, V, C, E, H)
        x = rng.integers(0, V, B, C)
        say = f"Logits for (B, V, C, E, H) = {(B, V, C, E, H)}."
        expect.close(member.mlp.forward(params, x), oracle(params, x), axes=("row", "id"), say=say)


@check("mlp-loss", title="the loss is the mean of -ln p(right id)")
def test_mlp_loss(member, expect, rng):
    """Equal logits for V ids must cost ln V nats: nothing is known. Then random logits, and logits of several thousand,
    where exp overflows: the highest logit must be taken out first, or logsumexp used. The result has no dimensions.
    """
    V = 6
    got = member.mlp.loss(torch.zeros(4, V, dtype=torch.float64), rng.integers(0, V, 4))
    want = torch.tensor(math.log(V), dtype=torch.float64)
    expect.close(got, want, say=f"The loss when all {V} logits are equal: ln {V}.")
    for B, V, size, middle in ((5, 7, 1.0, 0.0), (3, 4, 2.5, 0.0), (4, 6, 1.0, 2000.0), (4, 5, 3000.0, 0.0)):
        logits, y = middle + rng.normal(B, V, std=size), rng.integers(0, V, B)
        say = f"The loss for B = {B}, V = {V}, logits of {middle:g} give or take {size:g}."
        expect.close(member.mlp.loss(logits, y), nats(logits, y), rtol=1e-9, say=say)


@check("mlp-gradient", title="the gradient reaches all five parameters", needs=["mlp-forward", "mlp-loss"])
def test_mlp_gradient(member, expect, rng):
    """backward() on your loss of your logits, compared with the gradients of the check's own sums. A .data, detach(),
    item() or no_grad on the way cuts the graph: then parameters have no gradient and never learn. Ids that are not
    in the batch have a gradient of zero in the embedding.
    """
    V, C, E, H = 7, 3, 4, 6
    params = values(rng, V, C, E, H)
    x, y = rng.integers(0, V - 1, 5, C), rng.integers(0, V, 5)
    own = mlp_bench.leaves(params)
    nats(oracle(own, x), y).backward()
    got = member.bring(mlp_bench).gradients(params, x, y)
    have = {name: grad is not None for name, grad in got.items()}
    expect.equal(have, dict.fromkeys(have, True), say="Which parameters have a gradient.")
    for name in NAMES:
        expect.close(got[name], own[name].grad, say=f"The gradient of {name}.")


@check("mlp-step", title="a step goes down the gradient, and leaves nothing behind", needs=["mlp-gradient"])
def test_mlp_step(member, expect, rng):
    """Three steps on three batches, compared with p - lr * gradient worked out by the check. After each, all
    parameters must agree: an old gradient that is still there, a sign, a forgotten learning rate show at the second step
    at the latest. The loss is a Python float, from before the update. At the end all are still leaves with a gradient.
    """
    V, C, E, H, lr = 7, 3, 4, 6, 0.3
    params = values(rng, V, C, E, H)
    batches = [(rng.integers(0, V, B, C), rng.integers(0, V, B)) for B in (5, 4, 6)]
    want_losses, want_after, now = [], [], params
    for x, y in batches:
        own = mlp_bench.leaves(now)
        value = nats(oracle(own, x), y)
        value.backward()
        now = {name: (p - lr * p.grad).detach() for name, p in own.items()}
        want_losses.append(value.detach())
        want_after.append(flat(now))
    losses, kinds, after, state = member.bring(mlp_bench).steps(params, batches, lr)
    seen = torch.stack([flat(one) for one in after])
    say = "All parameters in one row (embedding, w1, b1, w2, b2), after each step."
    expect.close(seen, torch.stack(want_after), axes=("step", "number"), say=say)
    say = "The loss of each step, before its update."
    expect.close(torch.tensor(losses, dtype=torch.float64), torch.stack(want_losses), axes=("step",), say=say)
    expect.equal(kinds, ["float"], say="The type of the result.")
    expect.equal(
        state, dict.fromkeys(NAMES, (True, True)), say="(asks for a gradient, is a leaf) at the end."
    )

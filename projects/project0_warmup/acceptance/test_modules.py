"""Step `modules`: the network as an nn.Module, the loop that trains it, and the loss on a held-out text.

B batch, V vocabulary, C context, E embedding, H hidden.
"""

import modules_toys
import torch
import torch.nn.functional as F
from mlp_draws import surprise

from cohort_cli.checking.authoring import check


def shapes(V, C, E, H):
    return {
        "embedding.weight": (V, E),
        "hidden.weight": (H, C * E),
        "hidden.bias": (H,),
        "output.weight": (V, H),
        "output.bias": (V,),
    }


def oracle(w, x):
    """Logits, window by window and slot by slot."""
    rows = []
    for window in x.tolist():
        E, total = w["embedding.weight"].size(1), w["hidden.bias"]
        for place, id in enumerate(window):
            total = total + w["hidden.weight"][:, place * E : (place + 1) * E] @ w["embedding.weight"][id]
        rows.append(w["output.weight"] @ total.tanh() + w["output.bias"])
    return torch.stack(rows)


@check("module-parameters", title="every weight is registered, and asks for a gradient")
def test_module_parameters(member, expect, rng):
    """What optimizers, state_dict and double() see of the module: V * E + (C * E + 1) * H + (H + 1) * V numbers, all of
    which ask for a gradient. Layers in a plain Python list or dict are invisible there, and a tensor that is no
    nn.Parameter is too. `context` is an attribute, because train, evaluate and generate ask for it.
    """
    for V, C, E, H in ((11, 3, 4, 7), (5, 2, 6, 3)):
        mlp = member.modules.MLP(V, C, E, H)
        say = f"for V, C, E, H = {(V, C, E, H)}"
        info = mlp.parameter_info()
        sizes = ", ".join(f"{name} {tuple(entry['shape'])}" for name, entry in info.items())
        count = sum(p.numel() for p in mlp.parameters().values())
        want = V * E + (C * E + 1) * H + (H + 1) * V
        expect.equal(count, want, say=f"How many numbers parameters() holds, {say}: {sizes or 'none'}.")
        frozen = [name for name, entry in info.items() if not entry["requires_grad"]]
        expect.equal(frozen, [], say="Parameters that ask for no gradient.")
        expect.equal(member.get(mlp, "context"), C, say=f"The attribute context, {say}.")


@check("module-forward", title="the same function as mlp.forward", needs=["module-parameters"])
def test_module_forward(member, expect, rng):
    """Your module in float64, with random weights of the check's, against sums that go slot by slot. All sizes differ,
    and biases are not zero. What the parameters are called is your choice.
    """
    for B, V, C, E, H in ((5, 7, 3, 4, 6), (1, 5, 2, 3, 8), (4, 6, 1, 2, 3)):
        mlp = member.modules.MLP(V, C, E, H).double()
        w = rng.fill(mlp, shapes(V, C, E, H))
        x = rng.integers(0, V, B, C)
        say = f"Logits for (B, V, C, E, H) = {(B, V, C, E, H)}."
        expect.close(mlp(x), oracle(w, x), axes=("row", "id"), say=say)


@check("module-gradient", title="backward reaches every parameter", needs=["module-forward"])
def test_module_gradient(member, expect, rng):
    """The gradient of each parameter for a random direction of the logits, against autograd through the check's own
    sums. A .data, detach() or no_grad inside forward leaves the outputs right and the gradients missing.
    """
    V, C, E, H = 7, 3, 4, 6
    mlp = member.modules.MLP(V, C, E, H).double()
    w = rng.fill(mlp, shapes(V, C, E, H))
    x, direction = rng.integers(0, V, 5, C), rng.normal(5, V)
    for value in w.values():
        value.requires_grad_()
    (oracle(w, x) * direction).sum().backward()
    got = member.vjp(mlp, x, cotangent=direction, params_of=mlp).parameters
    missing = sorted(name for name, grad in got.items() if grad is None)
    say = "Parameters that no gradient reaches."
    expect.equal(len(missing), 0, say=f"{say} {', '.join(missing)}".strip())
    lengths = sorted(float(grad.norm()) for grad in got.values())
    wanted = sorted(float(value.grad.norm()) for value in w.values())
    say = "The lengths of the gradients, in the order of their size."
    expect.close(
        torch.tensor(lengths, dtype=torch.float64), torch.tensor(wanted, dtype=torch.float64), say=say
    )


@check("module-state", title="state_dict carries the whole model to another one", needs=["module-parameters"])
def test_module_state(member, expect, rng):
    """Two new models differ, because each starts from random weights. Then the state_dict of the first goes into the
    second, and both must say the same: nothing that matters lies outside. Twice the same input gives twice the same
    output, and asking does not change the weights.
    """
    V, C, E, H = 7, 3, 4, 6
    toys = member.bring(modules_toys)
    first, second = member.modules.MLP(V, C, E, H), member.modules.MLP(V, C, E, H)
    x = rng.integers(0, V, 5, C)
    one, other = first(x).double(), second(x).double()
    say = "Two new models say exactly the same: their weights were not drawn anew."
    expect.that(not torch.equal(one, other), say, mistake="module-same-start")
    got, _ = toys.copied(first, second, x)
    expect.close(
        got, one, atol=1e-4, axes=("row", "id"), say="The second model with the first one's state_dict."
    )
    expect.close(first(x).double(), one, atol=0.0, say="The first model, asked once more.")


@check("train-windows", title="training sees random windows of the text, all of them", needs=["mlp-windows"])
def test_train_windows(member, expect, rng):
    """A model of the check's notes what it is given. Each row of each batch is a window of the text that has an id
    after it, each batch has batch_size rows, and all windows come equally often, the first and the last too. Counted
    over 6,000 rows: a correct answer fails less than once in a million runs. Targets: on a text that counts upwards, a
    model that always says "one more" has a loss of 0 at every step.
    """
    toys = member.bring(modules_toys)
    C, N, steps, size = 3, 30, 500, 12
    ids = rng.permutation(N + C)
    model = toys.Watched(N + C, C)
    toys.run(model, ids, steps, size, 0.0, rng.random.randrange(2**31))
    seen = member.get(model, "seen")
    expect.equal(
        [tuple(x.shape) for x in seen[:3]], [(size, C)] * 3, say="The shapes of the first three batches."
    )
    at = {tuple(ids[i : i + C].tolist()): i for i in range(N)}
    starts = [at.get(tuple(row), -1) for x in seen for row in x.tolist()]
    strange = next((row for x in seen for row in x.tolist() if tuple(row) not in at), None)
    say = "Each row is C ids in a row of the text, with an id after them."
    expect.that(strange is None, say, got=strange)
    counts = torch.bincount(torch.tensor(starts), minlength=N)
    never = (counts == 0).nonzero().flatten().tolist()
    expect.that(len(never) == 0, f"{N} windows; these were never drawn (counted from 0).", got=never)
    fits = surprise(counts, torch.full((N,), steps * size / N, dtype=torch.float64)) > 1e-9
    expect.that(fits, "How often each window was drawn.", got=counts)
    V = 9
    counting = torch.arange(40) % V
    losses, _ = toys.run(toys.Knows(V, C), counting, 5, 8, 0.0, rng.random.randrange(2**31))
    want = torch.zeros(5, dtype=torch.float64)
    got = torch.tensor(losses, dtype=torch.float64)
    say = "The losses of a model that knows what comes next."
    expect.close(got, want, atol=1e-6, axes=("step",), say=say)


def plain_run(model, x, y, steps, lr):
    """AdamW as its paper has it, with torch's defaults, on one batch that is always the same. The loss of each step."""
    params = list(model.parameters())
    m, v = [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params]
    losses = []
    for step in range(steps):
        loss = F.cross_entropy(model(x), y)
        losses.append(loss.item())
        now = lr * (1 - step / steps)
        with torch.no_grad():
            for i, (p, g) in enumerate(zip(params, torch.autograd.grad(loss, params), strict=True)):
                m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.999 * v[i] + 0.001 * g * g
                up = (v[i] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
                p -= now * 0.01 * p + now * m[i] / (1 - 0.9 ** (step + 1)) / up
    return torch.tensor(losses, dtype=torch.float64)


@check("train-adamw", title="AdamW, and a rate that falls in a line", needs=["mlp-windows"])
def test_train_adamw(member, expect, rng):
    """The text is one id over and over, so every window is the same, and chance has no say. The losses of 12 steps must
    be those of AdamW with torch's defaults (betas 0.9 and 0.999, eps 1e-8, weight decay 0.01) and the rate
    lr * (1 - step / steps), which the check works out itself. They are Python floats, each from before its update.
    """
    toys = member.bring(modules_toys)
    V, C, E, steps = 6, 3, 4, 12
    for lr in (0.05, 0.4):
        embed, out = rng.normal(V, E), rng.normal(E, V)
        id = rng.random.randrange(V)
        ids = torch.full((30,), id)
        here = modules_toys.Quiet(C, embed.clone(), out.clone())
        want = plain_run(here, ids[:C][None], ids[:1], steps, lr)
        losses, kinds = toys.run(toys.Quiet(C, embed, out), ids, steps, 5, lr, 0)
        got = torch.tensor(losses, dtype=torch.float64)
        expect.close(got, want, atol=1e-7, axes=("step",), say=f"The losses with lr = {lr}.")
        expect.equal(kinds, ["float"], say="The type of the losses.")


@check("train-seed", title="the same seed, the same losses", needs=["train-windows"])
def test_train_seed(member, expect, rng):
    """Chance comes from the generator alone: with its seed the losses repeat, whatever else the program has drawn. A
    second call goes on where the first one stopped and sees other windows. The model is in training mode, even if it
    came in evaluation mode, and its last state has the updates in it.
    """
    toys = member.bring(modules_toys)
    V, C, seed = 9, 2, rng.random.randrange(2**31)
    ids, embed, out = rng.integers(0, V, 200), rng.normal(V, 4), rng.normal(4, V)

    def losses(seed, calls=1, noise=0):
        said, _ = toys.run(toys.Quiet(C, embed, out), ids, 6, 4, 0.01, seed, calls=calls, noise=noise)
        return torch.tensor(said, dtype=torch.float64)

    first = losses(seed)
    words = {"atol": 1e-9, "axes": ("step",), "mistake": "train-ignores-the-generator"}
    expect.close(losses(seed, noise=1), first, say="The same seed of the generator once more.", **words)
    say = "Generators with different seeds gave the same losses."
    expect.that(not torch.equal(losses(seed + 1), first), say, mistake="train-seeds-again")
    model = toys.Watched(V, C)
    model.eval()
    toys.run(model, ids, 6, 4, 0.0, seed, calls=2)
    seen = member.get(model, "seen")
    say = "A second call with the same generator saw the same windows as the first."
    expect.that(not torch.equal(torch.cat(seen[:6]), torch.cat(seen[6:])), say, mistake="train-seeds-again")
    modes = member.get(model, "modes")
    expect.equal(modes[:6], [True] * 6, say="Whether the model was in training mode, step by step.")


@check("evaluate-mean", title="the held-out loss is the mean over all windows", needs=["mlp-windows"])
def test_evaluate_mean(member, expect, rng):
    """A text of 5,003 ids and one of 60, through a table of the check's: the mean over every window, each once, so that
    a last batch that is shorter weighs less. A Python float, the same every time. The model is in evaluation mode
    (its dropout would show), and without gradients.
    """
    toys = member.bring(modules_toys)
    for V, C, T in ((7, 3, 60), (5, 2, 5003)):
        table, ids = rng.normal(V, V, std=1.5), rng.integers(0, V, T)
        ids[T // 2 :] = ids[T // 2 :].clamp(min=2)  # the end of the text is not like its beginning
        rows = table.log_softmax(-1)
        want = torch.stack([-rows[ids[i - 1], ids[i]] for i in range(C, T)]).mean()
        model = toys.Watched(V, C, table)
        got = member.modules.evaluate(model, ids)
        expect.that(isinstance(got, float), "The result must be a Python float.", got=type(got).__name__)
        say = f"The mean loss over {T - C} windows."
        expect.close(torch.tensor(got, dtype=torch.float64), want, atol=1e-7, say=say)


@check("evaluate-mode", title="measuring changes nothing", needs=["evaluate-mean"])
def test_evaluate_mode(member, expect, rng):
    """While it measures, the model is in evaluation mode and no gradients are recorded. Afterwards it is in the mode in
    which it came, training or evaluation, and its weights and gradients are as they were.
    """
    toys = member.bring(modules_toys)
    V, C = 7, 3
    ids, table = rng.integers(0, V, 60), rng.normal(V, V)
    for training in (True, False):
        model = toys.Watched(V, C, table)
        model.train(training)
        member.modules.evaluate(model, ids)
        name = "training" if training else "evaluation"
        modes, tracked = member.get(model, "modes"), member.get(model, "tracked")
        expect.that(not any(modes), "The model was in training mode while it was measured.")
        expect.that(not any(tracked), "Gradients were recorded while it was measured: use torch.no_grad().")
        say = f"Whether it is in training mode afterwards; it came in {name} mode."
        expect.equal(member.get(model, "training"), training, say=say)
        expect.close(model.parameters()["table"], table, atol=0.0, say="The weights afterwards.")
        expect.equal(toys.touched(model), [], say="Parameters with a gradient afterwards.")

"""Step `trap`: predictions that depend on their own row only, and a model that is afterwards as it was.

The models have torch's own BatchNorm1d and dropout. B rows of F = 4 numbers.
"""

import torch
import trap_toys

from cohort_cli.checking.authoring import check


def twins(member, rng, dropout=0.5):
    """A model beside the member's code, and the same here: same weights, same running statistics, none of them
    trivial.
    """
    here = trap_toys.Net(dropout).double()
    with torch.no_grad():
        for name, value in here.state_dict().items():
            if value.is_floating_point():
                value.copy_(rng.normal(*value.shape, std=0.7))
                if name.endswith("running_var"):
                    value.copy_(value**2 + 0.3)
    toys = member.bring(trap_toys)
    there = toys.Net(dropout).double()
    toys.remember(there, {name: value.clone() for name, value in here.state_dict().items()})
    return toys, there, here


def mixed(rng, model):
    """A mode for each module of the model, some of each kind."""
    count = len(list(model.modules()))
    modes = [rng.random.random() < 0.5 for _ in range(count)]
    modes[0], modes[1], modes[2], modes[-1] = True, False, True, False
    return modes


@check("predict-values", title="predict gives what the model gives in evaluation mode")
def test_predict_values(member, expect, rng):
    """The model comes in training mode, as it stands after a training step. predict must switch every module in it to
    evaluation mode, at any depth: BatchNorm then uses its running statistics, and dropout lets everything pass. A
    batch of one is a batch like any other.
    """
    _, there, here = twins(member, rng)
    here.eval()
    for rows, training in ((6, False), (6, True), (1, True)):
        x = rng.normal(rows, 4)
        there.train(training)
        member.seed(rows)
        got = member.trap.predict(there, x)
        say = f"{rows} rows, the model in {'training' if training else 'evaluation'} mode before the call."
        expect.close(got, here(x), axes=("row", "output"), say=say)


@check("predict-company", title="a row's prediction does not depend on the other rows")
def test_predict_company(member, expect, rng):
    """Who asks for one prediction must get the one that the row gets in a batch, in any order, beside any other rows.
    In training mode it would not: there BatchNorm looks at all of them.
    """
    _, there, _ = twins(member, rng, dropout=0.0)
    x = rng.normal(6, 4)
    whole = member.trap.predict(there, x)
    alone = torch.cat([member.trap.predict(there, x[i : i + 1]) for i in range(6)])
    expect.close(whole, alone, axes=("row", "output"), say="All six at once, against row by row.")
    order = rng.permutation(6)
    expect.close(member.trap.predict(there, x[order]), whole[order], say="The rows in another order.")
    other = torch.cat([x[:2], rng.normal(4, 4) * 9])
    expect.close(
        member.trap.predict(there, other)[:2], whole[:2], say="Two rows beside four quite different ones."
    )


@check("predict-modes", title="every module gets its own mode back")
def test_predict_modes(member, expect, rng):
    """A model may be in training mode with one frozen BatchNorm in evaluation mode; model.train() at the end would
    wake that one up. A model that was in evaluation mode stays there. And if the call raises an error, the modes come
    back all the same, and the error comes out.
    """
    toys, there, here = twins(member, rng)
    count = len(list(here.modules()))
    for modes in ([True] * count, [False] * count, mixed(rng, here)):
        toys.set_modes(there, modes)
        member.trap.predict(there, rng.normal(6, 4))
        expect.equal(
            toys.get_modes(there), modes, say="module.training of each module, root first, afterwards."
        )
    toys.set_modes(there, modes)
    want = ["ArithmeticError", modes, True]
    say = "After a call that raised: the error, module.training of each module, and whether gradients are on."
    expect.equal(toys.after_an_error(there, rng.normal(6, 9)), want, say=say)


@check("predict-state", title="a prediction changes nothing in the model")
def test_predict_state(member, expect, rng):
    """Running statistics, the count of batches and the weights are the same after a prediction. One call in training
    mode, only to look, is enough to move the running statistics towards the data that was looked at.
    """
    toys, there, here = twins(member, rng)
    x = rng.normal(6, 4) * 5
    first = member.trap.predict(there, x)
    expect.close(
        member.trap.predict(there, x), first, axes=("row", "output"), say="The same rows a second time."
    )
    after = toys.state(there)
    for name, value in here.state_dict().items():
        if value.is_floating_point():
            expect.close(after[name], value, atol=0.0, say=f"{name} after two predictions.")
        else:
            expect.equal(after[name], value, say=f"{name} after two predictions.")


@check("predict-graph", title="a prediction keeps no graph, and gradients are on afterwards")
def test_predict_graph(member, expect, rng):
    """A graph for gradients costs memory for every layer, and a prediction never needs it. But to switch gradients off
    for good, in torch or in the parameters, would stop the next training step from learning.
    """
    toys, there, _ = twins(member, rng)
    found = toys.graph(there, rng.normal(6, 4))
    expect.equal(found[0], False, say="Whether the prediction requires grad.")
    expect.equal(found[1], True, say="Whether gradients are on after the call.")
    frozen = [name for name, info in there.parameter_info().items() if not info["requires_grad"]]
    expect.equal(frozen, [], say="Parameters that no longer require grad after the call.")


@check("require-eval", title="a forgotten eval() is an error that names the modules")
def test_require_eval(member, expect, rng):
    """Nothing happens if all modules are in evaluation mode. If one is in training mode, at any depth, a RuntimeError
    must name it, as model.named_modules() does. A root in evaluation mode says nothing about the modules inside. No
    mode changes.
    """
    toys, there, here = twins(member, rng)
    names = [name for name, _ in here.named_modules()]
    cases = {
        "every module": names,
        "norm": ["norm"],
        "deep.1": ["deep.1"],
        "drop": ["drop"],
        "the root": [""],
        "none": [],
    }
    got = {}
    for case, awake in cases.items():
        modes = [name in awake for name in names]
        toys.set_modes(there, modes)
        message = toys.complaint(there)
        missing = [name for name in awake if name not in (message or "")]
        got[case] = "no error" if message is None else "RuntimeError"
        if message is not None and missing:
            got[case] += f" without {', '.join(missing)}"
        if toys.get_modes(there) != modes:
            got[case] += ", and modes changed"
    want = dict.fromkeys(cases, "RuntimeError") | {"none": "no error"}
    expect.equal(got, want, say="What is in training mode, and what require_eval does.")


@check("gap-values", title="gap measures how far rows depend on their company")
def test_gap_values(member, expect, rng):
    """The first half of the rows in the whole batch, against the same rows alone: the largest absolute difference. It
    is 0 in evaluation mode and not in training mode. It is asked in the modes that the model has, and changes nothing
    in the model.
    """
    toys, there, here = twins(member, rng, dropout=0.0)
    count, head = len(list(here.modules())), here.last.weight.detach()
    cases = [
        ([True] * count, 6, head),
        ([True] * count, 6, -head),
        (mixed(rng, here), 9, head),
        ([False] * count, 6, head),
    ]
    x = rng.normal(9, 4)
    for modes, rows, weight in cases:
        toys.set_modes(there, modes)
        there.assign(
            {"last.weight": weight}
        )  # turned over, so that the largest difference is once a negative one
        before, half = toys.state(there), rows // 2
        twin = trap_toys.Net(0.0).double()
        twin.load_state_dict(before)
        trap_toys.set_modes(twin, modes)
        want = max(abs(float(d)) for d in (twin(x[:rows])[:half] - twin(x[:half])).flatten())
        got = member.trap.gap(there, x[:rows])
        say = f"{rows} rows, {sum(modes)} of {count} modules in training mode."
        expect.that(isinstance(got, float), "A Python float is needed.", got=type(got).__name__)
        expect.close(
            torch.tensor([got, 0.0], dtype=torch.float64), torch.tensor([want, 0.0]), atol=1e-6, say=say
        )
        expect.equal(
            toys.get_modes(there), modes, say="module.training of each module, root first, afterwards."
        )
        after = toys.state(there)
        for name in ("norm.running_mean", "norm.running_var", "deep.1.running_mean", "deep.1.running_var"):
            expect.close(after[name], before[name], atol=0.0, say=f"{name} after gap.")

"""Brought to the member's code by the checks of `gates`: models with given weights, and plain numbers back."""

import random


def make(kind, *sizes, numbers=None, stale=0.0):
    """Neuron, Layer or MLP; `numbers` into its parameters, in their order, and `stale` into their gradients."""
    import gates

    model = getattr(gates, kind)(*sizes)
    if numbers is not None:
        for parameter, number in zip(model.parameters(), numbers, strict=True):
            parameter.data = number
            parameter.grad = stale
    return model


def plain(value):
    """The number in a Value; in words, if it is something else."""
    import engine

    return (
        float(value.data)
        if isinstance(value, engine.Value)
        else f"a {type(value).__name__} instead of a Value"
    )


def count(kind, *sizes):
    """How many Values parameters() has; in words, if something is wrong with them."""
    import engine

    model = make(kind, *sizes)
    found = model.parameters()
    if not isinstance(found, list):
        return f"a {type(found).__name__} instead of a list"
    strange = [type(value).__name__ for value in found if not isinstance(value, engine.Value)]
    if strange:
        return f"a {strange[0]} among the parameters"
    if any(value is not other for value, other in zip(found, model.parameters(), strict=True)):
        return "other Values at each call"
    different = len({id(value) for value in found})
    return different if different == len(found) else f"{len(found)}, but only {different} different ones"


def outputs(kind, sizes, numbers, inputs):
    """What the model gives for each x, as a list; in words, if a list or a Value is missing."""
    model = make(kind, *sizes, numbers=numbers)
    found = []
    for x in inputs:
        out = model(x)
        if isinstance(out, list) != (kind == "Layer"):
            return f"a {type(out).__name__}"
        found.append([plain(value) for value in (out if kind == "Layer" else [out])])
    return found


def grads(kind, sizes, numbers, x):
    """d (sum of the outputs) / d each parameter, and then / d each input, where the inputs are Values."""
    import engine

    model = make(kind, *sizes, numbers=numbers)
    x = [engine.Value(value) for value in x]
    out = model(x)
    total = engine.Value(0.0)
    for n, value in enumerate(out if isinstance(out, list) else [out]):
        total = total + value * (n + 1)
    total.backward()
    return [float(value.grad) for value in [*model.parameters(), *x]]


def starts(kind, sizes, seed, common=0):
    """The parameters at first, with a random.Random(seed); without one if seed is None."""
    import gates

    random.seed(common)
    how = {} if seed is None else {"rng": random.Random(seed)}
    return [plain(value) for value in getattr(gates, kind)(*sizes, **how).parameters()]


def loss_and_right(kind, sizes, numbers, data):
    """log_loss and its gradients, and count_right."""
    import gates

    model = make(kind, *sizes, numbers=numbers)
    loss = gates.log_loss(model, data)
    seen = plain(loss)
    if isinstance(seen, str):
        return seen, [], None
    loss.backward()
    return seen, [float(value.grad) for value in model.parameters()], int(gates.count_right(model, data))


def trained(kind, sizes, numbers, data, steps, lr, stale=0.0):
    """The losses of train, the parameters afterwards, and how many examples are right then."""
    import gates

    model = make(kind, *sizes, numbers=numbers, stale=stale)
    losses = gates.train(model, data, steps, lr)
    if not isinstance(losses, list):
        return f"a {type(losses).__name__}", [], 0
    losses = [float(x) if isinstance(x, int | float) else f"a {type(x).__name__}" for x in losses]
    return losses, [plain(value) for value in model.parameters()], int(gates.count_right(model, data))


def gate(name):
    """The data of a gate, as the file has it."""
    import gates

    return [[list(x), target] for x, target in getattr(gates, name)]

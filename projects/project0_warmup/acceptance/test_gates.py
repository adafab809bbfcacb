"""Step `gates`: member.gates on member.engine, against the same networks in complex numbers."""

import cmath
import math
import random

import gates_bench
from autodiff_oracle import compare, near, shown, slope

from cohort_cli.checking.authoring import check

GATES = {
    "AND": [((0.0, 0.0), 0), ((0.0, 1.0), 0), ((1.0, 0.0), 0), ((1.0, 1.0), 1)],
    "OR": [((0.0, 0.0), 0), ((0.0, 1.0), 1), ((1.0, 0.0), 1), ((1.0, 1.0), 1)],
    "XOR": [((0.0, 0.0), 0), ((0.0, 1.0), 1), ((1.0, 0.0), 1), ((1.0, 1.0), 0)],
}
START = [1.0, -0.9, -0.4, -0.8, 1.0, -0.5, 0.9, 0.8, 0.1]  # of MLP(2, [2]): from here it learns XOR


def some(rng, count, spread=0.8):
    return [round(rng.random.gauss(0.0, spread), 3) for _ in range(count)]


def layer(x, numbers, outputs, tanh):
    """(what the neurons give, the numbers that are left over): for each neuron its weights, then its bias."""
    found, width = [], len(x) + 1
    for n in range(outputs):
        *weights, bias = numbers[n * width : (n + 1) * width]
        total = bias + sum(w * value for w, value in zip(weights, x, strict=True))
        found.append(cmath.tanh(total) if tanh else total)
    return found, numbers[outputs * width :]


def network(x, numbers, hidden):
    """The logit of a network with these parameters."""
    for size in hidden:
        x, numbers = layer(x, numbers, size, True)
    return layer(x, numbers, 1, False)[0][0]


def log_loss(numbers, hidden, data):
    logits = [(network(x, numbers, hidden), target) for x, target in data]
    return sum(cmath.log(1 + cmath.exp(-z if target == 1 else z)) for z, target in logits) / len(data)


def descent(numbers, hidden, data, steps, lr):
    """(losses, parameters at the end) of gradient descent."""
    losses = []
    for _ in range(steps):
        losses.append(complex(log_loss(numbers, hidden, data)).real)
        moves = slope(lambda moved: log_loss(moved, hidden, data), numbers)
        numbers = [x - lr * move for x, move in zip(numbers, moves, strict=True)]
    return losses, numbers


def numbered(what, count):
    return [f"{what} {n}" for n in range(count)]


def neuron_and_inputs(rng, size):
    """Weights, bias, and three inputs: one total is below 0 and one above, so relu is not the same as nothing."""
    while True:
        numbers, inputs = some(rng, size + 1), [some(rng, size) for _ in range(3)]
        totals = [layer(x, numbers, 1, False)[0][0].real for x in inputs]
        if min(totals) < -0.1 and max(totals) > 0.1:
            return numbers, inputs


@check(
    "gates-neuron",
    title="a neuron: weights times inputs, plus bias, then tanh",
    needs=["backward-twice-used"],
)
def test_gates_neuron(member, expect, rng):
    """The check writes weights and bias into the Values that parameters() gives, weights first. Then it asks for
    outputs, with tanh and without, and for their gradients: backward() must reach every parameter and every input.
    """
    bench = member.bring(gates_bench)
    for size in (2, 3, 1):
        got = bench.count("Neuron", size)
        expect.equal(got, size + 1, say=f"How many parameters Neuron({size}) has.")
    for size, tanh in ((3, False), (3, True), (1, True)):
        numbers, inputs = neuron_and_inputs(rng, size)
        want = [layer(x, numbers, 1, tanh)[0][0].real for x in inputs]
        got = bench.outputs("Neuron", [size, tanh], numbers, inputs)
        say = f"Neuron({size}, activate={tanh}) with weights {numbers[:-1]} and bias {numbers[-1]}."
        expect.that(not isinstance(got, str), f"{say} It gives one Value, not {got}.", got=got)
        compare(expect, [row[0] for row in got], want, [f"x = {x}" for x in inputs], say)
        want = slope(lambda n: layer(n[-size:], n[:-size], 1, tanh)[0][0], numbers + inputs[0])  # noqa: B023
        names = [*numbered("weight", size), "bias", *numbered("x", size)]
        compare(
            expect, bench.grads("Neuron", [size, tanh], numbers, inputs[0]), want, names, f"{say} Gradients."
        )


@check("gates-layers", title="layers of neurons, and a network of layers", needs=["gates-neuron"])
def test_gates_layers(member, expect, rng):
    """A Layer gives a list, one Value for each neuron. In an MLP the outputs of a layer are the inputs of the next,
    as Values: whoever takes plain numbers there cuts the graph. The last neuron has no tanh. Parameters come neuron
    by neuron.
    """
    bench = member.bring(gates_bench)
    for kind, sizes, want in (
        ("Layer", [3, 2], 8),
        ("Layer", [2, 1], 3),
        ("MLP", [2, [2]], 9),
        ("MLP", [3, [4, 2]], 29),
    ):
        what = f"{kind}({', '.join(map(str, sizes))})"
        expect.equal(bench.count(kind, *sizes), want, say=f"How many parameters {what} has.")
    for size, outputs, tanh in ((3, 2, True), (3, 2, False), (2, 1, True)):
        numbers, x = some(rng, (size + 1) * outputs), some(rng, size)
        want = [value.real for value in layer(x, numbers, outputs, tanh)[0]]
        got = bench.outputs("Layer", [size, outputs, tanh], numbers, [x])
        say = f"Layer({size}, {outputs}, activate={tanh}) with the parameters {numbers} and x = {x}."
        expect.that(not isinstance(got, str), f"{say} It gives a list, not {got}.", got=got)
        compare(expect, got[0], want, numbered("output", outputs), say)
    for hidden in ([2], [4, 2], []):
        count = sum((i + 1) * o for i, o in zip([3, *hidden], [*hidden, 1], strict=True))
        numbers, inputs = some(rng, count), [some(rng, 3) for _ in range(3)]
        want = [network(x, numbers, hidden).real for x in inputs]
        got = bench.outputs("MLP", [3, hidden], numbers, inputs)
        say = f"MLP(3, {hidden})."
        expect.that(not isinstance(got, str), f"{say} It gives one Value, not {got}.", got=got)
        compare(expect, [row[0] for row in got], want, [f"x = {x}" for x in inputs], say)
        want = slope(lambda n: network(n[-3:], n[:-3], hidden), numbers + inputs[0])  # noqa: B023
        names = [*numbered("parameter", count), *numbered("x", 3)]
        compare(expect, bench.grads("MLP", [3, hidden], numbers, inputs[0]), want, names, f"{say} Gradients.")


@check("gates-start", title="random weights, different ones, the same under a seed", needs=["gates-layers"])
def test_gates_start(member, expect, rng):
    """With the same random.Random a network has the same weights, each from rng.uniform(-0.25, 0.25), and biases of
    0. Two neurons that begin alike get the same gradients, and stay alike for ever: two of them can then do no more
    than one.
    """
    bench, seed = member.bring(gates_bench), rng.random.randrange(10**6)
    for kind, sizes, counts in (
        ("Neuron", [3], [(3, 1)]),
        ("Layer", [2, 3], [(2, 3)]),
        ("MLP", [2, [3, 2]], [(2, 3), (3, 2), (2, 1)]),
    ):
        drawn, want = random.Random(seed), []
        for inputs, neurons in counts:
            for _ in range(neurons):
                want += [*(drawn.uniform(-0.25, 0.25) for _ in range(inputs)), 0.0]
        what = f"{kind}({', '.join(map(str, sizes))}, rng=random.Random({seed}))"
        got = bench.starts(kind, sizes, seed)
        compare(expect, got, want, numbered("parameter", len(want)), what)
    got = bench.starts("MLP", [2, [2]], None)
    weights = [got[n] for n in (0, 1, 3, 4, 6, 7)]
    say = "Without rng the weights are random too: MLP(2, [2]) has six different ones between -0.25 and 0.25."
    fits = len(set(weights)) == 6 and all(abs(w) <= 0.25 for w in weights)
    expect.that(fits, say, got=sorted(set(weights))[:1] if len(set(weights)) == 1 else None)


@check("gates-loss", title="the log loss, and how many are right", needs=["gates-layers"])
def test_gates_loss(member, expect, rng):
    """ln(1 + exp(-z)) for the target 1, ln(1 + exp(z)) for 0, and the mean over the examples. With all weights 0 it
    is ln 2, whatever the targets: half and half. Its gradients must reach every parameter. Right is a logit above 0
    for a 1.
    """
    bench = member.bring(gates_bench)
    data = [[some(rng, 2), n % 3 % 2] for n in range(5)]
    for hidden, count in (([], 3), ([2], 9)):
        numbers = some(rng, count)
        got = bench.loss_and_right("MLP", [2, hidden], numbers, data)
        want = complex(log_loss(numbers, hidden, data)).real
        say = f"MLP(2, {hidden}) with the parameters {numbers}, five examples."
        expect.that(near(got[0], want), f"{say} The log loss.", got=shown(got[0]), want=shown(want))
        want = slope(lambda n: log_loss(n, hidden, data), numbers)  # noqa: B023
        compare(expect, got[1], want, numbered("parameter", count), f"{say} Gradients.")
    for name, data in GATES.items():
        expect.that(
            near(bench.loss_and_right("MLP", [2, []], [0.0] * 3, data)[0], math.log(2)),
            f"{name}, all weights 0: ln 2.",
        )
        for numbers in ([1.0, 1.0, -0.5], [1.0, 1.0, -1.5], [-1.0, -1.0, 0.5], [0.0, 0.0, 0.0]):
            want = sum((network(x, numbers, []).real > 0) == (target == 1) for x, target in data)
            got = bench.loss_and_right("MLP", [2, []], numbers, data)[2]
            say = f"{name}: how many are right with the logit {numbers[0]} a + {numbers[1]} b + {numbers[2]}."
            expect.equal(got, want, say=say)


@check("gates-train", title="each step goes down the slope of this step's loss", needs=["gates-loss"])
def test_gates_train(member, expect, rng):
    """Twelve steps of gradient descent from given weights, compared loss by loss with the same descent done by the
    kit. Each loss is from before its step. The gradients of the step before must not count, nor what a gradient held
    at the start.
    """
    bench = member.bring(gates_bench)
    inputs = [some(rng, 2) for _ in range(3)]
    data = [[x, target] for x in inputs for target in (0, 1)] + [
        [some(rng, 2), 1]
    ]  # nobody gets all of it right
    for hidden, count, lr, stale in (([], 3, 0.7, 0.0), ([2], 9, 0.3, 0.0), ([2], 9, 0.5, 1.5)):
        numbers = some(rng, count)
        losses, end = descent(numbers, hidden, data, 12, lr)
        got = bench.trained("MLP", [2, hidden], numbers, data, 12, lr, stale)
        say = f"MLP(2, {hidden}), lr={lr}"
        say += ", each parameter's grad was 1.5 before." if stale else "."
        expect.that(isinstance(got[0], list), f"{say} train gives a list, not {got[0]}.", got=shown(got[0]))
        say_length = f"{say} The losses: one for each of 12 steps."
        expect.equal(len(got[0]), 12, say=say_length)
        compare(expect, got[0], losses, numbered("step", 12), f"{say} The loss before each step.")
        compare(expect, got[1], end, numbered("parameter", count), f"{say} After 12 steps.")
    numbers = some(rng, 3)
    got = bench.trained("Neuron", [2, False], numbers, data, 3, 0.5)
    losses, end = descent(numbers, [], data, 3, 0.5)
    compare(expect, got[0], losses, numbered("step", 3), "A Neuron without tanh alone, lr=0.5.")


@check(
    "gates-learn", title="one neuron learns AND and OR, never XOR; the 2-2-1 net does", needs=["gates-train"]
)
def test_gates_learn(member, expect, rng):
    """200 steps with lr=1 from random weights: all four examples of AND and of OR. For XOR no weights give more than
    three, and the loss cannot fall below ln 2 = 0.6931: it ends just above. The network 2-2-1 gets all four in 500
    steps, from weights that the check chooses, because from a few others it gets stuck.
    """
    bench = member.bring(gates_bench)
    for name, data in GATES.items():
        want = [[list(x), target] for x, target in data]
        expect.equal(bench.gate(name), want, say=f"The table {name} of the file.")
    for name in ("AND", "OR"):
        losses, _, right = bench.trained("Neuron", [2, False], some(rng, 3, 0.5), GATES[name], 200, 1.0)
        expect.equal(len(losses), 200, say=f"{name}, a neuron: one loss for each of 200 steps.")
        expect.equal(right, 4, say=f"{name}, a neuron after 200 steps: how many are right.")
        expect.that(
            losses[-1] < 0.2, f"{name}: the loss after 200 steps is below 0.2.", got=shown(losses[-1])
        )
    losses, _, right = bench.trained("Neuron", [2, False], some(rng, 3, 0.5), GATES["XOR"], 200, 1.0)
    expect.equal(len(losses), 200, say="XOR, a neuron: one loss for each of 200 steps.")
    expect.that(right <= 3, "XOR, a neuron: no straight line separates more than three.", got=right)
    floor = math.log(2)
    fits = floor - 1e-9 < losses[-1] < floor + 0.01
    expect.that(fits, "XOR, a neuron: the loss ends at ln 2.", got=shown(losses[-1]), want=shown(floor))
    start = [x + rng.random.uniform(-0.1, 0.1) for x in START]
    losses, _, right = bench.trained("MLP", [2, [2]], start, GATES["XOR"], 500, 1.0)
    expect.equal(right, 4, say="XOR, MLP(2, [2]) after 500 steps: how many are right.")
    expect.that(losses[-1] < 0.1, "XOR, MLP(2, [2]): the loss is below 0.1.", got=shown(losses[-1]))

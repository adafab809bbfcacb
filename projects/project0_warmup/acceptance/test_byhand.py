"""Step `byhand`: member.byhand's gradients, tensor by tensor, against derivatives by complex numbers."""

import copy

import byhand_oracle
from autodiff_oracle import near, shown

from cohort_cli.checking.authoring import check

ARGUMENTS = ("x", "y", "w1", "b1", "w2", "b2")


def tensors(rng, N, I, H, O):  # noqa: E741
    """Random tensors of these sizes, with few decimals."""
    shapes = {"x": (N, I), "y": (N, O), "w1": (I, H), "b1": (H,), "w2": (H, O), "b2": (O,)}

    def draw(shape):
        if len(shape) > 1:
            return [draw(shape[1:]) for _ in range(shape[0])]
        return [round(rng.random.gauss(0.0, 0.8), 2) for _ in range(shape[0])]

    return {name: draw(shape) for name, shape in shapes.items()}


def shape_of(tensor):
    """(rows, columns) or (length,); None for what is no tensor."""
    if not isinstance(tensor, list | tuple) or not tensor:
        return None
    if not isinstance(tensor[0], list | tuple):
        return (len(tensor),)
    widths = {len(row) if isinstance(row, list | tuple) else -1 for row in tensor}
    return (len(tensor), widths.pop()) if len(widths) == 1 else None


def same(expect, got, want, name, say):
    """Two claims: a tensor has the right shape, and the right numbers."""
    shape, right = shape_of(got), shape_of(want)
    expect.that(shape == right, f"{say} The shape of {name}; None is no tensor.", got=shape, want=right)
    numbers = byhand_oracle.flat([list(row) if isinstance(row, tuple) else row for row in got])
    fits = all(near(g, w) for g, w in zip(numbers, byhand_oracle.flat(want), strict=True))
    expect.that(fits, f"{say} {name} is not right.", got=shown(got), want=shown(want))


def named(expect, result, names, what):
    """A claim: the result is a dict with these keys."""
    keys = sorted(result) if isinstance(result, dict) else type(result).__name__
    missing = [name for name in names if name not in keys] if isinstance(keys, list) else names
    expect.that(not missing, f"{what} gives a dict with the keys {', '.join(names)}.", got=keys)


def gradients(member, expect, rng, names, sizes):
    """The claims about the gradients of these tensors, for each of these sizes."""
    for size in sizes:
        t = tensors(rng, *size)
        got = member.byhand.gradients(*(t[name] for name in ARGUMENTS))
        named(expect, got, names, "gradients")
        say = f"N, I, H, O = {', '.join(map(str, size))}."
        for name in names:
            same(expect, got[name], byhand_oracle.gradient(t, name), f"d {name}", say)


@check("hand-forward", title="z, h and out of a network of two layers")
def test_hand_forward(member, expect, rng):
    """z = x @ w1 + b1, h = tanh(z), out = h @ w2 + b2. All sizes differ, so a matrix that lies the wrong way round
    shows. The output has no tanh. All three come back, for the way back needs them.
    """
    for size in ((2, 3, 4, 1), (3, 2, 5, 4), (1, 4, 2, 3)):
        t = tensors(rng, *size)
        got = member.byhand.forward(t["x"], t["w1"], t["b1"], t["w2"], t["b2"])
        named(expect, got, ("z", "h", "out"), "forward")
        want = byhand_oracle.forward(t)
        for name in ("z", "h", "out"):
            say = f"N, I, H, O = {', '.join(map(str, size))}."
            same(expect, got[name], byhand_oracle.real(want[name]), name, say)


@check("hand-loss", title="squares, added over outputs, averaged over examples")
def test_hand_loss(member, expect, rng):
    """squared_error is divided by the number of examples N, not by N times O: each example counts for one, however many
    outputs it has. It is 0 when out and y are equal.
    """
    for size in ((4, 1, 1, 3), (1, 1, 1, 5), (5, 1, 1, 1)):
        t = tensors(rng, *size)
        out = [[round(value + rng.random.uniform(-1.5, 1.5), 2) for value in row] for row in t["y"]]
        want = float(byhand_oracle.loss(out, t["y"]))
        got = member.byhand.squared_error(out, t["y"])
        say = f"The loss of {size[0]} examples with {size[3]} outputs: {out} where {t['y']} is right."
        expect.that(near(got, want), say, got=shown(got), want=shown(want))
    got = member.byhand.squared_error(t["y"], t["y"])
    expect.that(near(got, 0.0), "out and y are equal.", got=shown(got), want=0.0)


@check("hand-last", title="d out, d w2 and d b2", needs=["hand-forward", "hand-loss"])
def test_hand_last(member, expect, rng):
    """The last layer, tensor by tensor. d out comes from the square: 2 (out - y) / N. d w2 has the shape of w2: each
    weight has worked once for each example, so its shares are added. The same holds for b2.
    """
    gradients(member, expect, rng, ("out", "w2", "b2"), ((3, 2, 4, 5), (4, 3, 2, 1), (1, 2, 3, 2)))


@check("hand-hidden", title="d h and d z: back through w2 and tanh", needs=["hand-last"])
def test_hand_hidden(member, expect, rng):
    """Each hidden number goes to all outputs, so d h adds up over the outputs: d out @ w2 turned round. d z is d h
    times the derivative of tanh, 1 - h * h, number by number.
    """
    gradients(member, expect, rng, ("h", "z"), ((3, 2, 4, 5), (4, 3, 2, 1), (1, 2, 3, 2)))


@check("hand-first", title="d w1, d b1 and d x", needs=["hand-hidden"])
def test_hand_first(member, expect, rng):
    """The first layer is like the last one: d z takes the place of d out, and x that of h. d x is not needed to
    train, but it is how an error would go on into a layer below.
    """
    gradients(member, expect, rng, ("w1", "b1", "x"), ((3, 2, 4, 5), (4, 3, 2, 1), (1, 2, 3, 2)))


@check("hand-inputs", title="the arguments stay, and a second call is right too", needs=["hand-first"])
def test_hand_inputs(member, expect, rng):
    """x, y, weights and biases are after the call what they were before: the next step of a training needs them. And
    the second call starts afresh, so nothing may be left over from the first.
    """
    t = tensors(rng, 3, 2, 4, 2)
    given = [t[name] for name in ARGUMENTS]
    for count in ("first", "second"):
        got, after = member.echo(member.byhand.gradients, *copy.deepcopy(given))
        for name, now in zip(ARGUMENTS, after, strict=True):
            expect.equal(now, t[name], say=f"{name} after gradients, {count} call.")
        for name in byhand_oracle.TENSORS:
            same(expect, got[name], byhand_oracle.gradient(t, name), f"d {name}", f"The {count} call.")
    first = {name: t[name] for name in ("x", "w1", "b1", "w2", "b2")}
    _, after = member.echo(member.byhand.forward, *copy.deepcopy(list(first.values())))
    for (name, tensor), now in zip(first.items(), after, strict=True):
        expect.equal(now, tensor, say=f"{name} after forward.")

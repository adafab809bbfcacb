import math
from operator import add, mul

dot = lambda u, v: sum(map(mul, u, v))
turned = lambda m: tuple(zip(*m))
through = lambda m, w: [[dot(row, column) for column in turned(w)] for row in m]
elementwise = lambda f, *ms: [list(map(f, *rows)) for rows in zip(*ms)]
outer = lambda u, v: [[a * b for b in v] for a in u]


def forward(x, w1, b1, w2, b2):
    z = [list(map(add, row, b1)) for row in through(x, w1)]
    h = elementwise(math.tanh, z)
    return {"z": z, "h": h, "out": [list(map(add, row, b2)) for row in through(h, w2)]}


def squared_error(out, y):
    return math.fsum(math.dist(row, want) ** 2 for row, want in zip(out, y)) / len(y)


def gradients(x, y, w1, b1, w2, b2):
    """Weights: the sum over the examples of outer products."""
    seen = forward(x, w1, b1, w2, b2)
    out = elementwise(lambda o, t: (o - t) * 2 / len(y), seen["out"], y)
    h = through(out, turned(w2))
    z = elementwise(lambda d, s: d / math.cosh(s) ** 2, h, seen["z"])
    summed = lambda ms: elementwise(lambda *parts: sum(parts), *ms)
    return {
        "out": tuple(map(tuple, out)),
        "h": h,
        "z": z,
        "x": through(z, turned(w1)),
        "w2": summed([outer(a, d) for a, d in zip(seen["h"], out)]),
        "w1": summed([outer(a, d) for a, d in zip(x, z)]),
        "b2": tuple(map(sum, turned(out))),
        "b1": tuple(map(sum, turned(z))),
    }

import math

T = lambda a: [list(c) for c in zip(*a)]
mm = lambda a, b: [[sum(p * q for p, q in zip(r, c)) for c in zip(*b)] for r in a]
add = lambda a, b: [[p + q for p, q in zip(r, b)] for r in a]


def forward(x, w1, b1, w2, b2):
    z = add(mm(x, w1), b1)
    h = [[*map(math.tanh, r)] for r in z]
    return {"z": z, "h": h, "out": add(mm(h, w2), b2)}


def squared_error(out, y):
    return sum((p - q) ** 2 for r, s in zip(out, y) for p, q in zip(r, s)) / len(out)


def gradients(x, y, w1, b1, w2, b2):
    g = forward(x, w1, b1, w2, b2)
    o = [[2 / len(y) * (p - q) for p, q in zip(r, s)] for r, s in zip(g["out"], y)]
    h = mm(o, T(w2))
    z = [[d * (1 - a**2) for d, a in zip(r, s)] for r, s in zip(h, g["h"])]
    return dict(out=o, h=h, z=z, x=mm(z, T(w1)), w2=mm(T(g["h"]), o), b2=[*map(sum, zip(*o))],
                w1=mm(T(x), z), b1=[*map(sum, zip(*z))])  # fmt: skip

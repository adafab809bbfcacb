import itertools
import math
import statistics
from array import array
from collections import defaultdict


def forward(x, w1, b1, w2, b2):
    def affine(rows, weights, bias):
        columns = [array("d", column) for column in zip(*weights, strict=True)]
        return [
            [math.fsum(itertools.chain(map(float.__mul__, map(float, row), c), [b])) for c, b in zip(columns, bias)]
            for row in rows
        ]

    z = affine(x, w1, b1)
    h = [list(map(math.tanh, row)) for row in z]
    return {"z": z, "h": h, "out": affine(h, w2, b2)}


def squared_error(out, y):
    return statistics.fmean(math.dist(row, want) ** 2 for row, want in zip(out, y, strict=True))


def gradients(x, y, w1, b1, w2, b2):
    """Every product of the forward pass is one entry of a dict; gradients are added up in another one."""
    seen = forward(x, w1, b1, w2, b2)
    d = defaultdict(float)
    sizes = {"n": range(len(x)), "i": range(len(w1)), "j": range(len(b1)), "o": range(len(b2))}
    for n, o in itertools.product(sizes["n"], sizes["o"]):
        d["out", n, o] = 2 * (seen["out"][n][o] - y[n][o]) / len(x)
        d["b2", o] += d["out", n, o]
    for n, o, j in itertools.product(sizes["n"], sizes["o"], sizes["j"]):
        d["w2", j, o] += seen["h"][n][j] * d["out", n, o]
        d["h", n, j] += w2[j][o] * d["out", n, o]
    for n, j in itertools.product(sizes["n"], sizes["j"]):
        d["z", n, j] = d["h", n, j] * (1 - seen["h"][n][j]) * (1 + seen["h"][n][j])
        d["b1", j] += d["z", n, j]
    for n, j, i in itertools.product(sizes["n"], sizes["j"], sizes["i"]):
        d["w1", i, j] += x[n][i] * d["z", n, j]
        d["x", n, i] += w1[i][j] * d["z", n, j]
    shapes = {"out": "no", "w2": "jo", "h": "nj", "z": "nj", "w1": "ij", "x": "ni"}
    tables = {k: [[d[k, a, b] for b in sizes[q]] for a in sizes[p]] for k, (p, q) in shapes.items()}
    return {**tables, "b1": [d["b1", j] for j in sizes["j"]], "b2": [d["b2", o] for o in sizes["o"]]}

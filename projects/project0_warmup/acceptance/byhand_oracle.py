"""A network of two layers in complex numbers, from any place on: for derivatives without any chain rule."""

import cmath

from autodiff_oracle import slope

TENSORS = ("out", "w2", "b2", "h", "z", "w1", "b1", "x")


def affine(a, w, b):
    """a @ w + b, written out."""
    columns = range(len(b))
    return [[sum(row[i] * w[i][j] for i in range(len(row))) + b[j] for j in columns] for row in a]


def forward(t):
    """z, h and out; what is given in `t` already is left as it is. t: name -> tensor."""
    z = t["z"] if "z" in t else affine(t["x"], t["w1"], t["b1"])
    h = t["h"] if "h" in t else [[cmath.tanh(value) for value in row] for row in z]
    return {"z": z, "h": h, "out": t["out"] if "out" in t else affine(h, t["w2"], t["b2"])}


def loss(out, y):
    differences = [o - w for row, want in zip(out, y, strict=True) for o, w in zip(row, want, strict=True)]
    return sum(d * d for d in differences) / len(y)


def real(tensor):
    if isinstance(tensor, list):
        return [real(item) for item in tensor]
    return complex(tensor).real


def flat(tensor):
    return [number for row in tensor for number in (row if isinstance(row, list) else [row])]


def shaped(numbers, like):
    """The flat list in the shape of `like`."""
    numbers = list(numbers)
    if not isinstance(like[0], list):
        return numbers
    width = len(like[0])
    return [numbers[n : n + width] for n in range(0, len(numbers), width)]


def gradient(t, name):
    """d loss / d each number of one tensor."""
    known = {**t, **{key: value for key, value in forward(t).items() if key == name}}
    return shaped(
        slope(
            lambda moved: loss(forward({**known, name: shaped(moved, known[name])})["out"], t["y"]),
            flat(known[name]),
        ),
        known[name],
    )

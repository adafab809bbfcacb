"""Backpropagation by hand, for a network of two layers. Step: byhand. Pure Python, and no Value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
Vector = list[float]
Matrix = list[list[float]]


def forward(x: Matrix, w1: Matrix, b1: Vector, w2: Matrix, b2: Vector) -> dict[str, Matrix]:
    """z = x @ w1 + b1, h = tanh(z), out = h @ w2 + b2."""
    z = _affine(x, w1, b1)
    h = [[math.tanh(value) for value in row] for row in z]
    return {"z": z, "h": h, "out": _affine(h, w2, b2)}


def squared_error(out: Matrix, y: Matrix) -> float:
    """The squares of all differences, added up, divided by the number of examples."""
    return sum((o - t) ** 2 for row, want in _pairs(out, y) for o, t in _pairs(row, want)) / len(y)


def gradients(
    x: Matrix, y: Matrix, w1: Matrix, b1: Vector, w2: Matrix, b2: Vector
) -> dict[str, Matrix | Vector]:
    """d loss / d each number of each tensor, from the end to the beginning."""
    seen = forward(x, w1, b1, w2, b2)
    h, out = seen["h"], seen["out"]
    d_out = [[2 * (o - t) / len(x) for o, t in _pairs(row, want)] for row, want in _pairs(out, y)]
    d_w2 = _matmul(_transposed(h), d_out)
    d_b2 = [sum(column) for column in _transposed(d_out)]
    d_h = _matmul(d_out, _transposed(w2))
    d_z = [[d * (1 - a * a) for d, a in _pairs(row, acts)] for row, acts in _pairs(d_h, h)]
    d_w1 = _matmul(_transposed(x), d_z)
    d_b1 = [sum(column) for column in _transposed(d_z)]
    d_x = _matmul(d_z, _transposed(w1))
    return {
        "out": d_out,
        "w2": d_w2,
        "b2": d_b2,
        "h": d_h,
        "z": d_z,
        "w1": d_w1,
        "b1": d_b1,
        "x": d_x,
    }


def _pairs(a: Iterable[A], b: Iterable[B]) -> Iterator[tuple[A, B]]:
    """Side by side; both must be equally long."""
    return zip(a, b, strict=True)


def _transposed(a: Matrix) -> Matrix:
    return [list(column) for column in zip(*a, strict=True)]


def _matmul(a: Matrix, b: Matrix) -> Matrix:
    return [[sum(u * v for u, v in _pairs(row, column)) for column in _transposed(b)] for row in a]


def _affine(a: Matrix, w: Matrix, b: Vector) -> Matrix:
    """a @ w + b."""
    return [[value + bias for value, bias in _pairs(row, b)] for row in _matmul(a, w)]

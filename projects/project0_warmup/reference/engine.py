"""A small engine for automatic differentiation. Steps: value, backward. Pure Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence


class Value:
    """A number, the Values it was computed from, and, after backward(), its gradient."""

    def __init__(self, data: float, label: str = "") -> None:
        self.data = float(data)
        self.grad = 0.0
        self.label = label
        self.op = ""
        self.parents: tuple[Value, ...] = ()
        self.slopes: Callable[[], Sequence[float]] = tuple  # d self / d parent, for each parent

    def __repr__(self) -> str:
        return f"Value(data={self.data:.4f}, grad={self.grad:.4f})"

    def __add__(self, other: Value | float) -> Value:
        other = _as_value(other)
        return _result(self.data + other.data, "+", (self, other), lambda: (1.0, 1.0))

    def __mul__(self, other: Value | float) -> Value:
        other = _as_value(other)
        return _result(self.data * other.data, "*", (self, other), lambda: (other.data, self.data))

    def __pow__(self, exponent: float) -> Value:
        power = self.data**exponent
        slope = lambda: (exponent * self.data ** (exponent - 1),)  # noqa: E731
        return _result(power, f"**{exponent:g}", (self,), slope)

    def __neg__(self) -> Value:
        return self * -1.0

    def __sub__(self, other: Value | float) -> Value:
        return self + -_as_value(other)

    def __truediv__(self, other: Value | float) -> Value:
        return self * _as_value(other) ** -1

    def __radd__(self, other: float) -> Value:
        return self + other

    def __rmul__(self, other: float) -> Value:
        return self * other

    def __rsub__(self, other: float) -> Value:
        return -self + other

    def __rtruediv__(self, other: float) -> Value:
        return self**-1 * other

    def exp(self) -> Value:
        e = math.exp(self.data)
        return _result(e, "exp", (self,), lambda: (e,))

    def log(self) -> Value:
        return _result(math.log(self.data), "log", (self,), lambda: (1 / self.data,))

    def tanh(self) -> Value:
        t = math.tanh(self.data)
        return _result(t, "tanh", (self,), lambda: (1 - t * t,))

    def relu(self) -> Value:
        return _result(max(0.0, self.data), "relu", (self,), lambda: (float(self.data > 0),))

    def backward(self) -> None:
        self.grad = 1.0
        for node in reversed(topological(self)):
            for parent, slope in zip(node.parents, node.slopes(), strict=True):
                parent.grad += slope * node.grad


def topological(root: Value) -> list[Value]:
    """Every Value that root was computed from, each once and after its parents; root comes last."""
    order: list[Value] = []
    seen: set[Value] = set()
    stack = [(root, False)]
    while stack:
        node, parents_are_in = stack.pop()
        if parents_are_in:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((parent, False) for parent in node.parents)
    return order


def _as_value(number: Value | float) -> Value:
    return number if isinstance(number, Value) else Value(number)


def _result(data: float, op: str, parents: tuple[Value, ...], slopes: Callable[[], Sequence[float]]) -> Value:
    """The Value that an operation gives."""
    out = Value(data)
    out.op, out.parents, out.slopes = op, parents, slopes
    return out

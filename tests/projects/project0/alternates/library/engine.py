import cmath
import dataclasses
import graphlib
import math
import operator
from collections import defaultdict
from numbers import Real


@dataclasses.dataclass(eq=False)
class Value:
    data: float
    label: str = ""
    grad: float = dataclasses.field(default=0.0, kw_only=True)
    partials: tuple = dataclasses.field(default=(), kw_only=True, repr=False)  # (Value, derivative) for each use

    @classmethod
    def of(cls, number):
        return cls(number) if isinstance(number, Real) else number

    def __add__(self, other):
        other = Value.of(other)
        return Value(operator.add(self.data, other.data), partials=((self, 1.0), (other, 1.0)))

    def __sub__(self, other):
        other = Value.of(other)
        return Value(operator.sub(self.data, other.data), partials=((self, 1.0), (other, -1.0)))

    def __mul__(self, other):
        other = Value.of(other)
        return Value(operator.mul(self.data, other.data), partials=((self, other.data), (other, self.data)))

    def __truediv__(self, other):
        other = Value.of(other)
        quotient = self.data / other.data
        return Value(quotient, partials=((self, 1 / other.data), (other, -quotient / other.data)))

    def __pow__(self, exponent):
        return Value(self.data**exponent, partials=((self, exponent * self.data ** (exponent - 1)),))

    def __neg__(self):
        return Value(operator.neg(self.data), partials=((self, -1.0),))

    def __radd__(self, other):
        return Value.of(other) + self

    def __rsub__(self, other):
        return Value.of(other) - self

    def __rmul__(self, other):
        return Value.of(other) * self

    def __rtruediv__(self, other):
        return Value.of(other) / self

    def by_complex_step(self, real, analytic):
        """The derivative of an analytic function from its value a tiny way off the real line."""
        return Value(real(self.data), partials=((self, analytic(complex(self.data, 1e-200)).imag / 1e-200),))

    def exp(self):
        return self.by_complex_step(math.exp, cmath.exp)

    def log(self):
        return self.by_complex_step(math.log, cmath.log)

    def tanh(self):
        return Value(math.tanh(self.data), partials=((self, 1 - math.tanh(self.data) ** 2),))

    def relu(self):
        return Value(max(self.data, 0), partials=((self, math.copysign(0.5, self.data) + 0.5),))

    def backward(self):
        arrived = defaultdict(list)
        arrived[self].append(1.0)
        for node in reversed(topological(self)):
            node.grad += (total := math.fsum(arrived[node]))
            for parent, slope in node.partials:
                arrived[parent].append(slope * total)


def topological(root):
    graph, todo = {}, [root]
    while todo:
        node = todo.pop()
        if node not in graph:
            graph[node] = {parent for parent, _ in node.partials}
            todo.extend(graph[node])
    return list(graphlib.TopologicalSorter(graph).static_order())

import heapq
import itertools
import math
from functools import partialmethod

_clock = itertools.count()


class Value:
    """Each Value has the time when it was made. Parents are always older, so time is an order."""

    __slots__ = ("_made", "_pull", "_sources", "data", "grad", "label")

    def __init__(self, data, label="", *, sources=(), pull=lambda g: ()):
        self.data, self.grad, self.label = float(data), 0.0, label
        self._made, self._sources, self._pull = next(_clock), sources, pull

    def _unary(self, f, df):
        y = f(self.data)
        return Value(y, sources=(self,), pull=lambda g: (g * df(self.data, y),))

    def _binary(self, other, f, df, swap=False):
        other = other if isinstance(other, Value) else Value(other)
        a, b = (other, self) if swap else (self, other)
        return Value(
            f(a.data, b.data), sources=(a, b), pull=lambda g: tuple(g * d for d in df(a.data, b.data))
        )

    exp = partialmethod(_unary, math.exp, lambda x, y: y)
    log = partialmethod(_unary, math.log, lambda x, y: 1.0 / x)
    tanh = partialmethod(_unary, math.tanh, lambda x, y: 1.0 - y * y)
    relu = partialmethod(_unary, lambda x: x if x > 0 else 0.0, lambda x, y: 1.0 if x > 0 else 0.0)
    __neg__ = partialmethod(_unary, lambda x: -x, lambda x, y: -1.0)

    def __pow__(self, n):
        return self._unary(lambda x: x**n, lambda x, y: n * x ** (n - 1))

    _ADD = (lambda a, b: a + b, lambda a, b: (1.0, 1.0))
    _SUB = (lambda a, b: a - b, lambda a, b: (1.0, -1.0))
    _MUL = (lambda a, b: a * b, lambda a, b: (b, a))
    _DIV = (lambda a, b: a / b, lambda a, b: (1.0 / b, -a / b**2))
    __add__ = partialmethod(_binary, f=_ADD[0], df=_ADD[1])
    __radd__ = partialmethod(_binary, f=_ADD[0], df=_ADD[1], swap=True)
    __sub__ = partialmethod(_binary, f=_SUB[0], df=_SUB[1])
    __rsub__ = partialmethod(_binary, f=_SUB[0], df=_SUB[1], swap=True)
    __mul__ = partialmethod(_binary, f=_MUL[0], df=_MUL[1])
    __rmul__ = partialmethod(_binary, f=_MUL[0], df=_MUL[1], swap=True)
    __truediv__ = partialmethod(_binary, f=_DIV[0], df=_DIV[1])
    __rtruediv__ = partialmethod(_binary, f=_DIV[0], df=_DIV[1], swap=True)

    def backward(self):
        """The youngest first. Shares of this pass are collected apart, and added to grad at the end."""
        collected, todo = {self._made: 1.0}, [(-self._made, self)]
        while todo:
            made, node = heapq.heappop(todo)
            share = collected.pop(-made)
            node.grad += share
            for source, part in zip(node._sources, node._pull(share)):
                if source._made not in collected:
                    heapq.heappush(todo, (-source._made, source))
                collected[source._made] = collected.get(source._made, 0.0) + part


def topological(root):
    seen = {root._made: root}
    level = [root]
    while level:
        level = list({s._made: s for node in level for s in node._sources if s._made not in seen}.values())
        seen |= {s._made: s for s in level}
    return [seen[made] for made in sorted(seen)]

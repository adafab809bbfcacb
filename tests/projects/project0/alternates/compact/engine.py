import math
import sys

sys.setrecursionlimit(100_000)


class Value:
    def __init__(self, data, label="", uses=()):
        self.data, self.grad, self.label, self.uses = data, 0.0, label, uses

    def __add__(self, o):
        o = o if isinstance(o, Value) else Value(o)
        return Value(self.data + o.data, uses=((self, 1.0), (o, 1.0)))

    def __mul__(self, o):
        o = o if isinstance(o, Value) else Value(o)
        return Value(self.data * o.data, uses=((self, o.data), (o, self.data)))

    __radd__, __rmul__ = __add__, __mul__
    __neg__ = lambda self: self * -1
    __sub__ = lambda self, o: self + o * -1
    __rsub__ = lambda self, o: self * -1 + o
    __truediv__ = lambda self, o: self * (o**-1.0)
    __rtruediv__ = lambda self, o: self**-1.0 * o
    __pow__ = lambda self, n: Value(self.data**n, uses=((self, n * self.data ** (n - 1)),))
    log = lambda self: Value(math.log(self.data), uses=((self, 1 / self.data),))
    tanh = lambda self: Value(t := math.tanh(self.data), uses=((self, 1 - t**2),))
    exp = lambda self: Value(e := math.exp(self.data), uses=((self, e),))
    relu = lambda self: Value(self.data * (self.data > 0), uses=((self, self.data > 0),))

    def backward(self):
        self.grad = 1
        for v in topological(self)[::-1]:
            for u, d in v.uses:
                u.grad += d * v.grad


def topological(root, seen=None):
    seen = set() if seen is None else seen
    if root in seen:
        return []
    seen.add(root)
    out = []
    for u, _ in root.uses:
        out.extend(topological(u, seen))
    return [*out, root]

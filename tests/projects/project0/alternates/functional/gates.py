import random
from functools import reduce
from itertools import chain, pairwise, product, repeat

from engine import Value

table = lambda f: [((float(a), float(b)), f(a, b)) for a, b in product((0, 1), repeat=2)]
AND, OR, XOR = map(table, (lambda a, b: a & b, lambda a, b: a | b, lambda a, b: a ^ b))


class Neuron:
    def __init__(self, n_inputs, activate=True, rng=None):
        draw = (rng or random.SystemRandom()).uniform
        self._all = [*map(Value, (draw(-0.25, 0.25) for _ in range(n_inputs))), Value(0)]
        self._end = Value.tanh if activate else lambda v: v

    def __call__(self, x):
        return self._end(reduce(lambda s, wx: s + wx[0] * wx[1], zip(self._all, x), self._all[-1]))

    def parameters(self):
        return list(self._all)


class Layer:
    def __init__(self, n_inputs, n_outputs, activate=True, rng=None):
        self._all = [Neuron(n, activate, rng) for n in repeat(n_inputs, n_outputs)]

    def __call__(self, x):
        return list(map(lambda n: n(x), self._all))

    def parameters(self):
        return list(chain.from_iterable(n.parameters() for n in self._all))


class MLP:
    def __init__(self, n_inputs, hidden, rng=None):
        widths = list(pairwise([n_inputs, *hidden, 1]))
        self._all = [Layer(a, b, k + 1 < len(widths), rng) for k, (a, b) in enumerate(widths)]

    def __call__(self, x):
        return reduce(lambda v, layer: layer(v), self._all, x)[0]

    def parameters(self):
        return list(chain.from_iterable(layer.parameters() for layer in self._all))


def log_loss(model, data):
    """-z + ln(1 + e^z) for 1, ln(1 + e^z) for 0."""
    return sum((1 + z.exp()).log() - t * z for z, t in ((model(x), t) for x, t in data)) * len(data) ** -1


def count_right(model, data):
    return len([None for x, t in data if bool(t) is (model(x).data > 0)])


def train(model, data, steps, lr):
    def one(_):
        before = [(p, setattr(p, "grad", 0.0)) for p in model.parameters()]
        loss = log_loss(model, data)
        loss.backward()
        for p, _ in before:
            p.data -= lr * p.grad
        return loss.data

    return [one(k) for k in range(steps)]

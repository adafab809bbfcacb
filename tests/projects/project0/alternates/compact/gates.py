import random

from engine import Value

AND, OR, XOR = ([((a, b), t) for (a, b), t in zip([(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)], ts)]
                for ts in ((0, 0, 0, 1), (0, 1, 1, 1), (0, 1, 1, 0)))  # fmt: skip


class Neuron:
    def __init__(self, n_inputs, activate=True, rng=None):
        self.p = [Value((rng or random).uniform(-0.25, 0.25)) for _ in range(n_inputs)] + [Value(0)]
        self.activate = activate

    def __call__(self, x):
        z = sum((w * v for w, v in zip(self.p, x)), self.p[-1])
        return z.tanh() if self.activate else z

    def parameters(self):
        return self.p


class Layer:
    def __init__(self, n_inputs, n_outputs, activate=True, rng=None):
        self.n = [Neuron(n_inputs, activate, rng) for _ in range(n_outputs)]

    def __call__(self, x):
        return [n(x) for n in self.n]

    def parameters(self):
        return sum((n.parameters() for n in self.n), [])


class MLP:
    def __init__(self, n_inputs, hidden, rng=None):
        sizes = [n_inputs, *hidden, 1]
        self.l = [Layer(a, b, i < len(hidden), rng) for i, (a, b) in enumerate(zip(sizes, sizes[1:]))]

    def __call__(self, x):
        for l in self.l:
            x = l(x)
        return x[0]

    def parameters(self):
        return sum((l.parameters() for l in self.l), [])


def log_loss(model, data):
    return sum((1 + (model(x) * (1 - 2 * t)).exp()).log() for x, t in data) / len(data)


def count_right(model, data):
    return sum((model(x).data > 0) == t for x, t in data)


def train(model, data, steps, lr):
    out = []
    for _ in range(steps):
        for p in model.parameters():
            p.grad = 0
        (loss := log_loss(model, data)).backward()
        out.append(loss.data)
        for p in model.parameters():
            p.data += -lr * p.grad
    return out

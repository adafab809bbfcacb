import random

from engine import Value

CORNERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
AND = [(corner, int(corner[0] and corner[1])) for corner in CORNERS]
OR = [(corner, int(corner[0] or corner[1])) for corner in CORNERS]
XOR = [(corner, int(corner[0] != corner[1])) for corner in CORNERS]


class Module:
    def zero_grad(self):
        for p in self.parameters():
            p.grad = 0

    def parameters(self):
        return []


class Neuron(Module):
    def __init__(self, n_inputs, activate=True, rng=None):
        source = random.Random() if rng is None else rng
        self.w = [Value((source.random() - 0.5) * 0.5) for _ in range(n_inputs)]
        self.b = Value(0)
        self.nonlin = activate

    def __call__(self, x):
        act = sum((wi * xi for wi, xi in zip(self.w, x)), self.b)
        return act.tanh() if self.nonlin else act

    def parameters(self):
        return self.w + [self.b]


class Layer(Module):
    def __init__(self, n_inputs, n_outputs, activate=True, rng=None):
        self.neurons = [Neuron(n_inputs, activate=activate, rng=rng) for _ in range(n_outputs)]

    def __call__(self, x):
        return [n(x) for n in self.neurons]

    def parameters(self):
        return [p for n in self.neurons for p in n.parameters()]


class MLP(Module):
    def __init__(self, n_inputs, hidden, rng=None):
        sz = [n_inputs] + list(hidden) + [1]
        self.layers = [Layer(sz[i], sz[i + 1], i != len(hidden), rng) for i in range(len(hidden) + 1)]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x[0]

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters()]


def sigmoid(z):
    return 1 / (1 + (-z).exp())


def log_loss(model, data):
    losses = []
    for x, target in data:
        p = sigmoid(model(x))
        losses.append(-(p.log() if target else (1 - p).log()))
    return sum(losses) * (1.0 / len(losses))


def count_right(model, data):
    right = 0
    for x, target in data:
        said = 1 if model(x).data > 0 else 0
        right += said == target
    return right


def train(model, data, steps, lr):
    history = []
    for k in range(steps):
        total_loss = log_loss(model, data)
        model.zero_grad()
        total_loss.backward()
        for p in model.parameters():
            p.data -= lr * p.grad
        history.append(total_loss.data)
    return history

import dataclasses
import math
import operator
import random
from typing import Any

from engine import Value

AND = [((0.0, 0.0), 0), ((0.0, 1.0), 0), ((1.0, 0.0), 0), ((1.0, 1.0), 1)]
OR = [((0.0, 0.0), 0), ((0.0, 1.0), 1), ((1.0, 0.0), 1), ((1.0, 1.0), 1)]
XOR = [((0.0, 0.0), 0), ((0.0, 1.0), 1), ((1.0, 0.0), 1), ((1.0, 1.0), 0)]


@dataclasses.dataclass
class Neuron:
    n_inputs: int
    activate: bool = True
    rng: Any = None

    def __post_init__(self):
        self.rng = self.rng or random
        self.theta = [Value(self.rng.uniform(-0.25, 0.25)) for _ in range(self.n_inputs)]
        self.theta.append(Value(0.0))

    def __call__(self, x):
        total = sum(map(operator.mul, self.theta, [*x, 1.0]))
        return total.tanh() if self.activate else total

    def parameters(self):
        return self.theta


@dataclasses.dataclass
class Layer:
    n_inputs: int
    n_outputs: int
    activate: bool = True
    rng: Any = None

    def __post_init__(self):
        self.neurons = [Neuron(self.n_inputs, self.activate, self.rng) for _ in range(self.n_outputs)]

    def __call__(self, x):
        return [neuron(x) for neuron in self.neurons]

    def parameters(self):
        return [p for neuron in self.neurons for p in neuron.parameters()]


class MLP(list):
    """A list of its layers; the last has one neuron."""

    def __init__(self, n_inputs, hidden, rng=None):
        for size in hidden:
            self.append(Layer(n_inputs, size, rng=rng))
            n_inputs = size
        self.append(Layer(n_inputs, 1, activate=False, rng=rng))

    def __call__(self, x):
        for layer in self:
            x = layer(x)
        (logit,) = x
        return logit

    def parameters(self):
        return [p for layer in self for p in layer.parameters()]


def softplus(z):
    """ln(1 + e^z) without large exponents."""
    if z.data > 0:
        return z + (1 + (-z).exp()).log()
    return (1 + z.exp()).log()


def log_loss(model, data):
    return sum(softplus((1 - 2 * target) * model(x)) for x, target in data) / len(data)


def count_right(model, data):
    return sum(math.copysign(1, model(x).data or -1.0) == 2 * target - 1 for x, target in data)


class Descent:
    def __init__(self, parameters, lr):
        self.parameters, self.lr = list(parameters), lr

    def zero_grad(self):
        for p in self.parameters:
            p.grad = 0.0

    def step(self):
        for p in self.parameters:
            p.data = math.fsum((p.data, -self.lr * p.grad))


def train(model, data, steps, lr):
    optimizer, losses = Descent(model.parameters(), lr), []
    for _ in range(steps):
        optimizer.zero_grad()
        losses.append(log_loss(model, data))
        losses[-1].backward()
        optimizer.step()
    return [loss.data for loss in losses]

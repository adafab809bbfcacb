"""Neurons, layers, and a network that learns the logic gates. Step: gates. Pure Python, on engine.Value."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from engine import Value

Number = float | Value
Model = Callable[[Sequence[Number]], Value]  # and it has parameters()
Data = Sequence[tuple[Sequence[float], int]]

AND: Data = [((0.0, 0.0), 0), ((0.0, 1.0), 0), ((1.0, 0.0), 0), ((1.0, 1.0), 1)]
OR: Data = [((0.0, 0.0), 0), ((0.0, 1.0), 1), ((1.0, 0.0), 1), ((1.0, 1.0), 1)]
XOR: Data = [((0.0, 0.0), 0), ((0.0, 1.0), 1), ((1.0, 0.0), 1), ((1.0, 1.0), 0)]


class Neuron:
    """w . x + b, and tanh of it where `activate`."""

    def __init__(self, n_inputs: int, activate: bool = True, rng: random.Random | None = None) -> None:
        rng = rng or random.Random()
        self.weights = [Value(rng.uniform(-0.25, 0.25)) for _ in range(n_inputs)]
        self.bias = Value(0.0)
        self.activate = activate

    def __call__(self, x: Sequence[Number]) -> Value:
        total = self.bias
        for weight, value in zip(self.weights, x, strict=True):
            total = total + weight * value
        return total.tanh() if self.activate else total

    def parameters(self) -> list[Value]:
        return [*self.weights, self.bias]


class Layer:
    """Several neurons with the same inputs."""

    def __init__(
        self, n_inputs: int, n_outputs: int, activate: bool = True, rng: random.Random | None = None
    ) -> None:
        self.neurons = [Neuron(n_inputs, activate, rng) for _ in range(n_outputs)]

    def __call__(self, x: Sequence[Number]) -> list[Value]:
        return [neuron(x) for neuron in self.neurons]

    def parameters(self) -> list[Value]:
        return [parameter for neuron in self.neurons for parameter in neuron.parameters()]


class MLP:
    """Layers with tanh, and at the end one neuron without it."""

    def __init__(self, n_inputs: int, hidden: Sequence[int], rng: random.Random | None = None) -> None:
        sizes = [n_inputs, *hidden]
        self.layers = [Layer(*size, rng=rng) for size in zip(sizes, sizes[1:])]  # noqa: B905, RUF007
        self.last = Neuron(sizes[-1], activate=False, rng=rng)

    def __call__(self, x: Sequence[Number]) -> Value:
        for layer in self.layers:
            x = layer(x)
        return self.last(x)

    def parameters(self) -> list[Value]:
        inner = [parameter for layer in self.layers for parameter in layer.parameters()]
        return [*inner, *self.last.parameters()]


def log_loss(model: Model, data: Data) -> Value:
    """The mean over the examples of -ln p(target), where p(1) is the sigmoid of the logit model(x)."""
    total = Value(0.0)
    for x, target in data:
        logit = model(x)
        wrong_way = -logit if target == 1 else logit
        total = total + (1 + wrong_way.exp()).log()
    return total / len(data)


def count_right(model: Model, data: Data) -> int:
    """How many examples have a logit on the right side of 0."""
    return sum((model(x).data > 0) == (target == 1) for x, target in data)


def train(model: Neuron | MLP, data: Data, steps: int, lr: float) -> list[float]:
    """Gradient descent. The losses, each before its step."""
    losses: list[float] = []
    for _ in range(steps):
        for parameter in model.parameters():
            parameter.grad = 0.0
        loss = log_loss(model, data)
        loss.backward()
        for parameter in model.parameters():
            parameter.data -= lr * parameter.grad
        losses.append(loss.data)
    return losses

"""Neurons, layers, and a network that learns the logic gates. Pure Python, on your own engine.Value.    Step: gates

A gate takes two inputs, 0 or 1, and says 0 or 1. The network says a *logit* z instead, any number: above 0 it means 1,
else 0. The probability of a 1 is the sigmoid of z, 1 / (1 + exp(-z)).

You may add helper functions, files and attributes as you like.

Source: Karpathy, building micrograd, https://www.youtube.com/watch?v=VMj-3S1tku0
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from engine import Value

Number = float | Value
Model = Callable[[Sequence[Number]], Value]  # a Neuron or an MLP: model(x) is a logit
Data = Sequence[tuple[Sequence[float], int]]  # (inputs, target 0 or 1) of each example

AND: Data = [((0.0, 0.0), 0), ((0.0, 1.0), 0), ((1.0, 0.0), 0), ((1.0, 1.0), 1)]
OR: Data = [((0.0, 0.0), 0), ((0.0, 1.0), 1), ((1.0, 0.0), 1), ((1.0, 1.0), 1)]
XOR: Data = [((0.0, 0.0), 0), ((0.0, 1.0), 1), ((1.0, 0.0), 1), ((1.0, 1.0), 0)]


class Neuron:
    """w[0] * x[0] + w[1] * x[1] + … + bias; and tanh of that sum if activate is True.

    At first each weight is drawn by rng.uniform(-0.25, 0.25), in the order of the inputs, and the bias is 0. All of them are
    Values. Without rng, the neuron makes a random.Random() for itself.
    """

    def __init__(self, n_inputs: int, activate: bool = True, rng: random.Random | None = None) -> None:
        raise NotImplementedError("gates: Neuron.__init__")

    def __call__(self, x: Sequence[Number]) -> Value:
        """x: n_inputs numbers or Values -> one Value, from which backward() reaches weights, bias and x."""
        raise NotImplementedError("gates: Neuron.__call__")

    def parameters(self) -> list[Value]:
        """The weights in the order of the inputs, and then the bias: n_inputs + 1 Values, the neuron's own ones."""
        raise NotImplementedError("gates: Neuron.parameters")


class Layer:
    """n_outputs neurons that all see the same n_inputs inputs. One rng serves them all, one neuron after the other."""

    def __init__(
        self, n_inputs: int, n_outputs: int, activate: bool = True, rng: random.Random | None = None
    ) -> None:
        raise NotImplementedError("gates: Layer.__init__")

    def __call__(self, x: Sequence[Number]) -> list[Value]:
        """x: n_inputs numbers or Values -> a list of n_outputs Values, also if n_outputs is 1."""
        raise NotImplementedError("gates: Layer.__call__")

    def parameters(self) -> list[Value]:
        """Those of the first neuron, then those of the second, and so on: n_outputs * (n_inputs + 1) Values."""
        raise NotImplementedError("gates: Layer.parameters")


class MLP:
    """A multi-layer perceptron: for each number in hidden a Layer of so many neurons with tanh; then one Neuron without.

    MLP(2, [2]) is the network 2-2-1: two inputs, two hidden neurons, one logit. MLP(2, []) is one neuron alone.
    The rng is used layer by layer, from the inputs to the logit.
    """

    def __init__(self, n_inputs: int, hidden: Sequence[int], rng: random.Random | None = None) -> None:
        raise NotImplementedError("gates: MLP.__init__")

    def __call__(self, x: Sequence[Number]) -> Value:
        """x: n_inputs numbers or Values -> the logit. The outputs of a layer are the inputs of the next one."""
        raise NotImplementedError("gates: MLP.__call__")

    def parameters(self) -> list[Value]:
        """Those of the first layer, then of the next; those of the last neuron come last. MLP(2, [2]) has 9."""
        raise NotImplementedError("gates: MLP.parameters")


def log_loss(model: Model, data: Data) -> Value:
    """The mean over the examples of -ln(the probability that the model gives to the target). In the field: nll.

    For the target 1 that is ln(1 + exp(-z)), for the target 0 it is ln(1 + exp(z)), with z = model(x). The result is one
    Value. A model that says z = 0 to everything has ln 2 = 0.693.
    """
    raise NotImplementedError("gates: log_loss")


def count_right(model: Model, data: Data) -> int:
    """How many examples the model gets right: the logit is above 0 if the target is 1, and not above 0 if it is 0."""
    raise NotImplementedError("gates: count_right")


def train(model: Neuron | MLP, data: Data, steps: int, lr: float) -> list[float]:
    """Gradient descent on all data at once. -> the losses as plain floats, one for each step, each from *before* it.

    A step: the loss, its gradients, and then every parameter's data goes down by lr * grad. It changes the model's own
    parameters. What a parameter's grad held before counts for nothing: not in the second step, and not in the first.
    """
    raise NotImplementedError("gates: train")

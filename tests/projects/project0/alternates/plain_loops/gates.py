import random

from engine import Value

AND = [((0.0, 0.0), 0), ((0.0, 1.0), 0), ((1.0, 0.0), 0), ((1.0, 1.0), 1)]
OR = [((0.0, 0.0), 0), ((0.0, 1.0), 1), ((1.0, 0.0), 1), ((1.0, 1.0), 1)]
XOR = [((0.0, 0.0), 0), ((0.0, 1.0), 1), ((1.0, 0.0), 1), ((1.0, 1.0), 0)]


class Neuron:
    def __init__(self, n_inputs, activate=True, rng=None):
        if rng is None:
            rng = random.Random()
        self.weights = []
        for _ in range(n_inputs):
            self.weights.append(Value(rng.uniform(-0.25, 0.25)))
        self.bias = Value(0.0)
        self.activate = activate

    def __call__(self, x):
        z = self.weights[0] * x[0]
        for i in range(1, len(self.weights)):
            z = z + self.weights[i] * x[i]
        z = z + self.bias
        if self.activate:
            z = z.tanh()
        return z

    def parameters(self):
        result = []
        for weight in self.weights:
            result.append(weight)
        result.append(self.bias)
        return result


class Layer:
    def __init__(self, n_inputs, n_outputs, activate=True, rng=None):
        self.neurons = []
        for _ in range(n_outputs):
            self.neurons.append(Neuron(n_inputs, activate, rng))

    def __call__(self, x):
        result = []
        for neuron in self.neurons:
            result.append(neuron(x))
        return result

    def parameters(self):
        result = []
        for neuron in self.neurons:
            result.extend(neuron.parameters())
        return result


class MLP:
    def __init__(self, n_inputs, hidden, rng=None):
        self.layers = []
        for size in hidden:
            self.layers.append(Layer(n_inputs, size, True, rng))
            n_inputs = size
        self.out = Neuron(n_inputs, False, rng)

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.out(x)

    def parameters(self):
        result = []
        for layer in self.layers:
            result.extend(layer.parameters())
        result.extend(self.out.parameters())
        return result


def log_loss(model, data):
    total = 0
    for x, target in data:
        z = model(x)
        if target == 1:
            total = total + (1 + (0 - z).exp()).log()
        else:
            total = total + (1 + z.exp()).log()
    return total / len(data)


def count_right(model, data):
    right = 0
    for x, target in data:
        z = model(x).data
        if z > 0 and target == 1:
            right += 1
        if z <= 0 and target == 0:
            right += 1
    return right


def train(model, data, steps, lr):
    losses = []
    parameters = model.parameters()
    for p in parameters:
        p.grad = 0.0
    step = 0
    while step < steps:
        loss = log_loss(model, data)
        loss.backward()
        losses.append(loss.data)
        for p in parameters:
            p.data = p.data - lr * p.grad
            p.grad = 0.0
        step += 1
    return losses

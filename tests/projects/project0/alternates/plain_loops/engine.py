import math


class Value:
    """op says what was done, left and right say with what; right is a plain number for **."""

    def __init__(self, data, label=""):
        self.data = data
        self.grad = 0.0
        self.label = label
        self.op = "leaf"
        self.left = None
        self.right = None

    def new(self, data, op, right=None):
        result = Value(data)
        result.op = op
        result.left = self
        result.right = right
        return result

    def __add__(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        return self.new(self.data + other.data, "add", other)

    def __radd__(self, other):
        return Value(other) + self

    def __sub__(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        return self.new(self.data - other.data, "sub", other)

    def __rsub__(self, other):
        return Value(other) - self

    def __mul__(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        return self.new(self.data * other.data, "mul", other)

    def __rmul__(self, other):
        return Value(other) * self

    def __truediv__(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        return self.new(self.data / other.data, "div", other)

    def __rtruediv__(self, other):
        return Value(other) / self

    def __pow__(self, exponent):
        return self.new(self.data**exponent, "pow", exponent)

    def __neg__(self):
        return self.new(-self.data, "neg")

    def exp(self):
        return self.new(math.exp(self.data), "exp")

    def log(self):
        return self.new(math.log(self.data), "log")

    def tanh(self):
        return self.new(math.tanh(self.data), "tanh")

    def relu(self):
        if self.data > 0:
            return self.new(self.data, "relu")
        return self.new(0.0, "relu")

    def parents(self):
        found = []
        if self.left is not None:
            found.append(self.left)
        if isinstance(self.right, Value):
            found.append(self.right)
        return found

    def backward(self):
        order = topological(self)
        self.grad = 1.0
        i = len(order) - 1
        while i >= 0:
            order[i].share()
            i = i - 1

    def share(self):
        g = self.grad
        a = self.left
        b = self.right
        if self.op == "add":
            a.grad = a.grad + g
            b.grad = b.grad + g
        elif self.op == "sub":
            a.grad = a.grad + g
            b.grad = b.grad - g
        elif self.op == "mul":
            a.grad = a.grad + g * b.data
            b.grad = b.grad + g * a.data
        elif self.op == "div":
            a.grad = a.grad + g / b.data
            b.grad = b.grad - g * a.data / (b.data * b.data)
        elif self.op == "pow":
            a.grad = a.grad + g * b * a.data ** (b - 1)
        elif self.op == "neg":
            a.grad = a.grad - g
        elif self.op == "exp":
            a.grad = a.grad + g * self.data
        elif self.op == "log":
            a.grad = a.grad + g / a.data
        elif self.op == "tanh":
            a.grad = a.grad + g * (1 - self.data * self.data)
        elif self.op == "relu":
            if a.data > 0:
                a.grad = a.grad + g


def topological(root):
    """Count how often each Value is used; take one when all its users have been taken. Then turn the list round."""
    uses = {}
    found = [root]
    for value in found:
        for parent in value.parents():
            if parent not in uses:
                uses[parent] = 0
                found.append(parent)
            uses[parent] = uses[parent] + 1
    ready = [root]
    order = []
    while len(ready) > 0:
        value = ready.pop()
        order.append(value)
        for parent in value.parents():
            uses[parent] = uses[parent] - 1
            if uses[parent] == 0:
                ready.append(parent)
    order.reverse()
    return order

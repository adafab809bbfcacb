"""A small engine for automatic differentiation. Pure Python: no torch, no numpy.    Steps: value, backward

A Value is one number in a computation. Operations on Values give new Values, and each remembers the Values that it was
computed from: its *parents*. So a computation leaves a graph behind, and backward() walks through it from the end to the
beginning. It leaves in every Value's grad how much the result changes when that Value changes a little.

Source: Karpathy, building micrograd, https://www.youtube.com/watch?v=VMj-3S1tku0

You may add helper functions, methods, files and attributes as you like. Write `__repr__` too, if you like to print
Values. (Leave out `__eq__`: two Values with the same number are still two Values.)
"""

from __future__ import annotations


class Value:
    """A number that remembers where it came from.

    The checks, and the other files of this unit, use these attributes:
      data   the number, a float
      grad   d result / d data, a float: 0.0 at first; backward() adds to it
      label  a name for pictures, a str: "" at first
    How a Value remembers its parents and the operation is your own choice.

    Every operation gives a new Value and leaves its operands as they are. Where it says "number", a plain int or float
    is meant: 2 * a, a + 1, and 1 / a must work just as a * b does.
    """

    def __init__(self, data: float, label: str = "") -> None:
        """A Value that was not computed from others. data may be an int; a gradient is 0.0 until backward()."""
        raise NotImplementedError("value: Value.__init__")

    def __add__(self, other: Value | float) -> Value:
        """self + other. If other is a number, make a Value of it first: then there is only one case."""
        raise NotImplementedError("value: Value.__add__")

    def __mul__(self, other: Value | float) -> Value:
        """self * other, where other is a Value or a number."""
        raise NotImplementedError("value: Value.__mul__")

    def __pow__(self, exponent: float) -> Value:
        """self ** exponent. The exponent is always a number here, never a Value: 2, -1, 0.5 …"""
        raise NotImplementedError("value: Value.__pow__")

    def __neg__(self) -> Value:
        """-self. You may write this one and the next ones with + * and ** of Values: then they need no derivative."""
        raise NotImplementedError("value: Value.__neg__")

    def __sub__(self, other: Value | float) -> Value:
        """self - other, where other is a Value or a number."""
        raise NotImplementedError("value: Value.__sub__")

    def __truediv__(self, other: Value | float) -> Value:
        """self / other, where other is a Value or a number."""
        raise NotImplementedError("value: Value.__truediv__")

    def __radd__(self, other: float) -> Value:
        """other + self. Python calls it for 2 + a: a plain 2 does not know how to add a Value."""
        raise NotImplementedError("value: Value.__radd__")

    def __rmul__(self, other: float) -> Value:
        """other * self, where other is a number."""
        raise NotImplementedError("value: Value.__rmul__")

    def __rsub__(self, other: float) -> Value:
        """other - self, where other is a number. Mind the order."""
        raise NotImplementedError("value: Value.__rsub__")

    def __rtruediv__(self, other: float) -> Value:
        """other / self, where other is a number. Mind the order."""
        raise NotImplementedError("value: Value.__rtruediv__")

    def exp(self) -> Value:
        """e to the power of self: math.exp."""
        raise NotImplementedError("value: Value.exp")

    def log(self) -> Value:
        """The natural logarithm. ValueError, as math.log raises it, if data is not above 0."""
        raise NotImplementedError("value: Value.log")

    def tanh(self) -> Value:
        """The hyperbolic tangent, between -1 and 1. Also for large numbers: the tanh of 1000 is 1, not an error."""
        raise NotImplementedError("value: Value.tanh")

    def relu(self) -> Value:
        """data if it is above 0, else 0."""
        raise NotImplementedError("value: Value.relu")

    def backward(self) -> None:
        """Add d self / d v to v.grad, for every Value v that self was computed from. d self / d self = 1.

        1. self.grad = 1.0.
        2. Take the Values of topological(self) from the last to the first. Each gives every one of its parents a share:
           the derivative of this one operation, times its own grad. Shares are *added* to what is there.

        So first teach each operation above its derivative; where it is kept is your choice.
        A graph is walked through once. Gradients from other graphs stay, and new ones are added to them: whoever wants
        to begin at 0 sets grad = 0.0 before.
        """
        raise NotImplementedError("backward: Value.backward")


def topological(root: Value) -> list[Value]:
    """Every Value that root was computed from, and root itself: each once, parents before what was computed from them.

    root comes last. Plain numbers that you have made Values of may be in the list. Two Values with the same number are
    two Values. A chain of 5,000 operations must work as well: Python lets a function call itself about 1,000 times, so
    one that does needs another form (a loop with a list of what is still to do), or a higher limit.
    """
    raise NotImplementedError("backward: topological")

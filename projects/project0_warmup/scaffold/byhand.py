"""Backpropagation by hand, for a network of two layers. Lists and math only: no Value, no torch.    Step: byhand

N examples, I inputs, H hidden neurons, O outputs. A tensor of shape (N, I) is a list of N lists of I numbers, one of
shape (H,) a list of H numbers.

  x (N, I)  y (N, O)  w1 (I, H)  b1 (H,)  w2 (H, O)  b2 (O,)

  z   = x @ w1 + b1        (N, H)     z[n][j]   = sum over i of x[n][i] * w1[i][j], plus b1[j]
  h   = tanh(z)            (N, H)
  out = h @ w2 + b2        (N, O)
  loss = sum over n and o of (out[n][o] - y[n][o])**2, divided by N          (not by N * O)

Arguments stay as they are. You may add helper functions as you like: a matrix product and a transpose are a good start.

Source: Karpathy, becoming a backprop ninja, https://www.youtube.com/watch?v=q8SA3rM6ckI
"""

from __future__ import annotations

import math

Vector = list[float]
Matrix = list[list[float]]


def forward(x: Matrix, w1: Matrix, b1: Vector, w2: Matrix, b2: Vector) -> dict[str, Matrix]:
    """x (N, I), w1 (I, H), b1 (H,), w2 (H, O), b2 (O,) -> {"z": (N, H), "h": (N, H), "out": (N, O)}.

    The three formulas at the head of this file. The steps in between are returned too: the way back needs them.
    """
    raise NotImplementedError("byhand: forward")


def squared_error(out: Matrix, y: Matrix) -> float:
    """out (N, O), y (N, O) -> the loss: squared differences, added over the outputs, averaged over the N examples."""
    raise NotImplementedError("byhand: squared_error")


def gradients(
    x: Matrix, y: Matrix, w1: Matrix, b1: Vector, w2: Matrix, b2: Vector
) -> dict[str, Matrix | Vector]:
    """d loss / d each number of each tensor, under the keys "out", "w2", "b2", "h", "z", "w1", "b1", "x".

    Each gradient has the shape of its tensor. Go from the end to the beginning: d out comes from the loss alone; d w2,
    d b2 and d h come from d out; d z comes from d h; and d w1, d b1 and d x come from d z.
    """
    raise NotImplementedError("byhand: gradients")

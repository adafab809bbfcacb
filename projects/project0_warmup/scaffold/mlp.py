"""A multi-layer perceptron that predicts the next character, from tensors alone.    Step: mlp

N windows, B batch, V = vocab_size, C = context (how many ids it sees), E = d_embed, H = d_hidden.

Source: Bengio et al. 2003, "A Neural Probabilistic Language Model"; makemore part 2,
https://www.youtube.com/watch?v=TCH_1BHY58I.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

import torch
from torch import Tensor


def windows(ids: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """ids (T,) int64 -> x (N, C), y (N,), both int64: what the model sees, and the id that comes next.

    Every position that has C ids before it is a target, in the order of the text, so N = T - C.
    For ids 5 6 7 8 and context 2: x = [[5, 6], [6, 7]], y = [7, 8]. `ids` stays as it is.
    """
    raise NotImplementedError("mlp: windows")


def init(
    vocab_size: int, context: int, d_embed: int, d_hidden: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """The parameters before training, drawn with the generator. Each is a leaf that asks for a gradient.

    embedding (V, E)    normal, standard deviation 1
    w1 (C * E, H)       normal, standard deviation 1 / sqrt(C * E): one over the root of its fan_in
    b1 (H,)             zeros
    w2 (H, V)           normal, standard deviation 0.1 / sqrt(H): small, so that the first loss is about ln V
    b2 (V,)             zeros
    """
    raise NotImplementedError("mlp: init")


def forward(params: dict[str, Tensor], x: Tensor) -> Tensor:
    """x (B, C) int64 -> logits (B, V).

    The C embedding rows of a window are put side by side, in the order of the text: (B, C * E). Then
    h = tanh(that @ w1 + b1), (B, H), and logits = h @ w2 + b2. Logits are any numbers, not probabilities.
    """
    raise NotImplementedError("mlp: forward")


def loss(logits: Tensor, y: Tensor) -> Tensor:
    """logits (B, V), y (B,) int64 -> a tensor without dimensions: cross-entropy, the mean over the batch, in nats.

    For one row it is ln(sum of exp(logits)) - logits[y], that is -ln of the probability of the right id. Logits of
    several thousand must give a finite loss too.
    """
    raise NotImplementedError("mlp: loss")


def step(params: dict[str, Tensor], x: Tensor, y: Tensor, lr: float) -> float:
    """One step of plain gradient descent: every parameter p becomes p - lr * (gradient of the loss by p).

    The new values are in `params` afterwards, as leaves that ask for a gradient, ready for the next call. Gradients
    of one call must not add to those of the next. Gives the loss before the update, as a Python float.
    """
    raise NotImplementedError("mlp: step")

"""The bigram once more: not counted, but learned by gradient descent.    Step: bigram

N characters, V = vocabulary size. Row a of W (V, V) holds the logits of what comes after a. Floats are float32.

It uses nll of your own measure.py. Arguments stay as they are.

Source: Karpathy, building makemore, the second half, https://www.youtube.com/watch?v=PaCmpygFfXo.

You may add helper functions and files as you like.
"""

from __future__ import annotations

import torch
from measure import nll
from torch import Tensor


def one_hot(ids: Tensor, vocab_size: int) -> Tensor:
    """ids (N,) -> (N, V) float32: row i is 1 at place ids[i] and 0 everywhere else.

    This is how an id becomes the input of a layer. one_hot(ids, V) @ W picks rows of W, as W[ids] does.
    """
    raise NotImplementedError("bigram: one_hot")


def logits_of(W: Tensor, ids: Tensor) -> Tensor:
    """W (V, V), ids (N,) -> (N, V): for each id the logits of what comes after it.

    one_hot(ids, V) @ W or W[ids]: both are right, and gradients must flow back to W.
    """
    raise NotImplementedError("bigram: logits_of")


def train(ids: Tensor, vocab_size: int, steps: int, lr: float) -> Tensor:
    """ids (N,) -> W (V, V), after `steps` steps of plain gradient descent from W = 0.

    Each step takes all N - 1 pairs of neighbours: x = ids[:-1] is what is there, y = ids[1:] what follows. The loss is
    their mean nll, and W becomes W - lr * gradient. Every step has the same lr; after 0 steps W is all zeros.
    """
    raise NotImplementedError("bigram: train")

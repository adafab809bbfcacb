"""AdamW, written from its update rule.    Step: adamw

Source: Loshchilov and Hutter 2019, algorithm 2, https://arxiv.org/abs/1711.05101, in the form that PyTorch uses, where
the decay is multiplied by the learning rate.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class AdamW(torch.optim.Optimizer):
    """Adam with weight decay that is decoupled from the gradient. One step, for each parameter w with gradient g:

        t = t + 1
        w = w - lr * weight_decay * w                   the decay; the gradient has no part in it
        m = beta1 * m + (1 - beta1) * g                 running mean of the gradients, starts at 0
        v = beta2 * v + (1 - beta2) * g * g             running mean of their squares, starts at 0
        m_hat = m / (1 - beta1 ** t)                    both start too small; this corrects it
        v_hat = v / (1 - beta2 ** t)
        w = w - lr * m_hat / (sqrt(v_hat) + eps)

    params: parameters, or groups, i.e. dicts with "params" and options of their own; what a group leaves out has the
    value given here. lr, betas, eps and weight_decay are read from the group at each step, because a schedule writes
    group["lr"]. t, m and v belong to the parameter: one that gets no gradient (p.grad is None, as for a frozen one)
    stays as it is, and its t does not move. t, m and v are kept in self.state[p], so that torch's state_dict and
    load_state_dict carry them. Parameters are changed in place, gradients are not changed.
    Raises ValueError if lr, eps or weight_decay is negative, or a beta is not in [0, 1). torch.optim.AdamW is what you
    write here, so it breaks a rule of this step.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        raise NotImplementedError("adamw: AdamW.__init__")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, once.

        closure: computes the loss and its gradients again, with gradients enabled; its result is returned. Without
        it the result is None.
        """
        raise NotImplementedError("adamw: AdamW.step")

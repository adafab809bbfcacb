"""The rule line by line, in float64 in between."""

import torch
from torch.optim import Optimizer


class AdamW(Optimizer):
    def __init__(
        self,
        params,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        if lr < 0.0:
            raise ValueError("lr must not be negative")
        if eps < 0.0:
            raise ValueError("eps must not be negative")
        if weight_decay < 0.0:
            raise ValueError("weight_decay must not be negative")
        for beta in betas:
            if beta < 0.0 or beta >= 1.0:
                raise ValueError("betas must lie in [0, 1)")
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        Optimizer.__init__(self, params, defaults)

    def step(self, closure=None):
        loss = None
        if closure is not None:
            loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                learning_rate = group["lr"]
                beta_1 = group["betas"][0]
                beta_2 = group["betas"][1]
                for parameter in group["params"]:
                    gradient = parameter.grad
                    if gradient is None:
                        continue
                    state = self.state[parameter]
                    if "number_of_steps" not in state:
                        state["number_of_steps"] = torch.zeros(())
                        state["mean_of_gradients"] = torch.zeros_like(parameter)
                        state["mean_of_squares"] = torch.zeros_like(parameter)
                    state["number_of_steps"] = state["number_of_steps"] + 1
                    t = int(state["number_of_steps"].item())
                    g = gradient.to(torch.float64)
                    w = parameter.to(torch.float64)
                    m = beta_1 * state["mean_of_gradients"].to(torch.float64) + (1.0 - beta_1) * g
                    v = beta_2 * state["mean_of_squares"].to(torch.float64) + (1.0 - beta_2) * g * g
                    w = w - learning_rate * group["weight_decay"] * w
                    m_hat = m / (1.0 - beta_1**t)
                    v_hat = v / (1.0 - beta_2**t)
                    w = w - learning_rate * m_hat / (torch.sqrt(v_hat) + group["eps"])
                    state["mean_of_gradients"].copy_(m)
                    state["mean_of_squares"].copy_(v)
                    parameter.copy_(w)
        return loss
